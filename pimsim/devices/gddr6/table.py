"""Plain GDDR6, as tables only: reads and writes, no multiply-accumulate.

JEDEC names as printed (JESD250); clocks are nXXX.  Where JEDEC leaves a distance to the
part (read to write, per-bank refresh to its neighbours) the row says what was taken.

nBL     clocks that one column occupies the pins
nRREFD  clocks from a per-bank refresh to an activation or a refresh of another bank
nPPD    clocks between two precharges
"""

from __future__ import annotations

from pimsim.dram.spec import Column, Command, Effect, Needs, Roles, Scope, Standard, TimingConstraint

_ALL = ("ACT", "PRE", "PREAB", "RD", "WR", "REFAB", "REFPB")
_PRES = ("PRE", "PREAB")
_REFS = ("REFAB", "REFPB")
_ROW_OPENS = ("ACT", "REFPB")  # JEDEC: a per-bank refresh counts as an activation

COMMANDS = (
    Command("ACT", Scope.BANK, Needs.CLOSED, Effect.OPEN),
    Command("PRE", Scope.BANK, Needs.ANY, Effect.CLOSE),
    Command("PREAB", Scope.ALL_BANKS, Needs.ANY, Effect.CLOSE),
    Command("RD", Scope.BANK, Needs.OPEN, shows_column=True, completion="nCL + nBL",
            column=Column.READ, moves="column", on_pins="nBL"),
    Command("WR", Scope.BANK, Needs.OPEN, shows_column=True, completion="nCWL + nBL",
            column=Column.WRITE, moves="column", on_pins="nBL"),
    Command("REFAB", Scope.ALL_BANKS, Needs.CLOSED, lasts="nRFC"),
    Command("REFPB", Scope.BANK, Needs.CLOSED, lasts="nRFCpb"),
)  # fmt: skip

_C = TimingConstraint

CONSTRAINTS = (
    # the command bus carries one command per clock
    _C("channel", _ALL, _ALL, "1", source="JEDEC: one command per command clock"),
    # rows
    _C("bank", ("ACT",), ("RD",), "nRCDRD", source="JEDEC tRCDRD"),
    _C("bank", ("ACT",), ("WR",), "nRCDWR", source="JEDEC tRCDWR"),
    _C("bank", ("ACT",), _PRES, "nRAS", source="JEDEC tRAS"),
    _C("bank", ("ACT",), ("ACT", *_REFS), "nRC", source="JEDEC tRC"),
    _C("bank", _PRES, ("ACT", *_REFS), "nRP", source="JEDEC tRP"),
    _C("bank", ("RD",), _PRES, "nRTP", source="JEDEC tRTP"),
    _C("bank", ("WR",), _PRES, "nCWL + nBL + nWR", source="JEDEC tWR after the write's data"),
    _C("bank_group", ("ACT",), _ROW_OPENS, "nRRDL", source="JEDEC tRRDL"),
    _C("channel", ("ACT",), _ROW_OPENS, "nRRDS", source="JEDEC tRRDS"),
    _C("channel", _ROW_OPENS, _ROW_OPENS, "nFAW", window=4, source="JEDEC tFAW"),
    _C("channel", _PRES, _PRES, "nPPD", source="JEDEC tPPD"),
    # columns
    _C("bank_group", ("RD",), ("RD",), "nCCDL", source="JEDEC tCCDL"),
    _C("bank_group", ("WR",), ("WR",), "nCCDL", source="JEDEC tCCDL"),
    _C("channel", ("RD",), ("RD",), "max(nCCDS, nBL)", source="JEDEC tCCDS; pins"),
    _C("channel", ("WR",), ("WR",), "max(nCCDS, nBL)", source="JEDEC tCCDS; pins"),
    _C("bank_group", ("WR",), ("RD",), "nCWL + nBL + nWTRL", source="JEDEC tWTRL"),
    _C("channel", ("WR",), ("RD",), "nCWL + nBL + nWTRS", source="JEDEC tWTRS"),
    _C("channel", ("RD",), ("WR",), "max(nCL + 1, nCL + nBL + 1 - nCWL)",
       source="tRTW is the part's; Ramulator 2.1 takes the read latency and 1 clock; the pins need the other term"),
    # refresh
    _C("bank", ("REFAB",), ("ACT", *_PRES, *_REFS), "nRFC", source="JEDEC tRFCab"),
    _C("bank", ("REFPB",), ("ACT", *_PRES, *_REFS), "nRFCpb", source="JEDEC tRFCpb"),
    _C("channel", ("REFPB",), _ROW_OPENS, "nRREFD", source="JEDEC tRREFD: other banks"),
    _C("channel", ("RD",), ("REFAB",), "nCL + nBL", source="JEDEC: no data in flight at a refresh"),
)  # fmt: skip

# To what the clocks between two consecutive commands are charged.
CAUSES = (
    ("*", "REFAB", "refresh"),
    ("*", "REFPB", "refresh"),
    ("REFAB", "*", "refresh"),
    ("REFPB", "*", "refresh"),
    ("*", "ACT", "activation"),
    ("*", "PRE", "activation"),
    ("*", "PREAB", "activation"),
    ("ACT", "*", "activation"),
    ("*", "WR", "write"),
    ("*", "RD", "read"),
)

# what the commands of a plain memory are for; LPDDR5X and HBM3 name them alike
ROLES = Roles(
    open_bank="ACT",
    close_bank="PRE",
    close_all="PREAB",
    refresh_all="REFAB",
    refresh_bank="REFPB",
)

STANDARD = Standard(
    name="gddr6",
    commands=COMMANDS,
    constraints=CONSTRAINTS,
    roles=ROLES,
    causes=CAUSES,
)
