"""What each key does to each objective: one at a time (a tornado), or as Sobol indices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pimsim.errors import InputError
from pimsim.sweep.objectives import Objective

Rows = Sequence[dict[str, Any]]


def sensitivity(design: str, keys: Sequence[str], rows: Rows, objectives: Sequence[Objective]) -> list[dict[str, Any]]:
    """The rows of `tornado` or `sobol`, whichever the design is for."""
    return DESIGNS[design](rows, keys, objectives)


def tornado(rows: Rows, keys: Sequence[str], objectives: Sequence[Objective]) -> list[dict[str, Any]]:
    """A row per objective and key, the widest swing first.

    rows  the base first, then rows that set one key each, as `one_at_a_time` makes them
    low, high      the smallest and largest figure that the key's values give, the base's included
    low_at, high_at  the values that give them; None: the base
    """
    found: list[dict[str, Any]] = []
    for objective in objectives:
        base = figure(rows[0], objective) if rows else None
        bars = [_bar(objective, key, base, rows[1:]) for key in keys] if base is not None else []
        found += sorted(bars, key=lambda bar: -bar["swing"])
    return found


def _bar(objective: Objective, key: str, base: float, rows: Rows) -> dict[str, Any]:
    figures: list[tuple[float, Any]] = [(base, None)]
    figures += (
        (value, row[key]) for row in rows if row.get(key) is not None and (value := figure(row, objective)) is not None
    )
    low, high = min(figures, key=lambda pair: pair[0]), max(figures, key=lambda pair: pair[0])
    return {
        "objective": objective.name,
        "key": key,
        "base": base,
        "low": low[0],
        "high": high[0],
        "low_at": low[1],
        "high_at": high[1],
        "swing": high[0] - low[0],
    }


def figure(row: dict[str, Any], objective: Objective) -> float | None:
    """The figure of a row as it is printed."""
    cost = objective.cost(row)
    return None if cost is None else -cost if objective.maximise else cost


def sobol(rows: Rows, keys: Sequence[str], objectives: Sequence[Objective]) -> list[dict[str, Any]]:
    """A row per objective and key, the largest total index first.

    rows         in the order of `designs.sobol_shares`: A, B, and A with one column of B per key
    first_order  share of the figure's variance that the key explains alone
    total        the share that goes with the key, together with others included
    An objective that some row has no figure for has no indices. InputError without scipy.
    """
    try:
        from scipy.stats import sobol_indices
    except ImportError:
        raise InputError("sobol needs scipy: pip install 'pimsim[dse]'", key="axes.sobol") from None
    import numpy as np

    found: list[dict[str, Any]] = []
    for objective in objectives:
        figures = [figure(row, objective) for row in rows]
        if None in figures:
            continue
        parts = np.array(figures, dtype=np.float64).reshape(len(keys) + 2, 1, -1)
        first = total = np.zeros(len(keys))
        if np.ptp(parts):  # else nothing matters
            given = {"f_A": parts[0], "f_B": parts[1], "f_AB": parts[2:]}
            indices = sobol_indices(func=given, n=parts.shape[2])
            first, total = np.atleast_1d(indices.first_order), np.atleast_1d(indices.total_order)
        shares = zip(keys, map(float, first), map(float, total), strict=True)
        bars = [{"objective": objective.name, "key": key, "first_order": a, "total": b} for key, a, b in shares]
        found += sorted(bars, key=lambda bar: -float(str(bar["total"])))
    return found


DESIGNS = {"one_at_a_time": tornado, "sobol": sobol}
