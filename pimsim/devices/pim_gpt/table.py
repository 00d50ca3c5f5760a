"""PIM-GPT's device: GDDR6 banks with a MAC unit each, as tables only.

JEDEC names as printed (JESD250 for GDDR6); clocks are nXXX.  Rows marked JEDEC are
the standard's own rules; rows marked PIM follow from the structure that the
PIM-GPT paper describes (one global buffer per channel, one MAC unit per bank, all
banks in lock step).

Names that are not JEDEC's:
nBL     clocks that one column occupies the pins
nBLRES  clocks that the accumulators of all banks occupy the pins
nMAC    clocks between two columns of the MAC unit
nDRAIN  clocks from the issue of a MAC unit's last column until its sum is in the accumulator
nFAWAB  clocks in which the supply recovers from an all-bank activation, as nFAW from four of single banks

While one bank refreshes (REFPB) the others go on, and so do the global buffer and the
accumulators, which are no part of a bank's array.  While all refresh (REFAB) nothing goes over
the bus: no command, and no data of a command before.
"""

from __future__ import annotations

from pimsim.dram.spec import Column, Command, Does, Effect, Needs, Roles, Scope, Standard, TimingConstraint

_ALL = ("ACT", "ACTAB", "PRE", "PREAB", "RD", "WR", "REFAB", "REFPB", "WRGB", "MACAB", "RDMAC")
_ACTS = ("ACT", "ACTAB")
_PRES = ("PRE", "PREAB")
_REFS = ("REFAB", "REFPB")
_READS = ("RD", "MACAB")  # both read a column of the array
_ROW_OPENS = ("ACT", "REFPB")  # JEDEC: a per-bank refresh counts as an activation

COMMANDS = (
    Command("ACT", Scope.BANK, Needs.CLOSED, Effect.OPEN, energy=(("activation", "1"),)),
    Command("ACTAB", Scope.ALL_BANKS, Needs.CLOSED, Effect.OPEN, energy=(("activation", "B"),)),
    # a precharge is part of the activation's row cycle; WRGB and RDMAC cost their pins only
    Command("PRE", Scope.BANK, Needs.ANY, Effect.CLOSE, energy=()),
    Command("PREAB", Scope.ALL_BANKS, Needs.ANY, Effect.CLOSE, energy=()),
    Command("RD", Scope.BANK, Needs.OPEN, shows_column=True, completion="nCL + nBL",
            column=Column.READ, moves="column", on_pins="nBL", energy=(("column_read", "1"),), does=Does.READ),
    Command("WR", Scope.BANK, Needs.OPEN, shows_column=True, completion="nCWL + nBL",
            column=Column.WRITE, moves="column", on_pins="nBL", energy=(("column_write", "1"),), does=Does.WRITE),
    Command("REFAB", Scope.ALL_BANKS, Needs.CLOSED, lasts="nRFC", energy=(("refresh", "1"),)),
    Command("REFPB", Scope.BANK, Needs.CLOSED, lasts="nRFCpb", energy=(("refresh", "1/B"),)),
    Command("WRGB", Scope.CHANNEL, shows_column=True, completion="nCWL + nBL",
            moves="column", on_pins="nBL", energy=(), does=Does.FILL),
    Command("MACAB", Scope.ALL_BANKS, Needs.OPEN, shows_column=True,
            column=Column.READ, multiplies=True, lasts="nMAC", energy=(("mac_read", "1"), ("mac_units", "1")),
            does=Does.MULTIPLY),
    Command("RDMAC", Scope.CHANNEL, completion="nCL + nBLRES",
            moves="banks * element", on_pins="nBLRES", energy=(), does=Does.GIVE),
)  # fmt: skip

MULTIPLY = ("WRGB", "MACAB", "RDMAC")  # a vector into the buffer, its products, their sums

_C = TimingConstraint

CONSTRAINTS = (
    # the command bus carries one command per clock
    _C("channel", _ALL, _ALL, "1", source="JEDEC: one command per command clock"),
    # rows
    _C("bank", _ACTS, _READS, "nRCDRD", source="JEDEC tRCDRD"),
    _C("bank", _ACTS, ("WR",), "nRCDWR", source="JEDEC tRCDWR"),
    _C("bank", _ACTS, _PRES, "nRAS", source="JEDEC tRAS"),
    _C("bank", _ACTS, _ACTS + _REFS, "nRC", source="JEDEC tRC"),
    _C("bank", _PRES, _ACTS + _REFS, "nRP", source="JEDEC tRP"),
    _C("bank", _READS, _PRES, "nRTP", source="JEDEC tRTP"),
    _C("bank", ("WR",), _PRES, "nCWL + nBL + nWR", source="JEDEC tWR after the write's data"),
    _C("bank_group", ("ACT",), ("ACTAB", *_ROW_OPENS), "nRRDL", source="JEDEC tRRDL"),
    _C("bank_group", ("ACTAB",), _ROW_OPENS, "nRRDL", source="JEDEC tRRDL"),
    _C("channel", ("ACT",), ("ACTAB", *_ROW_OPENS), "nRRDS", source="JEDEC tRRDS"),
    _C("channel", ("ACTAB",), _ROW_OPENS, "nRRDS", source="JEDEC tRRDS"),
    _C("channel", _ROW_OPENS, _ROW_OPENS, "nFAW", window=4, source="JEDEC tFAW; ACTAB is exempt (PIM)"),
    _C("channel", ("ACTAB",), _ACTS, "nFAWAB", source="PIM: what the supply gives an all-bank activation; 0: no limit"),
    _C("channel", _PRES, _PRES, "nPPD", source="JEDEC tPPD"),
    # columns
    _C("bank_group", _READS, _READS, "nCCDL", source="JEDEC tCCDL"),
    _C("bank_group", ("WR",), ("WR",), "nCCDL", source="JEDEC tCCDL"),
    _C("channel", ("RD",), ("RD",), "max(nCCDS, nBL)", source="JEDEC tCCDS; pins"),
    _C("channel", ("WR",), ("WR",), "max(nCCDS, nBL)", source="JEDEC tCCDS; pins"),
    _C("bank_group", ("WR",), _READS, "nCWL + nBL + nWTRL", source="JEDEC tWTRL"),
    _C("channel", ("WR",), ("RD",), "nCWL + nBL + nWTRS", source="JEDEC tWTRS"),
    _C("bank_group", ("MACAB",), ("WR",), "nCCDL", source="PIM: one column path per bank group"),
    _C("channel", ("MACAB",), ("MACAB",), "nMAC", source="PIM: one column per MAC cycle"),
    # the pins: reads leave nCL after issue, writes enter nCWL after issue
    _C("channel", ("RD",), ("RDMAC",), "nBL", source="PIM: pins carry one burst at a time"),
    _C("channel", ("RDMAC",), ("RD", "RDMAC"), "nBLRES", source="PIM: pins"),
    _C("channel", ("WR", "WRGB"), ("WRGB",), "nBL", source="PIM: pins"),
    _C("channel", ("WRGB",), ("WR",), "nBL", source="PIM: pins"),
    _C("channel", ("RD",), ("WR", "WRGB"), "nCL + nBL + 1 - nCWL", source="JEDEC read to write, 1 clock of gap"),
    _C("channel", ("RDMAC",), ("WR", "WRGB"), "nCL + nBLRES + 1 - nCWL", source="PIM: as read to write"),
    _C("channel", ("WR", "WRGB"), ("RDMAC",), "nCWL + nBL + 1 - nCL", source="PIM: pins, 1 clock of gap"),
    _C("channel", ("WRGB",), ("RD",), "nCWL + nBL + 1 - nCL", source="PIM: pins, 1 clock of gap"),
    # global buffer and accumulators
    _C("channel", ("WRGB",), ("MACAB",), "nCWL + nBL", source="PIM: the vector is in the buffer"),
    _C("channel", ("MACAB",), ("WRGB",), "nMAC - nCWL", source="PIM: the column of the buffer is multiplied"),
    _C("channel", ("MACAB",), ("RDMAC",), "nDRAIN", source="PIM: multiplier, adder tree, accumulator"),
    # refresh
    _C("bank", ("REFAB",), _ACTS + _PRES + _REFS, "nRFC", source="JEDEC tRFCab"),
    _C("bank", ("REFPB",), _ACTS + _PRES + _REFS, "nRFCpb", source="JEDEC tRFCpb"),
    _C("channel", ("REFPB",), ("ACTAB", *_ROW_OPENS), "nRREFD", source="JEDEC tRREFD: other banks"),
    _C("channel", ("REFAB",), ("WRGB", "RDMAC"), "nRFC", source="JEDEC tRFCab: nothing else on the bus"),
    _C("channel", ("RD",), ("REFAB",), "nCL + nBL", source="JEDEC: no data in flight at a refresh"),
    _C("channel", ("RDMAC",), ("REFAB",), "nCL + nBLRES", source="JEDEC: no data in flight at a refresh"),
    _C("channel", ("WRGB",), ("REFAB",), "nCWL + nBL", source="JEDEC: no data in flight at a refresh"),
)

# To what the clocks between two consecutive commands are charged.
CAUSES = (
    ("*", "REFAB", "refresh"),
    ("*", "REFPB", "refresh"),
    ("REFAB", "*", "refresh"),
    ("REFPB", "*", "refresh"),
    ("*", "ACT", "activation"),
    ("*", "ACTAB", "activation"),
    ("*", "PRE", "activation"),
    ("*", "PREAB", "activation"),
    ("ACT", "*", "activation"),
    ("ACTAB", "*", "activation"),
    ("*", "WRGB", "input_transfer"),
    ("WRGB", "MACAB", "input_transfer"),
    ("*", "RDMAC", "result_transfer"),
    ("*", "MACAB", "mac"),
    ("*", "WR", "write"),
    ("*", "RD", "read"),
)

STANDARD = Standard(
    name="gddr6-pim",
    commands=COMMANDS,
    constraints=CONSTRAINTS,
    roles=Roles(
        open_bank="ACT",
        open_all="ACTAB",
        close_bank="PRE",
        close_all="PREAB",
        refresh_all="REFAB",
        refresh_bank="REFPB",
    ),
    causes=CAUSES,
)
