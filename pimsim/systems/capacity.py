"""Which system holds a model: what is said where one does not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from pimsim.config.schema import Config
from pimsim.devices.plan import fits
from pimsim.errors import Problem
from pimsim.workload.formats import weight_bits
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


def fewest(config: Config, workload: Workload) -> int:
    """Devices whose memory has as many bytes as the weights of matrices take, without what lies beside them."""
    bits = sum(o.matrix // o.active * o.experts * weight_bits(o) * workload.repeats(o) for o in workload.operators)
    dram = config.dram
    device = 8 * dram.channels * dram.bank_groups * dram.banks_per_group * dram.rows * dram.row_bytes
    return max(1, -(-int(bits) // device))


def smallest_system(config: Config, workload: Workload) -> str:
    """The fewest devices like this one whose memory holds the model and its K and V, in words; each was tried."""
    least = fewest(config, workload)
    found = None
    if least <= MOST:
        found = smallest(workload, lambda stages: all(fits(config, stage.workload) for stage in stages), MOST, least)
    if found is None:
        return f"no system of up to {MOST} of these devices holds it"
    keys = {"devices": found.devices, "tensor": found.tensor, "pipeline": found.pipeline}
    said = ", ".join(f"system.{name}={count}" for name, count in keys.items() if count > 1)
    return f"the smallest system of these devices that holds it: {said}"
