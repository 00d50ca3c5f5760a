"""GDDR6-AiM as tables: 16 banks with a MAC unit each, a global buffer and a register mode.

Two standards share their rows.  REFERENCE ("aim-reference") reproduces the open AiM
simulator clock by clock, with its quirks; STANDARD ("aim") is right by default.  What
separates them is DIFFERENCES, each with its reason.

Sources of rows: "JEDEC" for GDDR6's own rules (JESD250); "AiM" for what the golden
command traces of the reference simulator show (tests/golden/aim).  Names that are not
JEDEC's, all in clocks:

nRCDRDMAC, nRCDRDAF, nRCDEWMUL, nRCDRDCP, nRCDWRCP   row open to MAC, AF, EWMUL, copy from and to a bank
nCLREG, nCWLREG   issue to data for the MAC and AF registers, read and write
nCLGB, nCWLGB     the same for the global buffer
nWPRE             turning the pins round
nMODCH            switching between array mode and register mode
nMACDRAIN         last MAC to its sum in the accumulator
nAF               one pass of the activation function
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pimsim.dram.spec import Column, Command, Does, Effect, Needs, Roles, Scope, Standard, TimingConstraint

ARRAY, REGISTER = "array", "register"
AF_ROW = 1 << 29  # the first of the rows that stand for the activation functions' tables
AF_FUNCTIONS = 8
# The functions of the look-up tables, by the operator that they carry out (source: assumed: which there are).
FUNCTIONS = ("gelu", "silu", "relu", "tanh")


def _bank(name: str, completion: str, column: Column, **meaning: Any) -> Command:
    return Command(
        name, Scope.BANK, Needs.OPEN, shows_column=True, completion=completion, mode=ARRAY, column=column, **meaning
    )


def _lockstep(
    name: str, column: Column, completion: str = "1", effect: Effect = Effect.NONE, **meaning: Any
) -> Command:
    return Command(
        name, Scope.ALL_BANKS, Needs.OPEN, effect, shows_column=True, completion=completion, mode=ARRAY, column=column,
        **meaning,
    )  # fmt: skip


def _register(name: str, completion: str, moves: str, does: Does) -> Command:
    return Command(
        name, Scope.CHANNEL, shows_column=True, completion=completion, mode=REGISTER, moves=moves, on_pins="nBL",
        energy=(), does=does,
    )  # fmt: skip


READ, WRITE = Column.READ, Column.WRITE
_MULTIPLY = ("mac_read", "mac_units")
_RESULTS = "banks * element"

COMMANDS = (
    Command("ACT", Scope.BANK, Needs.CLOSED, Effect.OPEN, mode=ARRAY, energy=(("activation", "1"),)),
    Command("ACT16", Scope.ALL_BANKS, Needs.CLOSED, Effect.OPEN, mode=ARRAY, energy=(("activation", "B"),)),
    # a precharge is part of the activation's row cycle; commands of registers cost their pins only
    Command("PRE", Scope.BANK, Needs.ANY, Effect.CLOSE, energy=()),
    Command("PREA", Scope.ALL_BANKS, Needs.ANY, Effect.CLOSE, energy=()),
    _bank("RD", "nCL + nBL", READ, moves="column", on_pins="nBL", energy=(("column_read", "1"),), does=Does.READ),
    _bank("WR", "nCWL + nBL", WRITE, moves="column", on_pins="nBL", energy=(("column_write", "1"),), does=Does.WRITE),
    _bank("MAC", "1", READ, multiplies=True, lasts="nCCDL", energy=tuple((price, "1/B") for price in _MULTIPLY),
          does=Does.MULTIPLY),
    _bank("RDCP", "1", READ, energy=(("column_read", "1"),)),
    _bank("WRCP", "1", WRITE, energy=(("column_write", "1"),)),
    _lockstep("MAC16", READ, multiplies=True, lasts="nCCDL", energy=tuple((price, "1") for price in _MULTIPLY),
              does=Does.MULTIPLY),
    _lockstep("AF16", READ, energy=(("column_read", "B"),), does=Does.LOOK_UP),  # the look-up of a table in every bank
    # the first two banks of a group are read and multiplied, and the third is written
    _lockstep("EWMUL16", READ, lasts="nCCDL", energy=(("column_read", "B/2"), ("column_write", "B/4"),
                                                        ("mac_units", "1/4")), does=Does.SCALE),
    # a write that precharges
    _lockstep("WRA16", WRITE, "nCWL + nBL + nRP", Effect.CLOSE, moves="column", on_pins="nBL",
              energy=(("column_write", "B"),), does=Does.WRITE_ALL),
    _register("WRGB", "nCWLGB + nBL", "column", Does.FILL),
    _register("WRMAC16", "nCWLREG + nBL", _RESULTS, Does.PRESET),
    _register("RDMAC16", "nCLREG + nBL", _RESULTS, Does.GIVE),
    _register("RDAF16", "nCLREG + nBL", _RESULTS, Does.GIVE_FOUND),
    Command("TMOD", Scope.CHANNEL, energy=()),
    Command("REFAB", Scope.ALL_BANKS, Needs.CLOSED, lasts="nRFC", energy=(("refresh", "1"),)),
)  # fmt: skip

_ALL = tuple(command.name for command in COMMANDS)
_REGS_OUT = ("RDMAC16", "RDAF16")
_C = TimingConstraint

_TURN_OUT = "3 + nWPRE"  # clocks of gap, and the pins turn round

CONSTRAINTS = (
    _C("channel", _ALL, _ALL, "1", source="JEDEC: one command per command clock"),
    _C("channel", ("TMOD",), tuple(c for c in _ALL if c != "TMOD"), "nMODCH", source="AiM: mode switch"),
    # the pins and the column path
    _C("channel", ("RD", *_REGS_OUT), ("RD", *_REGS_OUT), "nBL", source="JEDEC: pins"),
    _C("channel", ("WR", "WRGB", "WRMAC16"), ("WR", "WRA16", "WRGB", "WRMAC16"), "nBL", source="JEDEC: pins"),
    _C("channel", ("WRA16",), ("WRGB", "WRMAC16"), "nBL", source="JEDEC: pins; before WR and WRA16 it precharges"),
    _C(
        "channel",
        ("RD", "MAC", "MAC16", "RDCP", *_REGS_OUT),
        ("RD", "MAC", "MAC16", "RDCP", *_REGS_OUT),
        "nCCDS",
        source="JEDEC tCCDS",
    ),
    _C(
        "channel",
        ("WR", "WRA16", "WRGB", "WRCP", "WRMAC16"),
        ("WR", "WRA16", "WRGB", "WRCP", "WRMAC16"),
        "nCCDS",
        source="JEDEC tCCDS",
    ),
    _C(
        "channel",
        ("RD", "MAC", "RDCP", *_REGS_OUT, "MAC16", "EWMUL16"),
        (*_REGS_OUT, "MAC16", "EWMUL16"),
        "nCCDL",
        source="AiM: these use the column path of every bank group; JEDEC tCCDL",
    ),
    _C(
        "channel", (*_REGS_OUT, "MAC16", "EWMUL16"), ("RD", "MAC", "RDCP"), "nCCDL", source="AiM: as above; JEDEC tCCDL"
    ),
    _C(
        "channel",
        ("WR", "WRCP", "WRA16", "WRMAC16"),
        ("WRA16", "WRMAC16", "EWMUL16"),
        "nCCDL",
        source="AiM: as above; JEDEC tCCDL",
    ),
    _C("channel", ("EWMUL16",), ("WR", "WRCP", "WRA16", "WRMAC16"), "nCCDL", source="AiM: as above; JEDEC tCCDL"),
    _C("channel", ("WRA16", "WRMAC16"), ("WR", "WRCP"), "nCCDL", source="AiM: as above; JEDEC tCCDL"),
    _C("bank_group", ("RD", "MAC", "RDCP"), ("RD", "MAC", "RDCP"), "nCCDL", source="JEDEC tCCDL"),
    _C("bank_group", ("WR", "WRCP"), ("WR", "WRCP"), "nCCDL", source="JEDEC tCCDL"),
    # read to write
    _C("channel", ("RD",), ("WR", "WRA16"), f"nCL + nBL - nCWL + {_TURN_OUT}", source="JEDEC tRTW"),
    _C("channel", ("RD",), ("WRGB",), f"nCL + nBL - nCWLGB + {_TURN_OUT}", source="AiM: as tRTW"),
    _C("channel", ("RD",), ("WRMAC16",), f"nCL + nBL - nCWLREG + {_TURN_OUT}", source="AiM: as tRTW"),
    _C("channel", _REGS_OUT, ("WR", "WRA16"), f"nCLREG + nBL - nCWL + {_TURN_OUT}", source="AiM: as tRTW"),
    _C("channel", _REGS_OUT, ("WRGB",), f"nCLREG + nBL - nCWLGB + {_TURN_OUT}", source="AiM: as tRTW"),
    _C("channel", _REGS_OUT, ("WRMAC16",), f"nCLREG + nBL - nCWLREG + {_TURN_OUT}", source="AiM: as tRTW"),
    # write to read
    _C("channel", ("WR", "WRA16"), ("RD", *_REGS_OUT), "nCWL + nBL + nWTRS", source="JEDEC tWTRS"),
    _C("channel", ("WRGB",), ("RD", *_REGS_OUT), "nCWLGB + nBL + nWTRS", source="AiM: as tWTRS"),
    _C("channel", ("WR",), _REGS_OUT, "nCWL + nBL + nWTRL", source="AiM: as tWTRL"),
    _C("channel", ("WRA16",), ("RD", *_REGS_OUT), "nCWL + nBL + nWTRL", source="AiM: as tWTRL"),
    _C("channel", ("WRMAC16",), ("RD", *_REGS_OUT), "nCWLREG + nBL + nWTRS", source="AiM: as tWTRS"),
    _C("channel", ("WRMAC16",), ("RD", *_REGS_OUT), "nCWLREG + nBL + nWTRL", source="AiM: as tWTRL"),
    _C("bank_group", ("WR",), ("RD",), "nCWL + nBL + nWTRL", source="JEDEC tWTRL"),
    # columns to precharge
    _C("bank", ("RD", "RDCP", "MAC", "MAC16", "AF16", "EWMUL16"), ("PRE", "PREA"), "nRTP", source="JEDEC tRTP"),
    _C("bank", ("WR", "WRCP"), ("PRE", "PREA"), "nCWL + nBL + nWR", source="JEDEC tWR after the write's data"),
    _C("bank", ("EWMUL16",), ("PRE", "PREA"), "nCWL + nWR", source="AiM: tWR without data on the pins"),
    # rows
    _C("channel", ("ACT",), ("ACT",), "nRRDS", source="JEDEC tRRDS"),
    _C("bank_group", ("ACT",), ("ACT",), "nRRDL", source="JEDEC tRRDL"),
    _C("channel", ("ACT",), ("ACT16",), "nRRDL", source="JEDEC tRRDL"),
    _C("channel", ("ACT16",), ("ACT", "ACT16"), "nRRDL", source="JEDEC tRRDL"),
    _C("bank", ("ACT", "ACT16"), ("ACT", "ACT16"), "nRC", source="JEDEC tRC"),
    _C("bank", ("ACT", "ACT16"), ("PRE", "PREA"), "nRAS", source="JEDEC tRAS"),
    _C("bank", ("PRE", "PREA"), ("ACT", "ACT16"), "nRP", source="JEDEC tRP"),
    _C("bank", ("PRE", "PREA"), ("PRE", "PREA"), "nRP", source="AiM: a bank that precharges takes no PRE"),
    _C("bank", ("ACT", "ACT16"), ("MAC", "MAC16"), "nRCDRDMAC", source="AiM: tRCD of the MAC unit"),
    _C("bank", ("ACT", "ACT16"), ("AF16",), "nRCDRDAF", source="AiM: tRCD of the activation function"),
    _C("bank", ("ACT", "ACT16"), ("EWMUL16",), "nRCDEWMUL", source="AiM: tRCD of the multiplier"),
    _C("bank", ("ACT", "ACT16"), ("RDCP",), "nRCDRDCP", source="AiM: tRCD of a copy to the buffer"),
    _C("bank", ("ACT", "ACT16"), ("WRCP",), "nRCDWRCP", source="AiM: tRCD of a copy from the buffer"),
    _C("bank", ("ACT", "ACT16"), ("RD",), "nRCDRD", source="JEDEC tRCDRD"),
    _C("bank", ("ACT", "ACT16"), ("WR", "WRA16"), "nRCDWR", source="JEDEC tRCDWR"),
    _C("bank", ("WRA16",), ("ACT", "ACT16", "REFAB"), "nCWL + nBL + nWR + nRP", source="JEDEC tWR, then tRP"),
    # refresh
    _C("bank", ("ACT", "ACT16"), ("REFAB",), "nRC", source="JEDEC tRC"),
    _C("bank", ("PRE", "PREA"), ("REFAB",), "nRP", source="JEDEC tRP"),
    _C("bank", ("REFAB",), ("ACT", "ACT16", "PRE", "PREA", "REFAB"), "nRFC", source="JEDEC tRFCab"),
)

_READS = ("RD", "MAC", "RDCP")  # of one bank's array
_READS_16 = ("MAC16", "AF16", "EWMUL16")  # of every bank's

# What the reference lets be read before it is there, by what it is in: each list is a difference of its own.

WRITE_TO_READ = (
    _C("channel", ("WR",), ("MAC", "RDCP"), "nCWL + nBL + nWTRS", source="JEDEC tWTRS, as before RD"),
    _C("bank_group", ("WR",), ("MAC", "RDCP", *_READS_16), "nCWL + nBL + nWTRL", source="JEDEC tWTRL, as before RD"),
    _C("channel", ("WRCP",), _READS, "nCWL + nBL + nWTRS", source="as after WR: its data is in the array as late"),
    _C("bank_group", ("WRCP",), (*_READS, *_READS_16), "nCWL + nBL + nWTRL", source="as after WR"),
    # it reads the first two banks of each group and writes the third, so that it may follow itself
    _C("bank", ("EWMUL16",), (*_READS, "MAC16", "AF16"), "nCWL + nWTRL", source="as after WR, without a burst"),
)

BUFFERS = (
    _C("channel", ("WRGB",), ("MAC", "MAC16", "WRCP"), "nCWLGB + nBL", source="the vector is in the buffer"),
    _C("channel", ("RDCP",), ("MAC", "MAC16", "WRCP"), "nCL", source="the copy is in the buffer (assumed: as a read)"),
    _C("channel", ("RDCP",), ("WRGB",), "nCL - nCWLGB", source="the copy does not overwrite what comes after it"),
    _C("channel", ("WRGB",), ("RDCP",), "nCWLGB + nBL - nCL", source="the vector does not overwrite the copy"),
    _C("channel", ("WRMAC16",), ("MAC", "MAC16", "AF16"), "nCWLREG + nBL", source="the bias is in the accumulator"),
)

PINS = (
    _C("channel", ("RD",), _REGS_OUT, "nCL + nBL - nCLREG", source="pins: one burst at a time, in order"),
    _C("channel", _REGS_OUT, ("RD",), "nCLREG + nBL - nCL", source="pins: one burst at a time, in order"),
    _C("channel", ("WR", "WRA16"), ("WRGB",), "nCWL + nBL - nCWLGB", source="pins: one burst at a time, in order"),
    _C("channel", ("WR", "WRA16"), ("WRMAC16",), "nCWL + nBL - nCWLREG", source="pins: one burst at a time, in order"),
    _C("channel", ("WRGB",), ("WR", "WRA16"), "nCWLGB + nBL - nCWL", source="pins: one burst at a time, in order"),
    _C("channel", ("WRGB",), ("WRMAC16",), "nCWLGB + nBL - nCWLREG", source="pins: one burst at a time, in order"),
    _C("channel", ("WRMAC16",), ("WR", "WRA16"), "nCWLREG + nBL - nCWL", source="pins: one burst at a time, in order"),
    _C("channel", ("WRMAC16",), ("WRGB",), "nCWLREG + nBL - nCWLGB", source="pins: one burst at a time, in order"),
)

CORRECTIONS = (
    _C(
        "channel",
        ("ACT",),
        ("ACT",),
        "nFAW",
        window=4,
        source="JEDEC tFAW; ACT16 is exempt (AiM: reservoir capacitors)",
    ),
    _C("channel", ("MAC", "MAC16"), ("RDMAC16", "AF16"), "nMACDRAIN", source="the sum must be in the accumulator"),
    _C("channel", ("MAC", "MAC16"), ("WRMAC16",), "nMACDRAIN - nCWLREG", source="the sum does not overwrite the bias"),
    _C("channel", ("AF16",), ("AF16", "RDAF16"), "nAF", source="the activation function's unit is busy"),
    *WRITE_TO_READ,
    *BUFFERS,
    *PINS,
    _C(
        "channel",
        ("REFAB",),
        ("WRGB", "WRMAC16", *_REGS_OUT, "TMOD"),
        "nRFC",
        source="JEDEC tRFCab: nothing else on the bus",
    ),
    _C("channel", ("RD",), ("REFAB",), "nCL + nBL", source="JEDEC: no data in flight at a refresh"),
    _C("channel", _REGS_OUT, ("REFAB",), "nCLREG + nBL", source="JEDEC: no data in flight at a refresh"),
    _C("channel", ("WRGB",), ("REFAB",), "nCWLGB + nBL", source="JEDEC: no data in flight at a refresh"),
    _C("channel", ("WRMAC16",), ("REFAB",), "nCWLREG + nBL", source="JEDEC: no data in flight at a refresh"),
)

# To what the clocks between two consecutive commands are charged.
CAUSES = (
    ("*", "REFAB", "refresh"),
    ("REFAB", "*", "refresh"),
    ("*", "TMOD", "mode_switch"),
    ("TMOD", "*", "mode_switch"),
    ("*", "ACT", "activation"),
    ("*", "ACT16", "activation"),
    ("*", "PRE", "activation"),
    ("*", "PREA", "activation"),
    ("ACT", "*", "activation"),
    ("ACT16", "*", "activation"),
    ("*", "WRGB", "input_transfer"),
    ("*", "WRMAC16", "input_transfer"),
    ("*", "RDMAC16", "result_transfer"),
    ("*", "RDAF16", "result_transfer"),
    ("*", "MAC", "mac"),
    ("*", "MAC16", "mac"),
    ("*", "AF16", "mac"),
    ("*", "EWMUL16", "mac"),
    ("*", "RDCP", "copy"),
    ("*", "WRCP", "copy"),
    ("*", "WR", "write"),
    ("*", "WRA16", "write"),
    ("*", "RD", "read"),
)

_ROLES = Roles(
    open_bank="ACT",
    open_all="ACT16",
    close_bank="PRE",
    close_all="PREA",
    refresh_all="REFAB",
    switch_mode="TMOD",
)


def _changed(commands: tuple[Command, ...], name: str, **fields: object) -> tuple[Command, ...]:
    return tuple(replace(c, **fields) if c.name == name else c for c in commands)  # type: ignore[arg-type]


STANDARD = Standard(
    name="aim",
    commands=COMMANDS,
    constraints=CONSTRAINTS + CORRECTIONS,
    roles=replace(_ROLES, open_rest="PREA"),  # PREA and ACT16 take less than ACT in up to 15 banks at tRRD and tFAW
    causes=CAUSES,
    modes=(ARRAY, REGISTER),
    function_rows=(AF_ROW, AF_ROW + AF_FUNCTIONS),
    functions=FUNCTIONS,
    buffer_by_column=True,
)

REFERENCE = replace(
    STANDARD,
    name="aim-reference",
    commands=_changed(COMMANDS, "ACT16", needs=Needs.ANY),
    constraints=CONSTRAINTS,
    roles=replace(_ROLES, open_rest="ACT16"),
    logs_request=True,
    queued_accesses=True,
)


@dataclass(frozen=True)
class Difference:
    """One way in which `aim` is right where the reference simulator is not.

    Not among them: the reference queues host accesses, lets them overtake each other, and loses reads behind a write
    and what has not issued at an EOC (`queued`).  Here they issue in order, as everything else does; the other way
    has no meaning beside refreshes, so it cannot be switched on by itself.
    cycles, refresh, roles, commands: what switching it off changes in a device; rows: what it leaves out.
    """

    name: str
    why: str
    cycles: Mapping[str, int] = field(default_factory=dict)
    refresh: str | None = None
    roles: Mapping[str, str] = field(default_factory=dict)
    commands: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    rows: tuple[TimingConstraint, ...] = ()

    def undone(self, standard: Standard) -> Standard:
        """The tables with this difference undone."""
        commands = standard.commands
        for name, fields in self.commands.items():
            commands = _changed(commands, name, **fields)
        return replace(
            standard,
            commands=commands,
            constraints=tuple(row for row in standard.constraints if row not in self.rows),
            roles=replace(standard.roles, **self.roles),
        )


DIFFERENCES = (
    Difference("refresh", "rows lose charge: tRFC every tREFI, a silent bus", refresh="none"),
    Difference("activation window", "at most four ACT in tFAW (ACT16 is exempt)", {"nFAW": 0}),
    Difference(
        "ACT on an open bank",
        "open banks close first: PREA, then ACT16",
        roles={"open_rest": "ACT16"},
        commands={"ACT16": {"needs": Needs.ANY}},
    ),
    Difference("MAC drain", "who uses a sum waits for it", {"nMACDRAIN": 0}),
    Difference("AF16 back to back", "one activation function at a time", {"nAF": 0}),
    Difference("write to read", "what is written is read once it is in the array", rows=WRITE_TO_READ),
    Difference("buffer, bias", "a copy, vector or bias is used once it is there", rows=BUFFERS),
    Difference("order on the pins", "one burst at a time, in order", rows=PINS),
)
