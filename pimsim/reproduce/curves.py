"""What else the paper varies: one key over a range, relative to the shipped value; contexts up to what fits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pimsim.devices.plan import compile_plan
from pimsim.errors import InputError
from pimsim.reproduce.figures import PROBED, stand_in
from pimsim.reproduce.runs import MIDDLES, Bench, Changes, Job, configure
from pimsim.reproduce.values import Outcome


@dataclass(frozen=True)
class Curve:
    """A key's values, each with what is set for it."""

    name: str
    title: str
    unit: str
    points: Mapping[float, Changes]
    shipped: float


def _over(key: str, values: tuple[float, ...]) -> dict[float, Changes]:
    return {value: ((key, value),) for value in values}


CURVES: tuple[Curve, ...] = (
    Curve("asic_clock", "ASIC clock", "GHz", _over("asic.clock_GHz", (1, 0.5, 0.25, 0.2, 0.1)), 1),
    Curve("channels", "channels", "", _over("dram.channels", (1, 2, 4, 8, 16, 32, 64)), 8),
    Curve("pin_rate", "data rate of a pin", "Gb/s", _over("dram.io.data_rate_Gbps", (16, 8, 4, 2)), 16),
    Curve(
        "mac_width",
        "lanes of a MAC unit, columns as wide",
        "",
        {lanes: (("pim.lanes", lanes), ("dram.column_bytes", 2 * lanes)) for lanes in (16, 32, 64, 128)},
        16,
    ),
)
CONTEXTS = (128, 256, 512, 1024, 2048, 4096, 8192)


@dataclass(frozen=True)
class Point:
    """One point of a curve: time per token in ns, None with the reason if it does not run."""

    curve: str
    x: float
    model: str
    token_ns: float | None
    problem: str = ""


def point_job(model: str, changes: Changes) -> Job:
    """The sampled run of a point."""
    return Job(stand_in(model), changes, MIDDLES)


def jobs() -> Iterator[Job]:
    """Every run that the curves need."""
    for model in PROBED:
        for curve in CURVES:
            yield from (point_job(model, changes) for changes in curve.points.values())
        yield from (context_job(model, context) for context in contexts(model))


def context_job(model: str, context: int) -> Job:
    """The step at one context."""
    return Job(stand_in(model), (), (context,))


def contexts(model: str) -> tuple[int, ...]:
    """The contexts of the curve that the memory has room for, and the longest."""
    longest = capacity(model)
    return (*(context for context in CONTEXTS if context < longest), longest)


def capacity(model: str) -> int:
    """Tokens that K and V have room for beside the weights, found by bisection."""
    low, high = 1, 1 << 20
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if _fits(model, middle) else (low, middle - 1)
    return low


def _fits(model: str, tokens: int) -> bool:
    try:
        compile_plan(configure(Job(model, (), (tokens,))))
    except InputError:
        return False
    return True


def points(bench: Bench) -> list[Point]:
    """Every point, in the order of the curves."""
    found = [
        _point(curve.name, x, model, bench.known[point_job(model, changes)])
        for curve in CURVES
        for model in PROBED
        for x, changes in curve.points.items()
    ]
    return found + [
        _point("context", context, model, bench.known[context_job(model, context)])
        for model in PROBED
        for context in contexts(model)
    ]


def _point(curve: str, x: float, model: str, outcome: Any) -> Point:
    if isinstance(outcome, Outcome):
        return Point(curve, x, model, outcome.values.token_ns)
    return Point(curve, x, model, None, str(outcome))
