"""LPDDR5X-PIM as tables: LPDDR5X whose banks have a block each that multiplies, in two modes.

In single-bank mode it is plain LPDDR5X (JESD209-5, with the names that its own table has).  In multi-bank mode all
banks of a channel work in lock step: inputs go into the vector registers of all blocks at once (WRGB), a column of
every bank is multiplied with what its block holds (MACAB), and a sum of every bank is read (RDMAC).  MRW sets the
mode.  Commands have the names that PIM-GPT's have, since they do the same with numbers: what is not published is how
they are encoded.

Rows marked JEDEC are the standard's own; rows marked PIM follow from what is published: a block per bank, the vector
registers, two modes.  MRW waits until no data is in flight, so that no row binds the data of two modes.

Names that are not JEDEC's:
nBL     clocks that one column occupies the pins
nBLRES  clocks that a sum of each bank takes there
nMAC    clocks between two columns of a block
nDRAIN  clocks from the issue of a block's last column until its sum is in the accumulator
nFENCE  clocks that the host waits between the inputs and the first product (0: it does not)

While the banks refresh (REFAB) nothing goes over the bus.  A refresh of some banks would stop all of them, since they
work in lock step: there is none.
"""

from __future__ import annotations

from pimsim.dram.spec import Column, Command, Does, Effect, Needs, Roles, Scope, Standard, TimingConstraint

SINGLE, MULTI = "single", "multi"

_ACTS = ("ACT", "ACTAB")
_PRES = ("PRE", "PREAB")

COMMANDS = (
    Command("ACT", Scope.BANK, Needs.CLOSED, Effect.OPEN, mode=SINGLE, energy=(("activation", "1"),)),
    Command("ACTAB", Scope.ALL_BANKS, Needs.CLOSED, Effect.OPEN, mode=MULTI, energy=(("activation", "B"),)),
    # a precharge is part of the activation's row cycle; commands of registers cost their pins only
    Command("PRE", Scope.BANK, Needs.ANY, Effect.CLOSE, energy=()),
    Command("PREAB", Scope.ALL_BANKS, Needs.ANY, Effect.CLOSE, energy=()),
    Command("RD", Scope.BANK, Needs.OPEN, shows_column=True, completion="nCL + nBL", mode=SINGLE,
            column=Column.READ, moves="column", on_pins="nBL", energy=(("column_read", "1"),), does=Does.READ),
    Command("WR", Scope.BANK, Needs.OPEN, shows_column=True, completion="nCWL + nBL", mode=SINGLE,
            column=Column.WRITE, moves="column", on_pins="nBL", energy=(("column_write", "1"),), does=Does.WRITE),
    Command("WRGB", Scope.CHANNEL, shows_column=True, completion="nCWL + nBL", mode=MULTI,
            moves="column", on_pins="nBL", energy=(), does=Does.FILL),
    Command("MACAB", Scope.ALL_BANKS, Needs.OPEN, shows_column=True, mode=MULTI,
            column=Column.READ, multiplies=True, lasts="nMAC", energy=(("mac_read", "1"), ("mac_units", "1")),
            does=Does.MULTIPLY),
    Command("RDMAC", Scope.CHANNEL, completion="nCL + nBLRES", mode=MULTI,
            moves="banks * element", on_pins="nBLRES", energy=(), does=Does.GIVE),
    Command("MRW", Scope.CHANNEL, energy=()),
    Command("REFAB", Scope.ALL_BANKS, Needs.CLOSED, lasts="nRFC", energy=(("refresh", "1"),)),
)  # fmt: skip

_ALL = tuple(command.name for command in COMMANDS)
_C = TimingConstraint

CONSTRAINTS = (
    # the command bus carries one command per clock
    _C("channel", _ALL, _ALL, "1", source="JEDEC: one command per command clock"),
    # the mode
    _C("channel", ("MRW",), tuple(c for c in _ALL if c != "MRW"), "nMRD", source="JEDEC tMRD; PIM: the mode is set"),
    _C("channel", ("RD",), ("MRW",), "nCL + nBL", source="PIM: no data in flight when the mode changes"),
    _C("channel", ("RDMAC",), ("MRW",), "nCL + nBLRES", source="PIM: no data in flight when the mode changes"),
    _C("channel", ("WR", "WRGB"), ("MRW",), "nCWL + nBL", source="PIM: no data in flight when the mode changes"),
    _C("channel", ("MACAB",), ("MRW",), "nMAC", source="PIM: the blocks have taken their column"),
    # rows
    _C("bank", _ACTS, ("RD", "MACAB"), "nRCDRD", source="JEDEC tRCD"),
    _C("bank", _ACTS, ("WR",), "nRCDWR", source="JEDEC tRCD"),
    _C("bank", _ACTS, _PRES, "nRAS", source="JEDEC tRAS"),
    _C("bank", _ACTS, (*_ACTS, "REFAB"), "nRC", source="JEDEC tRC"),
    _C("bank", ("PRE",), (*_ACTS, "REFAB"), "nRP", source="JEDEC tRPpb"),
    _C("bank", ("PREAB",), (*_ACTS, "REFAB"), "nRPab", source="JEDEC tRPab"),
    _C("bank", ("RD", "MACAB"), _PRES, "nBL + nRTP", source="JEDEC BL/n_min + tRBTP; PIM: a product reads as a read"),
    _C("bank", ("WR",), _PRES, "nCWL + nBL + 1 + nWR", source="JEDEC WL + BL/n_min + 1 + tWR"),
    _C("channel", _ACTS, _ACTS, "nRRD", source="JEDEC tRRD"),
    _C("channel", ("ACT",), ("ACT",), "nFAW", window=4, source="JEDEC tFAW; ACTAB is exempt (PIM)"),
    _C("channel", _PRES, _PRES, "nPPD", source="JEDEC tPPD"),
    # columns
    _C("bank_group", ("RD",), ("RD",), "nCCDL", source="JEDEC BL/n_max"),
    _C("bank_group", ("WR",), ("WR",), "nCCDL", source="JEDEC BL/n_max"),
    _C("channel", ("RD",), ("RD",), "max(nCCDS, nBL)", source="JEDEC BL/n_min; pins"),
    _C("channel", ("WR",), ("WR",), "max(nCCDS, nBL)", source="JEDEC BL/n_min; pins"),
    _C("bank_group", ("WR",), ("RD", "MACAB"), "nCWL + nCCDL + nWTRL", source="JEDEC WL + BL/n_max + tWTR_L"),
    _C("channel", ("WR",), ("RD",), "nCWL + nBL + nWTRS", source="JEDEC WL + BL/n_min + tWTR_S"),
    _C("bank_group", ("RD",), ("WR",), "nCL + nCCDL + nWCKDQO - nCWL", source="JEDEC RL + BL/n_max + tWCKDQO - WL"),
    _C("channel", ("RD",), ("WR",), "nCL + nBL + nWCKDQO - nCWL", source="JEDEC RL + BL/n_min + tWCKDQO - WL"),
    # blocks: their registers, their columns, their sums
    _C("channel", ("WRGB",), ("WRGB",), "nBL", source="PIM: pins carry one burst at a time"),
    _C("channel", ("RDMAC",), ("RDMAC",), "nBLRES", source="PIM: pins"),
    _C("channel", ("RDMAC",), ("WRGB",), "nCL + nBLRES + nWCKDQO - nCWL", source="PIM: as read to write"),
    _C("channel", ("WRGB",), ("RDMAC",), "nCWL + nBL + 1 - nCL", source="PIM: pins, 1 clock of gap"),
    _C("channel", ("MACAB",), ("MACAB",), "nMAC", source="PIM: one column per clock of the blocks"),
    _C("channel", ("WRGB",), ("MACAB",), "max(nCWL + nBL, nFENCE)", source="PIM: the vector is in the registers"),
    _C("channel", ("MACAB",), ("WRGB",), "nMAC - nCWL", source="PIM: the column of the registers is multiplied"),
    _C("channel", ("MACAB",), ("RDMAC",), "nDRAIN", source="PIM: multiplier, adder tree, accumulator"),
    # refresh
    _C("bank", ("REFAB",), (*_ACTS, *_PRES, "REFAB"), "nRFC", source="JEDEC tRFCab"),
    _C("channel", ("REFAB",), ("WRGB", "RDMAC", "MRW"), "nRFC", source="JEDEC tRFCab: nothing else on the bus"),
    _C("channel", ("RD",), ("REFAB",), "nCL + nBL", source="JEDEC: no data in flight at a refresh"),
    _C("channel", ("RDMAC",), ("REFAB",), "nCL + nBLRES", source="JEDEC: no data in flight at a refresh"),
    _C("channel", ("WRGB",), ("REFAB",), "nCWL + nBL", source="JEDEC: no data in flight at a refresh"),
)

# To what the clocks between two consecutive commands are charged.
CAUSES = (
    ("*", "REFAB", "refresh"),
    ("REFAB", "*", "refresh"),
    ("*", "MRW", "mode_switch"),
    ("MRW", "*", "mode_switch"),
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
    name="lpddr5x-pim",
    commands=COMMANDS,
    constraints=CONSTRAINTS,
    roles=Roles(
        open_bank="ACT",
        open_all="ACTAB",
        close_bank="PRE",
        close_all="PREAB",
        refresh_all="REFAB",
        switch_mode="MRW",
        open_rest="PREAB",  # ACT would need the other mode
    ),
    causes=CAUSES,
    derived={"nRRDS": "nRRD"},  # what layouts call the pace of activations: LPDDR5X has one for all bank groups
    modes=(SINGLE, MULTI),
    keeps_in_turn=True,
)
