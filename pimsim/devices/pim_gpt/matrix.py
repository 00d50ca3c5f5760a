"""Weights on PIM-GPT: where they lie, and the program that multiplies with them.

A matrix is cut along its input into chunks of one global buffer.  Inside a chunk the
outputs of a bank lie one after another with no gap, so that a row is used up before it
is closed, whatever the size of the matrix.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pimsim.devices.pim_gpt.table import MULTIPLY
from pimsim.dram.program import close, loop, open_row, run
from pimsim.mapping.grid import Grid, N, Place, ceil_div, share, size_of
from pimsim.mapping.wires import ZERO, Cuts, Wires, in_columns, in_one, none
from pimsim.mapping.work import NOTHING, Ints, Requests, Work, assemble


@dataclass(frozen=True)
class MatrixLayout:
    """Weights of y = W x: `outputs` rows of `inputs` elements, from linear column `base`.

    Output o belongs to group o // banks, in bank o % banks; groups are dealt to channels
    round robin and take consecutive slots there.
    """

    grid: Grid
    inputs: int
    outputs: int
    base: int = 0

    @cached_property
    def chunks(self) -> tuple[int, ...]:
        """Columns of each chunk of the input."""
        return self.grid.buffers(self.grid.columns_of(self.inputs))

    @property
    def groups(self) -> int:
        """Outputs in sets of one per bank of a channel."""
        return ceil_div(self.outputs, self.grid.banks)

    def slots(self, channel: int) -> int:
        """Outputs that each bank of `channel` holds."""
        return share(self.groups, self.grid.channels, channel)

    def _start(self, chunk: N) -> N:
        return self.base + self.slots(0) * self.grid.buffer_columns * chunk  # all before it are full

    @property
    def partial_sums(self) -> int:
        """Partial sums of one output: one per chunk."""
        return len(self.chunks)

    @property
    def takes_addend(self) -> bool:
        """The ASIC adds the bias."""
        return False

    @property
    def sums(self) -> Cuts:
        """As `mapping.layouts.Matrix`."""
        return Cuts.of(self.inputs, self.grid.buffer_elements)

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
        column, lane = divmod(element, self.grid.width)
        chunk, column = divmod(column, self.grid.buffer_columns)
        return self.grid.place(channel, bank, self._start(chunk) + slot * size_of(self.chunks, chunk) + column, lane)

    def multiply(self, addend: bool = False, function: str = "") -> Work:
        """y = W x: for each chunk fill the buffer, then multiply slot by slot.

        addend: there is something to add to the first chunk's results (a bias).
        """
        assert not function  # of `functions`
        slots = [self.slots(channel) for channel in range(self.grid.channels)]
        made = {n: self._channel(n, addend) for n in set(slots)}
        requests = [made[n] for n in slots]
        used = sum(1 for r in requests if r.rows)
        chunks = len(self.chunks)
        results = self.outputs * chunks
        return assemble(
            requests,
            payload=self.inputs * used + results,
            macs=self.inputs * self.outputs,
            sent=self.inputs,
            results=results,
            sums=max(1, chunks if addend else chunks - 1),
        )

    def wires(self, addend: bool = False) -> Wires:
        """As `mapping.layouts.Matrix`: a buffer of x for all channels, and the sums of its slots."""
        x = in_columns(0, self.inputs, self.grid.width)
        taken = [x if self.slots(channel) else none(self.grid.width) for channel in range(self.grid.channels)]
        return Wires(tuple(taken), tuple(map(self._given, range(self.grid.channels))))

    def _given(self, channel: int) -> Ints:
        """Places (partial sum, output) of the sums of a channel, chunk by chunk and slot by slot."""
        slots = np.arange(self.slots(channel), dtype=np.int64)[:, np.newaxis]
        outputs = (slots * self.grid.channels + channel) * self.grid.banks + np.arange(self.grid.banks)
        chunks = np.arange(len(self.chunks))[:, np.newaxis, np.newaxis] * self.outputs
        places = np.where(outputs < self.outputs, chunks + outputs, ZERO)
        return places.reshape(-1, self.grid.banks)

    def read_wires(self, output: int) -> Wires:
        """As `mapping.layouts.Matrix`."""
        channel, row = output // self.grid.banks % self.grid.channels, in_columns(0, self.inputs, self.grid.width)
        return Wires((none(self.grid.width),) * self.grid.channels, in_one(channel, row, self.grid.channels))

    def read(self, output: int) -> Work:
        """Read one output's weights, W[output, :], over the pins (an embedding that is tied to the LM head)."""
        read = self.grid.command("RD")
        group, bank = divmod(output, self.grid.banks)
        slot, channel = divmod(group, self.grid.channels)
        rows = [
            run(read, bank, self._start(chunk) + slot * columns, columns) for chunk, columns in enumerate(self.chunks)
        ]
        requests = [NOTHING] * self.grid.channels
        requests[channel] = Requests((*rows, close()), (0, 0, 0))
        return assemble(requests, payload=self.inputs, results=self.inputs)

    def _channel(self, slots: int, addend: bool) -> Requests:
        if slots == 0:
            return NOTHING
        fill, mac, read = map(self.grid.command, MULTIPLY)
        requests = [open_row(self.base)]
        for chunk, columns in enumerate(self.chunks):
            requests.append(run(fill, -1, 0, columns, self.grid.broadcast_gap))
            requests.append(loop(mac, self._start(chunk), slots, columns, columns, read))
        first, last = 2, 2 * len(self.chunks)
        return Requests((*requests, close()), (first if addend else min(first + 2, last), last, last))
