"""Where every weight, key and value lives, and the programs that use them.

All channels and all banks use the same rows for the same matrix, so that a channel's
banks multiply in lock step.  A region is a run of linear columns (row * columns +
column) that every bank reserves; it starts on a row boundary.

A matrix is cut along its input into chunks of one global buffer.  Inside a chunk the
outputs of a bank lie one after another with no gap, so that a row is used up before it
is closed, whatever the size of the matrix.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pimsim.dram.program import Program, Request, bank_order, close, loop, open_row, program, run, scatter
from pimsim.dram.timing import ELEMENT_BYTES, Device

Spans = NDArray[np.int64]


@dataclass(frozen=True)
class Place:
    """The address of one element: lane counts BF16 elements inside the column."""

    channel: int
    bank: int
    row: int
    column: int
    lane: int


@dataclass(frozen=True)
class Grid:
    """The memory as the mapping sees it.

    buffer_columns: columns of the global buffer; broadcast_gap and private_gap: clocks
    between two columns that the ASIC can supply to all channels alike, or to each its own.
    """

    device: Device
    buffer_columns: int
    broadcast_gap: int = 0
    private_gap: int = 0

    @property
    def channels(self) -> int:
        return self.device.channels

    @property
    def banks(self) -> int:
        return self.device.banks

    @property
    def width(self) -> int:
        """Elements of a column."""
        return self.device.column_elements

    @property
    def buffer_elements(self) -> int:
        """Elements of the global buffer."""
        return self.buffer_columns * self.width

    def command(self, name: str) -> int:
        """The number of a command of the device."""
        return self.device.standard.index(name)

    def columns_of(self, elements: int) -> int:
        """Columns that hold `elements`."""
        return ceil_div(elements, self.width)

    def buffers(self, columns: int) -> tuple[int, ...]:
        """`columns` cut into global buffers: all full but the last."""
        full, rest = divmod(columns, self.buffer_columns)
        return (self.buffer_columns,) * full + ((rest,) if rest else ())

    def rows_of(self, columns: int) -> int:
        """Rows of a bank that hold `columns`."""
        return ceil_div(columns, self.device.columns)

    def place(self, channel: int, bank: int, lin: int, lane: int) -> Place:
        """The address of a linear column."""
        return Place(channel, bank, lin // self.device.columns, lin % self.device.columns, lane)


@dataclass(frozen=True, eq=False)
class Work:
    """One PIM instruction: a program, the rows of it that each channel runs, and what it moves.

    payload counts elements (not bytes) that cross the pins and mean something; macs the
    multiply-accumulates that mean something; sent the elements that the ASIC reads from its
    SRAM for it (what goes to many channels at once, once), results the elements that come back.
    marks (channels, 3): the rows of a channel's program, from 0, whose first data are the
    first partial sums that there is something to add to, the first complete results, and the
    first of the last part of the results (-1: there are none).  Partial sums arrive in `sums`
    equal parts, complete results in `turns`, all but the last one evenly before the third mark.
    """

    program: Program
    spans: Spans
    marks: Spans
    payload: int = 0
    macs: int = 0
    sent: int = 0
    results: int = 0
    sums: int = 1
    turns: int = 1

    @property
    def buffered(self) -> int:
        """Elements that the ASIC's SRAM gives or takes."""
        return self.sent + self.results

    @property
    def operations(self) -> tuple[int, int, int]:
        """On the ASIC, as `Cost.operations`: its SRAM gives what is sent and takes what comes back."""
        return 0, 0, self.buffered * ELEMENT_BYTES


def ceil_div(a: int, b: int) -> int:
    """a / b rounded up, for whole numbers."""
    return -(-a // b)


def share(total: int, parts: int, part: int) -> int:
    """How many of `total` dealt round robin to `parts` go to `part`."""
    return (total - part + parts - 1) // parts


@dataclass(frozen=True)
class Requests:
    """What one channel is asked for, and which of the requests are marked (see `Work.marks`)."""

    rows: tuple[Request, ...] = ()
    marks: tuple[int, int, int] = (-1, -1, -1)


NOTHING = Requests()


def assemble(requests: Sequence[Requests], **moved: int) -> Work:
    """Work from the requests of each channel; channels with equal ones share rows."""
    rows: list[Request] = []
    known: dict[Requests, tuple[int, int]] = {}
    spans = []
    for wanted in requests:
        if wanted not in known:
            known[wanted] = (len(rows), len(rows) + len(wanted.rows))
            rows.extend(wanted.rows)
        spans.append(known[wanted])
    marks = np.array([wanted.marks for wanted in requests], np.int64)
    return Work(program(rows), np.array(spans, np.int64), marks, **moved)


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

    def _start(self, chunk: int) -> int:
        return self.base + self.slots(0) * sum(self.chunks[:chunk])

    @property
    def rows(self) -> int:
        """Rows that the matrix reserves in every bank."""
        return self.grid.rows_of(self.slots(0) * sum(self.chunks))

    def locate(self, output: int, element: int) -> Place:
        """The address of W[output, element]."""
        group, bank = divmod(output, self.grid.banks)
        slot, channel = divmod(group, self.grid.channels)
        column, lane = divmod(element, self.grid.width)
        chunk, column = divmod(column, self.grid.buffer_columns)
        return self.grid.place(channel, bank, self._start(chunk) + slot * self.chunks[chunk] + column, lane)

    def multiply(self, addend: bool = False) -> Work:
        """y = W x: for each chunk fill the buffer, then multiply slot by slot.

        addend: there is something to add to the first chunk's results (a bias).
        """
        requests = [self._channel(channel, addend) for channel in range(self.grid.channels)]
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

    def _channel(self, channel: int, addend: bool) -> Requests:
        slots = self.slots(channel)
        if slots == 0:
            return NOTHING
        fill, mac, read = map(self.grid.command, ("WRGB", "MACAB", "RDMAC"))
        requests = [open_row(self.base)]
        for chunk, columns in enumerate(self.chunks):
            requests.append(run(fill, -1, 0, columns, self.grid.broadcast_gap))
            requests.append(loop(mac, self._start(chunk), slots, columns, columns, read))
        first, last = 2, 2 * len(self.chunks)
        return Requests((*requests, close()), (first if addend else min(first + 2, last), last, last))


@dataclass(frozen=True)
class KeyLayout:
    """K, row-major: one token's keys of all heads lie in one bank, in space for `tokens`.

    Tokens in sets of one per bank are dealt to channels round robin.  A chunk holds as
    many whole heads as the buffer does (a head larger than the buffer is cut).  Chunks of
    one token go to different banks, so that appending it overlaps their activations.
    """

    grid: Grid
    heads: int
    kv_heads: int
    head_dim: int
    tokens: int
    base: int = 0

    @cached_property
    def chunks(self) -> tuple[tuple[int, int], ...]:
        """(pieces, columns of a piece) of each chunk; a piece is a head or a part of one."""
        head = self.grid.columns_of(self.head_dim)
        room = self.grid.buffer_columns
        if head > room:
            return tuple((1, columns) for columns in self.grid.buffers(head)) * self.kv_heads
        full, rest = divmod(self.kv_heads, room // head)
        return ((room // head, head),) * full + (((rest, head),) if rest else ())

    @property
    def cuts(self) -> int:
        """Pieces that one head is cut into."""
        return len(self.grid.buffers(self.grid.columns_of(self.head_dim)))

    def _columns(self, chunk: int) -> int:
        pieces, columns = self.chunks[chunk]
        return pieces * columns

    @property
    def slots(self) -> int:
        """Tokens that each bank of the fullest channel has room for."""
        return ceil_div(ceil_div(self.tokens, self.grid.banks), self.grid.channels)

    @property
    def token_columns(self) -> int:
        """Columns that one token's keys take."""
        return sum(self._columns(chunk) for chunk in range(len(self.chunks)))

    @property
    def rows(self) -> int:
        """Rows that the keys reserve in every bank."""
        return self.grid.rows_of(self.slots * self.token_columns)

    def _start(self, chunk: int) -> int:
        return self.base + self.slots * sum(self._columns(c) for c in range(chunk))

    def _home(self, token: int, chunk: int) -> tuple[int, int, int]:
        """(channel, bank, linear column) where `token`'s keys of `chunk` start."""
        group, member = divmod(token, self.grid.banks)
        slot, channel = divmod(group, self.grid.channels)
        return channel, (member + chunk) % self.grid.banks, self._start(chunk) + slot * self._columns(chunk)

    def locate(self, token: int, head: int, element: int) -> Place:
        """The address of K[token, head, element]; heads are counted among the K heads."""
        column, lane = divmod(element, self.grid.width)
        if self.cuts > 1:
            cut, column = divmod(column, self.grid.buffer_columns)
            chunk, offset = head * self.cuts + cut, column
        else:
            per_chunk, columns = self.chunks[0]
            chunk, piece = divmod(head, per_chunk)
            offset = piece * columns + column
        channel, bank, lin = self._home(token, chunk)
        return self.grid.place(channel, bank, lin + offset, lane)

    def score(self, context: int) -> Work:
        """q K^T over the first `context` tokens: one result per token, head and cut."""
        return self.score_of(self.score_groups(ceil_div(context, self.grid.banks)), context)

    def score_groups(self, groups: int) -> Work:
        """The program of `score`, which is the same for all contexts of as many groups of tokens."""
        requests = [self._channel(share(groups, self.grid.channels, c)) for c in range(self.grid.channels)]
        if self.cuts == 1:
            return assemble(requests)
        return assemble(requests, sums=self.kv_heads * (self.cuts - 1), turns=self.kv_heads)

    def score_of(self, groups: Work, context: int) -> Work:
        """`score` from its program."""
        results = self.heads * self.cuts * context
        used = min(self.grid.channels, ceil_div(context, self.grid.banks))
        return replace(
            groups,
            payload=self.heads * self.head_dim * used + results,
            macs=self.heads * self.head_dim * context,
            sent=self.heads * self.head_dim,
            results=results,
        )

    def _channel(self, slots: int) -> Requests:
        if slots == 0:
            return NOTHING
        fill, mac, read = map(self.grid.command, ("WRGB", "MACAB", "RDMAC"))
        requests = [open_row(self.base)]
        for chunk, (pieces, columns) in enumerate(self.chunks):
            for _ in range(self.heads // self.kv_heads):  # query heads that share these keys
                requests.append(run(fill, -1, 0, pieces * columns, self.grid.broadcast_gap))
                requests.append(loop(mac, self._start(chunk), slots * pieces, columns, columns, read))
        if self.cuts == 1:
            return Requests((*requests, close()), (2, 2, 2))
        rows = 2 * (self.heads // self.kv_heads)  # of a cut
        marks = (2 + rows, 2 + (self.cuts - 1) * rows, 2 + (len(self.chunks) - 1) * rows)
        return Requests((*requests, close()), marks)

    def append(self, token: int) -> Work:
        """Write one token's keys: a run of consecutive columns per chunk."""
        write = self.grid.command("WR")
        rows: list[Request] = []
        chunks = range(len(self.chunks))
        for first in range(0, len(self.chunks), self.grid.banks):
            some = chunks[first : first + self.grid.banks]
            homes = [(self._home(token, chunk), self._columns(chunk)) for chunk in some]
            rows += [open_row(lin, bank) for (_, bank, lin), _ in homes]
            rows += [run(write, bank, lin, n, self.grid.broadcast_gap) for (_, bank, lin), n in homes]
        requests = [NOTHING] * self.grid.channels
        requests[self._home(token, 0)[0]] = Requests((*rows, close()))
        elements = self.kv_heads * self.head_dim
        return assemble(requests, payload=elements, sent=elements)


@dataclass(frozen=True)
class ValueLayout:
    """V, column-major: each (head, dimension) is a run of tokens in one bank.

    A unit is one dimension per bank, all of one head, since a channel multiplies with the
    probabilities of one head at a time.  Units go to channels in contiguous shares, so that
    a channel meets few heads.  Tokens are cut into chunks of one global buffer.
    """

    grid: Grid
    heads: int
    kv_heads: int
    head_dim: int
    tokens: int
    base: int = 0
    all_bank_append: bool = False

    @property
    def units_per_head(self) -> int:
        return ceil_div(self.head_dim, self.grid.banks)

    @property
    def units(self) -> int:
        return self.kv_heads * self.units_per_head

    def _first(self, channel: int) -> int:
        return self.units * channel // self.grid.channels

    @cached_property
    def slots(self) -> int:
        """Units of the fullest channel."""
        return max(self._first(c + 1) - self._first(c) for c in range(self.grid.channels))

    @cached_property
    def chunks(self) -> tuple[int, ...]:
        """Columns that a unit reserves in each chunk of tokens."""
        return self.grid.buffers(self.grid.columns_of(self.tokens))

    @property
    def rows(self) -> int:
        """Rows that the values reserve in every bank."""
        return self.grid.rows_of(self.slots * sum(self.chunks))

    def _start(self, chunk: int) -> int:
        return self.base + self.slots * sum(self.chunks[:chunk])

    def locate(self, token: int, head: int, element: int) -> Place:
        """The address of V[token, head, element]; heads are counted among the V heads."""
        part, bank = divmod(element, self.grid.banks)
        unit = head * self.units_per_head + part
        channel = next(c for c in range(self.grid.channels) if unit < self._first(c + 1))
        column, lane = divmod(token, self.grid.width)
        chunk, column = divmod(column, self.grid.buffer_columns)
        lin = self._start(chunk) + (unit - self._first(channel)) * self.chunks[chunk] + column
        return self.grid.place(channel, bank, lin, lane)

    def _heads_of(self, channel: int) -> list[tuple[int, int]]:
        """(first slot, units) of each head that `channel` holds a part of."""
        first, last = self._first(channel), self._first(channel + 1)
        parts = []
        while first < last:
            stop = min(last, (first // self.units_per_head + 1) * self.units_per_head)
            parts.append((first - self._first(channel), stop - first))
            first = stop
        return parts

    def weigh(self, context: int) -> Work:
        """p V over the first `context` tokens: one result per dimension and chunk of tokens."""
        return self.weigh_of(self.weigh_columns(self.grid.columns_of(context)), context)

    def weigh_columns(self, columns: int) -> Work:
        """The program of `weigh`, which is the same for all contexts of as many columns."""
        used = self.grid.buffers(columns)
        requests = [self._channel(channel, used) for channel in range(self.grid.channels)]
        return assemble(requests, sums=max(1, len(used) - 1))

    def weigh_of(self, columns: Work, context: int) -> Work:
        """`weigh` from its program."""
        sent = self.heads // self.kv_heads * context * self._head_parts
        results = self.heads * self.head_dim * len(self.grid.buffers(self.grid.columns_of(context)))
        macs = self.heads * self.head_dim * context
        return replace(columns, payload=sent + results, macs=macs, sent=sent, results=results)

    @cached_property
    def _head_parts(self) -> int:
        """Heads that each channel holds a part of, summed over channels."""
        return sum(len(self._heads_of(c)) for c in range(self.grid.channels))

    def _channel(self, channel: int, used: tuple[int, ...]) -> Requests:
        parts = self._heads_of(channel)
        if not parts:
            return NOTHING
        fill, mac, read = map(self.grid.command, ("WRGB", "MACAB", "RDMAC"))
        requests = [open_row(self.base)]
        for chunk, columns in enumerate(used):
            for slot, units in parts:
                lin = self._start(chunk) + slot * self.chunks[chunk]
                for _ in range(self.heads // self.kv_heads):
                    requests.append(run(fill, -1, 0, columns, self.grid.private_gap))
                    requests.append(loop(mac, lin, units, self.chunks[chunk], columns, read))
        rows = 2 * len(parts) * (self.heads // self.kv_heads)  # of a chunk
        last = 2 + (len(used) - 1) * rows
        return Requests((*requests, close()), (min(2 + rows, last), last, last))

    def append(self, token: int) -> Work:
        """Write one token's values: one element of one row per dimension."""
        chunk, column = divmod(token // self.grid.width, self.grid.buffer_columns)
        requests: list[Requests] = []
        for channel in range(self.grid.channels):
            units = self._first(channel + 1) - self._first(channel)
            lin = self._start(chunk) + column
            requests.append(Requests(tuple(self._write(units, lin, self.chunks[chunk]))) if units else NOTHING)
        elements = self.kv_heads * self.head_dim
        return assemble(requests, payload=elements, sent=elements)

    def _write(self, units: int, lin: int, stride: int) -> list[Request]:
        write = self.grid.command("WR")
        if not self.all_bank_append:
            return [scatter(write, lin, units, stride, *self._lead())]
        requests = []
        for unit in range(units):
            at = lin + unit * stride
            requests.append(open_row(at))
            requests += [run(write, bank, at, 1) for bank in interleaved_banks(self.grid.device)]
            requests.append(close())
        return requests

    def _lead(self) -> tuple[int, int]:
        """How many banks ahead to open, and behind to close, so that activations set the pace.

        A bank closes before its turn comes again, so that no element's row is closed before it is written.
        """
        cycles = self.grid.device.cycles
        pace = max(cycles["nRRDS"], ceil_div(cycles["nFAW"], 4), 1)
        ahead = min(ceil_div(cycles["nRCDWR"], pace), self.grid.banks - 1)
        recover = cycles["nCWL"] + cycles["nBL"] + cycles["nWR"]
        return ahead, min(ahead + ceil_div(recover, pace), self.grid.banks - 1)


@dataclass(frozen=True)
class VectorLayout:
    """A plain vector (biases, gains, an embedding row, a spilled operand).

    Columns are dealt to channels round robin; inside a channel they fill one bank's row,
    then the next bank's.
    """

    grid: Grid
    elements: int
    base: int = 0

    @property
    def slots(self) -> int:
        """Columns of the fullest channel."""
        return share(self.grid.columns_of(self.elements), self.grid.channels, 0)

    @property
    def rows(self) -> int:
        """Rows that the vector reserves in every bank."""
        return ceil_div(self.slots, self.grid.device.columns * self.grid.banks)

    def _home(self, slot: int) -> tuple[int, int]:
        """(bank, linear column) of a channel's slot-th column."""
        columns, banks = self.grid.device.columns, self.grid.banks
        row, rest = divmod(slot, columns * banks)
        device = self.grid.device
        bank = bank_order(rest // columns, device.bank_groups, device.banks_per_group)
        return bank, self.base + row * columns + rest % columns

    def locate(self, element: int) -> Place:
        """The address of one element."""
        column, lane = divmod(element, self.grid.width)
        slot, channel = divmod(column, self.grid.channels)
        bank, lin = self._home(slot)
        return self.grid.place(channel, bank, lin, lane)

    def move(self, command: str, first: int = 0, elements: int | None = None) -> Work:
        """Read ("RD") or write ("WR") `elements` (default: all) from element `first`."""
        count = self.elements if elements is None else elements
        begin, end = first // self.grid.width, self.grid.columns_of(first + count)
        channels = range(self.grid.channels)
        spans = [(share(begin, len(channels), c), share(end, len(channels), c)) for c in channels]
        marks = (0, 0, 0) if command == "RD" else NOTHING.marks
        runs = {
            span: Requests(tuple(self._runs(self.grid.command(command), *span)), marks)
            if span[0] < span[1]
            else NOTHING
            for span in dict.fromkeys(spans)
        }
        moved = {"results": count} if command == "RD" else {"sent": count}
        return assemble([runs[span] for span in spans], payload=count, **moved)

    def _runs(self, command: int, low: int, high: int) -> list[Request]:
        requests = []
        while low < high:
            n = min(high - low, self.grid.device.columns - low % self.grid.device.columns)
            bank, lin = self._home(low)
            requests.append(run(command, bank, lin, n, self.grid.private_gap))
            low += n
        return [*requests, close()]


def interleaved_banks(device: Device) -> list[int]:
    """All banks of a channel, bank groups alternating."""
    return [bank_order(k, device.bank_groups, device.banks_per_group) for k in range(device.banks)]


def make_grid(device: Device, buffer_bytes: int, broadcast_gap: int = 0, private_gap: int = 0) -> Grid:
    """The grid of a device with a global buffer of `buffer_bytes`."""
    return Grid(device, buffer_bytes // device.column_bytes, broadcast_gap, private_gap)
