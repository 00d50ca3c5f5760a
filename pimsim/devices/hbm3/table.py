"""Plain HBM3, as tables only: reads and writes in the two pseudo-channels of a channel.

JEDEC names as printed (JESD238); clocks are nXXX of CK.  The pseudo-channels have banks and data
pins of their own; they share the row bus and the column bus, which carry a command a clock each.
A precharge or a refresh of all banks is one of a pseudo-channel.

nBL     clocks that one column occupies the pins of its pseudo-channel
nRREFD  clocks from a per-bank refresh to an activation or a refresh of another bank of the pseudo-channel
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

PSEUDO = Level("pseudo", "bank // (banks // 2)")  # pseudo-channel

_PRES = ("PRE", "PREAB")
_REFS = ("REFAB", "REFPB")
_ROWS = ("ACT", *_PRES, *_REFS)
_COLUMNS = ("RD", "WR")
_ROW_OPENS = ("ACT", "REFPB")

COMMANDS = (
    Command("ACT", Scope.BANK, Needs.CLOSED, Effect.OPEN, bus="row"),
    Command("PRE", Scope.BANK, Needs.ANY, Effect.CLOSE, bus="row"),
    Command("PREAB", PSEUDO.name, Needs.ANY, Effect.CLOSE, bus="row"),
    Command("RD", Scope.BANK, Needs.OPEN, shows_column=True, completion="nCL + nBL",
            column=Column.READ, moves="column", on_pins="nBL", bus="column"),
    Command("WR", Scope.BANK, Needs.OPEN, shows_column=True, completion="nCWL + nBL",
            column=Column.WRITE, moves="column", on_pins="nBL", bus="column"),
    Command("REFAB", PSEUDO.name, Needs.CLOSED, lasts="nRFC", bus="row"),
    Command("REFPB", Scope.BANK, Needs.CLOSED, lasts="nRFCpb", bus="row"),
)  # fmt: skip

_C = TimingConstraint

CONSTRAINTS = (
    # the command buses
    _C("channel", (*_PRES, *_REFS), _ROWS, "1", source="JEDEC: one command per clock on the row bus"),
    _C("channel", ("ACT",), _ROWS, "2", source="JEDEC: ACT takes the row bus for 1.5 clocks; whole clocks here"),
    _C("channel", _COLUMNS, _COLUMNS, "1", source="JEDEC: one command per clock on the column bus"),
    # rows
    _C("bank", ("ACT",), ("RD",), "nRCDRD", source="JEDEC tRCDRD"),
    _C("bank", ("ACT",), ("WR",), "nRCDWR", source="JEDEC tRCDWR"),
    _C("bank", ("ACT",), _PRES, "nRAS", source="JEDEC tRAS"),
    _C("bank", ("ACT",), ("ACT", *_REFS), "nRC", source="JEDEC tRC"),
    _C("bank", _PRES, ("ACT", *_REFS), "nRP", source="JEDEC tRP"),
    _C("bank", ("RD",), _PRES, "nRTP", source="JEDEC tRTP"),
    _C("bank", ("WR",), _PRES, "nCWL + nBL + nWR", source="JEDEC tWR after the write's data"),
    _C("bank_group", ("ACT",), _ROW_OPENS, "nRRDL", source="JEDEC tRRDL"),
    _C("pseudo", ("ACT",), _ROW_OPENS, "nRRDS", source="JEDEC tRRDS"),
    _C("pseudo", _ROW_OPENS, _ROW_OPENS, "nFAW", window=4, source="JEDEC tFAW; a per-bank refresh counts"),
    # columns
    _C("bank_group", ("RD",), ("RD",), "nCCDL", source="JEDEC tCCDL"),
    _C("bank_group", ("WR",), ("WR",), "nCCDL", source="JEDEC tCCDL"),
    _C("pseudo", ("RD",), ("RD",), "max(nCCDS, nBL)", source="JEDEC tCCDS; pins"),
    _C("pseudo", ("WR",), ("WR",), "max(nCCDS, nBL)", source="JEDEC tCCDS; pins"),
    _C("bank_group", ("WR",), ("RD",), "nCWL + nBL + nWTRL", source="JEDEC tWTRL"),
    _C("pseudo", ("WR",), ("RD",), "nCWL + nBL + nWTRS", source="JEDEC tWTRS"),
    _C("pseudo", ("RD",), ("WR",), "nCL + nBL + 1 - nCWL", source="JEDEC tRTW: pins, 1 clock of gap"),
    # refresh
    _C("bank", ("REFAB",), ("ACT", *_PRES, *_REFS), "nRFC", source="JEDEC tRFCab"),
    _C("bank", ("REFPB",), ("ACT", *_PRES, *_REFS), "nRFCpb", source="JEDEC tRFCpb"),
    _C("pseudo", ("REFPB",), _ROW_OPENS, "nRREFD", source="JEDEC tRREFD: other banks"),
    _C("pseudo", ("RD",), ("REFAB",), "nCL + nBL", source="JEDEC: no data in flight at a refresh"),
)

STANDARD = Standard(
    name="hbm3",
    commands=COMMANDS,
    constraints=CONSTRAINTS,
    roles=ROLES,
    causes=CAUSES,
    levels=(CHANNEL, PSEUDO, BANK_GROUP, BANK),
    pins=PSEUDO.name,
)
