"""Rows of many configurations that somebody else made."""

from __future__ import annotations

from collections.abc import Iterable

from pimsim.config.devices import CONFIGS
from pimsim.config.schema import AnyConfig, Config
from pimsim.config.shipped import SUFFIXES
from pimsim.sweep.kept import Kept
from pimsim.sweep.point import Row, evaluate_point, evaluate_request, lost_row
from pimsim.sweep.pool import Pool
from pimsim.sweep.space import PointRequest

_KEPT = Kept()  # by a process, of the configurations before


def map_points(configs: Iterable[AnyConfig], workers: int = 1) -> list[Row]:
    """The row of each configuration, in their order, simulated by `workers` processes; 0: by this one.

    A script that calls this with processes must do so under `if __name__ == "__main__":`.
    """
    items = list(configs)
    if workers == 0:
        kept = Kept()
        return [evaluate_point(config, kept) for config in items]
    rows: dict[int, Row] = {}
    with Pool(_evaluate, workers, _lost) as pool:
        rows.update(pool.map(enumerate(map(_portable, items))))
    return [rows[i] for i in range(len(items))]


def _portable(config: AnyConfig) -> AnyConfig | PointRequest:
    """What another process is given: of a standard that is a file, whose class is made here, the values alone."""
    origin = CONFIGS.origin(config.dram.standard)
    if origin is None or not origin.home.endswith(SUFFIXES):
        return config
    values, machines, trace, energy = config.model_dump(by_alias=True), {}, "", ""
    if isinstance(config, Config):
        machines = {name: config.baseline_file(name) for name in config.machines}
        trace = config.workload.trace_file
        energy = config.energy.table_file
    return PointRequest(values, trace, machines, origin.home, energy)


def _evaluate(item: AnyConfig | PointRequest) -> Row:
    return evaluate_request(item, _KEPT) if isinstance(item, PointRequest) else evaluate_point(item, _KEPT)


def _lost(item: AnyConfig | PointRequest) -> Row:
    return lost_row(item if isinstance(item, PointRequest) else PointRequest({"config": item.model_dump(mode="json")}))
