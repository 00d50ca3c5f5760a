"""From nanoseconds and tables to integer clocks.

`resolve_as` turns a config into a `Device`: the standard's tables with every timing as
an integer number of DRAM clocks.  Rounding happens here and nowhere else, through
`units.to_cycles` (exact decimals, rounded up).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from math import ceil, log2
from operator import add, itemgetter, mul, sub
from typing import Any

from pimsim.config.schema import MacUnits, MemoryConfig
from pimsim.dram.spec import Column, Command, Effect, Scope, Standard, TimingConstraint
from pimsim.expr import Reader, Token, tokens
from pimsim.units import to_cycles

ELEMENT_BYTES = 2  # BF16 throughout (source: paper)
_ROUNDING = Fraction(15, 1000)  # a clock of 0.57 ns in place of 0.5714 is off by 0.25 %


@dataclass(frozen=True)
class Device:
    """One kind of DRAM channel, resolved to clocks.

    banks are numbered bank_group * banks_per_group + bank inside a channel; `rows`
    and `columns` count per bank and per row; `cycles` maps JEDEC names with n
    instead of t to clocks.
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

    @property
    def banks(self) -> int:
        """Banks of one channel."""
        return self.bank_groups * self.banks_per_group

    @property
    def column_elements(self) -> int:
        """BF16 elements in one column."""
        return self.column_bytes // ELEMENT_BYTES

    @property
    def refresh_interval(self) -> int:
        """Clocks between two refreshes of a channel: tREFI, shared out over the banks if per bank."""
        interval = self.cycles["nREFI"]
        return interval // self.banks if self.refresh == "per_bank" else interval

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

    @cached_property
    def mac_clocks(self) -> int:
        """Clocks between two columns that all MAC units of a channel take."""
        units = [c for c in self.standard.commands if c.multiplies and c.scope is Scope.ALL_BANKS]
        return max(map(self.busy_clocks, units))

    def addressed(self, command: Command) -> int:
        """Banks that the command addresses."""
        return {Scope.CHANNEL: 0, Scope.BANK: 1, Scope.ALL_BANKS: self.banks}[command.scope]

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
        return sum(counts.get(command.name, 0) * self.addressed(command) for command in commands)

    @cached_property
    def command_names(self) -> tuple[str, ...]:
        """Command names in table order, the order of command numbers."""
        return tuple(command.name for command in self.standard.commands)


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
    cycles["nBL"] = clocks_on_pins(dram, dram.column_bytes)
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
    )


def clocks_on_pins(dram: MemoryConfig, transfer_bytes: int) -> int:
    """Clocks that a transfer takes all pins: bits / (pins x bits of a pin per clock), rounded up."""
    return ceil(transfer_bytes * 8 / (dram.io.pins * bits_per_clock(dram)))


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
    """The value of an integer expression of timing names, + - *, max() and min().

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


_WORDS = re.compile(r"\s*(?:(?P<number>\d+)|(?P<name>[A-Za-z]\w*)|(?P<sign>[-+*(),]))", re.ASCII)


class _Timing(Reader[_Clocks]):
    """Expressions of the tables: what each makes is its value, given those of the names."""

    BINDS = {"+": 1, "-": 1, "*": 2}
    OPERATORS = {"+": add, "-": sub, "*": mul}
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
