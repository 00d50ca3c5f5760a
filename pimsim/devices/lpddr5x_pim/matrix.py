"""Weights on LPDDR5X-PIM: where they lie, and the program that multiplies with them.

A block keeps several sums, so that a part of the input that is in the vector registers serves as many outputs, and a
sum ends with the input: what comes back is whole.  The outputs of a bank are cut into tiles of as many as it keeps
sums; in a tile, the weights of a part of the input lie one output after another with no gap, then those of the next.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pimsim.devices.pim_gpt.table import MULTIPLY
from pimsim.dram.program import Request, close, open_row, run
from pimsim.mapping.grid import Grid, N, Place, at_most, ceil_div, pieces_of, share, size_of
from pimsim.mapping.wires import ZERO, Cuts, Wires, in_columns, in_one, none
from pimsim.mapping.work import NOTHING, Ints, Requests, Work, assemble


@dataclass(frozen=True)
class MatrixLayout:
    """Weights of y = W x: `outputs` rows of `inputs` elements, from linear column `base`.

    Output o belongs to group o // banks, in bank o % banks; groups are dealt to channels round robin and take
    consecutive slots there.  kept: sums that a block keeps.
    """

    grid: Grid
    inputs: int
    outputs: int
    kept: int
    base: int = 0

    @cached_property
    def chunks(self) -> tuple[int, ...]:
        """Columns of each part of the input that the registers hold."""
        return self.grid.buffers(self.grid.columns_of(self.inputs))

    def slots(self, channel: int) -> int:
        """Outputs that each bank of `channel` holds."""
        return share(ceil_div(self.outputs, self.grid.banks), self.grid.channels, channel)

    @cached_property
    def tiles(self) -> tuple[int, ...]:
        """Outputs of a bank of the fullest channel whose sums are kept together."""
        return pieces_of(self.slots(0), self.kept)

    def _start(self, tile: N, chunk: N) -> N:
        """The linear column where a part of the input begins in a tile."""
        before = tile * self.kept * sum(self.chunks)  # all before it are full
        return self.base + before + size_of(self.tiles, tile) * self.grid.buffer_columns * chunk

    @property
    def partial_sums(self) -> int:
        """A sum ends with the input."""
        return 1

    @property
    def takes_addend(self) -> bool:
        """The ASIC adds the bias."""
        return False

    @property
    def sums(self) -> Cuts:
        """As `mapping.layouts.Matrix`."""
        return Cuts.of(self.inputs, self.inputs)

    @property
    def functions(self) -> tuple[str, ...]:
        """No activation function runs in the banks."""
        return ()

    @property
    def rows(self) -> int:
        """Rows that the matrix reserves in every bank."""
        return self.grid.rows_of(self.slots(0) * sum(self.chunks))

    def locate(self, output: N, element: N) -> Place[N]:
        """The address of W[output, element]."""
        group, bank = divmod(output, self.grid.banks)
        slot, channel = divmod(group, self.grid.channels)
        tile, slot = divmod(slot, self.kept)
        column, lane = divmod(element, self.grid.width)
        chunk, column = divmod(column, self.grid.buffer_columns)
        lin = self._start(tile, chunk) + slot * size_of(self.chunks, chunk) + column
        return self.grid.place(channel, bank, lin, lane)

    def multiply(self, addend: bool = False, function: str = "") -> Work:
        """y = W x: for each tile, fill the registers part by part and multiply; then read its sums."""
        assert not function  # of `functions`
        slots = [self.slots(channel) for channel in range(self.grid.channels)]
        made = {n: self._channel(n) for n in set(slots)}
        return assemble(
            [made[n] for n in slots],
            payload=self.inputs * sum(ceil_div(n, self.kept) for n in slots) + self.outputs,
            macs=self.inputs * self.outputs,
            sent=self.inputs * len(self.tiles),
            results=self.outputs,
            turns=len(self.tiles),
        )

    def _channel(self, slots: int) -> Requests:
        """What a channel is asked for that holds so many outputs in each bank."""
        if slots == 0:
            return NOTHING
        tiles = [self._tile(tile, at_most(slots - tile * self.kept, n)) for tile, n in self._of(slots)]
        rows = [request for tile in tiles for request in tile]
        first, last = len(tiles[0]), len(rows)  # the sums are the last request of a tile
        return Requests((open_row(self.base), *rows, close()), (first, first, last))

    def _of(self, slots: int) -> list[tuple[int, int]]:
        """(tile, outputs of the fullest bank) of the tiles that a channel has some of."""
        return [(tile, n) for tile, n in enumerate(self.tiles) if slots > tile * self.kept]

    def _tile(self, tile: int, slots: int) -> list[Request]:
        fill, mac, read = map(self.grid.command, MULTIPLY)
        rows = []
        for chunk, columns in enumerate(self.chunks):
            rows.append(run(fill, -1, 0, columns, self.grid.broadcast_gap))
            rows.append(run(mac, -1, self._start(tile, chunk), slots * columns))
        return [*rows, run(read, -1, 0, slots)]

    def wires(self, addend: bool = False) -> Wires:
        """As `mapping.layouts.Matrix`: for each tile x for all channels, and the sums of its slots."""
        x = in_columns(0, self.inputs, self.grid.width)
        tiles = [ceil_div(self.slots(channel), self.kept) for channel in range(self.grid.channels)]
        taken = [np.concatenate([none(self.grid.width), *[x] * n]) for n in tiles]
        return Wires(tuple(taken), tuple(map(self._given, range(self.grid.channels))))

    def _given(self, channel: int) -> Ints:
        """The outputs of the sums of a channel, slot by slot."""
        slots = np.arange(self.slots(channel), dtype=np.int64)[:, np.newaxis]
        outputs = (slots * self.grid.channels + channel) * self.grid.banks + np.arange(self.grid.banks)
        return np.where(outputs < self.outputs, outputs, ZERO)

    def read(self, output: int) -> Work:
        """Read one output's weights, W[output, :], over the pins (an embedding that is tied to the LM head)."""
        read = self.grid.command(self.grid.device.standard.roles.read)
        group, bank = divmod(output, self.grid.banks)
        slot, channel = divmod(group, self.grid.channels)
        tile, slot = divmod(slot, self.kept)
        rows = [
            run(read, bank, self._start(tile, chunk) + slot * columns, columns)
            for chunk, columns in enumerate(self.chunks)
        ]
        requests = [NOTHING] * self.grid.channels
        requests[channel] = Requests((*rows, close()), (0, 0, 0))
        return assemble(requests, payload=self.inputs, results=self.inputs)

    def read_wires(self, output: int) -> Wires:
        """As `mapping.layouts.Matrix`."""
        channel, row = output // self.grid.banks % self.grid.channels, in_columns(0, self.inputs, self.grid.width)
        return Wires((none(self.grid.width),) * self.grid.channels, in_one(channel, row, self.grid.channels))
