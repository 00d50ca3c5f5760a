"""Which steps of a schedule make a line over the context: steps that alternate would make a zigzag of one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pimsim.results.parts import Group, groups_of
from pimsim.results.scheduled import DECODING
from pimsim.workload.schedule import Schedule

Line = tuple[str, NDArray[Any]]


def lines_of(schedule: Schedule | None) -> list[Line]:
    """The lines of the decode steps: a name, and the places of its steps among them, by context.

    A line is a template in one part of decoding.  Where its steps go back and forth between numbers of
    tokens, sequences or blocks, each of them is a line.  Empty for plain decoding.
    """
    if schedule is None:
        return []
    groups, which = groups_of(schedule)
    decode = schedule.of_phase("decode")
    return lines_of_groups(groups, which[schedule.stage][decode], schedule.context[decode])


def lines_of_groups(groups: list[Group], of_step: NDArray[Any], context: NDArray[Any]) -> list[Line]:
    """The lines of decode steps, by the number of each one's group and its context, both (steps,)."""
    families: dict[tuple[str, str], list[int]] = {}
    for number in dict.fromkeys(of_step.tolist()):
        families.setdefault((groups[number].template, groups[number].part), []).append(number)
    parts_of_template = [template for template, _ in families]
    found = []
    for (template, part), members in families.items():
        several = parts_of_template.count(template) > 1
        name = f"{template} ({part or DECODING})" if part or several else template
        for more, numbers in _apart(groups, members, of_step):
            places = np.flatnonzero(np.isin(of_step, numbers))
            found.append((name + more, places[np.argsort(context[places], kind="stable")]))
    return found


def _apart(groups: list[Group], members: list[int], of_step: NDArray[Any]) -> list[tuple[str, list[int]]]:
    """The groups that make a line together, and what tells it from the others of its template."""
    own = of_step[np.isin(of_step, members)]
    if np.count_nonzero(np.diff(own)) < len(members):  # each comes up once, and never again
        return [("", members)]
    return [(_difference(groups[number], [groups[other] for other in members]), [number]) for number in members]


def _difference(group: Group, others: list[Group]) -> str:
    """What a group has that not all the others have."""
    told = {"tokens": "token", "batch": "sequence", "blocks": "block"}
    counts = {name: getattr(group, name) for name in told if len({getattr(other, name) for other in others}) > 1}
    return "".join(f", {count:,} {told[name]}{'s' if count != 1 else ''}" for name, count in counts.items())
