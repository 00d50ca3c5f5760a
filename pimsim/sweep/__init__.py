"""Many configurations at once: sweeps, searches, and what their rows say.

    import pimsim
    result = pimsim.sweep({"base": "pim-gpt", "axes": {"dram.channels": [4, 8, 16]}}, workers=2)
    result = pimsim.sweep("configs/sweeps/channels.yaml", out="results/channels")
    result.to_frame(); result.pareto()

A script that sweeps with worker processes does so under `if __name__ == "__main__":`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from pimsim.called import called_as
from pimsim.sweep.job import Progress
from pimsim.sweep.many import map_points
from pimsim.sweep.merge import merge
from pimsim.sweep.pareto import pareto
from pimsim.sweep.point import evaluate_point
from pimsim.sweep.reader import load_sweep
from pimsim.sweep.reports import Which
from pimsim.sweep.result import SweepResult, load_result
from pimsim.sweep.runner import Stopped, run_sweep
from pimsim.sweep.sensitivity import sobol, tornado

__all__ = [
    "Stopped",
    "SweepResult",
    "evaluate_point",
    "load_result",
    "load_sweep",
    "map_points",
    "merge",
    "pareto",
    "run",
    "sobol",
    "tornado",
]


def run(
    source: str | os.PathLike[str] | Mapping[str, Any],
    out: str | os.PathLike[str] | None = None,
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    resume: bool = False,
    shard: tuple[int, int] = (1, 1),
    kind: str | None = None,
    progress: Progress | None = None,
    reports: Which = "none",
) -> SweepResult:
    """Simulate every point of a sweep file, or of a dict of the same form; `pimsim.sweep(...)` is the same.

    The base of a dict is the name of a shipped configuration, a file, relative to the working folder, or a
    configuration that was loaded.

    source     a file, or a dict: {"base": ..., "set": ..., "axes": ..., "constraints": ..., "objectives": ...}
    out        the folder of the results and of what a resume needs; None: one that is removed with the SweepResult
    workers    processes on this machine (default: one per core); 0: in this process
    scheduler  address of a Dask scheduler that simulates instead
    resume     go on with the sweep that is in `out`; points that failed are tried again
    shard      (i, n): the i-th of n parts, from 1
    kind       "parquet" or "csv" (default: parquet if pyarrow is there)
    progress   called with (points finished, points in all)
    reports    "front", "all" or the numbers of points: whose own reports are written, as out/points/NUMBER
    InputError has every problem, those of a dict at `<sweep>:1:1: KEY`, before anything is written, and if the folder
    holds another sweep; Stopped after Ctrl-C.
    """
    return run_sweep(
        load_sweep(source), out, workers=workers, scheduler=scheduler, resume=resume, shard=shard, kind=kind,
        progress=progress, reports=reports,
    )  # fmt: skip


called_as(f"{__name__}:run", __name__)
