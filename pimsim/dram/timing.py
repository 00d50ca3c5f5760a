"""From nanoseconds and tables to integer clocks.

`resolve_as` turns a config into a `Device`: the standard's tables with every timing as
an integer number of DRAM clocks.  Rounding happens here and nowhere else, through
`units.to_cycles` (exact decimals, rounded up).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from itertools import zip_longest
from math import ceil, log2
from operator import add, floordiv, itemgetter, mod, mul, sub
from typing import Any

from pimsim.config.schema import MacUnits, MemoryConfig
from pimsim.dram.masks import mask_cycles
from pimsim.dram.spec import Column, Command, Effect, Level, Scope, Standard, TimingConstraint
from pimsim.expr import Reader, Token, tokens
from pimsim.units import to_cycles

ELEMENT_BYTES = 2  # BF16 throughout (source: paper)
_ROUNDING = Fraction(15, 1000)  # a clock of 0.57 ns in place of 0.5714 is off by 0.25 %


@dataclass(frozen=True)
class Device:
    """One kind of DRAM channel, resolved to clocks.

    banks are numbered bank_group * banks_per_group + bank inside a channel; `rows`
    and `columns` count per bank and per row; `cycles` maps JEDEC names with n
    instead of t to clocks.  together: refreshes in turn that are put off until the last of
    them is due; a divisor of the turns.
    """

    standard: Standard
    channels: int
    bank_groups: int
    banks_per_group: int
    rows: int
    columns: int
    column_bytes: int
    refresh: str
    tCK_ps: int
    cycles: Mapping[str, int]
    together: int = 1

    @property
    def banks(self) -> int:
        """Banks of one channel."""
        return self.bank_groups * self.banks_per_group

    @property
    def bytes_of_rows(self) -> int:
        """Bytes of one row of every bank, in all channels."""
        return self.columns * self.column_bytes * self.banks * self.channels

    @property
    def column_elements(self) -> int:
        """BF16 elements in one column."""
        return self.column_bytes // ELEMENT_BYTES

    @cached_property
    def nodes(self) -> Mapping[str, tuple[int, ...]]:
        """For each level, the node that each bank is in; nodes count from 0 in the order of their lowest banks."""
        return {level.name: nodes(level, self.bank_groups, self.banks_per_group) for level in self.standard.levels}

    def banks_of(self, command: Command, bank: int) -> Sequence[int]:
        """The banks that a command addresses, in order, if it is given `bank`."""
        if command.scope == Scope.BANK:
            return (bank,)
        if not command.has_bank:
            return range(self.banks) if command.scope == Scope.ALL_BANKS else ()
        return self._members[command.scope][bank]

    @cached_property
    def _members(self) -> Mapping[str, tuple[tuple[int, ...], ...]]:
        """For each level and bank, the banks of its node."""
        return {
            level: tuple(tuple(b for b, other in enumerate(of) if other == mine) for mine in of)
            for level, of in self.nodes.items()
        }

    @cached_property
    def turns(self) -> tuple[tuple[int, ...], ...]:
        """The banks of each refresh, in turn, until every bank has had one; none without refreshes.

        The lowest banks first; where parts of a channel have data pins of their own, one part after the other.
        """
        name = self.standard.roles.refresh(self.refresh)
        if name is None:
            return ()
        command, part = self.standard.command(name), self.nodes[self.standard.pins]
        found = list(dict.fromkeys(tuple(self.banks_of(command, bank)) for bank in range(self.banks)))
        of_part = [[banks for banks in found if part[banks[0]] == number] for number in range(max(part) + 1)]
        return tuple(banks for turn in zip_longest(*of_part) for banks in turn if banks)

    @property
    def refresh_interval(self) -> int:
        """Clocks between two refreshes of a channel: tREFI, shared out over the turns."""
        return self.cycles["nREFI"] // max(1, len(self.turns))

    @property
    def data_buses(self) -> int:
        """Sets of data pins in a channel, each of which carries a column of its own."""
        return data_buses(self.standard, self.bank_groups, self.banks_per_group)

    def latency(self, constraint: TimingConstraint) -> int:
        """Clocks that `constraint` asks for; 0 or less asks for nothing."""
        return evaluate(constraint.latency, self.cycles)

    def completion(self, command: Command) -> int:
        """Clocks from issue to the end of the command's data on the pins (0: moves none)."""
        return evaluate(command.completion, self.cycles) if command.completion else 0

    def pin_clocks(self, command: Command) -> int:
        """Clocks that the command's data occupies the pins."""
        return evaluate(command.on_pins, self.cycles) if command.on_pins else 0

    def pin_bytes(self, command: Command) -> int:
        """Bytes that the command moves over the pins of its channel."""
        sizes = {"column": self.column_bytes, "banks": self.banks, "element": ELEMENT_BYTES}
        return evaluate(command.moves, sizes) if command.moves else 0

    def busy_clocks(self, command: Command) -> int:
        """Clocks that the command keeps the MAC units, or the banks that it refreshes, busy."""
        return evaluate(command.lasts, self.cycles) if command.lasts else 0

    def mac_clocks(self, pair: str = "") -> int:
        """Clocks between two columns that all MAC units of a channel take, of a pair of formats ("": of 16 bits)."""
        units = [c for c in self.standard.commands if c.multiplies and c.scope == Scope.ALL_BANKS]
        return max(self.busy_clocks(c) for c in units if c.pair == pair or all(o.pair != pair for o in units))

    @cached_property
    def mac_columns(self) -> int:
        """Columns that all MAC units of a channel take at once."""
        units = [c for c in self.standard.commands if c.multiplies and c.scope == Scope.ALL_BANKS]
        return max(self.banks // c.one_in for c in units)

    def addressed(self, command: Command) -> int:
        """Banks that the command addresses."""
        return len(self.banks_of(command, 0))

    def banks_activated(self, counts: Mapping[str, int]) -> int:
        """Banks in which commands, counted by name, open a row."""
        return self._banks(counts, lambda command: command.effect is Effect.OPEN)

    def columns_accessed(self, counts: Mapping[str, int]) -> int:
        """Columns that commands, counted by name, read or write in the banks."""
        return self._banks(counts, lambda command: command.column is not Column.NONE)

    def columns_multiplied(self, counts: Mapping[str, int]) -> int:
        """Columns that commands, counted by name, have the MAC units take."""
        return self._banks(counts, lambda command: command.multiplies)

    def bytes_on_pins(self, counts: Mapping[str, int]) -> int:
        """Bytes that commands, counted by name, move over the pins."""
        return sum(counts.get(command.name, 0) * self.pin_bytes(command) for command in self.standard.commands)

    def _banks(self, counts: Mapping[str, int], which: Callable[[Command], bool]) -> int:
        commands = filter(which, self.standard.commands)
        return sum(counts.get(command.name, 0) * (self.addressed(command) // command.one_in) for command in commands)

    @cached_property
    def command_names(self) -> tuple[str, ...]:
        """Command names in table order, the order of command numbers."""
        return tuple(command.name for command in self.standard.commands)

    def counted(self, totals: Sequence[int]) -> dict[str, int]:
        """Counts by the names that logs have, of one number for each command of the table."""
        counts = dict.fromkeys(self.standard.log_names, 0)
        for number, total in zip(self.standard.log_numbers, totals, strict=True):
            counts[self.standard.log_names[number]] += total
        return counts


def nodes(level: Level, bank_groups: int, banks_per_group: int) -> tuple[int, ...]:
    """For each bank of a channel, its node of `level`; nodes count from 0 in the order of their lowest banks."""
    banks = bank_groups * banks_per_group
    shape = {"banks": banks, "bank_groups": bank_groups, "banks_per_group": banks_per_group}
    found = [evaluate(level.node, {**shape, "bank": bank}) for bank in range(banks)]
    order = {node: number for number, node in enumerate(dict.fromkeys(found))}
    return tuple(order[node] for node in found)


def data_buses(standard: Standard, bank_groups: int, banks_per_group: int) -> int:
    """Sets of data pins in a channel."""
    return max(nodes(standard.level(standard.pins), bank_groups, banks_per_group)) + 1


# More timing names in clocks, from the memory, its MAC units and the names so far.
MoreCycles = Callable[[MemoryConfig, Any, Mapping[str, int]], Mapping[str, int]]


def resolve_as(
    standard: Standard, dram: MemoryConfig, pim: MacUnits | None = None, more: MoreCycles | None = None
) -> Device:
    """The device of a configuration by the tables of `standard`, every timing in clocks of tCK_ps.

    more: what MAC units that are configured (`pim`) add.
    """
    times = dram.timing.times(dram.tCK_ps)
    cycles = {"n" + name[1:]: to_cycles(time, dram.tCK_ps) for name, time in times.items()}
    buses = data_buses(standard, dram.bank_groups, dram.banks_per_group)
    cycles["nBL"] = clocks_on_pins(dram, dram.column_bytes, buses)
    if standard.log_names != tuple(command.name for command in standard.commands):
        cycles |= mask_cycles(dram.column_bytes // ELEMENT_BYTES)
    if pim is not None and more is not None:
        cycles |= more(dram, pim, cycles)
    for name, expression in standard.derived.items():
        cycles[name] = evaluate(expression, cycles)
    return Device(
        standard=standard,
        channels=dram.channels,
        bank_groups=dram.bank_groups,
        banks_per_group=dram.banks_per_group,
        rows=dram.rows,
        columns=dram.row_bytes // dram.column_bytes,
        column_bytes=dram.column_bytes,
        refresh=dram.refresh,
        tCK_ps=dram.tCK_ps,
        cycles=cycles,
        together=dram.refreshes_together(),
    )


def clocks_on_pins(dram: MemoryConfig, transfer_bytes: int, buses: int = 1) -> int:
    """Clocks that a transfer takes the pins of one of `buses`: bits / (pins x bits of a pin per clock), rounded up."""
    return ceil(transfer_bytes * 8 * buses / (dram.io.pins * bits_per_clock(dram)))


def bits_per_clock(dram: MemoryConfig) -> Fraction:
    """Bits of one pin per command clock: data rate x tCK.

    The clock of a part is its data rate divided by a power of two, and tCK_ps is rounded: 14 Gb/s
    at 570 ps is 7.98 bits, and means 8.  So a product within 1.5 % of a power of two is that power,
    unless the standard's configuration says that its two figures are not of one part.
    """
    exact = Fraction(dram.io.data_rate_Gbps) * dram.tCK_ps / 1000
    whole = Fraction(2) ** round(log2(exact))
    return whole if dram.WHOLE_BITS and abs(exact / whole - 1) <= _ROUNDING else exact


def evaluate(expression: str, names: Mapping[str, int]) -> int:
    """The value of an integer expression of names, + - * // %, max() and min().

    Raises KeyError for an unknown name and ValueError for anything else.
    """
    return _parsed(expression)(names)


_Clocks = Callable[[Mapping[str, int]], int]


@lru_cache(maxsize=1024)
def _parsed(expression: str) -> _Clocks:
    reader = _Timing(expression)
    found = reader.expression()
    if reader.token.kind != "end":
        raise reader.wrong
    return found


_WORDS = re.compile(r"\s*(?:(?P<number>\d+)|(?P<name>[A-Za-z]\w*)|(?P<sign>//|[-+*%(),]))", re.ASCII)


class _Timing(Reader[_Clocks]):
    """Expressions of the tables: what each makes is its value, given those of the names."""

    BINDS = {"+": 1, "-": 1, "*": 2, "//": 2, "%": 2}
    OPERATORS = {"+": add, "-": sub, "*": mul, "//": floordiv, "%": mod}
    FUNCTIONS = {"max": max, "min": min}

    def __init__(self, text: str) -> None:
        self.wrong = ValueError(f"not a timing expression: {text}")
        super().__init__(tokens(text, _WORDS, lambda at: self.wrong))

    def expect(self, *signs: str) -> Token:
        """Take one of these signs; ValueError for anything else."""
        if self.token.text not in signs:
            raise self.wrong
        return self.take()

    def operand(self, least: int) -> _Clocks:
        token = self.take()
        if token.kind == "number":
            number = int(token.text)
            return lambda names: number
        if token.kind == "name":
            return self.call(self.FUNCTIONS[token.text]) if token.text in self.FUNCTIONS else itemgetter(token.text)
        if token.text != "(":
            raise self.wrong
        inner = self.expression()
        self.expect(")")
        return inner

    def call(self, function: Callable[[Iterable[int]], int]) -> _Clocks:
        self.expect("(")
        arguments = [self.expression()]
        while self.expect(",", ")").text == ",":
            arguments.append(self.expression())
        return lambda names: function([argument(names) for argument in arguments])

    def applied(self, left: _Clocks, binds: int) -> _Clocks:
        apply = self.OPERATORS[self.take().text]
        right = self.expression(binds + 1)
        return lambda names: apply(left(names), right(names))
