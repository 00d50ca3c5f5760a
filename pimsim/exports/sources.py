"""What issues the commands of a trace: a language model's run, or a pattern of a host on a memory that only stores."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

import pimsim
from pimsim import api
from pimsim.api import Loaded, Prepared
from pimsim.config.resolved import config_sha256
from pimsim.config.schema import Config
from pimsim.devices.registry import device_of
from pimsim.dram.engine import FOREVER
from pimsim.dram.timing import Device
from pimsim.errors import InputError
from pimsim.exports.commands import Format, Writer
from pimsim.exports.ramulator import accesses
from pimsim.exports.steps import Tell, alone, decoding, plain, prepared
from pimsim.exports.table import beside
from pimsim.files import check_output, whole_file
from pimsim.logs.log import take_before
from pimsim.sim.observer import Observer
from pimsim.traffic.patterns import Pattern
from pimsim.traffic.run import QUEUES, Run

Ints = NDArray[np.int64]
SCHEMA = "pimsim.command-trace/1"


class Asked(NamedTuple):
    """Of a host, as `pimsim traffic` has it."""

    pattern: str = "stream"
    requests: int = 100_000
    read_fraction: float = 1.0
    seed: int = 0

    def on(self, device: Device) -> Pattern:
        """The requests on a device, all there at clock 0."""
        return Pattern(device, self.pattern, self.requests, self.read_fraction, None, self.seed)


class Ended(NamedTuple):
    """Clocks of what ran, and the hash of what it was."""

    cycles: int
    config_sha256: str


class Source(Protocol):
    """What runs for those who watch."""

    @property
    def device(self) -> Device:
        """The memory."""

    def run(self, watcher: Observer) -> Ended:
        """Show it every command."""


@dataclass(frozen=True)
class ModelRun:
    """A language model's run; progress: called with (tokens done, tokens in all)."""

    prepared: Prepared
    progress: Callable[[int, int], None] | None = None

    @property
    def device(self) -> Device:
        """The memory."""
        return self.prepared.plan.device

    def run(self, watcher: Observer) -> Ended:
        """As `Source`."""
        result = api.run(self.prepared, progress=self.progress, watching=[watcher])
        return Ended(result.tally.cycles, str(result.summary["config_sha256"]))


@dataclass(frozen=True)
class HostRun:
    """Reads and writes of a host."""

    loaded: Loaded
    asked: Asked

    @property
    def device(self) -> Device:
        """The memory."""
        return device_of(self.loaded.config)

    def run(self, watcher: Observer) -> Ended:
        """As `Source`."""
        clocks = Run(self.device, QUEUES, _Log(watcher)).result(self.asked.on(self.device)).clocks
        return Ended(clocks, config_sha256(self.loaded.config))


class _Log:
    """What a run of a host hands its commands to, as the one of `traffic.run` that writes command logs."""

    def __init__(self, watcher: Observer) -> None:
        self.parts: list[Ints] = []
        self._watcher = watcher

    def write_before(self, clk: int) -> None:
        """Hand on the commands before a clock; the others wait."""
        if not self.parts:
            return
        self._watcher.append(*take_before(self.parts, min(clk, FOREVER)).T)


def model_run(
    loaded: Loaded,
    context: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    tell: Tell | None = None,
) -> ModelRun:
    """The run of a configuration, or of one decode step at a context; InputError and `tell` as of `api.prepare`."""
    config = alone(api.language_model(loaded.config), "a trace of commands")
    if context is None:
        return ModelRun(api.prepare(loaded, tell), progress)
    config = plain(config, "a step at a context")
    return ModelRun(prepared(decoding(config, context), tell), progress)


def host_run(loaded: Loaded, asked: Asked) -> HostRun:
    """A host's requests on a memory that only stores; InputError if it does more."""
    run = HostRun(loaded, asked)
    if run.device.standard.modes or isinstance(loaded.config, Config):
        what = f"{run.device.standard.name!r} serves no host's pattern; use 'gddr6'"
        raise InputError(what, key="dram.standard")
    return run


def write_commands(source: Source, form: Format, path: Path, channel: int | None = None) -> dict[str, Any]:
    """Write a trace to FILE, and what has no place in it to FILE.json; what stands there.

    Nothing is left where it fails.  InputError for a channel that is not there, and for what the system refuses.
    """
    if channel is not None and channel >= source.device.channels:
        last = source.device.channels - 1
        raise InputError(f"the memory has channels 0 to {last}, not {channel}", key="--channel")
    check_output(beside(path))
    with ExitStack() as stack:
        file = stack.enter_context(whole_file(path))
        file.write(form.head.encode("ascii"))
        writer = Writer(file, source.device, form, channel)
        ended = source.run(writer)
        file.write(form.tail(ended.cycles).encode("ascii"))
        about = _about(ended, writer, channel)
        stack.enter_context(whole_file(beside(path))).write((json.dumps(about, indent=2) + "\n").encode())
    return about


def write_requests(run: HostRun, path: Path, rank: bool = False) -> None:
    """Write the requests of a host for Ramulator's ReadWriteTrace, in order of arrival."""
    with whole_file(path) as file:
        file.writelines(accesses(run.asked.on(run.device), rank))


def _about(ended: Ended, writer: Writer, channel: int | None) -> dict[str, Any]:
    device, written = writer.device, writer.format.written()
    return {
        "schema": SCHEMA,
        "pimsim_version": pimsim.__version__,
        "config_sha256": ended.config_sha256,
        "standard": device.standard.name,
        "channels": device.channels,
        "channel": list(range(device.channels)) if channel is None else [channel],
        "tCK_ps": device.tCK_ps,
        "cycles": ended.cycles,
        "commands": {
            name: {"count": count, "written_as": dict(Counter(written[name]))}
            for name, count in writer.counts.items()
            if count
        },
        "notes": list(writer.format.notes()),
    }
