"""Weights on PIM-GPT: where they lie, and the program that multiplies with them.

A matrix is cut along its input into chunks of one global buffer.  Inside a chunk the
outputs of a bank lie one after another with no gap, so that a row is used up before it
is closed, whatever the size of the matrix.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pimsim.devices.pim_gpt.units import multiply_with
from pimsim.dram.program import close, loop, open_row, run
from pimsim.mapping.grid import Grid, N, Place
from pimsim.mapping.outputs import DealtOutputs
from pimsim.mapping.stored import Stored, Sums
from pimsim.mapping.wires import ZERO, Wires, multiplied, none
from pimsim.mapping.work import NOTHING, Ints, Requests, Work, assemble


@dataclass(frozen=True)
class MatrixLayout(DealtOutputs):
    """Weights of y = W x: `outputs` rows of `inputs` elements, from linear column `base`."""

    grid: Grid
    inputs: int
    outputs: int
    base: int = 0

    @cached_property
    def stored(self) -> Stored:
        """How the weights of one output are cut and packed."""
        return Stored(self.grid, self.inputs)

    @property
    def rows(self) -> int:
        """Rows that the matrix reserves in every bank."""
        return self.grid.rows_of(self.slots(0) * self.stored.columns)

    def locate(self, output: N, element: N) -> Place[N]:
        """The address of W[output, element]."""
        channel, bank, slot = self.home(output)
        at = self.stored.at(element)
        lin = self.base + self.slots(0) * at.before + slot * at.columns + at.column
        return self.grid.place(channel, bank, lin, at.lane)

    def multiply(self, addend: bool = False, function: str = "") -> Work:
        """y = W x: for each chunk fill the buffer, then multiply slot by slot.

        addend: there is something to add to the first chunk's results (a bias).
        """
        assert not function  # of `functions`
        slots = [self.slots(channel) for channel in range(self.grid.channels)]
        made = {n: self._channel(n, addend) for n in set(slots)}
        requests = [made[n] for n in slots]
        used = sum(1 for r in requests if r.rows)
        parts = self.stored.parts
        results, sent = self.grid.sum_words(self.outputs * self.partial_sums), self.grid.given_words(self.inputs)
        return assemble(
            requests,
            payload=sent * used + results,
            macs=self.inputs * self.outputs,
            sent=sent,
            results=results,
            sums=max(1, parts if addend or self.stored.drained else parts - 1),
        )

    def wires(self, addend: bool = False) -> Wires:
        """As `mapping.layouts.Matrix`: a buffer of x for all channels, and the sums of its slots."""
        x = self.stored.filled()
        nothing = none(self.grid.given_width)
        taken = [x if self.slots(channel) else nothing for channel in range(self.grid.channels)]
        given, packing = tuple(map(self._given, range(self.grid.channels))), self.grid.packing
        columns = () if packing is None else tuple(map(self._multiplied, range(self.grid.channels)))
        return Wires(tuple(taken), given, columns=columns, packing=packing)

    def _multiplied(self, channel: int) -> Ints:
        """`Wires.columns` of a channel: the sums of each part, slot by slot."""
        found = [none(2)]
        for chunk in self.stored.chunks:
            for part in chunk.sums:
                firsts = [part.place + n * part.places for n in range(part.many)]
                columns, side = part.columns - part.side, part.side
                each = [multiplied(columns, self.grid.width, at, at - chunk.place, side) for at in firsts]
                found += each * self.slots(channel)
        return np.concatenate(found)

    def _given(self, channel: int) -> Ints:
        """Places (partial sum, output) of the sums of a channel, part by part and slot by slot."""
        slots = np.arange(self.slots(channel), dtype=np.int64)[:, np.newaxis, np.newaxis]
        outputs = (slots * self.grid.channels + channel) * self.grid.banks + np.arange(self.grid.banks)
        found = [none(self.grid.banks)]
        for part in self.stored.sums:
            sums = (part.number + np.arange(part.many))[:, np.newaxis] * self.outputs
            found.append(np.where(outputs < self.outputs, sums + outputs, ZERO).reshape(-1, self.grid.banks))
        return np.concatenate(found)

    def start(self, part: Sums, slot: int) -> int:
        """As `DealtOutputs`."""
        return self.base + self.slots(0) * part.before + slot * part.all_columns

    def _channel(self, slots: int, addend: bool) -> Requests:
        if slots == 0:
            return NOTHING
        fill, mac, read = multiply_with(self.grid)
        requests, loops = [open_row(self.base)], list[int]()
        for chunk in self.stored.chunks:
            requests.append(run(fill, -1, 0, self.grid.filled(chunk.columns), self.grid.broadcast_gap))
            for part in chunk.sums:
                loops.append(len(requests))
                requests.append(loop(mac, self.start(part, 0), slots * part.many, part.columns, part.columns, read))
        first = loops[0] if addend or self.stored.drained else loops[min(1, len(loops) - 1)]
        return Requests((*requests, close()), (first, loops[-1], loops[-1]))
