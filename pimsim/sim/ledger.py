"""What every instruction of a run took, and when: so that what the busiest window spends is found at any prices.

A simulation finds the busiest window as it goes on, for the prices that it is given.  Who has many
prices for one run keeps its ledger, and has the same meter lay out the same instructions in the
same order again.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from pimsim.dram.engine import Ints
from pimsim.sim.schedule import meter
from pimsim.sim.spending import Metered, Operations, Spending

_WEIGHTS = np.random.default_rng(0).integers(-(2**62), 2**62, 64) * 2 + 1


class Ledger:
    """The notes of one run, in 24 bytes an instruction: many instructions take the same."""

    def __init__(self) -> None:
        self._operations: dict[Operations, int] = {}
        self._takes: dict[bytes, int] = {}  # number of each row of a note from BESIDE on
        self._packed: list[tuple[Ints, Ints, Ints]] = []  # begins, ends, numbers of what was taken

    def meter(self, executor: Metered) -> None:
        """Have every instruction noted."""
        executor.note_into(self._note)

    def beside(self, operations: Operations) -> int:
        """The number of an instruction's operations on the ASIC."""
        return self._operations.setdefault(operations, len(self._operations))

    def beside_each(self, operations: Ints) -> Ints:
        """The numbers of many, in rows."""
        return np.array([self.beside((a, b, c)) for a, b, c in operations.tolist()], np.int64)

    @property
    def nbytes(self) -> int:
        """Bytes that it takes, about."""
        return 24 * sum(len(begins) for begins, _, _ in self._packed) + 256 * len(self._takes)

    def busiest(self, spending: Spending) -> Fraction:
        """What the busiest window spends: `Tally.busiest_window` of a run with this `spending`."""
        beside = np.array([spending.beside(operations) for operations in self._operations], np.int64)
        takes = np.frombuffer(b"".join(self._takes), np.int64).reshape(len(self._takes), -1)
        spends = takes[:, 1:] @ np.array(spending.commands, np.int64) + beside[takes[:, 0]]
        record = meter.new_meter(len(spending.commands), spending.window, spending.commands)
        for i, (begins, ends, numbers) in enumerate(self._packed, 1):
            meter.lay_out(record, begins, ends, spends[numbers], over=i == len(self._packed))
        return meter.largest_window(record)

    def _note(self, rows: Ints) -> None:
        """Keep notes, equal takes by one number."""
        taken = np.ascontiguousarray(rows[:, meter.BESIDE :])
        first, which = _distinct(taken)
        known = np.array([self._takes.setdefault(row.tobytes(), len(self._takes)) for row in taken[first]], np.int64)
        self._packed.append((rows[:, meter.BEGIN].copy(), rows[:, meter.END].copy(), known[which]))


def _distinct(rows: Ints) -> tuple[Ints, Ints]:
    """The place of one of each kind of row, and of which kind each row is."""
    sums = rows @ _WEIGHTS[: rows.shape[1]]  # two rows of one sum are equal, unless by chance
    _, first, which = np.unique(sums, return_index=True, return_inverse=True)
    if not np.array_equal(rows[first][which], rows):
        _, first, which = np.unique(rows, axis=0, return_index=True, return_inverse=True)
    return first, which.reshape(-1)
