"""Many configurations at once: sweeps, searches, and what their rows say.

    import pimsim.sweep
    result = pimsim.sweep.run("configs/sweeps/channels.yaml", out="results/channels", workers=2)
    result.to_frame(); result.pareto()

A script that sweeps with worker processes does so under `if __name__ == "__main__":`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from pimsim.sweep.many import map_points
from pimsim.sweep.merge import merge
from pimsim.sweep.pareto import pareto
from pimsim.sweep.point import evaluate_point
from pimsim.sweep.reader import load_sweep
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


def run(source: str | os.PathLike[str] | Mapping[str, Any], out: str | None = None, **options: Any) -> SweepResult:
    """Simulate every point of a sweep file, or of a dict of the same form; options as of `runner.run_sweep`."""
    return run_sweep(load_sweep(source), out, **options)
