"""What carries out AiM instructions: the compiled host on the compiled engine, or their readable twins."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import deepcopy
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pimsim.devices.aim.compiled import layout
from pimsim.devices.aim.compiled.host import run_host
from pimsim.devices.aim.compiled.queued import Accesses
from pimsim.devices.aim.frontend import FIRST_CLOCK, Host, NoEndError, commands_of
from pimsim.devices.aim.instructions import Instructions
from pimsim.devices.aim.isa import CFR_AF_FUNCTION, OPERATIONS, AimInstruction
from pimsim.devices.aim.table import AF_ROW
from pimsim.dram.engine import Engine
from pimsim.dram.kernel.state import R_OPEN, R_SINCE, State
from pimsim.dram.program import Program
from pimsim.dram.records import named
from pimsim.dram.spec import Does
from pimsim.dram.timing import Device

if TYPE_CHECKING:
    from pimsim.dram.twin.controller import Controller
    from pimsim.logs.log import CommandLog

Ints = NDArray[np.int64]


_ASKED = {operation.command for operation in OPERATIONS.values()}  # the others open, close, switch and refresh


class TwinChannels:
    """Channels in plain Python.  Channels that have done the same so far share one controller."""

    def __init__(self, device: Device) -> None:
        from pimsim.dram.twin.controller import Controller  # not for those who run the compiled engine

        self.device = device
        self._groups: list[tuple[frozenset[int], Controller]] = [
            (frozenset(range(device.channels)), Controller(device))
        ]

    def run(self, program: Program, channels: Sequence[int], start: int) -> int:
        """As `frontend.Channels.run`."""
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

    def execute(self, program: Iterable[AimInstruction]) -> int:
        """As `frontend.execute`."""
        return Host(self).execute(program)

    def clock_of(self, channel: int, back: int) -> int | None:
        """As `frontend.QueuedChannels.clock_of`."""
        issued = reversed(self.controller(channel).commands)
        asked = (command.clk for command in issued if command.command in _ASKED)
        return next(islice(asked, back, None), None)

    def last(self, channels: Sequence[int]) -> int:
        """As `frontend.Channels.last`."""
        return max(self.controller(channel).commands[-1].clk for channel in channels)

    def counts(self) -> dict[str, int]:
        """How many of each command all channels issued, in table order, none left out."""
        counts = dict.fromkeys(self.device.command_names, 0)
        for members, controller in self._groups:
            for issued in controller.commands:
                counts[issued.command] += len(members)
        return self.device.counted(list(counts.values()))

    def open_cycles(self, now: int) -> int:
        """Clocks before `now` with a bank open, summed over the channels."""
        return sum(len(members) * controller.channel.open_cycles(now) for members, controller in self._groups)

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
        self.device = device
        self._engine = Engine(device, stepped=stepped)
        self._totals = self._engine.new_totals()
        self._blocks: list[Ints] = []
        if logged:
            self._engine.log_to(self._keep)
        self._start = self._engine.states.copy()

    def reset(self) -> None:
        """Forget all commands: as new, without building the tables again."""
        self._engine.states[:] = self._start
        self._totals[:] = 0
        self._blocks = []

    def _keep(self, rows: Ints) -> None:
        self._blocks.append(rows)

    def run(self, program: Program, channels: Sequence[int], start: int) -> int:
        """As `frontend.Channels.run`."""
        spans = np.zeros((self.device.channels, 2), np.int64)
        spans[list(channels), 1] = len(program)
        return self._engine.run(program, spans, 0, start, self._totals)

    def execute(self, program: Iterable[AimInstruction]) -> int:
        """As `frontend.execute`."""
        self._engine.unfold()  # what was replayed so far is no longer followed
        call = _Call(self._engine)
        for block in Instructions.held(program).blocks():
            call.carry_out(block, self._totals)
        return call.end()

    def last(self, channels: Sequence[int]) -> int:
        """As `frontend.Channels.last`."""
        return int(self._engine.latest[list(channels)].max())

    def counts(self) -> dict[str, int]:
        """How many of each command all channels issued, in table order, none left out."""
        return self.device.counted(self._totals[: len(self.device.standard.commands)].tolist())

    def open_cycles(self, now: int) -> int:
        """Clocks before `now` with a bank open, summed over the channels."""
        registers = named(State, self._engine.states).reg
        still_open = registers[registers[:, R_OPEN] > 0]
        before = int(self._totals[len(self.device.standard.commands)])
        return before + int((now - still_open[:, R_SINCE]).sum())

    def log(self) -> CommandLog:
        """Every command so far, in order of clk, then channel."""
        rows = np.concatenate(self._blocks) if self._blocks else np.empty((0, 6), np.int64)
        return command_log(self.device, rows)


class _Call:
    """The compiled host, carried on from one block of instructions to the next."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._operations = _operations(engine.device)
        channels = engine.device.channels
        self._queues = np.zeros((channels, layout.QUEUE_WIDTH), np.int64)
        self._accesses = np.tile(Accesses.new({}), (channels, 1))
        self._host = np.zeros(layout.HOST_WIDTH, np.int64)
        self._host[[layout.H_CLK, layout.H_FUNCTION]] = FIRST_CLOCK, AF_ROW
        self._host[layout.H_QUEUED] = engine.device.standard.queued_accesses
        self._room = np.zeros((2, channels), np.int64)

    def carry_out(self, block: Ints, totals: Ints) -> None:
        """Carry out the instructions of a block, up to the end of the program."""
        host = self._host
        host[layout.H_NEXT] = 0
        while host[layout.H_NEXT] < len(block) and not host[layout.H_ENDED]:
            engine = self._engine
            changed = (engine.shared_states, self._queues, self._accesses, host, totals)
            before = [array.copy() for array in changed] if engine.log is not None else []
            logged = run_host(
                engine.table,
                engine.shared_states,
                engine.owners,
                self._queues,
                self._accesses,
                block,
                self._operations,
                CFR_AF_FUNCTION,
                AF_ROW,
                host,
                engine.options,
                totals,
                engine.log,
                engine.scratch.work,
                *self._room,
            )
            if not engine.deliver(logged):
                for array, kept in zip(changed, before, strict=True):
                    array[:] = kept

    def end(self) -> int:
        """The clock at which the host sees the end."""
        if not self._host[layout.H_ENDED]:
            raise NoEndError
        return int(self._host[layout.H_CLK])


_KINDS = {"AF": layout.FUNCTION, "W CFR": layout.CONFIGURES, "SYNC": layout.BARRIER, "EOC": layout.END}


def _operations(device: Device) -> Ints:
    """(operations, OPERATION_WIDTH): what the compiled host knows of each."""
    commands = commands_of(device)
    kinds = _KINDS | (dict.fromkeys(("R MEM", "W MEM"), layout.ACCESS) if device.standard.queued_accesses else {})
    rows = []
    for name in OPERATIONS:
        command, hold = commands.get(name, (-1, 0))
        reads = command >= 0 and device.standard.commands[command].does is Does.READ
        rows.append((kinds.get(name, layout.PLAIN), command, hold, reads))
    return np.array(rows, np.int64)


def command_log(device: Device, rows: Ints) -> CommandLog:
    """Rows of clk, channel, command, bank, row and column as a log, in order of clk, then channel."""
    from pimsim.logs.log import CommandLog  # not for those who want no log

    clk, channel, command, bank, row, column = rows[np.lexsort((rows[:, 1], rows[:, 0]))].T
    group, in_group = np.where(bank >= 0, np.divmod(bank, device.banks_per_group), -1)
    return CommandLog(clk, channel, command, group, in_group, row, column)
