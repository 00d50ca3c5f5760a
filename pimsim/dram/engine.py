"""The channel engine as the rest of pimsim calls it: it keeps the state of the channels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import count

import numpy as np
from numpy.typing import NDArray

from pimsim.dram.build import build_table, initial_states, sizes_of
from pimsim.dram.compiler import bound
from pimsim.dram.kernel.channels import Scratch
from pimsim.dram.kernel.entries import rest, run_programs
from pimsim.dram.kernel.log import LOG_COMMAND, LOG_WIDTH
from pimsim.dram.kernel.numbers import FOREVER as FOREVER
from pimsim.dram.kernel.numbers import LOG_HIGH, LOG_LOW
from pimsim.dram.kernel.outcomes import LINK_WIDTH, NEXT_FREE, PROGRAM_WIDTH, START_REGISTERS
from pimsim.dram.kernel.periods import Period
from pimsim.dram.kernel.state import R_CLK, R_TRAIL, State
from pimsim.dram.kernel.work import MARKS, MOMENTS, T_END, Work
from pimsim.dram.records import named
from pimsim.dram.timing import Device

Ints = NDArray[np.int64]


class Engine:
    """All channels of a device: their state, and the compiled calls that move it.

    `totals` of a call is an int64 vector: a count per command of the table, the clocks
    with a bank open (both summed over channels), then the clocks charged to each cause of
    `causes` on the channel that ended last.
    """

    def __init__(self, device: Device, stepped: bool = False, fold: bool = True) -> None:
        self.device = device
        self.causes = tuple(dict.fromkeys(cause for _, _, cause in device.standard.causes))
        sizes = sizes_of(device, len(self.causes))
        self.table = build_table(device, self.causes, sizes)
        self.shared_states = initial_states(device, sizes)
        self.owners = np.arange(device.channels)  # channels that are equal share the state of the first
        self.ends = np.zeros(device.channels, np.int64)
        self._log_numbers = np.array(device.standard.log_numbers, np.int64)
        self.options = np.array([stepped, fold, 0, FOREVER], np.int64)
        self.scratch = new_scratch(sizes, self.shared_states)
        self._room = tuple(self.scratch)
        self._run_programs = bound(run_programs)
        self._numbers: dict[bytes, int] = {}
        self._new_numbers = count(1)
        self._numbered = 0  # bytes
        self.log: Ints | None = None
        self._sink: Callable[[Ints], None] | None = None

    @property
    def states(self) -> Ints:
        """The state of each channel (channels, n), to read or to change in place."""
        self.unfold()
        return self.shared_states

    def unfold(self) -> None:
        """Give each channel a state of its own."""
        self.shared_states[:] = self.shared_states[self.owners]
        named(State, self.shared_states).reg[:, R_TRAIL] = 0  # they may be changed
        self.owners[:] = np.arange(self.device.channels)

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

    def make_room(self) -> None:
        """Forget all outcomes if there are too many of them."""
        scratch = self.scratch
        if scratch.outcomes[NEXT_FREE] > 0.9 * len(scratch.outcomes):
            scratch.outcomes[NEXT_FREE] = 1
            scratch.starts[:] = 0
            scratch.ends[:] = 0
            scratch.links[:] = 0
            named(State, self.shared_states).reg[:, R_TRAIL] = 0

    def log_to(self, sink: Callable[[Ints], None], low: int = 0, high: int = FOREVER) -> None:
        """Send every command with low <= clk < high to `sink`, unsorted between channels."""
        self._sink = sink
        self.unfold()  # a log has every channel
        self.log = np.empty((1 << 16, LOG_WIDTH), np.int64)
        self.options[[LOG_LOW, LOG_HIGH]] = low, high

    def new_totals(self) -> Ints:
        """A zeroed vector for `run`'s counts."""
        return np.zeros(len(self.device.standard.commands) + 1 + len(self.causes), np.int64)

    def run(self, program: Ints, spans: Ints, base: int, start: int, totals: Ints, account: int = 0) -> int:
        """Run program rows spans[channel] on each channel from clock `start`; return the last data end.

        base shifts every linear column of the array.  Clocks before `account` are somebody
        else's and are not charged to causes again.  `ends` then has each channel's data end.
        """
        unmarked = np.full((len(spans), MARKS), -1, np.int64)
        numbers = self.numbers(program, spans, unmarked)
        each = (spans[np.newaxis], numbers[np.newaxis], np.array([base]), np.array([start]))
        return int(self.run_each(program, *each, totals[np.newaxis], account)[0])

    def run_each(
        self, program: Ints, spans: Ints, numbers: Ints, bases: Ints, starts: Ints, totals: Ints, account: int = 0
    ) -> Ints:
        """Run programs one after the other, i-th as `run` does at bases[i] from starts[i]; the last data end of each.

        spans (n, channels, 2); numbers (n, channels), see `numbers`; totals (n, ...).
        """
        self.make_room()
        n = len(starts)
        marks = np.full((*numbers.shape, MARKS), -1, np.int64)
        moments = np.repeat(starts[:, np.newaxis], MOMENTS, axis=1)
        parts = [(0, n)] if self.log is None else [(i, i + 1) for i in range(n)]
        for first, last in parts:
            while not self.deliver(
                self._run_programs(
                    self.table,
                    self.shared_states,
                    self.owners,
                    program,
                    spans,
                    marks,
                    numbers,
                    bases,
                    moments,
                    account,
                    self.options,
                    totals,
                    self.ends,
                    self.log,
                    self._room,
                    first,
                    last,
                )  # fmt: skip
            ):
                pass
            account = max(account, int(moments[first:last, T_END].max()))
        return moments[:, T_END]

    def finish(self, stop: int, totals: Ints) -> None:
        """Refresh all channels up to clock `stop`."""
        self.unfold()
        while not self.deliver(rest(self.table, self.shared_states, stop, self.options, totals, self.log, self._room)):
            pass

    def deliver(self, logged: int) -> bool:
        """Hand on the rows that a call logged; False if they did not fit: call again, there is room now."""
        if logged < 0:
            self.log = np.empty((2 * -logged, LOG_WIDTH), np.int64)
            return False
        if logged and self.log is not None and self._sink:
            rows = self.log[:logged].copy()
            rows[:, LOG_COMMAND] = self._log_numbers[rows[:, LOG_COMMAND]]
            self._sink(rows)
        return True

    @property
    def latest(self) -> Ints:
        """The clock (channels,) of the latest command of each channel."""
        clocks: Ints = named(State, self.shared_states).reg[self.owners, R_CLK]
        return clocks

    @property
    def watermark(self) -> int:
        """No channel will issue a command before this clock any more."""
        return int(self.latest.min())


# how much is remembered from one program to the next; powers of 2 but for the periods, a prime
KNOWN_PERIODS, KNOWN_PROGRAMS, KNOWN_LINKS, KNOWN_STARTS, KNOWN_ENDS = 251, 1 << 14, 1 << 16, 1 << 17, 1 << 14
KNOWN_BYTES = 1 << 24  # of programs that have a number
LONGEST_KNOWN = 4096  # requests of one
OUTCOMES = 1 << 22  # words: 32 MiB, as far as they are used


def new_scratch(sizes: Mapping[str, int], states: Ints) -> Scratch:
    """Room for a call: the compiled code allocates nothing."""
    channels, width = states.shape
    period = Period.new(sizes)
    return Scratch(
        charges=np.zeros((channels, sizes["causes"]), np.int64),
        followers=np.zeros(channels, np.int64),
        fresh=states.copy(),
        counts=np.zeros((channels, sizes["counts"]), np.int64),
        work=Work.new(sizes),
        period=period,
        periods=np.tile(period, (KNOWN_PERIODS, 1)),
        outcomes=no_outcomes(OUTCOMES),
        starts=np.zeros(KNOWN_STARTS, np.int64),
        ends=np.zeros(KNOWN_ENDS, np.int64),
        links=np.zeros((KNOWN_LINKS, LINK_WIDTH), np.int64),
        programs=np.zeros((KNOWN_PROGRAMS, PROGRAM_WIDTH), np.int64),
        start=np.zeros(START_REGISTERS + width, np.int64),
        link=np.zeros(LINK_WIDTH, np.int64),
    )


def no_outcomes(words: int) -> Ints:
    """Room for outcomes, none of them known."""
    outcomes = np.zeros(words, np.int64)
    outcomes[NEXT_FREE] = 1  # 0 is none
    return outcomes
