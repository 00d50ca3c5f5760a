"""Weights on GDDR6-AiM: where they lie, and the program that multiplies with them.

A matrix is cut along its input into segments of one global buffer.  Each segment of each output
has a row of its own, so that each MAC_ABK opens one: WR_GB, and for each output row of a bank
WR_BIAS, MAC_ABK, RD_MAC, as `gemv` writes it.  One instruction drives all channels, so that all
run the same, also where a channel has fewer outputs.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pimsim.devices.aim.products import Product, marked
from pimsim.dram.program import Request, close, run
from pimsim.mapping.grid import Grid, N, Place, ceil_div
from pimsim.mapping.wires import ZERO, Cuts, Wires, in_columns, in_one, none, widened
from pimsim.mapping.work import NOTHING, Requests, Work, assemble


@dataclass(frozen=True)
class MatrixLayout:
    """Weights of y = W x: `outputs` rows of `inputs` elements, from linear column `base`.

    Output o belongs to group o // banks, in bank o % banks; groups are dealt to channels
    round robin and take consecutive slots there.

    in_banks   the accumulators add up partial sums and the bias: WR_BIAS writes what there is so far
    functions  activation functions that may follow in the banks, by the operator's name
    """

    grid: Grid
    inputs: int
    outputs: int
    base: int = 0
    in_banks: bool = True
    functions: tuple[str, ...] = ()

    @cached_property
    def segments(self) -> tuple[int, ...]:
        """Columns of each segment of the input."""
        return self.grid.buffers(self.grid.columns_of(self.inputs))

    @property
    def partial_sums(self) -> int:
        """Partial sums of one output that the ASIC adds up."""
        return 1 if self.in_banks else len(self.segments)

    @property
    def takes_addend(self) -> bool:
        """Whether the banks add the bias."""
        return self.in_banks

    @property
    def sums(self) -> Cuts:
        """As `mapping.layouts.Matrix`."""
        return Cuts.of(self.inputs, self.grid.buffer_elements, self.in_banks)

    @property
    def slots(self) -> int:
        """Outputs that each bank has room for."""
        return ceil_div(ceil_div(self.outputs, self.grid.banks), self.grid.channels)

    @property
    def rows(self) -> int:
        """Rows that the matrix reserves in every bank."""
        return self.slots * len(self.segments)

    def _start(self, segment: N, slot: N) -> N:
        return self.base + (segment * self.slots + slot) * self.grid.device.columns

    def locate(self, output: N, element: N) -> Place[N]:
        """The address of W[output, element]."""
        group, bank = divmod(output, self.grid.banks)
        slot, channel = divmod(group, self.grid.channels)
        column, lane = divmod(element, self.grid.width)
        segment, column = divmod(column, self.grid.buffer_columns)
        return self.grid.place(channel, bank, self._start(segment, slot) + column, lane)

    def multiply(self, addend: bool = False, function: str = "") -> Work:
        """y = W x, or an activation function of it; addend: there is a bias."""
        product = Product(self.grid)
        rows: list[Request] = []
        last = len(self.segments) - 1
        for segment, columns in enumerate(self.segments):
            rows.append(product.fill(columns, self.grid.broadcast_gap))
            for slot in range(self.slots):
                table = self.functions.index(function) if function and segment == last else None
                rows += product.sum(self._start(segment, slot), columns, table)
        segments, first = len(self.segments), product.FIRST_RESULT
        one = 1 + self.slots * product.OF_A_SUM  # requests of a segment
        complete = (segments - 1) * one + first + bool(function)
        partial = complete if self.in_banks else first if addend else min(one + first, complete)
        results = self.outputs * segments
        biases = self.outputs * (addend + segments - 1) if self.in_banks else 0
        channels = self.grid.channels
        return assemble(
            [marked(rows, (partial, complete, complete))] * channels,
            payload=self.inputs * channels + biases + results,
            macs=self.inputs * self.outputs,
            sent=self.inputs + biases,
            results=results,
            sums=1 if self.in_banks else max(1, segments if addend else segments - 1),
        )

    def wires(self, addend: bool = False) -> Wires:
        """As `mapping.layouts.Matrix`: a segment of x, then for each slot what its sums start from, and the sums."""
        outputs = np.arange(self.slots, dtype=np.int64)[:, np.newaxis] * self.grid.channels * self.grid.banks
        lane = np.arange(self.grid.banks, dtype=np.int64)
        own = self.inputs + self.outputs * (addend and self.in_banks)
        taken, given = [], []
        for channel in range(self.grid.channels):
            place = outputs + channel * self.grid.banks + lane
            sent, back = [], []
            for segment in range(len(self.segments)):
                first = segment * self.grid.buffer_elements
                elements = min(self.inputs - first, self.grid.buffer_elements)
                sent.append(in_columns(first, elements, self.grid.width, lanes=self.grid.lanes))
                begins = own if segment else self.inputs if addend else None
                there = (place < self.outputs) & (self.in_banks and begins is not None)
                sent.append(widened(np.where(there, (begins or 0) + place, ZERO), self.grid.lanes))
                back.append(np.where(place < self.outputs, place + self.outputs * segment * (not self.in_banks), ZERO))
            taken.append(np.concatenate(sent))
            given.append(np.concatenate(back))
        return Wires(tuple(taken), tuple(given), own)

    def read_wires(self, output: int) -> Wires:
        """As `mapping.layouts.Matrix`."""
        channel, row = output // self.grid.banks % self.grid.channels, in_columns(0, self.inputs, self.grid.width)
        return Wires((none(self.grid.width),) * self.grid.channels, in_one(channel, row, self.grid.channels))

    def read(self, output: int) -> Work:
        """Read one output's weights, W[output, :], over the pins (an embedding that is tied to the LM head)."""
        read = self.grid.command(self.grid.device.standard.roles.read)
        group, bank = divmod(output, self.grid.banks)
        slot, channel = divmod(group, self.grid.channels)
        rows = [run(read, bank, self._start(segment, slot), columns) for segment, columns in enumerate(self.segments)]
        requests = [NOTHING] * self.grid.channels
        requests[channel] = Requests((*rows, close()), (0, 0, 0))
        return assemble(requests, payload=self.inputs, results=self.inputs)
