"""Does a command log compute what it should?  A reader of the log alone, for PIM-GPT's device.

It knows what the manual says of the commands (docs/mapping.md): WRGB writes one column of
the global buffer, MACAB multiplies a column of every bank with the buffer's and adds to the
accumulators, RDMAC reads and clears them, WR writes a column of one bank.  And it knows where
everything lies: the memory map, and `locate` of each layout.  It does not know how the planner
makes requests of a layout, nor any rule of timing but three: when written data is there, when
a column of the array can be read after it, and when a sum is in the accumulator.

For each channel the products come in the order of the graph, but which one a command belongs
to is read from its address.  What is checked:

- the buffer has each column that a MACAB takes, from the fill that belongs to its product;
- every column of a product is read exactly once, by addresses from `locate`;
- every sum is read once, complete, after its drain, and before the next one begins;
- every matrix is multiplied as often as there are vectors for it, K and V once per token;
- K and V have been written by then, each column as often as tokens were put into it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from functools import cache

from pimsim.config.schema import Config
from pimsim.devices.pim_gpt.attention import KeyLayout, ValueLayout
from pimsim.devices.pim_gpt.matrix import MatrixLayout
from pimsim.devices.pim_gpt.tokens import TokenValueLayout
from pimsim.devices.plan import compile_plan
from pimsim.logs.log import CommandLog
from pimsim.mapping.caches import cache_name
from pimsim.mapping.plan import Plan
from pimsim.workload.ops import Operator


@dataclass(frozen=True)
class Column:
    """A column of a product: the sum that it adds to, the column of the buffer that it is multiplied with.

    writes: for K and V, how often it must have been written in which banks.
    """

    sum: Hashable
    buffer: int
    writes: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Part:
    """What one fill of the buffer is for: each linear column (from the region's base) that must be read, once.

    last: no other part of its product comes after it.
    """

    columns: dict[int, Column]
    last: bool = False

    @property
    def buffer(self) -> set[int]:
        return {column.buffer for column in self.columns.values()}

    def of_sum(self, wanted: Hashable) -> set[int]:
        return {lin for lin, column in self.columns.items() if column.sum == wanted}


@dataclass(frozen=True)
class Region:
    """Rows of every bank that hold one copy of one layout."""

    name: str
    copy: int
    base: int  # linear column


class Map:
    """The memory map of a configuration, read from its layouts."""

    def __init__(self, config: Config) -> None:
        self.plan: Plan = compile_plan(config)
        self.device = self.plan.device
        self.columns = self.device.columns
        self.width = self.device.column_elements
        memory = self.plan.memory
        self.owner: dict[int, Region] = {}
        for name, region in memory.regions.items():
            for copy, base in enumerate(region.bases):
                for row in range(region.rows):
                    self.owner[base // self.columns + row] = Region(name, copy, base)
        self.keys: dict[str, tuple[KeyLayout, Operator]] = {}
        self.values: dict[str, tuple[ValueLayout | TokenValueLayout, Operator]] = {}
        for operator in self.plan.workload.operators:
            if operator.op == "attention":
                for s in range(config.workload.batch):
                    self.keys[cache_name("keys", operator, s)] = (memory.keys[operator.name], operator)
                    self.values[cache_name("values", operator, s)] = (memory.values[operator.name], operator)
        self.matrices: dict[str, MatrixLayout] = memory.matrices
        self.buffer_columns = config.pim.global_buffer_bytes // config.dram.column_bytes
        self.part_of = cache(self._part_of)

    def products(self, region: Region, channel: int) -> Iterator[Part]:
        """What a channel has to do for the products of a region, one after another, without end."""
        if region.name in self.matrices:
            parts = self.part_of("matrix", region.name, channel)
            while parts:
                yield from parts
        kind = "keys" if region.name in self.keys else "values" if region.name in self.values else ""
        n = 0
        while kind:
            n += 1
            parts = self.part_of(kind, region.name, channel, n)
            if not parts and n > self.device.banks * self.device.channels:
                return  # a window that never reaches this channel
            yield from parts

    def _part_of(self, kind: str, name: str, channel: int, n: int = 0) -> tuple[Part, ...]:
        parts = {"matrix": self._matrix, "keys": self._keys, "values": self._values}[kind](name, channel, n)
        return tuple(Part(columns, last=k == len(parts) - 1) for k, columns in enumerate(parts))

    def _matrix(self, name: str, channel: int, _: int) -> list[dict[int, Column]]:
        """Chunk by chunk of the input, one sum per output of a bank."""
        layout = self.matrices[name]
        parts: dict[int, dict[int, Column]] = defaultdict(dict)
        for output in range(layout.outputs):
            if layout.locate(output, 0).channel != channel:
                continue
            for column in range(-(-layout.inputs // self.width)):
                place = layout.locate(output, column * self.width)
                assert (place.channel, place.bank, place.lane) == (channel, output % self.device.banks, 0)
                chunk, buffer = divmod(column, self.buffer_columns)
                lin = place.row * self.columns + place.column
                found = Column((chunk, output // self.device.banks), buffer)
                assert parts[chunk].setdefault(lin, found) == found  # the banks work in lock step
        return [parts[chunk] for chunk in sorted(parts)]

    def _keys(self, name: str, channel: int, n: int) -> list[dict[int, Column]]:
        """As many heads as the buffer holds (or a part of one), once for each query head that shares them."""
        layout, operator = self.keys[name]
        tokens = min(n, operator.window or n)
        head_columns = -(-operator.head_dim // self.width)
        heads = max(1, self.buffer_columns // head_columns)
        cuts = -(-head_columns // self.buffer_columns)
        parts: dict[int, dict[int, Column]] = defaultdict(dict)
        writes: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
        for token in range(tokens):
            if layout.locate(token, 0, 0).channel != channel:
                continue
            written = written_times(token, n, operator.window)
            for head in range(operator.kv_heads):
                for column in range(head_columns):
                    place = layout.locate(token, head, column * self.width)
                    cut, rest = divmod(column, self.buffer_columns)
                    chunk = head * cuts + cut if cuts > 1 else head // heads
                    buffer = rest if cuts > 1 else head % heads * head_columns + column
                    lin = place.row * self.columns + place.column
                    parts[chunk][lin] = Column((token // self.device.banks, head, cut), buffer)
                    writes[chunk, lin].append((place.bank, written))
        for (chunk, lin), needed in writes.items():
            column_of = parts[chunk][lin]
            parts[chunk][lin] = Column(column_of.sum, column_of.buffer, tuple(needed))
        sharing = operator.heads // operator.kv_heads
        if cuts > 1 and self._by_heads(operator, n):  # a query head after another, each with all its pieces
            of_heads = [
                [parts[chunk] for chunk in sorted(parts) if chunk // cuts == k] for k in range(operator.kv_heads)
            ]
            return [part for pieces in of_heads for _ in range(sharing) for part in pieces]
        return [parts[chunk] for chunk in sorted(parts) for _ in range(sharing)]

    def _by_heads(self, operator: Operator, n: int) -> bool:
        """Whether the attention of the n-th token goes by heads: not where its scores have to be spilled."""
        if self.plan.config.mapping.attention != "per_head":
            return False
        operand = next(o for o in self.plan.operands if o.name == operator.name)
        return operand.spilled(n, self.plan.batch, 1, self.plan.memory.room) == 0

    def _turn(self, operator: Operator, layout: ValueLayout | TokenValueLayout, head: int) -> int:
        """When the turn of a head of V comes: channels that have different heads go through theirs side by side."""
        if layout.split == "tokens":
            return head // max(1, self.buffer_columns // -(-operator.head_dim // self.width))
        owners = Counter(
            channel
            for each in range(operator.kv_heads)
            for channel in {layout.locate(0, each, element).channel for element in range(operator.head_dim)}
        )
        return head % max(owners.values())

    def _values(self, name: str, channel: int, n: int) -> list[dict[int, Column]]:
        """Chunk by chunk of the tokens that a channel has, head by head, once for each query head that shares it."""
        layout, operator = self.values[name]
        tokens = min(n, operator.window or n)
        parts: dict[tuple[int, int], dict[int, Column]] = defaultdict(dict)
        writes: dict[tuple[int, int, int], list[tuple[int, int]]] = defaultdict(list)
        for head in range(operator.kv_heads):
            for element in range(operator.head_dim):
                columns = range(-(-tokens // self.width))
                places = {column: layout.locate(column * self.width, head, element) for column in columns}
                mine = [column for column in columns if places[column].channel == channel]
                for own, column in enumerate(mine):
                    place = places[column]
                    chunk, buffer = divmod(own, self.buffer_columns)
                    lin = place.row * self.columns + place.column
                    parts[chunk, head][lin] = Column((chunk, head, element // self.device.banks), buffer)
                    first = column * self.width
                    written = sum(written_times(t, n, operator.window) for t in range(first, first + self.width))
                    writes[chunk, head, lin].append((place.bank, written))
        for (chunk, head, lin), needed in writes.items():
            column_of = parts[chunk, head][lin]
            parts[chunk, head][lin] = Column(column_of.sum, column_of.buffer, tuple(needed))
        sharing = operator.heads // operator.kv_heads
        if self._by_heads(operator, n):
            turns = {head: self._turn(operator, layout, head) for head in range(operator.kv_heads)}
            order = sorted((turns[head], member, chunk, head) for chunk, head in parts for member in range(sharing))
            return [parts[chunk, head] for _, _, chunk, head in order]
        return [parts[key] for key in sorted(parts) for _ in range(sharing)]


_MAPS: dict[int, tuple[Config, Map]] = {}  # by identity: a configuration with formats has no hash


def map_of(config: Config) -> Map:
    """The map of a configuration, of the latest few kept."""
    if id(config) not in _MAPS:
        if len(_MAPS) == 8:
            _MAPS.clear()
        _MAPS[id(config)] = config, Map(config)
    return _MAPS[id(config)][1]


def written_times(slot: int, n: int, window: int) -> int:
    """How many of the first n tokens were put into `slot`; a window is a ring."""
    if not window:
        return int(slot < n)
    return 0 if slot >= window or slot >= n else (n - 1 - slot) // window + 1


@dataclass
class Channel:
    """What is in the buffer, the accumulators and the array of a channel, and what is under way."""

    number: int
    filled: dict[int, int] = field(default_factory=dict)  # column of the buffer: clock from which it is there
    part: Part | None = None
    region: Region | None = None
    read: set[int] = field(default_factory=set)
    sum: Hashable = None
    sum_read: set[int] = field(default_factory=set)
    last_mac: int = 0
    written: Counter[tuple[int, int]] = field(default_factory=Counter)  # (bank, linear column)
    there: dict[tuple[int, int], int] = field(default_factory=dict)
    taken: Counter[tuple[int, int]] = field(default_factory=Counter)  # written columns that were read back
    coming: dict[Region, Iterator[Part]] = field(default_factory=dict)
    done: Counter[Region] = field(default_factory=Counter)


class Reader:
    """Reads a log; `problems` says what it does not compute."""

    def __init__(self, config: Config, log: CommandLog) -> None:
        self.config = config
        self.map = map_of(config)
        self.device = self.map.device
        self.problems: list[str] = []
        self._where = ""
        n = self.device.cycles
        self._lands, self._drain = n["nCWL"] + n["nBL"], n["nDRAIN"]
        self._turn = n["nWTRL"]
        names = self.device.command_names
        rows: dict[int, list[tuple[int, str, int, int, int]]] = {c: [] for c in range(self.device.channels)}
        bank = log.bank_group * self.device.banks_per_group + log.bank
        columns = (log.clk, log.channel, log.command, bank, log.row, log.column)
        for clk, channel, command, b, row, column in zip(*(c.tolist() for c in columns), strict=True):
            rows[channel].append((clk, names[command], b, row, column))
        self.channels = [self._follow(number, commands) for number, commands in rows.items()]
        self._check_counts()

    def _wrong(self, text: str) -> None:
        self.problems.append(f"{self._where}: {text}")

    def _follow(self, number: int, commands: list[tuple[int, str, int, int, int]]) -> Channel:
        state = Channel(number)
        for clk, name, bank, row, column in commands:
            self._where = f"channel {number}, clock {clk}, {name}"
            if name == "WRGB":
                self._fill(state, clk, column)
            elif name == "MACAB":
                self._multiply(state, clk, row, column)
            elif name == "RDMAC":
                self._read_sum(state, clk)
            elif name in ("WR", "RD"):
                self._access(state, name, clk, bank, row * self.device.columns + column)
        self._where = f"channel {number}, end"
        self._finish(state)
        return state

    # -- commands ----------------------------------------------------------------------

    def _fill(self, state: Channel, clk: int, column: int) -> None:
        if state.part is not None:
            self._finish(state)
        if column in state.filled:
            self._wrong(f"column {column} of the buffer is written twice")
        state.filled[column] = clk + self._lands

    def _multiply(self, state: Channel, clk: int, row: int, column: int) -> None:
        region = self.map.owner.get(row)
        if region is None:
            return self._wrong(f"row {row} holds nothing")
        if state.part is None:
            self._begin(state, region)
        assert state.part is not None
        if region != state.region:
            return self._wrong(f"a column of {region} in a product of {state.region}")
        lin = row * self.device.columns + column - region.base
        found = state.part.columns.get(lin)
        if found is None:
            return self._wrong(f"column {lin} of {region} has no part in this product")
        if lin in state.read:
            self._wrong(f"column {lin} of {region} is read again")
        if state.filled.get(found.buffer, clk + 1) > clk:
            self._wrong(f"column {found.buffer} of the buffer is not there")
        if state.sum is not None and state.sum != found.sum:
            self._wrong(f"sum {found.sum} begins before sum {state.sum} is read")
            state.sum_read = set()
        state.sum = found.sum
        state.sum_read.add(lin)
        state.read.add(lin)
        state.last_mac = clk
        for bank, times in found.writes:
            place = (bank, lin + region.base)
            if state.written[place] != times:
                self._wrong(f"{region} bank {bank} column {lin} was written {state.written[place]} times, not {times}")
            elif state.there.get(place, clk + 1) + self._turn > clk:
                self._wrong(f"{region} bank {bank} column {lin} is read before its data is there")
        return None

    def _read_sum(self, state: Channel, clk: int) -> None:
        if state.sum is None or state.part is None:
            return self._wrong("there is no sum to read")
        if clk < state.last_mac + self._drain:
            self._wrong(f"the sum is not there before clock {state.last_mac + self._drain}")
        if state.sum_read != state.part.of_sum(state.sum):
            self._wrong(f"sum {state.sum} of {state.region} lacks columns")
        state.sum, state.sum_read = None, set()
        return None

    def _access(self, state: Channel, name: str, clk: int, bank: int, lin: int) -> None:
        region = self.map.owner.get(lin // self.device.columns)
        if region is None:
            return self._wrong("nothing lies there")
        cached = region.name in self.map.keys or region.name in self.map.values
        place = (bank, lin)
        if name == "WR":
            if not cached and region.name != "scratch":
                self._wrong(f"{region} is overwritten")
            state.written[place] += 1
            state.there[place] = clk + self._lands
        elif cached:
            self._wrong(f"{region} goes over the pins")
        elif region.name == "scratch":
            state.taken[place] += 1
            if state.written[place] != state.taken[place]:
                self._wrong(f"scratch was written {state.written[place]} times and read {state.taken[place]} times")
            elif state.there[place] + self._turn > clk:
                self._wrong("scratch is read before its data is there")
        return None

    # -- products ----------------------------------------------------------------------

    def _begin(self, state: Channel, region: Region) -> None:
        if region not in state.coming:
            state.coming[region] = self.map.products(region, state.number)
        state.region, state.read = region, set()
        state.part = next(state.coming[region], None)
        if state.part is None:
            self._wrong(f"{region} has nothing to multiply on this channel")
            state.part = Part({})
        if set(state.filled) != state.part.buffer:
            self._wrong(f"the buffer has columns {sorted(state.filled)}, the product takes {sorted(state.part.buffer)}")

    def _finish(self, state: Channel) -> None:
        """The product under way is over: the buffer is filled for the next one, or the log ends."""
        if state.sum is not None:
            self._wrong(f"sum {state.sum} of {state.region} is never read")
        if state.part is None:
            if state.filled:
                self._wrong("the buffer is filled for nothing")
        else:
            assert state.region is not None
            missing = set(state.part.columns) - state.read
            if missing:
                self._wrong(f"columns {sorted(missing)} of {state.region} are never read")
            state.done[state.region] += state.part.last
        state.filled, state.part, state.region = {}, None, None
        state.read, state.sum, state.sum_read = set(), None, set()

    # -- how many products -------------------------------------------------------------

    def _check_counts(self) -> None:
        """Every copy of a matrix is multiplied once per vector, K and V once per token, on each channel alike."""
        work, plan = self.config.workload, self.map.plan
        prompt, tokens = work.prompt_tokens, work.prompt_tokens + work.output_tokens
        for operator in plan.workload.operators:
            if operator.op == "attention":
                for s in range(work.batch):
                    for what in ("keys", "values"):
                        self._expect(cache_name(what, operator, s), operator, tokens)
            if operator.op != "linear":
                continue
            vectors = tokens if operator.per == "token" else prompt + work.output_tokens // work.query_tokens
            if operator.scope == "once_after":  # the LM head, where a token comes out
                vectors -= max(0, prompt - 1)
                vectors *= int(work.lm_head)
            self._expect(operator.name, operator, vectors * work.batch * operator.rows)

    def _expect(self, name: str, operator: Operator, products: int) -> None:
        """As many products of each copy; where one of several experts is chosen, of all copies of a block together."""
        bases = self.map.plan.memory.regions[name].bases
        together = operator.experts if operator.op == "linear" else 1
        for channel in self.channels:
            for first in range(0, len(bases), together):
                regions = [Region(name, copy, bases[copy]) for copy in range(first, first + together)]
                found = sum(channel.done[region] for region in regions)
                wanted = sum(1 for _ in self._reaching(name, channel.number, products)) * operator.active
                self._where = f"channel {channel.number}, {name} {first}"
                if found != wanted:
                    self._wrong(f"{found} products, not {wanted}")
        if name in self.map.keys or name in self.map.values:
            self._check_writes(name, products)

    def _reaching(self, name: str, channel: int, products: int) -> Iterator[int]:
        """The products (by number of tokens) that a channel has a part in."""
        for n in range(1, products + 1):
            if name in self.map.matrices:
                reached = bool(self.map.part_of("matrix", name, channel))
            else:
                reached = bool(self.map.part_of("keys" if name in self.map.keys else "values", name, channel, n))
            if reached:
                yield n

    def _check_writes(self, name: str, tokens: int) -> None:
        """In the end every column of K and V was written as often as tokens were put into it."""
        kind = "keys" if name in self.map.keys else "values"
        bases = self.map.plan.memory.regions[name].bases
        for channel in self.channels:
            for base in bases:
                self._where = f"channel {channel.number}, {name} at {base}"
                for part in self.map.part_of(kind, name, channel.number, tokens):
                    for lin, column in part.columns.items():
                        for bank, times in column.writes:
                            if channel.written[bank, base + lin] != times:
                                self._wrong(f"bank {bank} column {lin}: {channel.written[bank, base + lin]} writes")


def functional_problems(config: Config, log: CommandLog) -> list[str]:
    """What `log` does not compute of the configuration's workload; empty if all is well."""
    return Reader(config, log).problems
