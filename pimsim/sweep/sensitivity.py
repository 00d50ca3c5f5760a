"""What each key does to each objective: one at a time (a tornado), or as Sobol indices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pimsim.errors import InputError
from pimsim.sweep.objectives import Objective

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Rows = Sequence[dict[str, Any]]
_RESAMPLES, _SEED = 200, 1  # of the points, for intervals


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
    *_low, *_high  between them lie 95 of 100 indices of points drawn again from these (bootstrap)
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
        shares = _indices(parts, sobol_indices)  # (2, keys): alone, in total
        low, high = _interval(parts, sobol_indices)
        columns = {f"{what}{end}": values for end, pair in (("", shares), ("_low", low), ("_high", high))
                   for what, values in zip(("first_order", "total"), pair.tolist(), strict=True)}  # fmt: skip
        bars = [
            {"objective": objective.name, "key": key, **{name: values[i] for name, values in columns.items()}}
            for i, key in enumerate(keys)
        ]
        found += sorted(bars, key=lambda bar: -bar["total"])
    return found


def _indices(parts: NDArray[np.float64], sobol_indices: Any) -> NDArray[np.float64]:
    """First-order and total indices (2, keys) of figures (keys + 2, 1, n); where nothing differs, nothing matters."""
    import numpy as np

    if not np.ptp(parts):
        return np.zeros((2, len(parts) - 2))
    given = {"f_A": parts[0], "f_B": parts[1], "f_AB": parts[2:]}
    found = sobol_indices(func=given, n=parts.shape[2])
    indices: NDArray[np.float64] = np.array([np.atleast_1d(found.first_order), np.atleast_1d(found.total_order)])
    return np.nan_to_num(indices)


def _interval(parts: NDArray[np.float64], sobol_indices: Any) -> NDArray[np.float64]:
    """Both ends (2, 2, keys) of what 95 of 100 resamplings of the points give; the same ones each time."""
    import numpy as np

    drawn = np.random.default_rng(_SEED).integers(parts.shape[2], size=(_RESAMPLES, parts.shape[2]))
    ends: NDArray[np.float64] = np.percentile(
        [_indices(parts[:, :, at], sobol_indices) for at in drawn], (2.5, 97.5), axis=0
    )
    return ends


DESIGNS = {"one_at_a_time": tornado, "sobol": sobol}
