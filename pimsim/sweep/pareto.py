"""The Pareto front: the rows that no other row beats in every objective."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pimsim.errors import did_you_mean
from pimsim.results.figures import is_part
from pimsim.sweep.objectives import DIRECTIONS, Objective

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_SIDE = ("index", "point_id", "status", "error", "warnings")
Goal = Objective | str | Mapping[str, str]  # an Objective, "figure" to minimise, or {"maximise": "figure"}


def pareto(rows: Any, objectives: Sequence[Goal]) -> list[dict[str, Any]]:
    """The rows of the front, by the first objective, then by the others, then in their order.

    rows  dicts, or a pandas data frame. A row beats another if it is nowhere worse and
    somewhere better; rows that are equal in every objective stay together. Rows that are
    not ok, or have no figure or a null one, take no part. ValueError for an objective that
    is in no row and could be in none.
    """
    goals = [as_objective(goal) for goal in objectives]
    if not goals:
        raise ValueError("a front needs an objective")
    records = list(_records(rows))
    for goal in goals:
        _check_column(goal.name, records)
    return best(records, goals)


def best(records: Sequence[dict[str, Any]], goals: Sequence[Objective]) -> list[dict[str, Any]]:
    """As `pareto`, of objectives that somebody has checked."""
    costs = {i: found for i, row in enumerate(records) if (found := costs_of(row, goals)) is not None}
    return [records[i] for i in front(costs)]


def front(costs: Mapping[int, Sequence[float]]) -> list[int]:
    """The keys whose costs nobody beats, by cost."""
    import numpy as np

    if not costs:
        return []
    order = sorted(costs, key=lambda key: (*costs[key], key))
    found: list[int] = []
    best: NDArray[np.float64] = np.empty((0, len(costs[order[0]])))
    for key in order:  # whoever beats it comes before it
        cost = np.asarray(costs[key], dtype=np.float64)
        if not bool(np.any(np.all(best <= cost, axis=1) & np.any(best < cost, axis=1))):
            found.append(key)
            best = np.vstack([best, cost])
    return found


def costs_of(row: Mapping[str, Any], goals: Sequence[Objective]) -> tuple[float, ...] | None:
    """What each objective makes of a row, less is better; None if one has nothing to say."""
    costs = [goal.cost(row) for goal in goals]
    return None if any(cost is None for cost in costs) else tuple(float(cost) for cost in costs if cost is not None)


def as_objective(goal: Goal) -> Objective:
    """A goal as an Objective; ValueError if it is none."""
    if isinstance(goal, Objective):
        return goal
    if isinstance(goal, str):
        return Objective(goal)
    if len(goal) == 1 and next(iter(goal)) in DIRECTIONS:
        direction, name = next(iter(goal.items()))
        return Objective(name, direction == "maximise")
    raise ValueError(f"no objective: {goal!r}")


def _check_column(name: str, records: Sequence[Mapping[str, Any]]) -> None:
    good = [row for row in records if row["status"] == "ok"]
    if not good or is_part(name) or any(name in row for row in good):
        return
    columns = [column for column in dict.fromkeys(key for row in good for key in row) if column not in _SIDE]
    raise ValueError(f"no row has {name}{did_you_mean(name, columns)}")


def _records(rows: Any) -> Iterable[dict[str, Any]]:
    records = rows.to_dict("records") if hasattr(rows, "to_dict") else rows
    return ({"status": "ok", **row} for row in records)
