"""What the timelines share: the window, the limit, and each channel's commands apart."""

from __future__ import annotations

from pimsim.dram.engine import FOREVER, Ints
from pimsim.dram.timing import Device
from pimsim.errors import InputError
from pimsim.sim.observer import Executed

MOST_COMMANDS = 2_000_000  # of a timeline: what a viewer can open


class Watcher:
    """An observer of one window of a run; `span` = (first, end), clocks that are shown.

    It asks for commands from before its window, from which the state of every bank at its
    begin follows: no row stays open for longer than a refresh interval.
    """

    def __init__(self, device: Device, span: tuple[int, int] = (0, FOREVER), most: int = MOST_COMMANDS) -> None:
        self.device = device
        self.span = span
        self.ended = 0  # clocks of the run so far
        self._most = most
        self._commands = 0
        ahead = span[0] if device.refresh == "none" else 3 * device.cycles["nREFI"]
        self.window = (max(0, span[0] - ahead), span[1])

    def append(self, clk: Ints, channel: Ints, command: Ints, bank: Ints, row: Ints, column: Ints) -> None:
        """Take commands of all channels; see `sim.observer.Observer`."""
        kept = (clk >= self.window[0]) & (clk < self.window[1])
        self._count(clk[kept])
        for c in range(self.device.channels):
            mine = kept & (channel == c)
            if mine.any():
                self.take(c, clk[mine], command[mine], bank[mine], row[mine], column[mine])

    def execute(self, executed: Executed) -> None:
        """Take an instruction; see `sim.observer.Observer`."""
        self.ended = max(self.ended, executed.charged[1])
        self.carry_out(executed)

    def take(self, channel: int, clk: Ints, command: Ints, bank: Ints, row: Ints, column: Ints) -> None:
        """Take commands of one channel, in order."""
        raise NotImplementedError

    def carry_out(self, executed: Executed) -> None:
        """Take an instruction."""

    def clip(self, begin: int, end: int) -> tuple[int, int] | None:
        """The part of an interval that is shown, if any is."""
        begin, end = max(begin, self.span[0]), min(end, self.span[1])
        return (begin, end) if begin < end else None

    @property
    def stop(self) -> int:
        """The end of what is shown: of the window or of the run."""
        return min(self.span[1], self.ended)

    def check_shown(self) -> None:
        """InputError if the run ended before the window."""
        if self.ended <= self.span[0]:
            raise InputError(f"starts at or after the end of the run, {self._ns(self.ended)} ns", key="--window")

    def _count(self, clk: Ints) -> None:
        shown = clk[clk >= self.span[0]]
        room = self._most - self._commands
        if len(shown) > room:
            least, most = self._ns(self.span[0]), self._ns(int(shown[room]))
            what = (
                f"more than {self._most:,} commands, too many to view; choose a part, such as --window {least}:{most}"
            )
            raise InputError(what, key="--timeline")
        self._commands += len(shown)

    def _ns(self, clk: int) -> str:
        return f"{clk * self.device.tCK_ps / 1000:.15g}"


class Counting(Watcher):
    """Counts commands, and shows nothing."""

    def append(self, clk: Ints, channel: Ints, command: Ints, bank: Ints, row: Ints, column: Ints) -> None:
        """Count; InputError if there are too many."""
        self._count(clk[(clk >= self.span[0]) & (clk < self.span[1])])
