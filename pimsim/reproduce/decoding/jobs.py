"""Runs: a ready-made schedule, or plain decoding, on PIM-GPT with some keys changed, and the same on GPUs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pimsim import api
from pimsim.reproduce.runs import Changes, configured
from pimsim.workload.decoding.builders import BUILDERS
from pimsim.workload.decoding.source import Source, source_of, with_positions
from pimsim.workload.decoding.steps import Asked
from pimsim.workload.trace.records import Trace
from pimsim.workload.trace.writer import write_trace

PIM = "pim-gpt"
T4, A100, H100 = "gpu-t4", "gpu-a100", "gpu-h100"
GPUS = (T4, A100, H100)
# Rows of a bank: sixty-four times the shipped ones, so that what is asked for fits. They change no clock.
ROOM: Changes = (("dram.rows", 64 * 16384),)

Options = tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class Made:
    """A ready-made schedule.

    mechanism  of `BUILDERS`; options: its own
    positions  that the model has room for (0: its own)
    """

    mechanism: str
    target: str
    asked: Asked
    options: Options = ()
    positions: int = 0


@dataclass(frozen=True)
class Job:
    """A run: a schedule, or plain decoding where `made` is None; changes: keys of the configuration."""

    made: Made | None = None
    changes: Changes = ()

    def changed(self, changes: Changes) -> Job:
        """The same run with more keys changed."""
        return replace(self, changes=(*self.changes, *changes))


@dataclass(frozen=True)
class Cost:
    """Time of a machine, in ns: of the prompt, and of the decode steps."""

    prefill_ns: float
    decode_ns: float

    @property
    def all_ns(self) -> float:
        """Of both."""
        return self.prefill_ns + self.decode_ns


@dataclass(frozen=True)
class Point:
    """What a run gave.

    steps  of the decode phase; kept: tokens of all sequences that were kept
    energy_pJ  of PIM-GPT in the decode phase; prefill_pJ: in the prompt
    costs  of PIM-GPT and of the GPUs, each at its roofline, by name
    fits   which machines have the memory
    """

    steps: int
    kept: int
    energy_pJ: float
    prefill_pJ: float
    costs: Mapping[str, Cost] = field(default_factory=dict)
    fits: Mapping[str, bool] = field(default_factory=dict)

    def step_ns(self, machine: str) -> float:
        """Time of a decode step."""
        return self.costs[machine].decode_ns / self.steps

    def token_ns(self, machine: str) -> float:
        """Decode time for each kept token, of whichever sequence."""
        return self.costs[machine].decode_ns / self.kept


def plain(model: str, context: int, tokens: int, batch: int = 1, query: int = 1, **changes: Any) -> Job:
    """Decoding from a context whose K and V are there; changes: other keys, `__` for a dot."""
    keys = {
        "workload.model": model,
        "workload.context": context,
        "workload.output_tokens": tokens,
        "workload.batch": batch,
        "workload.query_tokens": query,
        **{key.replace("__", "."): value for key, value in changes.items()},
    }
    return Job(None, tuple(keys.items()))


def scheduled(mechanism: str, target: str, asked: Asked, positions: int = 0, **options: Any) -> Job:
    """A ready-made schedule."""
    return Job(Made(mechanism, target, asked, tuple(options.items()), positions))


def evaluate(job: Job) -> Point:
    """Run a job; InputError if it is refused."""
    given = dict(ROOM) | {"workload.lm_head": True, "baselines": list(GPUS)} | dict(job.changes)
    if job.made is None:
        return _point(given)
    with TemporaryDirectory() as folder:
        file = write_trace(trace_of(job.made), Path(folder, "schedule.jsonl"))
        return _point(given | {"workload.trace": str(file)})


def trace_of(made: Made) -> Trace:
    """The trace of a ready-made schedule."""
    options = dict(made.options)
    if "draft" in options:
        options["draft"] = _source(options["draft"], 0)
    return BUILDERS[made.mechanism](_source(made.target, made.positions), made.asked, **options)


@cache
def _source(name: str, positions: int) -> Source:
    found = source_of(name, "--target")
    return with_positions(found, positions) if positions else found


def _point(given: Mapping[str, Any]) -> Point:
    result = api.run(configured(given))
    summary = result.summary
    system, work, machines = summary["system"], summary["workload"], summary["baselines"]
    schedule = result.schedule
    steps = int(schedule.of_phase("decode").sum()) if schedule else work["output_tokens"] // _queries(given)
    costs = {PIM: Cost(system["prefill_latency_ns"], system["latency_ns"] - system["prefill_latency_ns"])}
    for name, machine in machines.items():
        bound = machine["roofline"]
        prefill = bound["prefill"]["latency_ns"] if "prefill" in bound else 0.0
        costs[name] = Cost(prefill, bound["latency_ns"])
    prefill_pJ = system["prefill_energy_pJ"]
    fits = {name: machine["roofline"]["fits"] for name, machine in machines.items()}
    return Point(steps, work["tokens_kept"], system["energy_pJ"] - prefill_pJ, prefill_pJ, costs, fits)


def _queries(given: Mapping[str, Any]) -> int:
    """Query tokens of a step of plain decoding."""
    return int(given.get("workload.query_tokens", 1))
