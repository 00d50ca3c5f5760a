"""From nanoseconds and tables to integer clocks.

`resolve` turns a config into a `Device`: the standard's tables with every timing as
an integer number of DRAM clocks.  Rounding happens here and nowhere else, through
`units.to_cycles` (exact decimals, rounded up).
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import ceil

from pimsim.config.schema import DramConfig, PimConfig
from pimsim.dram import gddr6_pim
from pimsim.dram.spec import Command, Standard, TimingConstraint
from pimsim.units import to_cycles

STANDARDS: Mapping[str, Standard] = {gddr6_pim.STANDARD.name: gddr6_pim.STANDARD}

ELEMENT_BYTES = 2  # BF16 throughout (source: paper)


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


def resolve(dram: DramConfig, pim: PimConfig) -> Device:
    """The device of a config, every timing in clocks of tCK_ps."""
    standard = STANDARDS[dram.standard]
    banks = dram.bank_groups * dram.banks_per_group
    cycles = {
        "n" + key[1:].removesuffix("_ns"): to_cycles(value, dram.tCK_ps)
        for key, value in dram.timing.model_dump().items()
        if value is not None
    }
    cycles.setdefault("nRFCpb", to_cycles(dram.timing.tRFC_ns / 2, dram.tCK_ps))
    cycles |= _transfer_cycles(dram, banks) | _mac_cycles(dram, pim, cycles["nCCDL"])
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


def _transfer_cycles(dram: DramConfig, banks: int) -> dict[str, int]:
    """Clocks on the pins: bits / (pins x Gb/s per pin), in ns, rounded up to clocks."""
    gbps = Fraction(dram.io.data_rate_Gbps) * dram.io.pins

    def on_pins(transfer_bytes: int) -> int:
        return ceil(transfer_bytes * 8 * 1000 / (gbps * dram.tCK_ps))

    return {"nBL": on_pins(dram.column_bytes), "nBLRES": on_pins(banks * ELEMENT_BYTES)}


def _mac_cycles(dram: DramConfig, pim: PimConfig, ccd: int) -> dict[str, int]:
    """Clocks per column and pipeline depth of the MAC unit.

    A column of e elements takes e / lanes MAC cycles, and never less than tCCD.  Unless
    configured, the pipeline is one multiplier stage, log2(lanes) adder stages and one
    accumulator stage at one MAC cycle each (assumed from the adder tree the paper names).
    """
    clocks_per_mac = Fraction(1000) / (Fraction(pim.clock_GHz) * dram.tCK_ps)
    beats = -(-(dram.column_bytes // ELEMENT_BYTES) // pim.lanes)
    stages = pim.pipeline_stages or 2 + (pim.lanes - 1).bit_length()
    return {"nMAC": max(ccd, ceil(beats * clocks_per_mac)), "nDRAIN": ceil(stages * clocks_per_mac)}


def evaluate(expression: str, names: Mapping[str, int]) -> int:
    """The value of an integer expression of timing names, + - *, max() and min().

    Raises KeyError for an unknown name and ValueError for anything else.
    """
    return _value(ast.parse(expression, mode="eval").body, names)


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
        case ast.Call(func=ast.Name(id="max"), args=arguments):
            return max(_value(argument, names) for argument in arguments)
        case ast.Call(func=ast.Name(id="min"), args=arguments):
            return min(_value(argument, names) for argument in arguments)
    raise ValueError(f"not a timing expression: {ast.unparse(node)}")
