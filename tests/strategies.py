"""Hypothesis strategies: devices of every shape and timing, and request programs for them.

Timings are small and owe nothing to each other (tRC may be below tRAS, say), so that
each constraint of the table binds in some example.  Refreshes are frequent, but leave
room for at least one data command between two of them: else no program would end.
"""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from pimsim.devices.pim_gpt import HARDWARE
from pimsim.devices.pim_gpt.table import STANDARD
from pimsim.dram import program as requests
from pimsim.dram.program import Program, Request
from pimsim.dram.spec import Needs, TimingConstraint
from pimsim.dram.timing import Device

REFRESH_MODES = ("all_bank", "per_bank", "none")
TIMINGS = (
    "nRCDRD", "nRCDWR", "nRP", "nRAS", "nRC", "nCCDS", "nCCDL", "nRRDS", "nRRDL", "nRTP", "nWR", "nWTRS", "nWTRL",
    "nCL", "nCWL", "nBL", "nBLRES", "nMAC", "nDRAIN", "nRREFD", "nPPD", "nWMASK",
)  # fmt: skip
AIM_TIMINGS = (
    "nRCDRDMAC", "nRCDEWMUL", "nRCDRDAF", "nRCDRDCP", "nRCDWRCP", "nCLREG", "nCWLREG", "nCWLGB", "nWPRE", "nMODCH",
    "nMACDRAIN", "nAF",
)  # fmt: skip
OTHER_TIMINGS = (
    "nRPab", "nRRD", "npbR2act", "npbR2pbR", "nWCKDQO", "nRFCsb", "nREFSBRD", "nFAWG", "nFAWP", "nMRD", "nFENCE",
)  # fmt: skip
ROWS = 64

# What the table language allows and gddr6-pim does not use: a window over column commands,
# and channel-scope commands in rows at bank and bank group level, where they share nothing.
EXTENDED = replace(
    STANDARD,
    name="extended",
    constraints=(
        *STANDARD.constraints,
        TimingConstraint("channel", ("RD", "MACAB", "WRGB"), ("RD", "WR", "MACAB", "WRGB"), "nFAW", window=3),
        TimingConstraint("bank", ("WRGB", "MACAB"), ("WR", "PREAB", "WRGB"), "nRAS"),
        TimingConstraint("bank_group", ("RDMAC", "WR"), ("RD", "ACTAB", "RDMAC"), "nRC"),
    ),
)


FORMAT_TIMINGS = ("nMAC_int4xint8", "nDRAIN_int4xint8", "nMAC_int8xbf16", "nDRAIN_int8xbf16", "nBLRES32")


def cycles_of(value: int) -> dict[str, int]:
    """Every timing at `value` clocks."""
    names = (*TIMINGS, *AIM_TIMINGS, *OTHER_TIMINGS, *FORMAT_TIMINGS, "nFAW", "nFAWAB", "nRFC", "nRFCpb", "nREFI")
    return dict.fromkeys(names, value)


def device_of(cycles: dict[str, int], refresh: str = "none", **shape: int) -> Device:
    """A gddr6-pim device with these timings; 4 bank groups of 4 banks unless told."""
    sizes = {"channels": 1, "bank_groups": 4, "banks_per_group": 4, "rows": ROWS, "columns": 8, "column_bytes": 32}
    return Device(standard=STANDARD, refresh=refresh, tCK_ps=1000, cycles=cycles, **(sizes | shape))


@st.composite
def devices(draw: st.DrawFn, refresh: st.SearchStrategy[str] | None = None, channels: int = 1) -> Device:
    """A device of 1 to 16 banks per channel with random timings, of one of three tables."""
    cycles = {name: draw(st.integers(1, 12), label=name) for name in TIMINGS}
    cycles["nFAW"] = draw(st.integers(1, 50), label="nFAW")
    cycles["nFAWAB"] = draw(st.one_of(st.just(0), st.integers(1, 50)), label="nFAWAB")
    cycles["nRFC"] = draw(st.integers(1, 60), label="nRFC")
    cycles["nRFCpb"] = draw(st.integers(1, 60), label="nRFCpb")
    cycles["nREFI"] = 1
    device = device_of(
        cycles,
        draw(refresh or st.sampled_from(REFRESH_MODES), label="refresh"),
        channels=channels,
        bank_groups=draw(st.integers(1, 4), label="bank_groups"),
        banks_per_group=draw(st.integers(1, 4), label="banks_per_group"),
        columns=draw(st.integers(1, 8), label="columns"),
    )
    tables = st.sampled_from([STANDARD, EXTENDED, HARDWARE.masked_table])
    device = replace(device, standard=draw(tables, label="standard"))
    interval = room_for_progress(device) + draw(st.integers(0, 400), label="slack")
    cycles["nREFI"] = interval * device.banks if device.refresh == "per_bank" else interval
    return replace(device, cycles=cycles, together=draw(together(device), label="refreshes together"))


def together(device: Device) -> st.SearchStrategy[int]:
    """How many refreshes may go together."""
    turns = max(1, len(device.turns))
    return st.sampled_from([n for n in range(1, turns + 1) if turns % n == 0])


def room_for_progress(device: Device) -> int:
    """A refresh interval in which a refresh, opening all banks one by one and a data command always fit."""
    longest = max(device.latency(constraint) for constraint in device.standard.constraints)
    activation = max(device.cycles["nRRDS"], device.cycles["nRRDL"], device.cycles["nFAW"])
    return 8 * longest + device.banks * activation


@st.composite
def programs(draw: st.DrawFn, device: Device, max_requests: int = 8) -> Program:
    """A request program that stays inside the device's rows."""
    return requests.program(draw(st.lists(any_request(device), min_size=1, max_size=max_requests)))


def any_request(device: Device) -> st.SearchStrategy[Request]:
    """One request of any kind that the device can do."""
    if device.standard.roles.open_all is None:
        return st.one_of(bank_runs(device), openings(device), closings(device), scatters(device))
    return st.one_of(
        bank_runs(device), channel_runs(device), loops(device), openings(device), closings(device), scatters(device)
    )


def column_commands(device: Device) -> list[str]:
    """The commands that access a column of a bank, or of some."""
    return [c.name for c in device.standard.commands if c.needs is Needs.OPEN and c.has_bank]


@st.composite
def bank_runs(draw: st.DrawFn, device: Device) -> Request:
    """Reads or writes in one bank."""
    n = draw(st.integers(0, 12))
    lin = draw(st.integers(0, ROWS * device.columns - n - 1))
    name = draw(st.sampled_from(column_commands(device)))
    return requests.run(
        device.standard.index(name), draw(st.integers(0, device.banks - 1)), lin, n, draw(gaps), draw(gaps)
    )


@st.composite
def channel_runs(draw: st.DrawFn, device: Device) -> Request:
    """MACs, or commands of the global buffer and the accumulators."""
    n = draw(st.integers(0, 12))
    lin = draw(st.integers(0, ROWS * device.columns - n - 1))
    return requests.run(
        device.standard.index(draw(st.sampled_from(["MACAB", "WRGB", "RDMAC"]))), -1, lin, n, draw(gaps), draw(gaps)
    )


@st.composite
def loops(draw: st.DrawFn, device: Device) -> Request:
    """MACs and a result, many times over: whole rows, parts of rows, rows in turn."""
    used = draw(st.integers(1, 2 * device.columns))
    stride = draw(st.one_of(st.sampled_from([0, used, device.columns, 2 * device.columns]), st.integers(0, 20)))
    most = (ROWS * device.columns - used) // max(stride, 1)
    n = draw(st.integers(0, min(most, 40)))
    lin = draw(st.integers(0, ROWS * device.columns - used - n * stride))
    return requests.loop(device.standard.index("MACAB"), lin, n, stride, used, device.standard.index("RDMAC"))


@st.composite
def openings(draw: st.DrawFn, device: Device) -> Request:
    """Open a row in one bank or in all."""
    lowest = 0 if device.standard.roles.open_all is None else -1
    return requests.open_row(draw(st.integers(0, 4 * device.columns - 1)), draw(st.integers(lowest, device.banks - 1)))


@st.composite
def closings(draw: st.DrawFn, device: Device) -> Request:
    """Close one bank or all."""
    return requests.close(draw(st.integers(-1, device.banks - 1)))


@st.composite
def scatters(draw: st.DrawFn, device: Device) -> Request:
    """A write or a read in every bank, with rows opened ahead."""
    n = draw(st.one_of(st.integers(0, 3), st.integers(0, 20)))
    stride = draw(st.one_of(st.sampled_from([0, 1, device.columns]), st.integers(0, 2 * device.columns)))
    lin = draw(st.integers(0, ROWS * device.columns - n * stride - 1))
    ahead = draw(st.integers(0, device.banks - 1))
    behind = draw(st.integers(ahead, device.banks + 2))
    return requests.scatter(device.standard.index(draw(st.sampled_from(["WR", "RD"]))), lin, n, stride, ahead, behind)


gaps = st.one_of(st.just(0), st.integers(0, 20))


@st.composite
def workloads(draw: st.DrawFn, device: Device, max_programs: int = 4) -> list[tuple[Program, int]]:
    """Programs in turn, each with the idle clocks before it (up to several refreshes)."""
    idle = st.one_of(st.just(0), st.integers(0, 3 * device.refresh_interval))
    return draw(st.lists(st.tuples(programs(device), idle), min_size=1, max_size=max_programs))
