"""From nanoseconds and tables to integer clocks.

`resolve` turns a config into a `Device`: the standard's tables with every timing as
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

from pimsim.config.schema import AnyConfig, Config, MemoryConfig, PimConfig
from pimsim.dram import aim, gddr6, gddr6_pim
from pimsim.dram.spec import Command, Standard, TimingConstraint
from pimsim.expr import Reader, Token, tokens
from pimsim.units import to_cycles

STANDARDS: Mapping[str, Standard] = {
    standard.name: standard for standard in (gddr6_pim.STANDARD, gddr6.STANDARD, aim.STANDARD, aim.REFERENCE)
}

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

    @cached_property
    def command_names(self) -> tuple[str, ...]:
        """Command names in table order, the order of command numbers."""
        return tuple(command.name for command in self.standard.commands)


def device_of(config: AnyConfig) -> Device:
    """The device of a whole configuration, of any standard."""
    return resolve(config.dram, config.pim if isinstance(config, Config) else None)


def resolve(dram: MemoryConfig, pim: PimConfig | None = None) -> Device:
    """The device of a config, every timing in clocks of tCK_ps; `pim` if it has MAC units that are configured."""
    standard = STANDARDS[dram.standard]
    times = dram.timing.times(dram.tCK_ps)
    cycles = {"n" + name[1:]: to_cycles(time, dram.tCK_ps) for name, time in times.items()}
    cycles["nBL"] = _clocks_on_pins(dram, dram.column_bytes)
    if pim is not None:
        cycles |= _mac_cycles(dram, pim, cycles["nCCDL"])
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


def _clocks_on_pins(dram: MemoryConfig, transfer_bytes: int) -> int:
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


def _mac_cycles(dram: MemoryConfig, pim: PimConfig, ccd: int) -> dict[str, int]:
    """Clocks per column, drain of the MAC unit, and clocks that the accumulators of all banks take the pins.

    A column of e elements takes e / lanes MAC cycles, its beats, and never less than tCCD.  Its
    last beat enters the pipeline beats - 1 MAC cycles after the first, and its sum comes a
    pipeline later.  Unless configured, the pipeline is one multiplier stage, log2(lanes) adder
    stages and one accumulator stage at one MAC cycle each (assumed from the adder tree the
    paper names).
    """
    clocks_per_mac = Fraction(1000) / (Fraction(pim.clock_GHz) * dram.tCK_ps)
    beats = -(-(dram.column_bytes // ELEMENT_BYTES) // pim.lanes)
    stages = pim.pipeline_stages or 2 + (pim.lanes - 1).bit_length()
    results = dram.bank_groups * dram.banks_per_group * ELEMENT_BYTES
    return {
        "nBLRES": _clocks_on_pins(dram, results),
        "nMAC": max(ccd, ceil(beats * clocks_per_mac)),
        "nDRAIN": ceil((beats - 1 + stages) * clocks_per_mac),
    }


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
