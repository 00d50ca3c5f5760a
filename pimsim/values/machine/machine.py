"""The machine: commands in the order and at the clocks of a log, carried out on the memory.

It is given the memory, the instructions of the run in their order, and commands; it knows no model.  The commands of
a channel belong to the instructions in their order: an instruction is done on a channel when all the pieces that it
has for it have been taken and given.  Results are there when their last piece has crossed the pins; what uses them
sooner is an error, as is everything else that no memory could do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pimsim.dram.compiler import bound
from pimsim.dram.spec import Column, Does, Effect, Needs, Scope
from pimsim.dram.timing import Device
from pimsim.errors import InputError
from pimsim.mapping.plan import Plan
from pimsim.mapping.wires import ZERO, Wires
from pimsim.values.machine.compiled import commands as k
from pimsim.values.machine.functions import Functions
from pimsim.values.machine.image import Image
from pimsim.values.machine.stepping import FOREVER, CommandError, Stepping
from pimsim.values.machine.tasks import EarlyError, StepTasks, Task, operand
from pimsim.values.numbers import F32, Words

Ints = NDArray[np.int64]

_DOES = {
    Does.FILL: k.FILL,
    Does.FILL_NEXT: k.FILL_NEXT,
    Does.PRESET: k.PRESET,
    Does.FILL_BEHIND: k.FILL_BEHIND,
    Does.FILL_BEHIND_NEXT: k.FILL_BEHIND_NEXT,
    Does.SWAP: k.SWAP,
    Does.MULTIPLY: k.MULTIPLY,
    Does.MULTIPLY_ALL: k.MULTIPLY_ALL,
    Does.GIVE: k.GIVE,
    Does.LOOK_UP: k.LOOK_UP,
    Does.GIVE_FOUND: k.GIVE_FOUND,
    Does.SCALE: k.SCALE,
    Does.READ: k.READ,
    Does.WRITE: k.WRITE,
    Does.WRITE_ALL: k.WRITE_ALL,
}
_NEEDS = {Needs.ANY: k.ANY, Needs.OPEN: k.OPEN, Needs.CLOSED: k.CLOSED}
_EFFECTS = {Effect.NONE: k.ANY, Effect.OPEN: k.OPEN, Effect.CLOSE: k.CLOSED}
_SCOPES: dict[str, int] = {Scope.CHANNEL: k.NO_BANK, Scope.BANK: k.ONE_BANK, Scope.ALL_BANKS: k.ALL_BANKS}


class Machine(Stepping):
    """Carries out a run; an observer of a simulation, or of a log.

    image   the memory, filled; functions: the ASIC
    steps   of the run, whose instructions the commands carry out
    ended   called with each step that is done, and what it has made by name
    tables  what the functions of the banks make of each BF16 number, in the table's order: (functions, 65536) words
    rounds  the accumulators are BF16, else float32
    made    called with each value that is computed: the step, the task that it is of, and the value

    `carried` counts commands.  CommandError at the first that cannot be carried out.
    """

    def __init__(
        self,
        plan: Plan,
        image: Image,
        functions: Functions,
        steps: Iterator[StepTasks],
        ended: Callable[[StepTasks, Mapping[str, F32]], object],
        tables: Words,
        rounds: bool = False,
        made: Callable[[StepTasks, Task, F32], object] | None = None,
    ) -> None:
        super().__init__(plan.device, steps, ended)
        device = self.device
        self.image, self.functions = image, functions
        self.lanes, self.carried = plan.grid.lanes, 0
        channels, octets = device.channels, image.octets
        columns, unit = plan.grid.buffer_columns, image.words.shape[1]
        self.meaning = _meaning(device)
        self.how = _sizes(plan, image, rounds)
        self.tables, self.made = tables, made
        self.rows = np.full((channels, device.banks), -1, np.int64)
        self.state = np.zeros((channels, k.STATE_WIDTH), np.int64)
        self.buffers = np.zeros((channels, plan.config.pim.buffers * columns, unit), np.float32)
        self.sums = np.zeros((channels, plan.config.pim.sums_at_once, octets, k.SIDE), np.float32)
        self.found = np.zeros((channels, octets, k.SIDE), np.float32)
        self.pool = np.zeros(1 << 16, np.float32)
        self.ready = np.zeros(1 << 16, np.int64)
        self.wires = np.full((1 << 12, self.lanes), ZERO, np.int64)
        self.queues = np.zeros((channels, 256, k.ENTRY_WIDTH), np.int64)
        self.slots = np.zeros((256, k.SLOT_WIDTH), np.int64)
        self.report = np.zeros(k.REPORT_WIDTH, np.int64)
        self.room = np.zeros((max(image.lanes, 1), k.SIDE), np.float32)
        self._carry_out = bound(k.carry_out)
        self._known: dict[tuple[object, ...], tuple[list[tuple[int, int, int, int]], Wires, int]] = {}
        self._wired = self._pooled = 0
        self._working: list[Task] = []  # by slot
        self._places: list[tuple[int, int]] = []  # in `pool`, of the operands and of the results, by slot

    # -- as an observer ------------------------------------------------------------------

    def append(self, clk: Ints, channel: Ints, command: Ints, bank: Ints, row: Ints, column: Ints) -> None:
        """Carry out commands, in order of clk, then channel; CommandError."""
        commands = np.stack([clk, channel, command, bank, row, column], axis=1, dtype=np.int64)
        known = self._known_first(commands)
        self._append(commands[:known])
        if known < len(commands):
            at_clk, at_channel, number, at_bank = commands[known, : k.C_ROW].tolist()
            what = f"clock {at_clk}, channel {at_channel}: command {number} bank {at_bank}"
            raise CommandError(
                f"{what}: the device has no such command, or it goes to a channel or bank that is not there"
            )

    def _known_first(self, commands: Ints) -> int:
        """How many of the first commands are the device's, at channels and banks that it has."""
        known = np.ones(len(commands), np.bool_)
        for column, count in ((k.C_CHANNEL, self.device.channels), (k.C_COMMAND, len(self.meaning))):
            known &= (commands[:, column] >= 0) & (commands[:, column] < count)
        one = known & (self.meaning[np.where(known, commands[:, k.C_COMMAND], 0), k.M_SCOPE] == k.ONE_BANK)
        known &= ~one | ((commands[:, k.C_BANK] >= 0) & (commands[:, k.C_BANK] < self.device.banks))
        return len(known) if known.all() else int(np.argmin(known))

    def _append(self, commands: Ints) -> None:
        self.report[k.R_AT] = 0
        while True:
            stop = self._carry_out(
                self.meaning, commands, self.how, self.image.words, self.tables, self.rows, self.state, self.buffers,
                self.sums, self.found, self.pool, self.ready, self.wires, self.queues, self.slots, self.report,
                self.room,
            )  # fmt: skip
            if stop == k.DONE:
                self.carried += len(commands)
                return
            at = commands[self.report[k.R_AT]].tolist()
            try:
                if stop == k.NEEDS_ENTRY:
                    self._next(at[k.C_CHANNEL], at[k.C_CLK])
                elif stop == k.NEEDS_OPERANDS:
                    self._fill(self._working[int(self.report[k.R_SLOT])], at[k.C_CLK])
                else:
                    raise EarlyError(self._problem(stop, at))
            except EarlyError as error:
                raise CommandError(f"{self._told(at)}: {error}") from None

    def _check_channels(self) -> None:
        """As `Stepping`."""
        for channel in range(self.device.channels):
            while not self._rests(channel):
                left = self._working[int(self.queues[channel, self._place(channel), k.E_SLOT])]
                raise EarlyError(f"the log ends before {left.name!r} is done in channel {channel}")

    # -- instructions ---------------------------------------------------------------------

    def _next(self, channel: int, clk: int) -> None:
        """Go on to the next instruction that has something for a channel."""
        while True:
            if self._step is None or (task := next(self._step.tasks, None)) is None:
                self._end_step(clk)
                self._step = next(self.steps, None)
                if self._step is None:
                    raise EarlyError("the run has no further instruction")
                continue
            self._tasks.append(task)
            if task.operands.wires is not None and channel in self._begin(task):
                return

    def _begin(self, task: Task) -> set[int]:
        """Give the channels what a piece of work has for them; those that have something."""
        operands = task.operands
        ranges, wires, pieces = self._ranges(task)
        size, base = sum(part.size for part, _ in task.takes), self._pooled
        assert wires.own in (0, size), task.name
        self._places.append((base, base + size))
        self._pooled += size + operands.makes.size
        if self._pooled > len(self.pool):
            self.pool = _longer(self.pool, self._pooled)
            self.ready = _longer(self.ready, self._pooled)
        self.pool[base + size : self._pooled] = np.nan
        self.ready[base : base + size], self.ready[base + size : self._pooled] = 0, FOREVER
        task.slot = len(self._working)
        self._working.append(task)
        if len(self._working) > len(self.slots):
            self.slots = _longer(self.slots, len(self._working))
        self.slots[task.slot] = pieces, not task.takes, 0
        busy = set()
        for channel, (take, taken, give, given) in enumerate(ranges):
            if take == taken and give == given:
                continue
            state = self.state[channel]
            place = int(state[k.S_LAST])
            if place == self.queues.shape[1]:
                self.queues = np.concatenate([self.queues, np.zeros_like(self.queues)], axis=1)
            self.queues[channel, place] = take, taken, give, given, base, size, wires.lane, task.slot
            state[k.S_LAST] += 1
            busy.add(channel)
        return busy

    def _ranges(self, task: Task) -> tuple[list[tuple[int, int, int, int]], Wires, int]:
        """The rows of `wires` that each channel takes and gives, and how many they are in all."""
        key = task.operands.key
        if key not in self._known:
            assert task.operands.wires is not None
            wires = task.operands.wires()
            ranges = [
                (*self._wire(taken), *self._wire(given)) for taken, given in zip(wires.taken, wires.given, strict=True)
            ]
            pieces = sum(map(len, wires.taken)) + sum(map(len, wires.given))
            self._known[key] = (ranges, wires, pieces)
        return self._known[key]

    def _wire(self, pieces: Ints) -> tuple[int, int]:
        first, last = self._wired, self._wired + len(pieces)
        while last > len(self.wires):
            self.wires = np.concatenate([self.wires, np.full_like(self.wires, ZERO)])
        self.wires[first:last, : pieces.shape[1]] = pieces
        self.wires[first:last, pieces.shape[1] :] = ZERO
        self._wired = last
        return first, last

    def _fill(self, task: Task, clk: int) -> None:
        """Bring the operands of a piece of work."""
        base, _ = self._places[task.slot]
        for part, makers in task.takes:
            found = operand(part, makers, lambda maker: self._value(maker, clk))
            self.pool[base : base + len(found)] = found
            base += len(found)
        self.slots[task.slot, k.L_FILLED] = 1

    # -- values ------------------------------------------------------------------------------

    def _value(self, task: Task, clk: int) -> F32:
        """What a task has made, if it is there at a clock; EarlyError."""
        if task.value is None:
            if task.operands.wires is not None:
                task.value = self._given(task, clk)
            else:
                operands = [operand(part, makers, lambda maker: self._value(maker, clk)) for part, makers in task.takes]
                of, kind = task.operands.of, task.instruction.cause
                task.value = self.functions.run(kind, of, task.copy, task.operands.shape, operands)
                if task.operands.told is not None and self.functions.chosen.tolist() != [
                    list(chosen) for chosen in task.operands.told(task.copy)
                ]:
                    raise EarlyError(f"{task.name!r} has chosen other experts than those whose weights are read")
            task.takes = ()
            if self.made and self._step:
                self.made(self._step, task, task.value)
        return task.value

    def _given(self, task: Task, clk: int) -> F32:
        """What the channels have given."""
        if task.slot < 0 or self.slots[task.slot, k.L_LEFT]:
            raise EarlyError(f"the results of {task.name!r} are not there yet")
        if self.slots[task.slot, k.L_READY] > clk:
            raise EarlyError(f"the last result of {task.name!r} arrives at clock {self.slots[task.slot, k.L_READY]}")
        _, base = self._places[task.slot]
        found: F32 = self.pool[base : base + task.operands.makes.size].copy()
        return found

    def _is_left(self, task: Task) -> bool:
        """As `Stepping`."""
        return bool(self.slots[task.slot, k.L_LEFT])

    def _forget(self) -> None:
        """As `Stepping`."""
        self._working.clear()
        self._places.clear()
        self._pooled = 0
        self.state[:, k.S_ENTRY] = self.state[:, k.S_LAST] = 0
        if self._wired > 1 << 20:
            self._known.clear()
            self._wired = 0

    # -- messages -------------------------------------------------------------------------------

    def _rests(self, channel: int) -> bool:
        """Whether a channel has done all that it was given."""
        state = self.state[channel]
        while state[k.S_ENTRY] < state[k.S_LAST]:
            item = self.queues[channel, self._place(channel)]
            if item[k.E_TAKE] < item[k.E_TAKEN] or item[k.E_GIVE] < item[k.E_GIVEN]:
                return False
            state[k.S_ENTRY] += 1
        return True

    def _place(self, channel: int) -> int:
        return int(self.state[channel, k.S_ENTRY])

    def _problem(self, stop: int, command: Sequence[int]) -> str:
        bank, found = int(self.report[k.R_BANK]), int(self.report[k.R_FOUND])
        now = "closed" if found < 0 else f"open at row {found}"
        slot = int(self.report[k.R_SLOT])
        name = repr(self._working[slot].name) if slot < len(self._working) else "the instruction"
        return {
            k.NOT_OPEN: f"bank {bank} is {now}",
            k.NOT_CLOSED: f"bank {bank} is {now}",
            k.USED_UP: f"{name} has nothing more to send",
            k.NOT_GIVEN: f"{name} has no further result, but more to send",
            k.OUTSIDE: "the address is outside of what the run uses",
            k.EMPTY: "the buffer has no such column",
            k.EARLY: f"{name} takes a sum that " + (f"arrives at clock {found}" if found < FOREVER else "was not read"),
            k.NO_FUNCTION: "no function of the banks",
            k.RAGGED: "the inputs in the buffer have not as many columns each",
            k.NOT_KEPT: "there is no such accumulator",
            k.NO_MEANING: "the device's table says not what the command does with numbers (`Command.does`)",
        }[stop]


def _longer(array: NDArray[Any], least: int) -> NDArray[Any]:
    """An array of twice as many rows, or of `least`, which begins with these."""
    more = np.zeros((max(len(array), least - len(array)), *array.shape[1:]), array.dtype)
    return np.concatenate([array, more])


def _meaning(device: Device) -> Ints:
    """What each command of a device means, (commands, MEANING_WIDTH)."""
    found = np.zeros((len(device.standard.commands), k.MEANING_WIDTH), np.int64)
    for number, command in enumerate(device.standard.commands):
        scope = _SCOPES.get(command.scope)
        if scope is None:
            what = f"{command.name} of {device.standard.name} addresses some of a channel's banks: it has no values yet"
            raise InputError(what, key="dram.standard")
        if command.multiplies and command.does is Does.NOTHING:
            what = f"{command.name} of {device.standard.name} says not what it does with numbers (`Command.does`)"
            raise InputError(f"{what}: it has no values", key="dram.standard")
        moves = command.moves or command.column is not Column.NONE
        found[number] = (
            _DOES.get(command.does, k.UNKNOWN if moves else k.OTHER),
            scope,
            _NEEDS[command.needs],
            _EFFECTS[command.effect],
            device.completion(command),
        )
    return found


def _sizes(plan: Plan, image: Image, rounds: bool) -> Ints:
    """`k.HOW_WIDTH` sizes."""
    device, standard = plan.device, plan.device.standard
    how = np.zeros(k.HOW_WIDTH, np.int64)
    how[k.H_BANKS], how[k.H_ROWS], how[k.H_COLUMNS] = device.banks, image.rows, image.columns
    how[k.H_WIDTH], how[k.H_UNITS], how[k.H_LANES], how[k.H_BEATS] = (
        plan.grid.width,
        image.units,
        image.lanes,
        image.beats,
    )
    how[k.H_ROUNDS], how[k.H_BY_COLUMN], how[k.H_BUFFER] = rounds, standard.buffer_by_column, plan.grid.buffer_columns
    how[k.H_PER_GROUP], how[k.H_FUNCTIONS] = device.banks_per_group, standard.function_rows[0]
    how[k.H_IN_TURN] = standard.keeps_in_turn
    how[k.H_PARALLEL] = plan.config.pim.parallel
    return how
