"""Weights on LPDDR5X-PIM: where they lie, and the program that multiplies with them.

A block keeps several sums, so that a part of the input that is in the vector registers serves as many outputs, and a
sum ends with the input: what comes back is whole.  The outputs of a bank are cut into tiles of as many as it keeps
sums; in a tile, the weights of a part of the input lie one output after another with no gap, then those of the next.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pimsim.devices.pim_gpt.units import multiply_with
from pimsim.dram.program import Request, close, open_row, run
from pimsim.mapping.grid import Grid, N, Place, ceil_div, pieces_of, size_of
from pimsim.mapping.outputs import DealtOutputs
from pimsim.mapping.stored import Stored, Sums
from pimsim.mapping.wires import ZERO, Cuts, Wires, none
from pimsim.mapping.work import NOTHING, Ints, Requests, Work, assemble


@dataclass(frozen=True)
class MatrixLayout(DealtOutputs):
    """Weights of y = W x: `outputs` rows of `inputs` elements, from linear column `base`.

    Output o belongs to group o // banks, in bank o % banks; groups are dealt to channels round robin and take
    consecutive slots there.  kept: sums that a block keeps.  The ASIC applies no scales of groups: each would end a
    sum.
    """

    grid: Grid
    inputs: int
    outputs: int
    kept: int
    base: int = 0

    @cached_property
    def stored(self) -> Stored:
        """How the weights of one output are cut and packed: a part for each filling of the registers."""
        return Stored(self.grid, self.inputs)

    @cached_property
    def tiles(self) -> tuple[int, ...]:
        """Outputs of a bank of the fullest channel whose sums are kept together."""
        return pieces_of(self.slots(0), self.kept)

    def _tiles_of(self, channel: int) -> int:
        """Tiles that a channel has some of."""
        return ceil_div(self.slots(channel), self.kept)

    def _start(self, tile: N, before: N) -> N:
        """The linear column of a tile behind so many columns of each of its outputs."""
        return self.base + tile * self.kept * self.stored.columns + size_of(self.tiles, tile) * before

    def start(self, part: Sums, slot: int) -> int:
        """As `DealtOutputs`."""
        tile, slot = divmod(slot, self.kept)
        return self._start(tile, part.before) + slot * part.all_columns

    @property
    def partial_sums(self) -> int:
        """A sum ends with the input."""
        return 1

    @property
    def sums(self) -> Cuts:
        """As `mapping.layouts.Matrix`."""
        return Cuts((self.inputs,))

    @property
    def rows(self) -> int:
        """Rows that the matrix reserves in every bank."""
        return self.grid.rows_of(self.slots(0) * self.stored.columns)

    def locate(self, output: N, element: N) -> Place[N]:
        """The address of W[output, element]."""
        channel, bank, slot = self.home(output)
        tile, slot = divmod(slot, self.kept)
        at = self.stored.at(element)
        lin = self._start(tile, at.before) + slot * at.columns + at.column
        return self.grid.place(channel, bank, lin, at.lane)

    def multiply(self, addend: bool = False, function: str = "") -> Work:
        """y = W x: for each tile, fill the registers part by part and multiply; then read its sums."""
        assert not function  # of `functions`
        channels = range(self.grid.channels)
        made = {n: self._channel(n) for n in set(map(self.slots, channels))}
        sent, results = self.grid.given_words(self.inputs), self.grid.sum_words(self.outputs)
        return assemble(
            [made[self.slots(channel)] for channel in channels],
            payload=sent * sum(map(self._tiles_of, channels)) + results,
            macs=self.inputs * self.outputs,
            sent=sent * len(self.tiles),
            results=results,
            turns=len(self.tiles),
        )

    def _channel(self, slots: int) -> Requests:
        """What a channel is asked for that holds so many outputs in each bank."""
        if slots == 0:
            return NOTHING
        tiles = [self._tile(tile, n) for tile, n in enumerate(pieces_of(slots, self.kept))]
        rows = [request for tile in tiles for request in tile]
        first, last = len(tiles[0]), len(rows)  # the sums are the last request of a tile
        return Requests((open_row(self.base), *rows, close()), (first, first, last))

    def _tile(self, tile: int, slots: int) -> list[Request]:
        fill, mac, read = multiply_with(self.grid)
        rows = []
        for chunk in self.stored.chunks:
            rows.append(run(fill, -1, 0, self.grid.filled(chunk.columns), self.grid.broadcast_gap))
            rows += [run(mac, -1, self._start(tile, part.before), slots * part.all_columns) for part in chunk.sums]
        return [*rows, run(read, -1, 0, slots)]

    def wires(self, addend: bool = False) -> Wires:
        """As `mapping.layouts.Matrix`: for each tile x for all channels, and the sums of its slots."""
        x, nothing = self.stored.filled(), none(self.grid.given_width)
        channels = range(self.grid.channels)
        taken = [np.concatenate([nothing, *[x] * self._tiles_of(channel)]) for channel in channels]
        return Wires(tuple(taken), tuple(map(self._given, channels)))

    def _given(self, channel: int) -> Ints:
        """The outputs of the sums of a channel, slot by slot."""
        slots = np.arange(self.slots(channel), dtype=np.int64)[:, np.newaxis]
        outputs = (slots * self.grid.channels + channel) * self.grid.banks + np.arange(self.grid.banks)
        return np.where(outputs < self.outputs, outputs, ZERO)
