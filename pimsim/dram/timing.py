"""From nanoseconds and tables to integer clocks.

`resolve` turns a config into a `Device`: the standard's tables with every timing as
an integer number of DRAM clocks.  Rounding happens here and nowhere else, through
`units.to_cycles` (exact decimals, rounded up).
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from itertools import zip_longest
from math import ceil, log2

from pimsim.config.schema import AnyConfig, Config, MemoryConfig, PimConfig
from pimsim.dram import aim, gddr6, gddr6_pim, hbm3, lpddr5x
from pimsim.dram.spec import Command, Level, Scope, Standard, TimingConstraint
from pimsim.units import to_cycles

STANDARDS: Mapping[str, Standard] = {
    standard.name: standard
    for standard in (
        gddr6_pim.STANDARD, gddr6.STANDARD, aim.STANDARD, aim.REFERENCE, lpddr5x.STANDARD, hbm3.STANDARD,
    )
}  # fmt: skip

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

    @cached_property
    def nodes(self) -> Mapping[str, tuple[int, ...]]:
        """For each level, the node that each bank is in; nodes count from 0 in the order of their lowest banks."""
        return {level.name: nodes(level, self.bank_groups, self.banks_per_group) for level in self.standard.levels}

    def addressed(self, command: Command, bank: int) -> Sequence[int]:
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
        found = list(dict.fromkeys(tuple(self.addressed(command, bank)) for bank in range(self.banks)))
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

    @cached_property
    def command_names(self) -> tuple[str, ...]:
        """Command names in table order, the order of command numbers."""
        return tuple(command.name for command in self.standard.commands)


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
    """Clocks that a transfer takes its data bus: bits / (pins of it x bits of a pin per clock), rounded up."""
    buses = data_buses(STANDARDS[dram.standard], dram.bank_groups, dram.banks_per_group)
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
    """The value of an integer expression of names, + - * // %, max() and min().

    Raises KeyError for an unknown name and ValueError for anything else.
    """
    return _value(_parsed(expression), names)


@lru_cache(maxsize=1024)
def _parsed(expression: str) -> ast.expr:
    return ast.parse(expression, mode="eval").body


def _value(node: ast.expr, names: Mapping[str, int]) -> int:
    match node:
        case ast.Constant(value=int(number)):
            return number
        case ast.Name(id=name):
            return names[name]
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _value(left, names) + _value(right, names)
        case ast.BinOp(left=left, op=ast.Sub(), right=right):
            return _value(left, names) - _value(right, names)
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            return _value(left, names) * _value(right, names)
        case ast.BinOp(left=left, op=ast.FloorDiv(), right=right):
            return _value(left, names) // _value(right, names)
        case ast.BinOp(left=left, op=ast.Mod(), right=right):
            return _value(left, names) % _value(right, names)
        case ast.Call(func=ast.Name(id="max"), args=arguments):
            return max(_value(argument, names) for argument in arguments)
        case ast.Call(func=ast.Name(id="min"), args=arguments):
            return min(_value(argument, names) for argument in arguments)
    raise ValueError(f"not a timing expression: {ast.unparse(node)}")
