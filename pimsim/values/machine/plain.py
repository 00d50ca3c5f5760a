"""The machine for number formats: command by command in plain Python, on a memory of bits.

The same as `machine.machine` for what is in BF16, and slower; here a column holds as many numbers as its format has
room for, and a unit applies scales.  It tells apart what `machine.machine` does: rows, buffers, accumulators, operands
that are used up, results that are used too early.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pimsim.dram.spec import Command, Does, Effect, Needs, Scope
from pimsim.errors import InputError
from pimsim.formats import FORMATS, NATIVE, NATIVE_PAIR
from pimsim.mapping.packing import Packing
from pimsim.mapping.plan import Plan
from pimsim.mapping.wires import KEEP, ZERO, Wires
from pimsim.values.formats import rounded, scales_at, sum_read
from pimsim.values.machine.bits import UNKNOWN, Bits, Cells, native
from pimsim.values.machine.functions import Functions
from pimsim.values.machine.stepping import CommandError, Stepping
from pimsim.values.machine.tasks import EarlyError, StepTasks, Task, operand
from pimsim.values.numbers import F32, bf16

Ints = NDArray[np.int64]


@dataclass
class Unit:
    """What the MAC units of a channel hold: a number for each bank.

    total  of the sum; part: of the group that is under way, by its number; scales: bits that were read
    """

    banks: int
    total: NDArray[np.float64] = field(init=False)
    part: NDArray[np.float64] = field(init=False)
    group: int = field(init=False)
    scales: Bits = field(init=False)
    first: int = field(init=False)

    def __post_init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Begin a sum."""
        self.total, self.part = np.zeros(self.banks), np.zeros(self.banks)
        self.group, self.first, self.scales = -1, -1, np.zeros((self.banks, 0), np.uint8)


@dataclass
class Entry:
    """What an instruction has for a channel that is left to do."""

    task: Task
    wires: Wires
    taken: Iterator[Ints]
    given: Iterator[Ints]
    columns: Iterator[Ints]
    left: list[int]  # pieces to take and to give


@dataclass
class Channel:
    """The state of a channel: rows that are open, the buffer, the units, and its instructions."""

    rows: list[int]
    unit: Unit
    buffer: F32
    filled: int = 0
    filling: bool = False
    next: int = 0
    queue: deque[Entry] = field(default_factory=deque)


@dataclass
class Work:
    """PIM work that is under way: its operands, its results, when the last is there, and pieces that are left."""

    size: int
    operands: F32 | None
    results: F32
    ready: int
    left: int


class PlainMachine(Stepping):
    """As `machine.machine.Machine`; lanes: multipliers of a unit for BF16."""

    def __init__(
        self,
        plan: Plan,
        cells: Cells,
        functions: Functions,
        steps: Iterator[StepTasks],
        ended: Callable[[StepTasks, Mapping[str, F32]], object],
        lanes: int,
        rounds: bool = False,
        made: Callable[[StepTasks, Task, F32], object] | None = None,
    ) -> None:
        super().__init__(plan.device, steps, ended)
        self.plan, self.cells, self.functions = plan, cells, functions
        self.made, self.rounds, self.carried = made, rounds, 0
        self.native = native(plan.grid, lanes)
        most = plan.grid.buffer_columns * plan.grid.device.column_bytes * 8  # numbers of the smallest format
        self.channels = [
            Channel([-1] * self.device.banks, Unit(self.device.banks), np.full(most, np.nan, np.float32))
            for _ in range(self.device.channels)
        ]
        self._completion = [self.device.completion(command) for command in self.device.standard.commands]
        self._does: Mapping[Does, Callable[[Channel, Command, list[int]], None]] = {
            Does.FILL: self._fill, Does.MULTIPLY: self._multiply, Does.GIVE: self._give, Does.GIVE_WHOLE: self._give,
            Does.READ: self._read, Does.WRITE: self._write,
        }  # fmt: skip
        self._works: dict[int, Work] = {}
        self._known: dict[tuple[object, ...], Wires] = {}

    # -- as an observer ------------------------------------------------------------------

    def append(self, clk: Ints, channel: Ints, command: Ints, bank: Ints, row: Ints, column: Ints) -> None:
        """Carry out commands, in order of clk, then channel; CommandError."""
        for each in np.stack([clk, channel, command, bank, row, column], axis=1, dtype=np.int64).tolist():
            try:
                with np.errstate(all="ignore"):  # infinities and NaN are numbers here
                    self._carry_out(each)
            except EarlyError as error:
                raise CommandError(f"{self._told(each)}: {error}") from None
            self.carried += 1

    def _check_channels(self) -> None:
        """As `Stepping`."""
        for number, channel in enumerate(self.channels):
            if (entry := self._entry(channel)) is not None:
                raise EarlyError(f"the log ends before {entry.task.name!r} is done in channel {number}")

    def _carry_out(self, each: list[int]) -> None:
        _, at, number, _, row, _ = each
        commands = self.device.standard.commands
        if not (0 <= at < len(self.channels) and 0 <= number < len(commands)):
            raise EarlyError("the device has no such command, or it goes to a channel that is not there")
        channel, command = self.channels[at], commands[number]
        banks = self._banks(command, each)
        for bank in banks:
            found = channel.rows[bank]
            if command.needs is not Needs.ANY and found != (row if command.needs is Needs.OPEN else -1):
                raise EarlyError(f"bank {bank} is {'closed' if found < 0 else f'open at row {found}'}")
        if command.does is not Does.NOTHING:
            if command.does not in self._does:
                raise EarlyError(f"{command.name} has no values where numbers are of other formats than BF16")
            self._does[command.does](channel, command, each)
        for bank in banks if command.effect is not Effect.NONE else ():
            channel.rows[bank] = row if command.effect is Effect.OPEN else -1

    def _banks(self, command: Command, each: list[int]) -> range:
        if command.scope == Scope.ALL_BANKS:
            return range(self.device.banks)
        if command.scope == Scope.BANK:
            if not 0 <= each[3] < self.device.banks:
                raise EarlyError("it goes to a bank that is not there")
            return range(each[3], each[3] + 1)
        return range(0)

    # -- commands --------------------------------------------------------------------------

    def _fill(self, channel: Channel, command: Command, each: list[int]) -> None:
        """A piece into a column of the buffer; the first after a product begins a new filling."""
        entry, piece = self._take(channel, each)
        packing, column = self._packing(entry), each[5]
        if not 0 <= column < self.plan.grid.buffer_columns:
            raise EarlyError("the address is outside of what the run uses")
        if not channel.filling:
            channel.filling, channel.filled = True, 0
        channel.filled, channel.next = max(channel.filled, column + 1), 0
        width = packing.given_width
        numbers = self._elements(entry, piece[:width], each)
        channel.buffer[column * width : (column + 1) * width] = rounded(packing.pair.given, numbers)

    def _multiply(self, channel: Channel, command: Command, each: list[int]) -> None:
        """A column of the banks times numbers of the buffer, or the scales of a sum."""
        entry = self._entry(channel)
        if entry is None:
            raise EarlyError("no instruction multiplies")
        packing = self._packing(entry)
        if (command.pair or NATIVE_PAIR) != packing.pair.name:
            raise EarlyError(f"{command.name} multiplies {command.pair or NATIVE_PAIR}, not {packing.pair.name}")
        self._check(each)
        channel.filling = False
        if entry.wires.packing is None:
            place = before = channel.next * packing.width
            channel.next = (channel.next + 1) % max(channel.filled, 1)
        else:
            at = next(entry.columns, None)
            if at is None:
                raise EarlyError(f"{entry.task.name!r} multiplies no further column")
            place, before = at.tolist()
        _, number, _, _, row, column = each
        if place < 0:
            bits = self.cells.at(number, row, column)
            channel.unit.scales = np.concatenate([channel.unit.scales, bits], axis=1)
            return
        if before + packing.width > channel.filled * packing.given_width + packing.width - 1:
            raise EarlyError("the buffer has no such column")
        x = channel.buffer[before : before + packing.width]
        end = channel.filled * packing.given_width
        x = np.where(before + np.arange(packing.width) < end, x, np.float32(0))
        self._add(channel.unit, packing, self.cells.numbers(number, row, column, packing.pair.stored), x, place)

    def _add(self, unit: Unit, packing: Packing, stored: F32, x: F32, place: int) -> None:
        """The products of a column, beat by beat; each beat is of one group."""
        scaled = bool(packing.group) and packing.in_unit
        if unit.first < 0 and scaled:
            unit.first = place // packing.step
        for lane in range(0, packing.width, packing.beat):
            some = slice(lane, min(lane + packing.beat, packing.width))
            if scaled and (group := (place + lane) // packing.step) != unit.group:
                self._close(unit, packing)
                unit.group = group
            if packing.pair.exact:
                unit.part += stored[:, some].astype(np.float64) @ x[some].astype(np.float64)
                continue
            products = np.zeros((1 << (packing.beat - 1).bit_length(), unit.banks), np.float32)
            products[: some.stop - some.start] = (stored[:, some] * x[some]).T
            while len(products) > 1:
                products = products[0::2] + products[1::2]
            unit.part = self._round(unit.part.astype(np.float32) + products[0]).astype(np.float64)

    def _close(self, unit: Unit, packing: Packing) -> None:
        """The sum of a group goes into the accumulator, times its scale."""
        at = (unit.group - unit.first) * packing.side_bits
        if unit.group >= 0 and at < unit.scales.shape[1] // packing.side_bits * packing.side_bits:
            bits = unit.scales[:, at : at + packing.side_bits]
            codes = ((bits.astype(np.int64) & 1) @ (1 << np.arange(packing.side_bits))).astype(np.uint16)
            unknown = (bits == UNKNOWN).any(axis=1)
            scale = np.where(unknown, np.float32(np.nan), scales_at(codes, packing.side_bits))
            total = unit.total.astype(np.float32) + unit.part.astype(np.float32) * scale
            unit.total = self._round(total.astype(np.float32)).astype(np.float64)
        unit.part = np.zeros(unit.banks)

    def _round(self, total: F32) -> F32:
        return bf16(total) if self.rounds else total

    def _give(self, channel: Channel, command: Command, each: list[int]) -> None:
        """The accumulators, rounded, or whole integers, which the ASIC rounds; they are cleared."""
        entry = self._entry(channel)
        packing = self.native if entry is None else self._packing(entry)
        unit, scaled = channel.unit, bool(packing.group) and packing.in_unit
        if scaled:
            self._close(unit, packing)
        if (command.does is Does.GIVE_WHOLE) != (packing.pair.exact and not scaled):
            raise EarlyError(f"{command.name} reads sums of another width than those of {packing.pair.name}")
        total = unit.total if scaled else unit.part
        values = sum_read(total) if command.does is Does.GIVE_WHOLE else bf16(total.astype(np.float32))
        self._gave(channel, each, values)
        unit.clear()

    def _read(self, channel: Channel, command: Command, each: list[int]) -> None:
        self._check(each)
        entry = self._next_entry(channel, each, 1)
        made = self._packing(entry).pair.stored if entry.wires.packing else FORMATS[NATIVE]
        _, number, _, bank, row, column = each
        self._gave(channel, each, self.cells.numbers(number, row, column, made)[bank])

    def _write(self, channel: Channel, command: Command, each: list[int]) -> None:
        entry, piece = self._take(channel, each)
        self._check(each)
        packing = self._packing(entry)
        made = packing.pair.stored if entry.wires.packing else FORMATS[NATIVE]
        width = packing.width if entry.wires.packing else self.native.width
        values = self._elements(entry, piece[:width], each)
        _, number, _, bank, row, column = each
        for lane, place in enumerate(piece[:width].tolist()):
            if place != KEEP:
                self.cells.write(number, row, column, bank, lane, made, values[lane])

    def _check(self, each: list[int]) -> None:
        if not (0 <= each[4] < self.cells.rows and 0 <= each[5] < self.cells.columns):
            raise EarlyError("the address is outside of what the run uses")

    # -- operands and results ------------------------------------------------------------------

    def _packing(self, entry: Entry) -> Packing:
        return entry.wires.packing or self.native

    def _take(self, channel: Channel, each: list[int]) -> tuple[Entry, Ints]:
        """The next piece that an instruction takes."""
        entry = self._next_entry(channel, each, 0)
        entry.left[0] -= 1
        self._works[id(entry.task)].left -= 1
        return entry, next(entry.taken)

    def _elements(self, entry: Entry, piece: Ints, each: list[int]) -> F32:
        """Elements of the operands, or zeros."""
        work = self._works[id(entry.task)]
        if work.operands is None:
            parts = [operand(p, makers, lambda m: self._value(m, each[0])) for p, makers in entry.task.takes]
            work.operands = np.concatenate([*parts, np.zeros(1, np.float32)])
        return np.where(piece < 0, np.float32(0), work.operands[np.where(piece < 0, 0, piece)])

    def _gave(self, channel: Channel, each: list[int], values: F32) -> None:
        """Results that come back with a command."""
        entry = self._next_entry(channel, each, 1)
        entry.left[1] -= 1
        work, piece = self._works[id(entry.task)], next(entry.given)
        there = piece[: len(values)] != ZERO
        work.results[piece[: len(values)][there]] = values[: len(there)][there]
        work.left -= 1
        work.ready = max(work.ready, each[0] + self._completion[each[2]])

    @staticmethod
    def _entry(channel: Channel) -> Entry | None:
        """The instruction that a channel is at."""
        while channel.queue and not any(channel.queue[0].left):
            done = channel.queue.popleft()
            if next(done.columns, None) is not None:
                raise EarlyError(f"{done.task.name!r} has columns that were not multiplied")
        return channel.queue[0] if channel.queue else None

    def _next_entry(self, channel: Channel, each: list[int], which: int) -> Entry:
        """The same, or the next one; it has to have a piece to take (0), or to give (1)."""
        while (entry := self._entry(channel)) is None:
            self._next(each[0])
        if not entry.left[which]:
            more = ("nothing more to send", "no further result, but more to send")[which]
            raise EarlyError(f"{entry.task.name!r} has {more}")
        return entry

    # -- instructions ---------------------------------------------------------------------------

    def _next(self, clk: int) -> None:
        """Go on to the next instruction."""
        if self._step is None or (task := next(self._step.tasks, None)) is None:
            self._end_step(clk)
            self._step = next(self.steps, None)
            if self._step is None:
                raise EarlyError("the run has no further instruction")
            return
        self._tasks.append(task)
        if task.operands.wires is not None:
            self._begin(task)

    def _begin(self, task: Task) -> None:
        """Give the channels what a piece of work has for them."""
        assert task.operands.wires is not None
        key = task.operands.key
        wires = self._known.get(key) or task.operands.wires()
        self._known[key] = wires
        if len(self._known) > 1 << 10:
            self._known.clear()
        if wires.packing is not None and any(map(len, wires.given)) and not wires.columns and task.operands.takes:
            raise InputError(f"{task.name} has no values in other formats than BF16 on this memory", key="pim.formats")
        pieces = sum(map(len, wires.taken)) + sum(map(len, wires.given))
        size = sum(part.size for part, _ in task.takes)
        results = np.full(task.operands.makes.size, np.nan, np.float32)
        self._works[id(task)] = Work(size, None, results, 0, pieces)
        for number, channel in enumerate(self.channels):
            taken, given = wires.taken[number], wires.given[number]
            if len(taken) or len(given):
                columns = iter(wires.columns[number]) if wires.columns else iter(())
                channel.queue.append(Entry(task, wires, iter(taken), iter(given), columns, [len(taken), len(given)]))

    # -- values --------------------------------------------------------------------------------

    def _value(self, task: Task, clk: int) -> F32:
        """What a task has made, if it is there at a clock; EarlyError."""
        if task.value is None:
            if task.operands.wires is not None:
                work = self._works[id(task)]
                if work.left:
                    raise EarlyError(f"the results of {task.name!r} are not there yet")
                if work.ready > clk:
                    raise EarlyError(f"the last result of {task.name!r} arrives at clock {work.ready}")
                task.value = work.results
            else:
                task.value = self._computed(task, clk)
            task.takes = ()
            if self.made and self._step:
                self.made(self._step, task, task.value)
        return task.value

    def _computed(self, task: Task, clk: int) -> F32:
        operands = [operand(part, makers, lambda maker: self._value(maker, clk)) for part, makers in task.takes]
        said, kind = task.operands, task.instruction.cause
        if said.told is not None and kind == "scale":  # the router itself has to have chosen the same
            self.functions.chosen = np.array(said.told(task.copy), np.int64)
        found = self.functions.run(kind, said.of, task.copy, said.shape, operands)
        if said.told is not None and self.functions.chosen.tolist() != [list(each) for each in said.told(task.copy)]:
            raise EarlyError(f"{task.name!r} has chosen other experts than those whose weights are read")
        return found

    def _is_left(self, task: Task) -> bool:
        """As `Stepping`."""
        return bool(self._works[id(task)].left)

    def _forget(self) -> None:
        """As `Stepping`."""
        self._works.clear()
