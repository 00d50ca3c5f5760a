"""What the front-end runs request programs on: the compiled engine or its readable twin."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pimsim.dram.program import Program
from pimsim.dram.timing import Device
from pimsim.dram.twin.controller import Controller
from pimsim.logs.log import CommandLog

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


class Channels(Protocol):
    """All channels of a device, and the commands that they issued."""

    device: Device

    def log(self) -> CommandLog:
        """Every command so far, in order of clk, then channel."""

    def run(self, program: Program, channels: Sequence[int], start: int) -> int:
        """Carry out `program` on `channels`, nothing before clock `start`; the last data end."""

    def run_each(self, program: Program, driven: Flags, starts: Ints) -> Ints:
        """Carry out row k of `program`, one after the other, on driven[k], nothing before starts[k]; its data end.

        driven (rows, channels); the channels of a row have done the same so far.
        """

    def last(self, channels: Sequence[int]) -> int:
        """The clock of the last command of these channels, each of which has run something."""

    def counts(self) -> dict[str, int]:
        """How many of each command all channels issued, in table order, none left out."""


class TwinChannels:
    """Channels in plain Python.  Channels that have done the same so far share one controller."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self._groups: list[tuple[frozenset[int], Controller]] = [
            (frozenset(range(device.channels)), Controller(device))
        ]

    def run(self, program: Program, channels: Sequence[int], start: int) -> int:
        """As `Channels.run`."""
        end = start
        groups = []
        for members, controller in self._groups:
            mine, others = members & set(channels), members - set(channels)
            if mine and others:
                groups.append((others, deepcopy(controller)))
            if mine:
                end = max(end, controller.run(program, start))
            groups.append((mine or others, controller))
        self._groups = groups
        return end

    def run_each(self, program: Program, driven: Flags, starts: Ints) -> Ints:
        """As `Channels.run_each`."""
        ends = [
            self.run(program[k : k + 1], np.flatnonzero(driven[k]).tolist(), start)
            for k, start in enumerate(starts.tolist())
        ]
        return np.array(ends, np.int64)

    def last(self, channels: Sequence[int]) -> int:
        """As `Channels.last`."""
        return max(self.controller(channel).commands[-1].clk for channel in channels)

    def counts(self) -> dict[str, int]:
        """As `Channels.counts`."""
        counts = dict.fromkeys(self.device.command_names, 0)
        for members, controller in self._groups:
            for issued in controller.commands:
                counts[issued.command] += len(members)
        return counts

    def controller(self, channel: int) -> Controller:
        """The controller of a channel."""
        return next(controller for members, controller in self._groups if channel in members)

    def log(self) -> CommandLog:
        """Every command so far, in order of clk, then channel."""
        index = {name: number for number, name in enumerate(self.device.command_names)}
        rows = [
            (issued.clk, channel, index[issued.command], issued.bank, issued.row, issued.column)
            for members, controller in self._groups
            for issued in controller.commands
            for channel in members
        ]
        return command_log(self.device, np.array(rows, np.int64).reshape(-1, 6))


class KernelChannels:
    """Channels on the compiled engine; `logged` keeps every command, which `log` needs."""

    def __init__(self, device: Device, stepped: bool = False, logged: bool = False) -> None:
        from pimsim.dram.engine import Engine  # compiles: only when it is used
        from pimsim.dram.kernel.numbers import FOLD

        self.device = device
        self._fold = FOLD
        self._engine = Engine(device, stepped=stepped)
        self._totals = self._engine.new_totals()
        self._blocks: list[Ints] = []
        if logged:
            self._engine.log_to(self._keep)
        self._start = self._engine.states.copy()

    def reset(self) -> None:
        """Forget all commands: as new, without building the tables again."""
        self._engine.states[:] = self._start
        self._engine.options[self._fold] = True
        self._totals[:] = 0
        self._blocks = []

    def _keep(self, rows: Ints) -> None:
        self._blocks.append(rows)

    def run(self, program: Program, channels: Sequence[int], start: int) -> int:
        """As `Channels.run`."""
        spans = np.zeros((self.device.channels, 2), np.int64)
        spans[list(channels), 1] = len(program)
        return self._engine.run(program, spans, 0, start, self._totals)

    def run_each(self, program: Program, driven: Flags, starts: Ints) -> Ints:
        """As `Channels.run_each`."""
        rows = np.arange(len(program))
        spans = driven[:, :, np.newaxis] * np.stack([rows, rows + 1], axis=1)[:, np.newaxis]
        unnumbered = np.zeros(driven.shape, np.int64)  # too short to be worth remembering
        counted = np.zeros((len(rows), len(self._totals)), np.int64)
        ends = self._engine.run_each(program, spans, unnumbered, np.zeros(len(rows), np.int64), starts, counted)
        self._totals += counted.sum(axis=0)
        self._engine.options[self._fold] = False  # the channels of a row share a state now; no others will be alike
        return ends

    def last(self, channels: Sequence[int]) -> int:
        """As `Channels.last`."""
        return int(self._engine.latest[list(channels)].max())

    def counts(self) -> dict[str, int]:
        """As `Channels.counts`."""
        names = self.device.command_names
        return dict(zip(names, self._totals[: len(names)].tolist(), strict=True))

    def log(self) -> CommandLog:
        """Every command so far, in order of clk, then channel."""
        rows = np.concatenate(self._blocks) if self._blocks else np.empty((0, 6), np.int64)
        return command_log(self.device, rows)


def command_log(device: Device, rows: Ints) -> CommandLog:
    """Rows of clk, channel, command, bank, row and column as a log, in order of clk, then channel."""
    clk, channel, command, bank, row, column = rows[np.lexsort((rows[:, 1], rows[:, 0]))].T
    group, in_group = np.where(bank >= 0, np.divmod(bank, device.banks_per_group), -1)
    return CommandLog(clk, channel, command, group, in_group, row, column)
