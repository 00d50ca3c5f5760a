"""Plain LPDDR5X, as tables only: reads and writes of bursts of 16, four bank groups (BG mode).

JEDEC names as printed (JESD209-5), but for those that all devices here share: tRP is tRPpb, tRTP
is tRBTP, tCL and tCWL are RL and WL, tCCDS and tCCDL are BL/n_min and BL/n_max, tRFC is tRFCab;
clocks are nXXX of CK.  WCK runs all the time, so that no CAS command goes before a column.  ACT is
ACT-2; its ACT-1 goes in some free clock of the bus before, and is not here.

nBL     clocks that one column occupies the pins

A per-bank refresh takes a pair of banks, one in each half of the bank groups: the command has one
bit less of the bank group.
"""

from __future__ import annotations

from pimsim.devices.gddr6.table import CAUSES, ROLES
from pimsim.dram.spec import (
    BANK,
    BANK_GROUP,
    CHANNEL,
    Column,
    Command,
    Effect,
    Level,
    Needs,
    Scope,
    Standard,
    TimingConstraint,
)

PAIR = Level("pair", "bank % (banks // 2)")

_ALL = ("ACT", "PRE", "PREAB", "RD", "WR", "REFAB", "REFPB")
_PRES = ("PRE", "PREAB")
_REFS = ("REFAB", "REFPB")
_ROW_OPENS = ("ACT", "REFPB")

COMMANDS = (
    Command("ACT", Scope.BANK, Needs.CLOSED, Effect.OPEN),
    Command("PRE", Scope.BANK, Needs.ANY, Effect.CLOSE),
    Command("PREAB", Scope.ALL_BANKS, Needs.ANY, Effect.CLOSE),
    Command("RD", Scope.BANK, Needs.OPEN, shows_column=True, completion="nCL + nBL",
            column=Column.READ, moves="column", on_pins="nBL"),
    Command("WR", Scope.BANK, Needs.OPEN, shows_column=True, completion="nCWL + nBL",
            column=Column.WRITE, moves="column", on_pins="nBL"),
    Command("REFAB", Scope.ALL_BANKS, Needs.CLOSED, lasts="nRFC"),
    Command("REFPB", PAIR.name, Needs.CLOSED, lasts="nRFCpb"),
)  # fmt: skip

_C = TimingConstraint

CONSTRAINTS = (
    # the command bus carries one command per clock
    _C("channel", _ALL, _ALL, "1", source="JEDEC: one command per command clock"),
    # rows
    _C("bank", ("ACT",), ("RD",), "nRCDRD", source="JEDEC tRCD"),
    _C("bank", ("ACT",), ("WR",), "nRCDWR", source="JEDEC tRCD"),
    _C("bank", ("ACT",), _PRES, "nRAS", source="JEDEC tRAS"),
    _C("bank", ("ACT",), ("ACT", *_REFS), "nRC", source="JEDEC tRC"),
    _C("bank", ("PRE",), ("ACT", *_REFS), "nRP", source="JEDEC tRPpb"),
    _C("bank", ("PREAB",), ("ACT", *_REFS), "nRPab", source="JEDEC tRPab"),
    _C("bank", ("RD",), _PRES, "nBL + nRTP", source="JEDEC BL/n_min + tRBTP"),
    _C("bank", ("WR",), _PRES, "nCWL + nBL + 1 + nWR", source="JEDEC WL + BL/n_min + 1 + tWR"),
    _C("channel", ("ACT",), _ROW_OPENS, "nRRD", source="JEDEC tRRD"),
    _C("channel", _ROW_OPENS, _ROW_OPENS, "nFAW", window=4, source="JEDEC tFAW; a per-bank refresh counts"),
    _C("channel", _PRES, _PRES, "nPPD", source="JEDEC tPPD"),
    # columns
    _C("bank_group", ("RD",), ("RD",), "nCCDL", source="JEDEC BL/n_max"),
    _C("bank_group", ("WR",), ("WR",), "nCCDL", source="JEDEC BL/n_max"),
    _C("channel", ("RD",), ("RD",), "max(nCCDS, nBL)", source="JEDEC BL/n_min; pins"),
    _C("channel", ("WR",), ("WR",), "max(nCCDS, nBL)", source="JEDEC BL/n_min; pins"),
    _C("bank_group", ("WR",), ("RD",), "nCWL + nCCDL + nWTRL", source="JEDEC WL + BL/n_max + tWTR_L"),
    _C("channel", ("WR",), ("RD",), "nCWL + nBL + nWTRS", source="JEDEC WL + BL/n_min + tWTR_S"),
    _C("bank_group", ("RD",), ("WR",), "nCL + nCCDL + nWCKDQO - nCWL", source="JEDEC RL + BL/n_max + tWCKDQO - WL"),
    _C("channel", ("RD",), ("WR",), "nCL + nBL + nWCKDQO - nCWL", source="JEDEC RL + BL/n_min + tWCKDQO - WL"),
    # refresh
    _C("bank", ("REFAB",), ("ACT", *_PRES, *_REFS), "nRFC", source="JEDEC tRFCab"),
    _C("bank", ("REFPB",), ("ACT", *_PRES, *_REFS), "nRFCpb", source="JEDEC tRFCpb: both banks of the pair"),
    _C("channel", ("REFPB",), ("ACT",), "npbR2act", source="JEDEC tpbR2act: other pairs"),
    _C("channel", ("REFPB",), ("REFPB",), "npbR2pbR", source="JEDEC tpbR2pbR: other pairs"),
    _C("channel", ("RD",), ("REFAB",), "nCL + nBL", source="JEDEC: no data in flight at a refresh"),
)

STANDARD = Standard(
    name="lpddr5x",
    commands=COMMANDS,
    constraints=CONSTRAINTS,
    roles=ROLES,
    causes=CAUSES,
    levels=(CHANNEL, BANK_GROUP, PAIR, BANK),
)
