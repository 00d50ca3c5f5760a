"""HBM2-PIM (Samsung Aquabolt-XL) as tables: a pseudo-channel whose banks share a SIMD unit two by two.

JEDEC names as printed (JESD235); clocks are nXXX of CK.  Rows marked JEDEC are HBM2's own rules; rows marked PIM
follow from what the papers say (ISSCC 2021 25.4, ISCA 2021, IEEE Micro 2022): a unit of 16 lanes for an even bank and
the odd one beside it, with registers for a vector (GRF_A) and for sums (GRF_B), which takes a column of one of its
two banks with every column command, at the pace of tCCD_L.

The pseudo-channel is in one of two modes.  In SINGLE it is plain HBM2, and the registers are read as if they were
columns.  In ALL every row command goes to all banks; a read makes all units take a column, and multiply or add it as
their program says; a write goes into the registers of all units, or makes them write one into their banks.  The two
are entered by an activation and a precharge of a row that stands for them (TMOD).  Whatever they make the memory do,
commands are those of HBM2 to the host, whose controller keeps its distances.

A sum is a register of as many lanes as a column has: nothing adds up the lanes, and the host reads them all.

Names that are not JEDEC's:
nBL     clocks that one column occupies the pins
nMAC    clocks between two columns of the units
nDRAIN  clocks from the issue of a unit's last column until its sum is in the register
nMODCH  clocks from a change of the mode to the next command
"""

from __future__ import annotations

from pimsim.dram.spec import (
    Column,
    Command,
    Does,
    Effect,
    Needs,
    Roles,
    Scope,
    Standard,
    TimingConstraint,
)

SINGLE, ALL = "single", "all"

_ACTS = ("ACT", "ACTAB")
_PRES = ("PRE", "PREAB")
_ROWS = (*_ACTS, *_PRES, "TMOD", "REFAB")
_MACS = ("MACEVEN", "MACODD")
_PUTS = ("WREVEN", "WRODD")
_READS = ("RD", *_MACS)  # they read a column of the array
_WRITES = ("WR", *_PUTS)  # they write one
_ALL_WRITES = (*_PUTS, "WRGRF")  # they write in all bank groups
_COLUMNS = (*_READS, *_WRITES, "WRGRF", "RDGRF")


def _mac(name: str) -> Command:
    """A column of every second bank, each into the unit that it shares with the bank beside it."""
    return Command(
        name, Scope.ALL_BANKS, Needs.OPEN, shows_column=True, mode=ALL, column=Column.READ, multiplies=True,
        lasts="nMAC", energy=(("mac_read", "1/2"), ("mac_units", "1/2")), bus="column", one_in=2, pair="fp16xfp16",
    )  # fmt: skip


def _put(name: str) -> Command:
    """A register of each unit into a column of one of its banks."""
    return Command(
        name, Scope.ALL_BANKS, Needs.OPEN, shows_column=True, completion="nCWL + nBL", mode=ALL, column=Column.WRITE,
        energy=(("column_write", "B/2"),), bus="column", one_in=2,
    )  # fmt: skip


COMMANDS = (
    Command("ACT", Scope.BANK, Needs.CLOSED, Effect.OPEN, mode=SINGLE, energy=(("activation", "1"),), bus="row"),
    Command("ACTAB", Scope.ALL_BANKS, Needs.CLOSED, Effect.OPEN, mode=ALL, energy=(("activation", "B"),), bus="row"),
    # a precharge is part of the activation's row cycle; WRGRF and RDGRF cost their pins only
    Command("PRE", Scope.BANK, Needs.ANY, Effect.CLOSE, energy=(), bus="row"),
    Command("PREAB", Scope.ALL_BANKS, Needs.ANY, Effect.CLOSE, energy=(), bus="row"),
    Command("RD", Scope.BANK, Needs.OPEN, shows_column=True, completion="nCL + nBL", mode=SINGLE,
            column=Column.READ, moves="column", on_pins="nBL", energy=(("column_read", "1"),), does=Does.READ,
            bus="column"),
    Command("WR", Scope.BANK, Needs.OPEN, shows_column=True, completion="nCWL + nBL", mode=SINGLE,
            column=Column.WRITE, moves="column", on_pins="nBL", energy=(("column_write", "1"),), does=Does.WRITE,
            bus="column"),
    _mac("MACEVEN"),
    _mac("MACODD"),
    _put("WREVEN"),
    _put("WRODD"),
    Command("WRGRF", Scope.CHANNEL, shows_column=True, completion="nCWL + nBL", mode=ALL,
            moves="column", on_pins="nBL", energy=(), does=Does.FILL, bus="column"),
    Command("RDGRF", Scope.CHANNEL, completion="nCL + nBL", mode=SINGLE,
            moves="column", on_pins="nBL", energy=(), bus="column"),
    Command("TMOD", Scope.CHANNEL, energy=(), bus="row"),
    Command("REFAB", Scope.ALL_BANKS, Needs.CLOSED, lasts="nRFC", energy=(("refresh", "1"),), bus="row"),
)  # fmt: skip

MULTIPLY = ("WRGRF", "MACEVEN", "MACODD", "RDGRF")  # a vector into the registers, its products, their sums
ADD = ("MACEVEN", "MACODD", "WREVEN")  # a column, another one added to it, and the sum into a column

_C = TimingConstraint

CONSTRAINTS = (
    # the command buses
    _C("channel", (*_PRES, "TMOD", "REFAB"), _ROWS, "1", source="JEDEC: one command per clock on the row bus"),
    _C("channel", _ACTS, _ROWS, "2", source="JEDEC: ACT takes the row bus for 1.5 clocks; whole clocks here"),
    _C("channel", _COLUMNS, _COLUMNS, "1", source="JEDEC: one command per clock on the column bus"),
    # the modes
    _C("channel", ("TMOD",), (*_ACTS, *_PRES, "REFAB", *_COLUMNS), "nMODCH", source="PIM: its row opens and closes"),
    _C("channel", _PRES, ("TMOD",), "nRP", source="PIM: it activates a row of every bank"),
    _C("channel", ("REFAB",), ("TMOD",), "nRFC", source="JEDEC tRFCab"),
    # rows
    _C("bank", _ACTS, _READS, "nRCDRD", source="JEDEC tRCDRD"),
    _C("bank", _ACTS, _WRITES, "nRCDWR", source="JEDEC tRCDWR"),
    _C("bank", _ACTS, _PRES, "nRAS", source="JEDEC tRAS"),
    _C("bank", _ACTS, (*_ACTS, "REFAB"), "nRC", source="JEDEC tRC"),
    _C("bank", _PRES, (*_ACTS, "REFAB"), "nRP", source="JEDEC tRP"),
    _C("bank", _READS, _PRES, "nRTP", source="JEDEC tRTP"),
    _C("bank", _WRITES, _PRES, "nCWL + nBL + nWR", source="JEDEC tWR after the write's data"),
    _C("bank_group", ("ACT",), _ACTS, "nRRDL", source="JEDEC tRRDL"),
    _C("channel", ("ACT",), _ACTS, "nRRDS", source="JEDEC tRRDS"),
    _C("channel", ("ACT",), ("ACT",), "nFAW", window=4, source="JEDEC tFAW; ACTAB is exempt (PIM: timings as for one)"),
    # columns: the host's controller takes what reads and writes registers, and what multiplies, for reads and writes
    _C("bank_group", ("RD",), ("RD",), "nCCDL", source="JEDEC tCCDL"),
    _C("bank_group", ("WR",), ("WR",), "nCCDL", source="JEDEC tCCDL"),
    _C("channel", ("RD", "RDGRF"), ("RD", "RDGRF"), "max(nCCDS, nBL)", source="JEDEC tCCDS; pins"),
    _C("channel", ("WR",), ("WR",), "max(nCCDS, nBL)", source="JEDEC tCCDS; pins"),
    _C("channel", ("RD", "RDGRF"), _MACS, "nCCDL", source="JEDEC tCCDL: of every bank group"),
    _C("channel", _MACS, ("RD", "RDGRF", "WR", *_ALL_WRITES), "nCCDL", source="JEDEC tCCDL: of every bank group"),
    _C("channel", _MACS, _MACS, "nMAC", source="PIM: a unit takes one column at a time, of either bank"),
    _C("channel", ("WR",), _ALL_WRITES, "max(nCCDL, nBL)", source="JEDEC tCCDL: of every bank group; pins"),
    _C(
        "channel", _ALL_WRITES, ("WR", *_ALL_WRITES), "max(nCCDL, nBL)", source="JEDEC tCCDL: of every bank group; pins"
    ),
    _C("bank_group", ("WR",), ("RD",), "nCWL + nBL + nWTRL", source="JEDEC tWTRL"),
    _C("channel", ("WR",), ("RD",), "nCWL + nBL + nWTRS", source="JEDEC tWTRS"),
    _C("channel", ("WR",), ("RDGRF", *_MACS), "nCWL + nBL + nWTRL", source="JEDEC tWTRL: of every bank group"),
    _C(
        "channel",
        _ALL_WRITES,
        ("RD", "RDGRF", *_MACS),
        "nCWL + nBL + nWTRL",
        source="JEDEC tWTRL: of every bank group",
    ),
    _C(
        "channel",
        ("RD", "RDGRF", *_MACS),
        ("WR", *_ALL_WRITES),
        "nCL + nBL + 1 - nCWL",
        source="JEDEC tRTW: pins, 1 clock of gap",
    ),
    # the registers
    _C("channel", _MACS, ("WRGRF",), "nMAC - nCWL", source="PIM: the column of the vector is multiplied"),
    _C("channel", _MACS, ("RDGRF", *_PUTS), "nDRAIN", source="PIM: the sum is in the register"),
    # refresh
    _C("bank", ("REFAB",), (*_ACTS, *_PRES, "REFAB"), "nRFC", source="JEDEC tRFCab"),
    _C("channel", ("REFAB",), ("WRGRF", "RDGRF"), "nRFC", source="JEDEC tRFCab: nothing else on the bus"),
    _C("channel", ("RD", "RDGRF"), ("REFAB",), "nCL + nBL", source="JEDEC: no data in flight at a refresh"),
    _C("channel", ("WRGRF",), ("REFAB",), "nCWL + nBL", source="JEDEC: no data in flight at a refresh"),
)

# To what the clocks between two consecutive commands are charged.
CAUSES = (
    ("*", "REFAB", "refresh"),
    ("REFAB", "*", "refresh"),
    ("*", "TMOD", "mode_switch"),
    ("TMOD", "*", "mode_switch"),
    ("*", "ACT", "activation"),
    ("*", "ACTAB", "activation"),
    ("*", "PRE", "activation"),
    ("*", "PREAB", "activation"),
    ("ACT", "*", "activation"),
    ("ACTAB", "*", "activation"),
    ("*", "WRGRF", "input_transfer"),
    ("WRGRF", "MACEVEN", "input_transfer"),
    ("WRGRF", "MACODD", "input_transfer"),
    ("*", "RDGRF", "result_transfer"),
    ("*", "MACEVEN", "mac"),
    ("*", "MACODD", "mac"),
    ("*", "WR", "write"),
    ("*", "WREVEN", "write"),
    ("*", "WRODD", "write"),
    ("*", "RD", "read"),
)

STANDARD = Standard(
    name="hbm2-pim",
    commands=COMMANDS,
    constraints=CONSTRAINTS,
    roles=Roles(
        open_bank="ACT",
        open_all="ACTAB",
        close_bank="PRE",
        close_all="PREAB",
        refresh_all="REFAB",
        open_rest="PREAB",  # rows of single banks close before those of all open
        switch_mode="TMOD",
    ),
    causes=CAUSES,
    modes=(SINGLE, ALL),
)
