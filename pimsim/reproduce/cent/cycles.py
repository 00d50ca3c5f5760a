"""What programs take: each is carried out once, on the simulator that the table was made with."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache

import numpy as np

from pimsim import api
from pimsim.config.shipped import find
from pimsim.devices.aim.compiled import layout
from pimsim.devices.aim.isa import OPERATIONS
from pimsim.devices.aim.replay import replay
from pimsim.devices.registry import device_of
from pimsim.dram.timing import Device
from pimsim.reproduce.cent import programs
from pimsim.reproduce.cent.energy import Run
from pimsim.reproduce.cent.models import MODELS, Place
from pimsim.reproduce.cent.programs import Operators

CONFIGURATION = "aim-reference-2025-01"  # the commit of the AiM simulator that CENT pins
_NAMES = tuple(OPERATIONS)
_FEW = 8  # programs that are not worth the start of a process

Progress = Callable[[str], None]


@dataclass(frozen=True, order=True)
class Job:
    """A program: of a block at a context, of its weights alone, or of the embedding."""

    model: str
    channels: int
    tensor: int
    program: str
    context: int = 0

    def operators(self) -> Operators:
        """The program's operators."""
        shape, place = MODELS[self.model], Place(self.channels, self.tensor)
        if self.program == "block":
            return programs.block(shape, place, self.context)
        return {"weights_only": programs.weights_only, "embedding": programs.embedding}[self.program](shape, place)


def carry_out(jobs: Iterable[Job], workers: int = 1, progress: Progress = lambda _: None) -> Mapping[Job, Run]:
    """What each program did; one that is asked for twice runs once, and the longest come first."""
    different = sorted(set(jobs), key=lambda job: (-job.context, job))
    if workers == 1 or len(different) <= _FEW:
        return dict(_told(different, map(run, different), progress))
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        return dict(_told(different, pool.map(run, different, chunksize=_FEW), progress))


def _told(jobs: list[Job], runs: Iterable[Run], progress: Progress) -> Iterable[tuple[Job, Run]]:
    for number, pair in enumerate(zip(jobs, runs, strict=True)):
        progress(f"program {number + 1} of {len(jobs)}")
        yield pair


def run(job: Job) -> Run:
    """What a program does on all channels of a device."""
    operators = job.operators()
    done = replay(programs.instructions(operators), _device())
    return Run(done.cycles, done.counts, _counted(operators), done.open_cycles)


def _counted(operators: Operators) -> dict[str, int]:
    """How often each instruction is there, by its name, none left out."""
    counts = sum(np.bincount(lines[:, layout.C_OPERATION], minlength=len(_NAMES)) for lines in operators.values())
    return dict(zip(_NAMES, np.asarray(counts).tolist(), strict=True))


@cache
def _device() -> Device:
    return device_of(api.load_config(find(CONFIGURATION)))
