"""Simulations by the hundred: each a model with some keys changed, in processes of their own.

A whole run decodes 1,024 tokens.  A sample decodes the tokens at SAMPLE contexts only, in the
middle of equal parts of the 1,024, from rest: its mean time per token is within 0.2 % of the
whole run's for the paper's models (tests/reproduce), at a hundredth of the cost.  Samples only
serve as ratios between one another: what a change of an input does to a figure.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import cache, lru_cache, partial
from pathlib import Path
from types import TracebackType
from typing import Any

import pimsim
from pimsim import api
from pimsim.config.schema import Config
from pimsim.config.shipped import CONFIGURATIONS
from pimsim.errors import InputError
from pimsim.sim.tally import Tally

TOKENS = 1024  # decoded in the paper (recalled)
SAMPLE = 8
TABLE, BASELINE = "energy.table.", "baselines."  # keys that are not the configuration's
MIDDLES = tuple((2 * k + 1) * TOKENS // (2 * SAMPLE) + 1 for k in range(SAMPLE))

Changes = tuple[tuple[str, Any], ...]

# What the paper's device may be is also what its currents and powers are of: the key of the reference, by key.
FOLLOWS: Mapping[str, str] = {
    **{f"dram.{key}": f"dram.power.reference.{key}" for key in ("rows", "row_bytes")},
    **{f"dram.timing.{key}_ns": f"dram.power.reference.{key}_ns" for key in ("tRC", "tRAS", "tRFC")},
    **{
        f"asic.{key}": f"asic.power_reference.{key}" for key in ("adders", "multipliers", "sram_KiB", "sram_port_bytes")
    },
}


@dataclass(frozen=True)
class Job:
    """A model with changed keys (as `data.Input.keys`); `contexts` to decode (none: the whole run)."""

    model: str
    changes: Changes = ()
    contexts: tuple[int, ...] = ()

    @property
    def tokens(self) -> int:
        """Tokens that K and V have room for."""
        return max(TOKENS, *self.contexts) if self.contexts else TOKENS

    @property
    def overrides(self) -> dict[str, Any]:
        """What the configuration is loaded with; an energy table's and a baseline's changes come later."""
        given = {key: value for key, value in self.changes if not key.startswith((TABLE, BASELINE))}
        return {"workload.model": self.model, "workload.output_tokens": self.tokens, "baselines": (), **given}

    def others(self, prefix: str) -> dict[str, Any]:
        """The changes under `prefix`, without it."""
        return {key.removeprefix(prefix): value for key, value in self.changes if key.startswith(prefix)}

    @property
    def simulated(self) -> Job:
        """The job that this one shares its simulation with: what only prices or compares is left out."""
        return replace(self, changes=tuple(change for change in self.changes if not only_prices(change[0])))


def only_prices(key: str) -> bool:
    """Whether a key changes no clock of the simulated system."""
    return key.startswith((TABLE, BASELINE, "dram.power.", "dram.io.energy_pJ_per_bit", "asic.power_"))


def shipped_config() -> Path:
    """The configuration of the paper's system."""
    if "pim-gpt" not in CONFIGURATIONS:
        raise InputError("the configuration pim-gpt is not there: the installation is incomplete")
    return Path(CONFIGURATIONS["pim-gpt"])


@cache
def _shipped() -> Config:
    return api.language_model(pimsim.load_config(shipped_config()))


def configure(job: Job) -> Config:
    """The job's configuration; InputError if its keys are refused."""
    return configured(job.overrides)


def configured(overrides: Mapping[str, Any]) -> Config:
    """The shipped configuration with other keys, and with what follows from them; InputError if they are refused."""
    given = dict(overrides)
    if {"dram.timing.tRAS_ns", "dram.timing.tRP_ns"} & given.keys():  # tRC follows
        timing = _shipped().dram.timing
        ras, rp = (Decimal(str(given.get(f"dram.timing.{t}_ns", getattr(timing, f"{t}_ns")))) for t in ("tRAS", "tRP"))
        given["dram.timing.tRC_ns"] = ras + rp
    if "dram.row_bytes" in given and "dram.rows" not in given:  # a bank keeps its size
        dram = _shipped().dram
        given["dram.rows"] = dram.rows * dram.row_bytes // given["dram.row_bytes"]
    given |= {FOLLOWS[key]: value for key, value in given.items() if key in FOLLOWS}
    return api.language_model(pimsim.load_config(shipped_config(), given))


@lru_cache(maxsize=64)
def simulate_job(job: Job) -> Tally:
    """The counts of a job; InputError if it is refused."""
    from pimsim.sim.run import simulate, simulate_contexts

    plan = api.prepare(configure(job)).plan
    return simulate_contexts(plan, job.contexts) if job.contexts else simulate(plan)


@dataclass
class Bench:
    """Runs `work` on jobs in `workers` processes, and keeps what it gave; no job is run twice.

    A job that its configuration refuses gives the reason, as text.
    """

    work: Callable[[Job], Any]
    workers: int = 2
    known: dict[Job, Any] = field(default_factory=dict)
    pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Bench:
        if self.workers > 1:
            self.pool = ProcessPoolExecutor(self.workers, mp_context=multiprocessing.get_context("spawn"))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.pool:
            self.pool.shutdown(cancel_futures=True)

    def run(self, jobs: Iterable[Job]) -> Mapping[Job, Any]:
        """Run what is not known yet; whole runs first, one by one, since they are the longest."""
        new = list(dict.fromkeys(job for job in jobs if job not in self.known))
        whole, samples = ([job for job in new if bool(job.contexts) == sampled] for sampled in (False, True))
        samples.sort(key=lambda job: str(job.simulated))  # one process prices what it simulated
        for part, size in ((whole, 1), (samples, 24)):
            self.known.update(zip(part, self._map(part, size), strict=True))
        return self.known

    def _map(self, jobs: Sequence[Job], size: int) -> Iterable[Any]:
        attempt = partial(_attempt, self.work)
        return self.pool.map(attempt, jobs, chunksize=size) if self.pool and jobs else map(attempt, jobs)


def _attempt(work: Callable[[Job], Any], job: Job) -> Any:
    try:
        return work(job)
    except InputError as error:
        return "; ".join(problem.message for problem in error.problems)
