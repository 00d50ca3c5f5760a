"""The whole command: every figure with its interval, the curves, the limits and the cross-check of the energy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pimsim.errors import InputError
from pimsim.reproduce import crosscheck, curves
from pimsim.reproduce.crosscheck import Candidate, Priced
from pimsim.reproduce.curves import Point
from pimsim.reproduce.data import Published, circular, published
from pimsim.reproduce.figures import MODELS, OVER_MODELS, QUANTITIES, SHIPPED, Quantity, stand_in
from pimsim.reproduce.runs import MIDDLES, TOKENS, Bench, Job
from pimsim.reproduce.uncertainty import Interval, Uncertainty, jobs
from pimsim.reproduce.values import Outcome, Values, evaluate_job
from pimsim.sim.tally import DEVICE_CAUSES

VARIANTS: Mapping[str, tuple[tuple[str, Any], ...]] = {
    "paper": (),
    "overlap": (("schedule", "overlap"),),
    "LM head": (("workload.lm_head", True),),
}
# What limits a model: causes in groups; every cause that is not the device's is ASIC arithmetic.
LIMITS: Mapping[str, tuple[str, ...]] = {
    "MAC": ("mac",),
    "activation": ("activation",),
    "pins": ("input_transfer", "result_transfer", "read", "write"),
    "refresh": ("refresh",),
}
ASIC = "ASIC"
NEAR = 0.1  # how far a figure that counts as reproduced may be from the paper's, as a share
VERDICTS = ("reproduced", "compatible", "outside", "circular")

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Figure:
    """One line of the table: a figure beside the paper's (None where the paper has none), with its interval.

    circular: what was inferred from the paper's figure; the figure is then no evidence.
    """

    name: str
    of: str
    unit: str
    published: Published | None
    simulated: float
    low: float
    high: float
    decided_by: str
    circular: tuple[str, ...] = ()

    @property
    def deviation(self) -> float | None:
        """(simulated - paper) / paper, from the nearer end of a range (0 inside); None where the paper has none."""
        if self.published is None:
            return None
        paper = self.published.paper
        near = min(max(self.simulated, paper[0]), paper[1]) if isinstance(paper, tuple) else paper
        return self.simulated / near - 1

    @property
    def explained(self) -> bool | None:
        """Whether what the paper's figure allows meets the interval."""
        if self.published is None:
            return None
        low, high = self.published.meant
        return self.low <= high and low <= self.high

    @property
    def verdict(self) -> str | None:
        """One of VERDICTS; None where the paper has no figure.

        circular    something was inferred from the paper's figure, which is then no evidence
        outside     no inputs in their ranges give the paper's figure
        reproduced  the shipped inputs give it, to a tenth
        compatible  some inputs in their ranges give it
        """
        if self.published is None or self.deviation is None:
            return None
        if self.circular:
            return "circular"
        if not self.explained:
            return "outside"
        return "reproduced" if abs(self.deviation) <= NEAR else "compatible"

    def record(self) -> dict[str, Any]:
        """The figure as `reproduce --json` prints it."""
        paper = self.published.paper if self.published else None
        return {
            "name": self.name,
            "paper": list(paper) if isinstance(paper, tuple) else paper,
            "simulated": self.simulated,
            "low": self.low,
            "high": self.high,
            "deviation": self.deviation,
            "decided_by": self.decided_by,
            "circular": bool(self.circular),
            "inferred": list(self.circular),
            "verdict": self.verdict,
            "unit": self.unit,
            "of": self.of,
            "label": self.published.label if self.published else None,
        }


@dataclass(frozen=True)
class Reproduction:
    """Everything that `pimsim reproduce pim-gpt` found.

    figures   the published ones first, then one per quantity and model
    models    the whole run of each model
    limits    ns per token by what limits it, by model; they sum to the time per token
    variants  ns per token by variant, by model
    curves    points of what the paper varies
    prices    a whole run of each model priced in several ways
    """

    figures: tuple[Figure, ...]
    models: Mapping[str, Values]
    limits: Mapping[str, Mapping[str, float]]
    variants: Mapping[str, Mapping[str, float]]
    curves: tuple[Point, ...]
    prices: Mapping[str, tuple[Priced, ...]]
    candidates: tuple[Candidate, ...]
    paper_factors: Mapping[str, float]

    @property
    def count(self) -> dict[str, int]:
        """Published figures by verdict."""
        found = Counter(figure.verdict for figure in self.figures)
        return {verdict: found[verdict] for verdict in VERDICTS}

    @property
    def varied(self) -> tuple[str, ...]:
        """The models that the curves are of."""
        return tuple(dict.fromkeys(point.model for point in self.curves))

    def record(self) -> dict[str, Any]:
        """The content of `--json`: the contract's `figures`, and the rest beside it."""
        return {
            "schema": "pimsim.reproduction/1",
            "count": self.count,
            "figures": [figure.record() for figure in self.figures],
            "limits_ns": {model: dict(parts) for model, parts in self.limits.items()},
            "variants_ns": {model: dict(times) for model, times in self.variants.items()},
            "curves": [vars(point) for point in self.curves],
            "energy_pJ": {
                model: {run.name: dict(run.components_pJ) for run in runs} for model, runs in self.prices.items()
            },
            "v1_to_v2": {
                "paper": dict(self.paper_factors),
                "candidates": [vars(candidate) for candidate in self.candidates],
            },
        }


def reproduce(workers: int = 2, progress: Progress = lambda _: None) -> Reproduction:
    """Run every published figure of PIM-GPT, its interval, and what goes beyond the paper."""
    with Bench(evaluate_job, workers) as bench:
        progress("whole runs of the eight models")
        whole = {model: _outcome(bench, Job(stand_in(model))) for model in _first(bench, MODELS)}
        progress("every input at both ends of its range")
        bench.run([*jobs(QUANTITIES), *curves.jobs(), *(_variant(m, v) for m in MODELS for v in VARIANTS)])
        progress("all inputs at their worst and best together")
        figures = _figures(Uncertainty(bench), {model: outcome.values for model, outcome in whole.items()})
        prices = {m: tuple(crosscheck.priced(Job(m), outcome.tally, TOKENS)) for m, outcome in whole.items()}
        return Reproduction(
            figures,
            {model: outcome.values for model, outcome in whole.items()},
            {model: limits(outcome.values) for model, outcome in whole.items()},
            {m: {v: _outcome(bench, _variant(m, v)).values.token_ns for v in VARIANTS} for m in MODELS},
            tuple(curves.points(bench)),
            prices,
            tuple(crosscheck.candidates({model: runs[0] for model, runs in prices.items()})),
            crosscheck.paper_factors(),
        )


def _first(bench: Bench, models: tuple[str, ...]) -> tuple[str, ...]:
    """The models, their whole runs done."""
    bench.run(Job(stand_in(model)) for model in models)
    return models


def _variant(model: str, name: str) -> Job:
    return Job(stand_in(model), VARIANTS[name], MIDDLES)


def _outcome(bench: Bench, job: Job) -> Outcome:
    found = bench.known[job]
    if isinstance(found, Outcome):
        return found
    raise InputError(f"{job.model} {dict(job.changes)}: {found}")


def limits(values: Values) -> dict[str, float]:
    """Time per token by what limits it, ns."""
    parts = {name: sum(values.causes_ns.get(cause, 0.0) for cause in causes) for name, causes in LIMITS.items()}
    parts[ASIC] = sum(ns for cause, ns in values.causes_ns.items() if cause not in DEVICE_CAUSES)
    return {name: ns / values.tokens for name, ns in parts.items()}


def _figures(uncertainty: Uncertainty, whole: Mapping[str, Values]) -> tuple[Figure, ...]:
    wanted = [
        (quantity, model, quantity.value({SHIPPED: whole[model]}) if quantity.probes == (SHIPPED,) else None)
        for quantity in QUANTITIES
        for model in quantity.models
    ]
    intervals = dict(zip([(q.name, m) for q, m, _ in wanted], uncertainty.intervals(wanted), strict=True))
    each = {
        f"{quantity.name}.{model}": _figure(f"{quantity.name}.{model}", quantity, intervals[quantity.name, model])
        for quantity, model, _ in wanted
    }
    over = {name: _over_models(name, intervals) for name in published() if name not in each}
    return tuple({**over, **each}.values())


def _figure(name: str, quantity: Quantity, interval: Interval) -> Figure:
    paper = published().get(name)
    of = paper.of if paper else quantity.of
    through = circular(name) if paper else ()
    return Figure(
        name, of, quantity.unit, paper, interval.simulated, interval.low, interval.high, interval.decided_by, through
    )


def _over_models(name: str, intervals: Mapping[tuple[str, str], Interval]) -> Figure:
    """The lowest, highest or mean of a quantity over the models; decided by what decides the model that it is of."""
    quantity, _, which = name.partition(".")
    paper, of = published()[name], [interval for (key, _), interval in intervals.items() if key == quantity]
    choose = OVER_MODELS[which]
    value = choose([interval.simulated for interval in of])
    nearest = min(of, key=lambda interval: abs(interval.simulated - value))
    low, high = choose([interval.low for interval in of]), choose([interval.high for interval in of])
    return Figure(name, paper.of, paper.unit, paper, value, low, high, nearest.decided_by, circular(name))
