"""The meter as compiled code reads it (`compiled.meter`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

from pimsim.dram.engine import Ints
from pimsim.dram.records import named
from pimsim.sim.schedule.compiled.meter import (
    G_FULL,
    G_MOST,
    G_NOTED,
    G_PART,
    G_SHIFT,
    N_BEGIN,
    N_BESIDE,
    N_COMMANDS,
    N_END,
    Meter,
    lay_out_all,
)

BEGIN, END, BESIDE, COMMANDS = N_BEGIN, N_END, N_BESIDE, N_COMMANDS

# Buckets of the meter: a window has at least so many, and it keeps so many, a power of 2.
WINDOW_BUCKETS, METER_BUCKETS = 4, 1 << 12
_FEWEST_NOTES, _MOST_NOTES = 1 << 9, 1 << 14  # for which there is room: at first, and later, unless one block has more


def new_meter(commands: int, window: int = 0, costs: Sequence[int] = ()) -> Ints:
    """A meter of windows of so many clocks; without one nothing is metered."""
    record = Meter.new({"commands": commands, "buckets": METER_BUCKETS if window else 1, "notes": 0, "note": 0})
    if window:
        meter = named(Meter, record)
        shift = max(window // WINDOW_BUCKETS, 1).bit_length() - 1
        meter.reg[[G_SHIFT, G_FULL, G_PART]] = shift, window >> shift, window & ((1 << shift) - 1)
        meter.costs[:] = costs
    return record


def largest_window(record: Ints) -> Fraction:
    """The largest sum of a window so far."""
    reg = named(Meter, record).reg
    return Fraction(int(reg[G_MOST]), 1 << int(reg[G_SHIFT]))


class Notes:
    """A meter that notes what instructions take, and hands the notes on: (instructions, COMMANDS + commands)."""

    def __init__(self, commands: int, hand_on: Callable[[Ints], None]) -> None:
        self._commands, self._hand_on = commands, hand_on
        self._make(_FEWEST_NOTES)

    def _make(self, room: int) -> None:
        sizes = {"commands": self._commands, "buckets": 1, "notes": room, "note": COMMANDS + self._commands}
        self.record = Meter.new(sizes)
        meter = named(Meter, self.record)
        self._reg, self._rows = meter.reg, meter.notes

    def make_room(self, instructions: int) -> None:
        """Room for the notes of so many more instructions."""
        if self._reg[G_NOTED] + instructions > len(self._rows):
            self.flush()
            room = max(instructions, min(4 * len(self._rows), _MOST_NOTES))
            if room > len(self._rows):
                self._make(room)

    def flush(self) -> None:
        """Hand on all notes; LostError if there was no room for some."""
        count, self._reg[G_NOTED] = int(self._reg[G_NOTED]), 0
        if count > len(self._rows):
            raise LostError(f"{count} instructions, and room for notes of {len(self._rows)}")
        if count:
            self._hand_on(self._rows[:count].copy())


class LostError(RuntimeError):
    """Instructions of which there is no note."""


def lay_out(record: Ints, begins: Ints, ends: Ints, spends: Ints, over: bool) -> None:
    """Have a meter lay out instructions that were noted, in their order; over: the run ends with them."""
    lay_out_all(record, begins, ends, spends, int(over))
