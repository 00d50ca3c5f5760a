"""What every instruction of a run took, and when: so that what the busiest window spends is found at any prices.

A simulation finds the busiest window as it goes on, for the prices that it is given.  Who has many
prices for one run keeps its ledger, and has the same meter lay out the same instructions in the
same order again.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from pimsim.dram.engine import Ints
from pimsim.sim.schedule import meter
from pimsim.sim.spending import Metered, Operations, Spending

_LOOSE = 64 << 20  # bytes of notes that wait to be packed until somebody asks again
# odd numbers without a pattern: the powers of one, modulo 2^64; numpy's random numbers take 8 ms to load
_WEIGHTS = np.multiply.accumulate(np.full(64, 0x5851F42D4C957F2D, np.int64))


class Ledger:
    """The notes of one run; packed they take 24 bytes an instruction, since many instructions take the same.

    Most runs are asked for one window and never again, so notes are packed when they are needed a second time.
    """

    def __init__(self) -> None:
        self._operations: dict[Operations, int] = {}
        self._takes: dict[bytes, int] = {}  # number of each row of a note from BESIDE on
        self._packed: list[tuple[Ints, Ints, Ints]] = []  # begins, ends, numbers of what was taken
        self._loose: list[Ints] = []  # the notes after those
        self._asked = False

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
        packed = 24 * sum(len(begins) for begins, _, _ in self._packed) + 256 * len(self._takes)
        return packed + sum(rows.nbytes for rows in self._loose)

    def busiest(self, spending: Spending) -> Fraction:
        """What the busiest window spends: `Tally.busiest_window` of a run with this `spending`."""
        if self._asked:
            self._pack()
        self._asked = True
        record = meter.new_meter(len(spending.commands), spending.window, spending.commands)
        for begins, ends, spends in self._spent(spending):
            meter.lay_out(record, begins, ends, spends, over=False)
        none = np.zeros(0, np.int64)
        meter.lay_out(record, none, none, none, over=True)
        return meter.largest_window(record)

    def _spent(self, spending: Spending) -> Iterator[tuple[Ints, Ints, Ints]]:
        """When instructions began and ended, and what each of them spent."""
        beside = np.array([spending.beside(operations) for operations in self._operations], np.int64)
        commands = np.array(spending.commands, np.int64)

        def spent(takes: Ints) -> Ints:
            all_spent: Ints = takes[:, 1:] @ commands + beside[takes[:, 0]]
            return all_spent

        if self._packed:
            each = spent(np.frombuffer(b"".join(self._takes), np.int64).reshape(len(self._takes), -1))
            yield from ((begins, ends, each[numbers]) for begins, ends, numbers in self._packed)
        for rows in self._loose:
            yield rows[:, meter.BEGIN].copy(), rows[:, meter.END].copy(), spent(rows[:, meter.BESIDE :])

    def _note(self, rows: Ints) -> None:
        self._loose.append(rows)
        if sum(rows.nbytes for rows in self._loose) > _LOOSE:
            self._pack()

    def _pack(self) -> None:
        """Give equal takes one number."""
        for rows in self._loose:
            taken = np.ascontiguousarray(rows[:, meter.BESIDE :])
            first, which = _distinct(taken)
            known = [self._takes.setdefault(row.tobytes(), len(self._takes)) for row in taken[first]]
            packed = rows[:, meter.BEGIN].copy(), rows[:, meter.END].copy(), np.array(known, np.int64)[which]
            self._packed.append(packed)
        self._loose = []


def _distinct(rows: Ints) -> tuple[Ints, Ints]:
    """The place of one of each kind of row, and of which kind each row is."""
    sums = rows @ _WEIGHTS[: rows.shape[1]]  # two rows of one sum are equal, unless by chance
    _, first, which = np.unique(sums, return_index=True, return_inverse=True)
    if not np.array_equal(rows[first][which], rows):
        _, first, which = np.unique(rows, axis=0, return_index=True, return_inverse=True)
    return first, which.reshape(-1)
