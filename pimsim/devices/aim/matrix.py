"""Weights on GDDR6-AiM: where they lie, and the program that multiplies with them.

A matrix is cut along its input into segments of one global buffer.  Each segment of each output
has a row of its own, so that each MAC_ABK opens one: WR_GB, and for each output row of a bank
WR_BIAS, MAC_ABK, RD_MAC, as `gemv` writes it.  One instruction drives all channels, so that all
run the same, also where a channel has fewer outputs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pimsim.devices.aim.products import Product, marked
from pimsim.dram.program import Request, close, run
from pimsim.mapping.grid import Grid, N, Place, ceil_div
from pimsim.mapping.stored import Stored
from pimsim.mapping.wires import ZERO, Cuts, Wires, in_one, none, widened
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
    def stored(self) -> Stored:
        """How the weights of one output are cut and packed."""
        return Stored(self.grid, self.inputs)

    @property
    def partial_sums(self) -> int:
        """Partial sums of one output that the ASIC adds up."""
        return 1 if self.in_banks else self.stored.partial_sums

    @property
    def takes_addend(self) -> bool:
        """Whether the banks add the bias."""
        return self.in_banks

    @property
    def sums(self) -> Cuts:
        """As `mapping.layouts.Matrix`."""
        return Cuts(self.stored.elements, self.in_banks)

    @property
    def slots(self) -> int:
        """Outputs that each bank has room for."""
        return ceil_div(ceil_div(self.outputs, self.grid.banks), self.grid.channels)

    @property
    def rows(self) -> int:
        """Rows that the matrix reserves in every bank."""
        return self.slots * len(self.stored.chunks)

    def _start(self, segment: N, slot: N) -> N:
        return self.base + (segment * self.slots + slot) * self.grid.device.columns

    def locate(self, output: N, element: N) -> Place[N]:
        """The address of W[output, element]."""
        group, bank = divmod(output, self.grid.banks)
        slot, channel = divmod(group, self.grid.channels)
        at = self.stored.at(element)
        segment = self.stored.chunk_of(element)
        column = at.before - self.stored.before(segment) + at.column
        return self.grid.place(channel, bank, self._start(segment, slot) + column, at.lane)

    def multiply(self, addend: bool = False, function: str = "") -> Work:
        """y = W x, or an activation function of it; addend: there is a bias."""
        product = Product(self.grid)
        rows: list[Request] = []
        chunks = self.stored.chunks
        begins = []  # of each segment
        for segment, chunk in enumerate(chunks):
            begins.append(len(rows))
            rows.append(product.fill(chunk.columns, self.grid.broadcast_gap))
            table = self.functions.index(function) if function and segment == len(chunks) - 1 else None
            for slot in range(self.slots):
                for start, columns in self._sums_at(segment, slot):
                    rows += product.sum(start, columns, table)
        first = product.FIRST_RESULT
        complete = begins[-1] + first + bool(function)
        early = first if addend or self.stored.drained else min(begins[min(1, len(begins) - 1)] + first, complete)
        parts = len(chunks)
        results = self.outputs * self.stored.partial_sums
        biases = self.outputs * (addend + parts - 1) if self.in_banks else 0
        channels, sent = self.grid.channels, self.grid.given_words(self.inputs)
        back = self.grid.sum_words(results)
        return assemble(
            [marked(rows, (complete if self.in_banks else early, complete, complete))] * channels,
            payload=sent * channels + biases + back,
            macs=self.inputs * self.outputs,
            sent=sent + biases,
            results=back,
            sums=1 if self.in_banks else max(1, parts if addend or self.stored.drained else parts - 1),
        )

    def _sums_at(self, segment: int, slot: int) -> Iterator[tuple[int, int]]:
        """(first linear column, columns) of the sums of an output in a segment: they have one row."""
        start, before = self._start(segment, slot), self.stored.before(segment)
        for part in self.stored.chunks[segment].sums:
            for n in range(part.many):
                yield start + part.before - before + n * part.columns, part.columns

    def wires(self, addend: bool = False) -> Wires:
        """As `mapping.layouts.Matrix`: a segment of x, then for each slot what its sums start from, and the sums."""
        outputs = np.arange(self.slots, dtype=np.int64)[:, np.newaxis] * self.grid.channels * self.grid.banks
        lane = np.arange(self.grid.banks, dtype=np.int64)
        own = self.inputs + self.outputs * (addend and self.in_banks)
        filled, lanes = self.stored.filled_by_chunk(), self.grid.lanes
        taken, given = [], []
        for channel in range(self.grid.channels):
            place = outputs + channel * self.grid.banks + lane
            sent, back = [], []
            for segment, chunk in enumerate(self.stored.chunks):
                sent.append(widened(filled[segment], lanes))
                begins = own if segment else self.inputs if addend else None
                there = (place < self.outputs) & (self.in_banks and begins is not None)
                many = sum(part.many for part in chunk.sums)
                sent.append(widened(np.repeat(np.where(there, (begins or 0) + place, ZERO), many, axis=0), lanes))
                number = chunk.sums[0].number * (not self.in_banks)
                sums = (number + np.arange(many))[np.newaxis, :, np.newaxis] * self.outputs
                found = np.where(place[:, np.newaxis] < self.outputs, place[:, np.newaxis] + sums, ZERO)
                back.append(found.reshape(-1, self.grid.banks))
            taken.append(np.concatenate(sent))
            given.append(np.concatenate(back))
        return Wires(tuple(taken), tuple(given), own)

    def read_wires(self, output: int) -> Wires:
        """As `mapping.layouts.Matrix`."""
        channel = output // self.grid.banks % self.grid.channels
        given = in_one(channel, self.stored.read(), self.grid.channels)
        return Wires((none(self.grid.width),) * self.grid.channels, given)

    def read(self, output: int) -> Work:
        """Read one output's weights, W[output, :], over the pins (an embedding that is tied to the LM head)."""
        read = self.grid.command(self.grid.device.standard.roles.read)
        group, bank = divmod(output, self.grid.banks)
        slot, channel = divmod(group, self.grid.channels)
        rows = [
            run(read, bank, self._start(segment, slot), sum(part.all_columns for part in chunk.sums))
            for segment, chunk in enumerate(self.stored.chunks)
        ]
        requests = [NOTHING] * self.grid.channels
        requests[channel] = Requests((*rows, close()), (0, 0, 0))
        return assemble(requests, payload=self.stored.words, results=self.stored.words)
