"""The channel engine as the rest of pimsim calls it: builds the kernel's vectors and keeps its state."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import count, product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pimsim.dram import kernel as k
from pimsim.dram.program import WIDTH
from pimsim.dram.spec import CHANNEL, Command, Effect, Needs, Scope, TimingConstraint
from pimsim.dram.timing import Device

Ints = NDArray[np.int64]
FOREVER, ARITHMETIC, WORK = k.FOREVER, k.ARITHMETIC, k.WORK
PARTIAL, COMPLETE = k.T_PARTIAL, k.T_COMPLETE
MOMENTS, BEGIN, END = k.MOMENTS, k.T_BEGIN, k.T_END
WHOLE = (-1, COMPLETE, 1, 1, 0, 0)  # what a step that does not stream has from I_TAIL to I_FEEDS


@dataclass(frozen=True)
class Block:
    """Instructions that are carried out `copies` times; the arrays are explained at `kernel.run_block`.

    program (rows, 8); spans (n, channels, 2); marks (n, channels, 3); numbers (n, channels), see
    `Engine.numbers`; bases (n, copies); steps (n, 11); after (n, m); feeds (k,).
    portions: those in which all that streams takes its results, in one copy.
    """

    program: Ints
    spans: Ints
    marks: Ints
    numbers: Ints
    bases: Ints
    steps: Ints
    after: Ints
    feeds: Ints
    portions: int = 0

    @classmethod
    def of(
        cls,
        program: Ints,
        spans: Ints,
        numbers: Ints,
        bases: Ints,
        after: Ints,
        kind: tuple[int, int],
        spends: int = 0,
    ) -> Block:
        """Instructions that are alike and stream with nothing; kind: what they are, and their clocks (see `kernel`)."""
        count, channels, _ = spans.shape
        marks = np.full((count, channels, k.MARKS), -1, np.int64)
        steps = np.tile(np.array([*kind, 0, 0, *WHOLE, spends], np.int64), (count, 1))
        return cls(program, spans, marks, numbers, bases, steps, after, np.zeros(1, np.int64))


class Timetable:
    """Where a run stands: clocks accounted for, and what the parts of the ASIC are taken for.

    serial: one instruction waits for the other.
    """

    def __init__(self, serial: bool, accounted: int = 0) -> None:
        self.clock = np.array([accounted, serial] + [0] * (1 + k.ASIC_PARTS), np.int64)
        self.calendars = np.zeros((k.ASIC_PARTS, 64, 2), np.int64)

    @property
    def accounted(self) -> int:
        """Clocks charged so far: the end of the latest instruction."""
        return int(self.clock[k.C_ACCOUNTED])

    def make_room(self, stretches: int) -> None:
        """Room for so many more stretches."""
        need = max(self.clock.tolist()[k.C_TAKEN :]) + stretches
        room = self.calendars.shape[1]
        if need > room:
            more = np.zeros((k.ASIC_PARTS, 2 * need - room, 2), np.int64)
            self.calendars = np.concatenate([self.calendars, more], axis=1)


class Engine:
    """All channels of a device: their state, and the compiled calls that move it.

    `totals` of a call is an int64 vector: a count per command of the table, the clocks
    with a bank open (both summed over channels), then the clocks charged to each cause of
    `causes` on the channel that ended last.
    """

    def __init__(self, device: Device, stepped: bool = False, fold: bool = True) -> None:
        self.device = device
        self.causes = tuple(dict.fromkeys(cause for _, _, cause in device.standard.causes))
        self.table = build_table(device, self.causes)
        self._states = initial_states(device, self.table)
        self._owners = np.arange(device.channels)  # channels that are equal share the state of the first
        self.ends = np.zeros(device.channels, np.int64)
        self.options = np.array([stepped, fold, 0, k.FOREVER], np.int64)
        self.scratch = new_scratch(self.table, self._states, len(device.standard.commands), len(self.causes))
        self.meter = new_meter(len(device.standard.commands))
        self._numbers: dict[bytes, int] = {}
        self._new_numbers = count(1)
        self._numbered = 0  # bytes
        self.log: Ints | None = None
        self.worked: Ints | None = None
        self._sink: Callable[[Ints], None] | None = None

    @property
    def states(self) -> Ints:
        """The state of each channel (channels, n), to read or to change in place."""
        self._unfold()
        return self._states

    def _unfold(self) -> None:
        self._states[:] = self._states[self._owners]
        self._states[:, k.R_TRAIL] = 0  # they may be changed
        self._owners[:] = np.arange(self.device.channels)

    def numbers(self, program: Ints, spans: Ints, marks: Ints) -> Ints:
        """(channels,): equal numbers for equal programs, by which the engine knows them again; 0 for none.

        What is known of a program is known of its marks (channels, 3), too.
        """
        parts = [(first, last) for first, last in spans.tolist()]
        known = {part: self._number(program[slice(*part)], marks[parts.index(part)]) for part in set(parts)}
        return np.array([known[part] for part in parts], np.int64)

    def _number(self, program: Ints, marks: Ints) -> int:
        if not 0 < len(program) <= LONGEST_KNOWN:
            return 0
        key = program.tobytes() + marks.tobytes()
        if key not in self._numbers:
            if self._numbered + len(key) > KNOWN_BYTES:
                self._numbers.clear()
                self._numbered = 0
            self._numbered += len(key)
            self._numbers[key] = next(self._new_numbers)  # one that no other program ever has
        return self._numbers[key]

    def _make_room(self) -> None:
        """Forget all outcomes if there are too many of them."""
        _, _, _, outcomes, index, links, *_ = self.scratch[2]
        if outcomes[0] > 0.9 * len(outcomes):
            outcomes[0] = 1
            index[:] = 0
            links[:] = 0
            self._states[:, k.R_TRAIL] = 0

    def meter_windows(self, window: int, costs: Sequence[int]) -> None:
        """Find the largest sum of any `window` clocks; costs: what each command of the table spends."""
        self.meter = new_meter(len(costs), window, costs)

    @property
    def largest_window(self) -> Fraction:
        """The largest sum of a window so far: of all of the run once it is finished."""
        return Fraction(int(self.meter[k.G_MOST]), 1 << int(self.meter[k.G_SHIFT]))

    def log_to(self, sink: Callable[[Ints], None], low: int = 0, high: int = k.FOREVER) -> None:
        """Send every command with low <= clk < high to `sink`, unsorted between channels."""
        self._sink = sink
        self._unfold()  # a log has every channel
        self.log = np.empty((1 << 16, k.LOG_WIDTH), np.int64)
        self.worked = np.zeros((1, 2), np.int64)
        self.options[2], self.options[3] = low, high

    def new_totals(self) -> Ints:
        """A zeroed vector for `run`'s counts."""
        return np.zeros(len(self.device.standard.commands) + 1 + len(self.causes), np.int64)

    def run(self, program: Ints, spans: Ints, base: int, start: int, totals: Ints, account: int = 0) -> int:
        """Run program rows spans[channel] on each channel from clock `start`; return the last data end.

        base shifts every linear column of the array.  Clocks before `account` are somebody
        else's and are not charged to causes again.  `ends` then has each channel's data end.
        """
        unmarked = np.full((len(spans), k.MARKS), -1, np.int64)
        numbers = self.numbers(program, spans, unmarked)[np.newaxis]
        one = Block.of(program, spans[np.newaxis], numbers, np.array([[base]]), np.array([[1]]), (k.WORK, 0))
        times = np.full((2, k.MOMENTS), start, np.int64)
        counted, _ = self.run_block(one, times, Timetable(serial=False, accounted=max(start, account)))
        totals += counted[0]
        return int(times[0, k.T_END])

    def run_block(
        self, block: Block, times: Ints, timetable: Timetable, watch: Callable[[int, int], None] | None = None
    ) -> tuple[Ints, Ints]:
        """Carry out a block of instructions; its totals (n, ...) by instruction, and clocks (n,) outside the channels.

        times (n + 1, 5): the moments of each instruction, the last row those of what came
        before; both it and the timetable are updated.  watch(copy, instruction) is called
        after each one.
        """
        self._make_room()
        n, copies = block.bases.shape
        totals = np.zeros((n, self.new_totals().size), np.int64)
        exposed = np.zeros(n, np.int64)
        parts = [(0, copies, 0, n)]
        if self.log is not None or watch:
            parts = [(copy, copy + 1, i, i + 1) for copy in range(copies) for i in range(n)]
        stretches = block.portions + 2 * n + 1  # most that one copy can add
        for copy, last, *which in parts:
            timetable.clock[k.C_COPY] = copy
            while timetable.clock[k.C_COPY] < last:
                timetable.make_room(stretches if which[0] == 0 else 0)
                part = (int(timetable.clock[k.C_COPY]), last, *which, stretches)
                self._run_part(block, times, timetable, totals, exposed, part)
            if watch:
                watch(copy, which[0])
        return totals, exposed

    def _run_part(
        self,
        block: Block,
        times: Ints,
        timetable: Timetable,
        totals: Ints,
        exposed: Ints,
        part: tuple[int, ...],
    ) -> None:
        if self.worked is not None:
            self.worked = np.zeros((timetable.calendars.shape[1] + 2, 2), np.int64)
        while not self.deliver(
            k.run_block(
                self.table,
                self._states,
                self._owners,
                block.program,
                block.spans,
                block.marks,
                block.numbers,
                block.bases,
                block.steps,
                block.after,
                block.feeds,
                times,
                timetable.clock,
                timetable.calendars,
                self.options,
                totals,
                exposed,
                self.ends,
                self.log,
                self.worked,
                self.scratch,
                self.meter,
                np.array(part, np.int64),
            )  # fmt: skip
        ):
            pass

    def stretches(self) -> list[tuple[int, int]]:
        """The clocks (from, to) in which the ASIC's units worked for the latest instruction, if a log is kept."""
        if self.worked is None:
            return []
        count = self.worked[0, 0]
        return [(begin, end) for begin, end in self.worked[1 : count + 1].tolist()]

    def finish(self, stop: int, totals: Ints) -> None:
        """Refresh all channels up to clock `stop`."""
        self._unfold()
        channels = self.device.channels
        rest = Block.of(
            np.zeros((0, WIDTH), np.int64),
            np.zeros((1, channels, 2), np.int64),
            np.zeros((1, channels), np.int64),
            np.zeros((1, 1), np.int64),
            np.array([[1]]),
            (k.REST, stop),
        )
        times, exposed = np.zeros((2, k.MOMENTS), np.int64), np.zeros(1, np.int64)
        self._run_part(rest, times, Timetable(serial=False), totals[np.newaxis], exposed, (0, 1, 0, 1, 0))

    def deliver(self, logged: int) -> bool:
        """Hand on the rows that a call logged; False if they did not fit: call again, there is room now."""
        if logged < 0:
            self.log = np.empty((2 * -logged, k.LOG_WIDTH), np.int64)
            return False
        if logged and self.log is not None and self._sink:
            self._sink(self.log[:logged].copy())
        return True

    @property
    def watermark(self) -> int:
        """No channel will issue a command before this clock any more."""
        return int(self._states[self._owners, k.R_CLK].min())


# how much is remembered from one program to the next; powers of 2 but for the periods, a prime
KNOWN_PERIODS, KNOWN_PROGRAMS, KNOWN_LINKS, KNOWN_STARTS = 251, 1 << 14, 1 << 16, 1 << 17
KNOWN_BYTES = 1 << 24  # of programs that have a number
LONGEST_KNOWN = 4096  # requests of one
OUTCOMES = 1 << 22  # words: 32 MiB, as far as they are used


# Buckets of the meter: a window has at least so many, and it keeps so many, a power of 2.
WINDOW_BUCKETS, METER_BUCKETS = 4, 1 << 12


def new_meter(commands: int, window: int = 0, costs: Sequence[int] = ()) -> Ints:
    """The meter as the kernel documents it; without a window nothing is metered."""
    buckets = k.G_COSTS + commands
    meter = np.zeros(buckets + (METER_BUCKETS if window else 1), np.int64)
    meter[k.G_BUCKETS] = buckets
    if window:
        shift = max(window // WINDOW_BUCKETS, 1).bit_length() - 1
        meter[[k.G_SHIFT, k.G_FULL, k.G_PART]] = shift, window >> shift, window & ((1 << shift) - 1)
        meter[k.G_COSTS : buckets] = costs
    return meter


def new_scratch(table: Ints, states: Ints, commands: int, causes: int) -> tuple[Any, ...]:
    """Room for one call: the compiled code allocates nothing."""
    channels, width = states.shape
    memory = k.M_FIRST + commands + 1 + 2 * causes + width
    one_channel = [
        (k.W_COUNTS + commands + 1 + 2 * causes,),
        (memory,),
        (KNOWN_PERIODS, memory),
        (OUTCOMES,),
        (KNOWN_STARTS,),  # where they are, by the hash of the state
        (KNOWN_LINKS, k.LINK_WIDTH),  # and by the outcome before
        (KNOWN_PROGRAMS, k.PROGRAM_WIDTH),
        (k.X_FIRST + width,),
        (k.LINK_WIDTH,),
    ]
    charges, followers, fresh, counts = _zeros(
        [(channels, causes), (channels,), states.shape, (channels, commands + 1)]
    )
    scratch = (charges, followers, tuple(_zeros(one_channel)), fresh, counts)
    scratch[2][3][0] = 1  # the first free place
    return scratch


def _zeros(shapes: Iterable[tuple[int, ...]]) -> list[Ints]:
    return [np.zeros(shape, np.int64) for shape in shapes]


def build_table(device: Device, causes: tuple[str, ...]) -> Ints:
    """The device's tables as the vector that the kernel reads (its layout is documented there)."""
    commands = device.standard.commands
    windows = _windows(device)
    levels = _levels(device)
    gaps = _gaps(device, levels)
    turns = device.turns or (tuple(range(device.banks)),)
    parts: list[tuple[int, Ints]] = [
        (k.O_CHANNEL, gaps[0]),
        (k.O_LEVEL_GAP, gaps[1:]),
        (k.O_NODE, _nodes(device, levels)),
        (k.O_SCOPE, _vector(_SCOPES.get(x.scope, k.NODE) for x in commands)),
        (k.O_NEEDS_OPEN, _vector(x.needs is Needs.OPEN for x in commands)),
        (k.O_OPENS, _vector(x.effect is Effect.OPEN for x in commands)),
        (k.O_CLOSES, _vector(x.effect is Effect.CLOSE for x in commands)),
        (k.O_SHOWS, _vector(x.shows_column or device.standard.logs_request for x in commands)),
        (k.O_COMPLETION, _vector(device.completion(x) for x in commands)),
        (k.O_ROLE, _roles(device)),
        (k.O_CAUSE, _cause_matrix(device, causes)),
        (k.O_DEPTH, _vector(x.window for x, _ in windows)),
        (k.O_LATENCY, _vector(device.latency(x) for x, _ in windows)),
        (k.O_BEFORE, _vector(name in x.preceding for x, _ in windows for name in device.command_names)),
        (k.O_AFTER, _vector(name in x.following for x, _ in windows for name in device.command_names)),
        (k.O_WITHIN, _vector(node == own for x, own in windows for node in device.nodes[x.level])),
        (k.O_WIDE, _vector(x.level == CHANNEL.name for x, _ in windows)),
        (k.O_REACH, gaps[1:].max(axis=(0, 2), initial=k.NEVER)),
        (k.O_HOME, _vector(_lowest(device, x, bank) for x in commands for bank in range(device.banks))),
        (k.O_TURN, _vector(banks[0] for banks in turns)),
        (k.O_TURN_OF, _vector(next(k for k, banks in enumerate(turns) if b in banks) for b in range(device.banks))),
        (k.O_MODE, _vector(device.standard.modes.index(x.mode) if x.mode else -1 for x in commands)),
    ]
    header = np.zeros(k.HEADER, np.int64)
    at = k.HEADER
    for offset, part in parts:
        header[offset] = at
        at += part.size
    _describe(header, device, len(causes), [x.window for x, _ in windows], levels, len(turns))
    return np.concatenate([header, *(part.ravel() for _, part in parts)])


NO_FUNCTIONS = 1 << 40  # no row has this number

_SCOPES: Mapping[str, int] = {Scope.CHANNEL: k.CHANNEL, Scope.BANK: k.BANK, Scope.ALL_BANKS: k.ALL}


def _vector(values: Iterable[int]) -> Ints:
    return np.array(list(values), np.int64)


def _levels(device: Device) -> list[str]:
    """The levels below the channel that rows of the table name, the narrowest first."""
    named = {x.level for x in device.standard.constraints if x.window == 1}
    return [x.name for x in reversed(device.standard.levels) if x.name in named - {CHANNEL.name}]


def _windows(device: Device) -> list[tuple[TimingConstraint, int]]:
    """The rows with a window that ask for anything, each once for every node of its level."""
    rows = [x for x in device.standard.constraints if x.window > 1 and device.latency(x) > 0]
    return [(x, node) for x in rows for node in range(max(device.nodes[x.level]) + 1)]


def _nodes(device: Device, levels: Sequence[str]) -> Ints:
    """(levels, banks): the node of each bank, numbered on from the channel, which is node 0, through all levels."""
    nodes, first = np.zeros((len(levels), device.banks), np.int64), 1
    for number, level in enumerate(levels):
        nodes[number] = first + np.array(device.nodes[level])
        first = int(nodes[number].max()) + 1
    return nodes


def _lowest(device: Device, command: Command, bank: int) -> int:
    """The lowest bank that a command addresses if it is given `bank` (of none: 0)."""
    return min(device.banks_of(command, bank), default=0)


def _gaps(device: Device, levels: Sequence[str]) -> Ints:
    """(1 + levels, c, c): clocks from one command to another in the channel, where time goes on, and in a node."""
    commands = device.standard.commands
    gaps = np.full((1 + len(levels), len(commands), len(commands)), k.NEVER, np.int64)
    gaps[0] = 0
    for constraint in device.standard.constraints:
        latency = device.latency(constraint)
        if constraint.window > 1 or latency <= 0:
            continue
        for before, after in product(constraint.preceding, constraint.following):
            a, b = device.standard.index(before), device.standard.index(after)
            scopes = {commands[a].scope, commands[b].scope}
            if constraint.level != CHANNEL.name and Scope.CHANNEL in scopes:
                continue  # it shares no node
            shared = constraint.level == CHANNEL.name or Scope.ALL_BANKS in scopes
            place = 0 if shared else 1 + levels.index(constraint.level)
            gaps[place, a, b] = max(gaps[place, a, b], latency)
    return gaps


def _cause_matrix(device: Device, causes: tuple[str, ...]) -> Ints:
    names = device.command_names
    return np.array([[causes.index(_cause(device, p, n)) for n in names] for p in (None, *names)], np.int64)


def _cause(device: Device, previous: str | None, name: str) -> str:
    for before, after, cause in device.standard.causes:
        if before in ("*", previous) and after in ("*", name):
            return cause
    raise ValueError(f"{device.standard.name}: no cause for {previous} -> {name}")


def _roles(device: Device) -> Ints:
    roles = device.standard.roles
    refresh = roles.refresh(device.refresh)
    names = (
        roles.open_bank, roles.open_all, roles.close_bank, roles.close_all, refresh,
        device.standard.closing(refresh) if refresh else None, roles.switch_mode, roles.open_rest or roles.open_bank,
    )  # fmt: skip
    return _vector(-1 if name is None else device.standard.index(name) for name in names)


def _describe(header: Ints, device: Device, causes: int, windows: list[int], levels: Sequence[str], turns: int) -> None:
    """Fill in the numbers, and where the parts of a state and of the scratch start."""
    c, banks, groups = len(device.standard.commands), device.banks, device.bank_groups
    times = (1 + sum(max(device.nodes[level]) + 1 for level in levels)) * c
    mode = k.NO_REFRESH if device.refresh == "none" else k.ALL_BANK if turns == 1 else k.IN_TURN
    numbers = {
        k.H_CMDS: c, k.H_GROUPS: groups, k.H_PER_GROUP: device.banks_per_group, k.H_BANKS: banks,
        k.H_COLUMNS: device.columns, k.H_MODE: mode, k.H_INTERVAL: device.refresh_interval, k.H_CAUSES: causes,
        k.H_WINDOWS: len(windows), k.H_DEPTH: max(windows, default=0), k.H_TIMES: times,
        k.H_LOGS_REQUEST: device.standard.logs_request, k.H_LEVELS: len(levels), k.H_TURNS: turns,
        k.H_FUNCTIONS: device.standard.function_rows[0] or NO_FUNCTIONS,
        k.O_ROW: k.REGISTERS,
        k.O_TIMES: k.REGISTERS + banks,
        k.O_RECENT: k.REGISTERS + banks + times,
        k.O_CHARGED: k.W_COUNTS + c + 1,
        k.O_PENDING: k.W_COUNTS + c + 1 + causes,
    }  # fmt: skip
    for at, number in numbers.items():
        header[at] = number


def initial_states(device: Device, table: Ints) -> Ints:
    """All banks closed, nothing pending, the first refresh due after one interval."""
    state = np.full(table[k.O_RECENT] + table[k.H_WINDOWS] * table[k.H_DEPTH], k.NEVER, np.int64)
    state[: k.REGISTERS] = 0
    state[k.R_DUE] = device.refresh_interval
    state[k.R_LEVEL] = -1
    state[table[k.O_ROW] : table[k.O_TIMES]] = -1
    return np.tile(state, (device.channels, 1))
