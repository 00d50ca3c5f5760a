"""Value change dumps, for waveform viewers such as GTKWave: one signal per bus, bank and unit.

A command is on the bus for one clock; a viewer, or a reader, samples at every clock.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from importlib import import_module
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import IO, Any

from pimsim.dram.engine import FOREVER, Ints
from pimsim.dram.spec import Effect
from pimsim.dram.timing import Device
from pimsim.errors import InputError, Problem
from pimsim.sim.observer import Executed
from pimsim.timeline.durations import durations
from pimsim.timeline.steps import Steps
from pimsim.timeline.watcher import MOST_COMMANDS, Watcher
from pimsim.workload.schedule import Schedule

IDLE = "-"  # no command, operator or unit
NOTHING = "z"  # no address, closed bank
ADDRESS = ("bank_group", "bank", "row", "column")
_ENDS, _BEGINS = 0, 1  # at one clock, what begins wins over what ends

_Change = tuple[int, int, Any, Any]  # clock, _ENDS or _BEGINS, signal, value


def writer_module(path: Path) -> Any:
    """pyvcd's module; InputError says how to install it."""
    try:
        return import_module("vcd.writer")
    except ImportError as error:
        why = "VCD needs pyvcd: pip install 'pimsim[wave]', or use .json.gz"
        raise InputError(Problem(str(path), 1, 1, "", why)) from error


class VcdTimeline(Watcher):
    """Writes a VCD as the run goes on; `close` completes it.

    Commands and instructions each come in order of time, but not together: a
    change is written once none of them can precede it any more.
    """

    def __init__(
        self,
        file: IO[str],
        module: Any,
        device: Device,
        span: tuple[int, int] = (0, FOREVER),
        most: int = MOST_COMMANDS,
        schedule: Schedule | None = None,
        places: Iterable[str] = (),
    ) -> None:
        super().__init__(device, span, most)
        self._steps = Steps(schedule)
        self._durations = durations(device)
        self._changes: list[_Change] = []
        self._charged = self._settled = 0  # no instruction is charged, no unit begins before
        self._written = 0  # the clock of the latest change in the file
        begin = span[0] * device.tCK_ps
        self._writer = module.VCDWriter(
            file, "1 ps", date="", version="pimsim", comment="sample at every clock", init_timestamp=begin
        )
        register = self._writer.register_var
        self._operator = register("controller", "operator", "string", init=IDLE)
        self._unit = {"": register("controller", "asic_unit", "string", init=IDLE)}
        self._block = register("controller", "block", "integer", 32, init=NOTHING)
        self._context = register("controller", "context", "integer", 32, init=0)
        self._step = register("controller", "step", "string", init=IDLE) if schedule else None
        self._unit |= {place: register("controller", place, "wire", 1, init=0) for place in places}
        self._channels = [self._register(f"channel{c}") for c in range(device.channels)]

    def _register(self, scope: str) -> dict[str, Any]:
        register = self._writer.register_var
        signals = {"command": register(scope, "command", "string", init=IDLE)}
        for name in ADDRESS:
            signals[name] = register(scope, name, "integer", 32, init=NOTHING)
        for name in ("command_bus", "data_bus", "mac_units"):
            signals[name] = register(scope, name, "wire", 1, init=0)
        per_group = self.device.banks_per_group
        for b in range(self.device.banks):
            name = f"open_row_{b // per_group}_{b % per_group}"
            signals[f"open {b}"] = register(scope, name, "integer", 32, init=NOTHING)
        return signals

    def append(self, clk: Ints, channel: Ints, command: Ints, bank: Ints, row: Ints, column: Ints) -> None:
        """Take commands of all channels, and write what nothing can precede."""
        super().append(clk, channel, command, bank, row, column)
        if len(clk):
            self._write(min(int(clk[-1]), self._charged, self._settled))

    def take(self, channel: int, clk: Ints, command: Ints, bank: Ints, row: Ints, column: Ints) -> None:
        """Take a channel's commands."""
        signals = self._channels[channel]
        columns = (x.tolist() for x in (clk, command, bank, row, column))
        for at, number, b, r, c in zip(*columns, strict=True):
            if at >= self.span[0]:
                group, in_group = divmod(b, self.device.banks_per_group) if b >= 0 else (-1, -1)
                self._show_command(signals, at, number, (group, in_group, r, c))
            self._keep_busy(signals, "data_bus", at, self._durations.pins.get(number))
            if number in self._durations.macs:
                self._keep_busy(signals, "mac_units", at, (0, self._durations.macs[number]))
            self._turn(signals, at, number, b, r)

    def carry_out(self, executed: Executed) -> None:
        """Take an instruction."""
        begin, end = executed.charged
        if begin < end:
            self._change_between(self._operator, begin, end, executed.operator, IDLE)
            self._change(begin, _BEGINS, self._block, executed.block if executed.block >= 0 else NOTHING)
            self._change(begin, _BEGINS, self._context, executed.context)
            if self._step:
                self._change(begin, _BEGINS, self._step, self._steps.name(executed, ":"))
        self._charged = end
        if executed.unit:
            for stretch in executed.busy:
                busy, idle = (1, 0) if executed.place else (executed.unit, IDLE)
                self._change_between(self._unit[executed.place], *stretch, busy, idle)
        self._settled = executed.settled

    def close(self) -> None:
        """Write the rest."""
        self.check_shown()
        self._write(FOREVER + 1)
        self._writer.close(max(self.stop, self._written) * self.device.tCK_ps)

    def _show_command(self, signals: dict[str, Any], clk: int, number: int, address: tuple[int, int, int, int]) -> None:
        self._change_between(signals["command"], clk, clk + 1, self.device.command_names[number], IDLE)
        self._change_between(signals["command_bus"], clk, clk + 1, 1, 0)
        for name, value in zip(ADDRESS, address, strict=True):
            self._change_between(signals[name], clk, clk + 1, value if value >= 0 else NOTHING, NOTHING)

    def _keep_busy(self, signals: dict[str, Any], name: str, clk: int, busy: tuple[int, int] | None) -> None:
        if busy:
            self._change_between(signals[name], clk + busy[0], clk + busy[1], 1, 0)

    def _turn(self, signals: dict[str, Any], clk: int, number: int, bank: int, row: int) -> None:
        command = self.device.standard.commands[number]
        if command.effect is Effect.NONE:
            return
        opens = command.effect is Effect.OPEN
        for b in self.device.banks_of(command, bank):
            self._change(clk, _BEGINS if opens else _ENDS, signals[f"open {b}"], row if opens else NOTHING)

    def _change_between(self, signal: Any, begin: int, end: int, value: Any, after: Any) -> None:
        self._change(begin, _BEGINS, signal, value)
        self._change(end, _ENDS, signal, after)

    def _change(self, clk: int, order: int, signal: Any, value: Any) -> None:
        if clk < self.span[1]:
            self._changes.append((clk, order, signal, value))

    def _write(self, before: int) -> None:
        """Write every change before a clock; those before the window as of its begin."""
        self._changes.sort(key=itemgetter(0, 1))
        cut = bisect_left(self._changes, before, key=itemgetter(0))
        done, self._changes = self._changes[:cut], self._changes[cut:]
        for clk, together in groupby(done, key=lambda change: max(change[0], self.span[0])):
            values = {signal: value for _, _, signal, value in together}
            for signal, value in sorted(values.items(), key=lambda pair: pair[0].ident):  # not as batches have them
                self._writer.change(signal, clk * self.device.tCK_ps, value)
            self._written = clk
