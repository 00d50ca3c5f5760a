"""Devices with more levels than bank groups, or with two modes: shipped ones, and a table with same-bank refresh."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from pimsim.devices.gddr6.table import CAUSES
from pimsim.devices.hbm3 import table as hbm3
from pimsim.devices.lpddr5x import table as lpddr5x
from pimsim.devices.lpddr5x_pim import table as lpddr5x_pim
from pimsim.dram.spec import (
    BANK,
    BANK_GROUP,
    CHANNEL,
    Command,
    Effect,
    Level,
    Needs,
    Roles,
    Scope,
    Standard,
    TimingConstraint,
)
from pimsim.dram.timing import Device
from tests.strategies import REFRESH_MODES, cycles_of, device_of, room_for_progress

ADDRESS = Level("address", "bank % banks_per_group")
PAIR = Level("pair", "bank // 2")

_C = TimingConstraint
_ALL = ("ACT", "PRE", "PREAB", "PRESB", "RD", "WR", "RDP", "REFAB", "REFSB")
_PRES = ("PRE", "PREAB", "PRESB")
_REFS = ("REFAB", "REFSB")
_READS = ("RD", "RDP")

# As DDR5 does it: REFSB and PRESB address the banks of one number, one in each bank group.  RDP reads two
# neighbours in lock step, which DDR5 has not; and windows count within a group and within such a pair.
DDR5 = Standard(
    name="ddr5",
    commands=(
        Command("ACT", Scope.BANK, Needs.CLOSED, Effect.OPEN),
        Command("PRE", Scope.BANK, Needs.ANY, Effect.CLOSE),
        Command("PREAB", Scope.ALL_BANKS, Needs.ANY, Effect.CLOSE),
        Command("PRESB", ADDRESS.name, Needs.ANY, Effect.CLOSE),
        Command("RD", Scope.BANK, Needs.OPEN, shows_column=True, completion="nCL + nBL"),
        Command("WR", Scope.BANK, Needs.OPEN, shows_column=True, completion="nCWL + nBL"),
        Command("RDP", PAIR.name, Needs.OPEN, shows_column=True, completion="nCL + nBL"),
        Command("REFAB", Scope.ALL_BANKS, Needs.CLOSED, lasts="nRFC"),
        Command("REFSB", ADDRESS.name, Needs.CLOSED, lasts="nRFCsb"),
    ),
    constraints=(
        _C("channel", _ALL, _ALL, "1", source="one command per clock"),
        _C("bank", ("ACT",), _READS, "nRCDRD", source="tRCD"),
        _C("bank", ("ACT",), ("WR",), "nRCDWR", source="tRCD"),
        _C("bank", ("ACT",), _PRES, "nRAS", source="tRAS"),
        _C("bank", ("ACT",), ("ACT", *_REFS), "nRC", source="tRC"),
        _C("bank", _PRES, ("ACT", *_REFS), "nRP", source="tRP"),
        _C("bank", _READS, _PRES, "nRTP", source="tRTP"),
        _C("bank", ("WR",), _PRES, "nCWL + nBL + nWR", source="tWR"),
        _C("bank_group", ("ACT",), ("ACT",), "nRRDL", source="tRRD_L"),
        _C("bank_group", ("ACT",), ("ACT", "PREAB"), "nFAWG", window=2, source="two of a group"),
        _C("address", ("ACT",), ("ACT", "REFSB"), "nRRDS", source="two of a number"),
        _C("channel", ("ACT",), ("ACT",), "nFAW", window=4, source="tFAW"),
        _C("bank_group", _READS, _READS, "nCCDL", source="tCCD_L"),
        _C("pair", _READS, _READS, "nMAC", source="two of a pair"),
        _C("pair", _READS, ("RDP", "WR"), "nFAWP", window=3, source="three of a pair"),
        _C("channel", _READS, _READS, "max(nCCDS, nBL)", source="tCCD_S"),
        _C("channel", ("WR",), ("WR",), "max(nCCDL, nBL)", source="tCCD_WR"),
        _C("bank_group", ("WR",), _READS, "nCWL + nBL + nWTRL", source="tWTR_L"),
        _C("channel", ("WR",), _READS, "nCWL + nBL + nWTRS", source="tWTR_S"),
        _C("channel", _READS, ("WR",), "nCL + nBL + 1 - nCWL", source="pins"),
        _C("bank", ("REFAB",), ("ACT", *_PRES, *_REFS), "nRFC", source="tRFC"),
        _C("bank", ("REFSB",), ("ACT", *_PRES, *_REFS), "nRFCsb", source="tRFCsb"),
        _C("channel", ("REFSB",), ("ACT", "REFSB"), "nREFSBRD", source="tREFSBRD"),
        _C("channel", _READS, ("REFAB",), "nCL + nBL", source="no data in flight at a refresh"),
    ),
    roles=Roles(
        open_bank="ACT",
        close_bank="PRE",
        close_all="PREAB",
        close_same="PRESB",
        refresh_all="REFAB",
        refresh_same="REFSB",
    ),
    causes=(
        ("*", "REFSB", "refresh"),
        ("REFSB", "*", "refresh"),
        ("*", "PRESB", "activation"),
        *CAUSES,
        ("*", "RDP", "read"),
    ),
    levels=(CHANNEL, BANK_GROUP, ADDRESS, PAIR, BANK),
)

LEVELLED = {
    "lpddr5x": lpddr5x.STANDARD, "lpddr5x-pim": lpddr5x_pim.STANDARD, "hbm3": hbm3.STANDARD, "ddr5": DDR5,
}  # fmt: skip


@st.composite
def levelled_devices(draw: st.DrawFn, channels: int = 1) -> Device:
    """A device of any of these with random timings and frequent refreshes."""
    name = draw(st.sampled_from(list(LEVELLED)))
    cycles = {timing: draw(st.integers(1, 12), label=timing) for timing in cycles_of(1)}
    for timing in ("nFAW", "nFAWG", "nFAWP", "nRFC", "nRFCpb", "nRFCsb"):
        cycles[timing] = draw(st.integers(1, 50), label=timing)
    roles = LEVELLED[name].roles
    modes = [mode for mode in (*REFRESH_MODES, "same_bank") if mode == "none" or roles.refresh(mode)]
    shape = {
        "channels": channels,
        "bank_groups": draw(st.sampled_from([2, 4])),
        "banks_per_group": draw(st.sampled_from([1, 2, 3, 4])),
    }
    device = replace(device_of(cycles, draw(st.sampled_from(modes)), **shape), standard=LEVELLED[name])
    interval = room_for_progress(device) + draw(st.integers(0, 300), label="slack")
    return replace(device, cycles={**cycles, "nREFI": interval * max(1, len(device.turns))})
