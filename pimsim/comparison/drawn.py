"""What figures and pages draw of a comparison, whatever draws it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pimsim.comparison.rows import ranked
from pimsim.comparison.units import Unit
from pimsim.results.written import readable

Parts = Mapping[str, Sequence[float]]  # of each part its value in every run
OTHERS = "others"


class Step(NamedTuple):
    """A bar on the way from one run to another.

    part        of the difference; "" of a whole run, and of all the parts that have no bar of their own
    left        where it begins; width: how long it is
    difference  None of the run that is compared with
    """

    name: str
    part: str
    left: float
    width: float
    difference: float | None = None

    @property
    def end(self) -> float:
        """Where it ends, to the right."""
        return self.left + self.width

    @property
    def is_run(self) -> bool:
        """Whether it is a whole run."""
        return self.left == 0 and not self.part and self.name != OTHERS


def steps(names: Sequence[str], totals: Sequence[float], parts: Parts, base: int, most: int) -> list[Step]:
    """From the base down to the other run: each part, largest difference first, moves the sum by its difference."""
    other = 1 - base
    moves = [(name, values[other] - values[base]) for name, values in parts.items() if values[other] != values[base]]
    shown, rest = ranked(moves, most, lambda move: move[1:])
    found = [Step(names[base], "", 0.0, totals[base])]
    at = totals[base]
    for name, move in [*shown, *([("", sum(move for _, move in rest))] if rest else [])]:
        found.append(Step(readable(name) or OTHERS, name, min(at, at + move), abs(move), move))
        at += move
    return [*found, Step(names[other], "", 0.0, totals[other], totals[other] - totals[base])]


def text(step: Step, unit: Unit) -> str:
    """What stands behind a bar."""
    if step.difference is None:
        return unit.value(step.width)
    said = unit.difference(step.difference)
    return f"{unit.value(step.width)} ({said})" if step.is_run else said


class Layer(NamedTuple):
    """A part in the stacks of all runs; part: "" of all that have no colour of their own."""

    name: str
    part: str
    values: list[float]


def layers(parts: Parts, most: int) -> list[Layer]:
    """The largest parts, and all others together."""
    order = sorted(parts, key=lambda name: -max(parts[name]))
    shown, rest = (order, []) if len(order) <= most + 1 else (order[:most], order[most:])
    found = [Layer(readable(name), name, list(parts[name])) for name in shown]
    if rest:
        found.append(Layer(OTHERS, "", [sum(each) for each in zip(*(parts[name] for name in rest), strict=True)]))
    return found


def only(labels: Sequence[str], present: Sequence[bool]) -> str:
    """Which runs have an operator, if not all do."""
    there = [name for name, has in zip(labels, present, strict=True) if has]
    return "" if all(present) else f" (only {', '.join(there)})"
