"""Which system holds a model: what is said where one does not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from pimsim.config.schema import Config
from pimsim.devices.plan import fits
from pimsim.errors import Problem
from pimsim.workload.graph import Workload
from pimsim.workload.parallel.numbers import smallest

ROWS = "dram.rows"  # the key at which a memory that is too small is told
MOST = 4096  # devices that are tried


def told_what_fits(config: Config, workload: Workload, problems: Iterable[Problem]) -> Iterator[Problem]:
    """Problems, and in the first one with the size of a memory the smallest system that would hold the model."""
    told = False
    for problem in problems:
        if problem.key == ROWS and not told:
            told = True
            problem = replace(problem, message=f"{problem.message}; {smallest_system(config, workload)}")
        yield problem


def smallest_system(config: Config, workload: Workload) -> str:
    """The fewest devices like this one whose memory holds the model and its K and V, in words; each was tried."""
    found = smallest(workload, lambda stages: all(fits(config, stage.workload) for stage in stages), MOST)
    if found is None:
        return f"no system of up to {MOST} of these devices holds it"
    keys = {"devices": found.devices, "tensor": found.tensor, "pipeline": found.pipeline}
    said = ", ".join(f"system.{name}={count}" for name, count in keys.items() if count > 1)
    return f"the smallest system of these devices that holds it: {said}"
