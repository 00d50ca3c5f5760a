"""What a difference is made of: causes of the latency and components of the energy, whose differences sum to its own.

Latency is counted in whole clocks; where clocks of two runs are of different lengths, in whole picoseconds.  So its
differences sum exactly.  Energy is summed as the summary has it, in floats.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

from pimsim.comparison.figures import beside
from pimsim.comparison.runs import Run
from pimsim.comparison.scope import RUN, Scope

CLOCKS, PS = "clocks", "ps"
_CLOSE = 1e-9  # relative


def exact_unit(runs: Sequence[Run]) -> str:
    """In what latency is counted: clocks if all have the same."""
    return CLOCKS if len({run.tCK_ps for run in runs}) == 1 else PS


def exact(run: Run, clocks: int, unit: str) -> int:
    """Clocks of a run in the unit of the comparison."""
    return clocks if unit == CLOCKS else clocks * run.tCK_ps


def latency(runs: Sequence[Run], base: int, scope: Scope, clocks: Sequence[int]) -> dict[str, Any]:
    """Clocks of each run: exact over its rows, and in ns over what the scope is taken over."""
    unit = exact_unit(runs)
    counted = [exact(run, each, unit) for run, each in zip(runs, clocks, strict=True)]
    parts = [scope.part(at, each * run.tCK_ps) / 1000 for at, (run, each) in enumerate(zip(runs, clocks, strict=True))]
    row = _over(parts, base, scope)
    found = {"exact": counted}
    if scope.per == RUN and scope.comparable:
        found["exact_differences"] = [each - counted[base] for each in counted]
    return found | row


def energy(base: int, scope: Scope, whole: Sequence[float]) -> dict[str, Any]:
    """Energy of each run, pJ, over what the scope is taken over."""
    return _over([scope.part(at, each) for at, each in enumerate(whole)], base, scope)


def _over(parts: Sequence[Fraction], base: int, scope: Scope) -> dict[str, Any]:
    """What is exact as floats, differences rounded once; none where the scope has none."""
    row = beside([float(part) for part in parts], base, scope.comparable)
    return row | {"differences": [float(part - parts[base]) if scope.comparable else None for part in parts]}


def causes(runs: Sequence[Run], base: int, scope: Scope) -> dict[str, Any]:
    """Latency by cause: a row each, and their total, which the rows sum to."""

    def row(cause: str) -> dict[str, Any]:
        return latency(runs, base, scope, [run.clocks(scope.phase, cause) for run in runs])

    names = in_order([run.causes for run in runs])
    rows = [{"cause": name} | row(name) for name in names]
    found = {"unit": "ns", "exact_unit": exact_unit(runs), "rows": _shown(rows), "total": row("")}
    return _checked(found, runs)


def components(runs: Sequence[Run], base: int, scope: Scope) -> dict[str, Any]:
    """Energy by component: a row each, and their total, which the rows sum to."""

    def row(component: str) -> dict[str, Any]:
        return energy(base, scope, [run.energy_pJ(scope.phase, component) for run in runs])

    names = in_order([run.components for run in runs])
    rows = [{"component": name} | row(name) for name in names]
    return _checked({"unit": "pJ", "rows": _shown(rows), "total": row("")}, runs)


def in_order(lists: Sequence[Sequence[str]]) -> list[str]:
    """Every name once, in the order of the first list that has it."""
    return list(dict.fromkeys(name for each in lists for name in each))


def _shown(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those that are something in some run."""
    return [row for row in rows if any(row["values"])]


def _checked(found: dict[str, Any], runs: Sequence[Run]) -> dict[str, Any]:
    """A table whose rows sum to its total: exactly where they are counted, else as floats do."""
    for at, run in enumerate(runs):
        for key, same in _SAME.items():
            if any(each is not None for each in found["total"].get(key, ())):
                parts, whole = [row[key][at] for row in found["rows"]], found["total"][key][at]
                if not same(parts, whole, found["total"]["values"][at]):
                    raise ValueError(f"{key} of the parts of {run.name} sum to {sum(parts)}, not {whole}")
    return found


def _counts(parts: Sequence[int], whole: int, size: float) -> bool:
    return sum(parts) == whole


def _floats(parts: Sequence[float], whole: float, size: float) -> bool:
    return math.isclose(math.fsum(parts), whole, rel_tol=_CLOSE, abs_tol=_CLOSE * size)


_SAME: dict[str, Callable[[Any, Any, float], bool]] = {
    "exact": _counts, "exact_differences": _counts, "values": _floats, "differences": _floats,
}  # fmt: skip
