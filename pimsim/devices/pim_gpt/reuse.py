"""Weights on PIM-GPT where an open row serves several inputs: where they lie, and the program that multiplies.

The buffer is shared by as many inputs as a group has, and a matrix is cut along its input into chunks of what each
of them then has.  Outputs of a bank lie one after another; none crosses the end of a row, so that its row is opened
once for all inputs.  For each output: the columns of an input, the next input's, until all accumulators of the bank
are in use; then their sums are read.  The row closes before the last of them, and the next one opens as they are read.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate

import numpy as np

from pimsim.devices.pim_gpt.sharing import BEHIND, NEXT_BEHIND, NEXT_INPUT, SWAP, all_units_of
from pimsim.devices.pim_gpt.units import multiply_with
from pimsim.dram.program import Request, close, open_row, run
from pimsim.mapping.grid import Grid, N, Place, ceil_div, pieces_of
from pimsim.mapping.outputs import DealtOutputs
from pimsim.mapping.stored import Chunk, Stored, Sums
from pimsim.mapping.wires import ZERO, Wires, none
from pimsim.mapping.work import NOTHING, Ints, Requests, Work, assemble


@dataclass(frozen=True)
class Units:
    """MAC units of a bank, and the sums that all of them keep; buffers of a channel."""

    parallel: int = 1
    sums: int = 1
    buffers: int = 1


class _Ahead:
    """What fills a buffer, of which some may go ahead."""

    def __init__(self, fills: Iterable[Request]) -> None:
        self._left = deque(fills)

    def some(self, columns: int) -> Iterator[Request]:
        """The next so many columns."""
        while columns and self._left:
            op, fill, bank, first, count, *rest = self._left.popleft()
            taken = min(columns, count)
            gap, hold, _ = rest
            yield run(fill, bank, first, taken, gap, hold)
            if taken < count:
                self._left.appendleft(run(fill, bank, first + taken, count - taken, gap, hold))
            columns -= taken

    def all(self) -> Iterator[Request]:
        """What is left."""
        while self._left:
            yield self._left.popleft()


@dataclass(frozen=True)
class SharedMatrixLayout(DealtOutputs):
    """Weights of y = W x: `outputs` rows of `inputs` elements, from linear column `base`; as `MatrixLayout`, but
    chunks are of the columns that one of `group` inputs has in the buffer, or of a row.

    ValueError if the buffer has not a column for each, or a sum has more columns than a row (`fits`).
    """

    grid: Grid
    inputs: int
    outputs: int
    group: int
    units: Units = Units()
    base: int = 0

    @cached_property
    def stored(self) -> Stored:
        """How the weights of one output are cut and packed: a sum is the longest for which there is room."""
        grid = self.grid
        there = grid.filled(grid.buffer_columns) // self.group  # columns of the buffer
        for most in range(min(grid.buffer_columns // self.group, grid.device.columns), 0, -1):
            stored = Stored(replace(grid, buffer_columns=most), self.inputs)
            columns = max(part.columns for part in stored.sums)
            if columns <= grid.device.columns and grid.filled(most) <= there:
                return stored
        raise ValueError(f"no room for {self.group} inputs")

    @classmethod
    def fits(cls, grid: Grid, inputs: int, group: int) -> bool:
        """Whether a group can be as large: there is one sum for all groups of weights, which fits a row."""
        try:
            return not cls(grid, inputs, 1, group).stored.drained
        except ValueError:
            return False

    def _in_a_row(self, part: Sums) -> int:
        """Outputs that a row has of a sum."""
        return self.grid.device.columns // part.columns

    @cached_property
    def _rows(self) -> list[int]:
        """Rows before each sum, and all."""
        rows = (ceil_div(self.slots(0), self._in_a_row(part)) for part in self.stored.sums)
        return list(accumulate(rows, initial=0))

    @cached_property
    def _table(self) -> Ints:
        """Of each sum: columns of an output before it, rows before it, its outputs of a row, its columns."""
        sums = self.stored.sums
        rows = [(part.before, self._rows[i], self._in_a_row(part), part.columns) for i, part in enumerate(sums)]
        return np.array(rows, np.int64)

    def start(self, part: Sums, slot: int) -> int:
        """As `DealtOutputs`."""
        row, place = divmod(slot, self._in_a_row(part))
        return self.base + (self._rows[part.number] + row) * self.grid.device.columns + place * part.columns

    @property
    def rows(self) -> int:
        """Rows that the matrix reserves in every bank."""
        return self._rows[-1]

    def locate(self, output: N, element: N) -> Place[N]:
        """The address of W[output, element]."""
        channel, bank, slot = self.home(output)
        at = self.stored.at(element)
        part = np.searchsorted(self._table[:, 0], at.before, side="right") - 1
        _, rows, there, columns = (self._table[part, i] for i in range(4))
        if isinstance(element, int):
            rows, there, columns = int(rows), int(there), int(columns)
        lin: N = self.base + (rows + slot // there) * self.grid.device.columns + slot % there * columns + at.column
        return self.grid.place(channel, bank, lin, at.lane)

    # -- products ---------------------------------------------------------------------------

    def multiply(self, addend: bool = False, function: str = "", count: int = 1) -> Work:
        """y = W x of `count` inputs, of a group at most; addend: there is something to add to the first results."""
        assert not function and count <= self.group
        slots = [self.slots(channel) for channel in range(self.grid.channels)]
        made = {n: self._channel(n, addend, count) for n in set(slots)}
        parts, used = self.stored.parts, sum(n > 0 for n in slots)
        sent = count * self.grid.given_words(self.inputs)
        results = count * self.grid.sum_words(self.outputs * self.partial_sums)
        return assemble(
            [made[n] for n in slots],
            payload=sent * used + results,
            macs=count * self.inputs * self.outputs,
            sent=sent,
            results=results,
            sums=max(1, parts if addend else parts - 1),
        )

    def _channel(self, slots: int, addend: bool, count: int) -> Requests:
        if slots == 0:
            return NOTHING
        rows: list[Request] = []
        results, chunks = [], self.stored.chunks
        ahead = _Ahead(self._filled(chunks[0], count))
        for number, chunk in enumerate(chunks):
            (part,) = chunk.sums
            rows += [open_row(self.start(part, 0)), *ahead.all()]
            if number and self.units.buffers > 1:
                rows.append(run(self.grid.command(SWAP), -1, 0, 1))
            further = chunks[number + 1 : number + 2]
            ahead = _Ahead(
                fill for each in further for fill in self._filled(each, count, behind=self.units.buffers > 1)
            )
            product, first = self._product(part, slots, count, ahead)
            results.append(len(rows) + first)
            rows += product
        first = results[0] if addend else results[min(1, len(results) - 1)]
        return Requests((*rows, close()), (first, results[-1], results[-1]))

    def _filled(self, chunk: Chunk, count: int, behind: bool = False) -> Iterator[Request]:
        """The chunk of each input, one behind the other; behind: into the buffer that is not multiplied with."""
        fill, gap = self.grid.command(BEHIND) if behind else multiply_with(self.grid)[0], self.grid.broadcast_gap
        columns = self.grid.filled(chunk.columns)
        if self.units.sums == 1:  # nothing asks where one begins
            yield run(fill, -1, 0, columns * count, gap)
            return
        yield run(fill, -1, 0, columns, gap, hold=gap)
        for first in range(columns, columns * count, columns):
            yield run(self.grid.command(NEXT_BEHIND if behind else NEXT_INPUT), -1, first, 1, hold=gap)
            if columns > 1:
                yield run(fill, -1, first + 1, columns - 1, gap, hold=gap)

    def _product(self, part: Sums, slots: int, count: int, ahead: _Ahead) -> tuple[list[Request], int]:
        """All outputs of a chunk, row by row, and the place of the first request that reads sums.

        ahead: what fills the other buffer for the next chunk, as far as there is time while rows open.
        """
        read, batches, there = multiply_with(self.grid)[2], pieces_of(count, self.units.sums), self._in_a_row(part)
        rows = list[Request]()
        for slot in range(slots):
            lin, ends = self.start(part, slot), slot % there == there - 1 or slot == slots - 1
            for number, batch in enumerate(batches):
                rows += self._macs(lin, part.columns, batch)
                if ends and number == len(batches) - 1:
                    rows += self._closing(self.start(part, slot + 1) if slot < slots - 1 else None, batch)
                    if slot < slots - 1 and self.units.buffers > 1:
                        rows += ahead.some(self._meanwhile(batch))
                else:
                    rows.append(run(read, -1, 0, batch))
        return rows, next(place for place, row in enumerate(rows) if row[1] == read)

    def _macs(self, lin: int, columns: int, batch: int) -> Iterator[Request]:
        """The columns of an output for each input of a batch, or for as many at once as a bank has units."""
        mac = multiply_with(self.grid)[1]
        for some in pieces_of(batch, self.units.parallel):
            yield run(mac if some == 1 else self._all_units, -1, lin, columns)

    @cached_property
    def _all_units(self) -> int:
        name = self.grid.device.standard.commands[multiply_with(self.grid)[1]].name
        return self.grid.command(all_units_of(name))

    def _meanwhile(self, batch: int) -> int:
        """Columns that reach the other buffer while a row opens behind so many sums, counted from the last product."""
        device, cycles = self.grid.device, self.grid.device.cycles
        result = device.pin_clocks(device.standard.commands[multiply_with(self.grid)[2]])
        opened = max(cycles["nRTP"] + cycles["nRP"], cycles["nDRAIN"] + result)
        turned = cycles["nDRAIN"] + (batch - 1) * result + cycles["nCL"] + result + 1 - cycles["nCWL"]
        pace = max(1, self.grid.broadcast_gap, cycles["nBL"])
        return max(0, opened + cycles["nRCDRD"] - max(opened + 1, turned)) // pace

    def _closing(self, following: int | None, batch: int) -> Iterator[Request]:
        """The row closes while the last sums of it drain; the next one opens as soon as it may, as they are read."""
        read, cycles = multiply_with(self.grid)[2], self.grid.device.cycles
        device, commands = self.grid.device, self.grid.device.standard.commands
        meanwhile = (cycles["nRTP"] + cycles["nRP"] - cycles["nDRAIN"]) // device.pin_clocks(commands[read])
        before = min(batch, max(1, meanwhile))
        yield close()
        yield run(read, -1, 0, before)
        if following is not None:
            yield open_row(following)
        if batch > before:
            yield run(read, -1, 0, batch - before)

    def wires(self, addend: bool = False, count: int = 1) -> Wires:
        """As `mapping.layouts.Matrix`; of each chunk the inputs in their order, of each output the inputs' sums."""
        sizes = [self.grid.filled(chunk.columns) for chunk in self.stored.chunks]
        chunks = np.split(self.stored.filled(), np.cumsum(sizes)[:-1])
        shifts = [number * self.inputs for number in range(count)]
        x = np.concatenate([np.where(each == ZERO, ZERO, each + shift) for each in chunks for shift in shifts])
        nothing = none(self.grid.given_width)
        taken = [x if self.slots(channel) else nothing for channel in range(self.grid.channels)]
        return Wires(tuple(taken), tuple(self._given(channel, count) for channel in range(self.grid.channels)))

    def _given(self, channel: int, count: int) -> Ints:
        """Places (input, partial sum, output) of the sums of a channel: chunk by chunk, slot by slot, then inputs."""
        slots = np.arange(self.slots(channel), dtype=np.int64)[:, np.newaxis, np.newaxis]
        outputs = (slots * self.grid.channels + channel) * self.grid.banks + np.arange(self.grid.banks)
        chunks = np.arange(self.partial_sums)[:, np.newaxis, np.newaxis, np.newaxis] * self.outputs
        numbers = np.arange(count)[:, np.newaxis] * (self.outputs * self.partial_sums)
        places = np.where(outputs < self.outputs, chunks + numbers + outputs, ZERO)
        return places.reshape(-1, self.grid.banks)
