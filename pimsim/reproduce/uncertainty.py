"""What the ranges of the inputs do to a figure.

One input at a time goes to each end of its range (on sampled contexts); the one that moves
the figure most decides it.  Then all inputs go at once to the ends that lower the figure,
and to those that raise it: two corners, simulated as such, not added up.  The interval is the
whole run's figure times the corners' ratios to the sampled figure.  If a figure is not
monotonic in an input, or inputs work against each other, the true interval may be wider.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from pimsim.reproduce.data import ENDS, End, inputs
from pimsim.reproduce.figures import PROBES, SHIPPED, Quantity, stand_in
from pimsim.reproduce.runs import MIDDLES, Bench, Job
from pimsim.reproduce.values import Outcome, Values

Setting = tuple[tuple[str, End], ...]  # inputs by name, each at an end


@dataclass(frozen=True)
class Interval:
    """A figure: from the whole run (or the sample), with what the inputs' ranges make of it.

    effects: by input, the figure with that input at its low and high end.
    """

    simulated: float
    low: float
    high: float
    effects: Mapping[str, tuple[float, float]]

    @property
    def decided_by(self) -> str:
        """The input that moves the figure most, "" if none does."""
        name = max(self.effects, key=lambda name: self.span(name), default="")
        return inputs()[name].described if name and self.span(name) > 1e-9 else ""

    def span(self, name: str) -> float:
        """How far one input moves the figure, as the logarithm of a ratio."""
        ends = (*self.effects[name], self.simulated)
        return math.log(max(ends) / min(ends)) if min(ends) > 0 else 0.0


def sample(model: str, probe: str, setting: Setting = ()) -> Job:
    """The sampled run of a model with a probe and some inputs at an end; the probe's own keys win.

    A probe's figures are ratios of times, so what only prices or compares is left out.
    """
    changes: dict[str, object] = {}
    for name, end in setting:
        if probe == SHIPPED or inputs()[name].kind == "system":
            changes |= inputs()[name].at(end)
    return Job(stand_in(model), tuple({**changes, **dict(PROBES[probe])}.items()), MIDDLES)


def settings() -> list[Setting]:
    """Nothing changed, then each input at each end."""
    return [(), *(((name, end),) for name in inputs() for end in ENDS)]


def jobs(quantities: Iterable[Quantity]) -> Iterator[Job]:
    """All samples that the intervals of the quantities start from."""
    needed = {(model, probe) for q in quantities for model in q.models for probe in q.probes}
    for model, probe in sorted(needed):
        yield from (sample(model, probe, setting) for setting in settings())


@dataclass
class Uncertainty:
    """Intervals of quantities, from the samples that a bench has run."""

    bench: Bench

    def intervals(self, wanted: Iterable[tuple[Quantity, str, float | None]]) -> list[Interval]:
        """The interval of each (quantity, model, value of the whole run); None: the sample stands for it."""
        wanted = list(wanted)
        single = [self._effects(quantity, model) for quantity, model, _ in wanted]
        corners = [[self._corner(effects, base, up) for up in (False, True)] for effects, base in single]
        self.bench.run(
            sample(model, probe, corner)
            for (quantity, model, _), pair in zip(wanted, corners, strict=True)
            for probe in quantity.probes
            for corner in pair
        )
        return [
            self._interval(quantity, model, value, effects, base, pair)
            for (quantity, model, value), (effects, base), pair in zip(wanted, single, corners, strict=True)
        ]

    def _value(self, quantity: Quantity, model: str, setting: Setting) -> float | None:
        """The quantity of a sampled setting; None if the setting is refused."""
        runs: dict[str, Values] = {}
        for probe in {SHIPPED, *quantity.probes}:
            found = self.bench.known.get(sample(model, probe, setting))
            if not isinstance(found, Outcome):
                return None
            runs[probe] = found.values
        return quantity.value(runs)

    def _effects(self, quantity: Quantity, model: str) -> tuple[dict[str, tuple[float, float]], float]:
        base = self._value(quantity, model, ())
        assert base is not None, f"{model} does not run as shipped"
        effects = {}
        for name in inputs():
            low, high = (self._value(quantity, model, ((name, end),)) for end in ENDS)
            effects[name] = (base if low is None else low, base if high is None else high)
        return effects, base

    def _corner(self, effects: Mapping[str, tuple[float, float]], base: float, up: bool) -> Setting:
        """Every input at the end that raises (or lowers) the figure; those that do neither stay."""
        chosen: list[tuple[str, End]] = []
        for name, ends in effects.items():
            best = max(ends) if up else min(ends)
            if (best > base) if up else (best < base):
                chosen.append((name, ENDS[ends.index(best)]))
        return tuple(chosen)

    def _interval(
        self,
        quantity: Quantity,
        model: str,
        value: float | None,
        effects: Mapping[str, tuple[float, float]],
        base: float,
        corners: list[Setting],
    ) -> Interval:
        whole = base if value is None else value
        ends = [found for corner in corners if (found := self._value(quantity, model, corner)) is not None]
        reached = [base, *ends, *(end for pair in effects.values() for end in pair)]
        scale = whole / base
        moved = {name: (low * scale, high * scale) for name, (low, high) in effects.items()}
        return Interval(whole, min(reached) * scale, max(reached) * scale, moved)
