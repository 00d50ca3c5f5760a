"""Rows of many configurations that somebody else made."""

from __future__ import annotations

from collections.abc import Iterable

from pimsim.config.schema import AnyConfig
from pimsim.sweep.point import Row, evaluate_point, lost_row
from pimsim.sweep.pool import Pool
from pimsim.sweep.space import Request


def map_points(configs: Iterable[AnyConfig], workers: int = 1) -> list[Row]:
    """The row of each configuration, in their order, simulated by `workers` processes; 0: by this one.

    A script that calls this with processes must do so under `if __name__ == "__main__":`.
    """
    items = list(configs)
    if workers == 0:
        return [evaluate_point(config) for config in items]
    rows: dict[int, Row] = {}
    with Pool(evaluate_point, workers, _lost) as pool:
        rows.update(pool.map(enumerate(items)))
    return [rows[i] for i in range(len(items))]


def _lost(config: AnyConfig) -> Row:
    return lost_row(Request({"config": config.model_dump(mode="json")}))
