"""Nothing is read before it is written, overwritten before it is read, or on the pins beside something else.

For every command of every table: what it uses, and from which clock after its issue until
which.  Two commands that use the same thing, one of them writing it, must keep so far apart
that the first is done with it before the second begins, however short or long each timing of
the device is, and whatever has to happen between the two (mode switch, precharge, activation).
A row that is missing in a table fails here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import pytest

from pimsim.devices.aim import table as aim
from pimsim.devices.gddr6 import table as gddr6
from pimsim.devices.hbm2_pim import table as hbm2_pim
from pimsim.devices.hbm3 import table as hbm3
from pimsim.devices.lpddr5x import table as lpddr5x
from pimsim.devices.lpddr5x_pim import table as lpddr5x_pim
from pimsim.devices.pim_gpt import table as gddr6_pim
from pimsim.dram.gaps import bank_of
from pimsim.dram.spec import Command, Effect, Needs, Standard, TimingConstraint
from pimsim.dram.timing import Device, evaluate
from pimsim.dram.twin.channel import CLOSED, NONE, Channel
from tests.situations import address
from tests.strategies import cycles_of, device_of

# Banks whose arrays are looked at: EWMUL16 reads the first two of a bank group and writes the third.
BANKS = (0, 2)
ARRAYS = tuple(f"array {bank}" for bank in BANKS)


@dataclass(frozen=True)
class Use:
    """A command uses `what` in [begin, end] after its issue; expressions over timing names."""

    what: str
    writes: bool
    begin: str
    end: str


def reads(what: str, until: str = "0") -> Use:
    """It is taken at issue, and must stay as it is until then."""
    return Use(what, False, "0", until)


def writes(what: str, begin: str, end: str | None = None) -> Use:
    """It changes from `begin` on and is complete at `end`."""
    return Use(what, True, begin, end or begin)


def pins(latency: str, burst: str = "nBL") -> Use:
    """A burst on the pins; nothing else may be there, so that it counts as a write."""
    return Use("pins", True, latency, f"{latency} + {burst}")


REFRESH = (Use("pins", True, "0", "nRFC"), Use("command bus", True, "0", "nRFC"))
NO_DATA: tuple[Use, ...] = ()
LANDS = "nCWL + nBL"  # the data of a write

GDDR6: Mapping[str, tuple[Use, ...]] = {
    "RD": (reads("array"), pins("nCL")),
    "WR": (pins("nCWL"), writes("array", LANDS)),
    "REFAB": REFRESH,
    "ACT": NO_DATA, "PRE": NO_DATA, "PREAB": NO_DATA, "REFPB": NO_DATA,
}  # fmt: skip
GDDR6_PIM: Mapping[str, tuple[Use, ...]] = {
    **GDDR6,
    "ACTAB": NO_DATA,
    "WRGB": (pins("nCWL"), writes("buffer", "nCWL", LANDS)),
    "MACAB": (reads("array"), reads("buffer", "nMAC"), writes("accumulator", "nDRAIN")),
    "RDMAC": (reads("accumulator"), pins("nCL", "nBLRES")),
}
AIM: Mapping[str, tuple[Use, ...]] = {
    "RD": (reads("array"), pins("nCL")),
    "WR": (pins("nCWL"), writes("array", LANDS)),
    "WRA16": (pins("nCWL"), writes("array", LANDS)),
    "MAC": (reads("array"), reads("buffer"), writes("accumulator", "nMACDRAIN")),
    "MAC16": (reads("array"), reads("buffer"), writes("accumulator", "nMACDRAIN")),
    "RDCP": (reads("array"), writes("buffer", "nCL")),
    "WRCP": (reads("buffer"), writes("array", LANDS)),
    "AF16": (reads("array"), reads("accumulator"), writes("function register", "nAF")),
    "EWMUL16": (reads("array 0"), writes("array 2", "nCWL")),
    "WRGB": (pins("nCWLGB"), writes("buffer", "nCWLGB", "nCWLGB + nBL")),
    "WRMAC16": (pins("nCWLREG"), writes("accumulator", "nCWLREG", "nCWLREG + nBL")),
    "RDMAC16": (reads("accumulator"), pins("nCLREG")),
    "RDAF16": (reads("function register"), pins("nCLREG")),
    "REFAB": REFRESH,
    "ACT": NO_DATA, "ACT16": NO_DATA, "PRE": NO_DATA, "PREA": NO_DATA, "TMOD": NO_DATA,
}  # fmt: skip
# Nothing is in flight when the mode changes.
LPDDR5X_PIM: Mapping[str, tuple[Use, ...]] = {
    **{name: uses for name, uses in GDDR6_PIM.items() if name != "REFPB"},
    "MRW": (Use("pins", True, "0", "0"),),
}
# The buses of HBM3 carry what is for the other pseudo-channel while one refreshes.
HBM3: Mapping[str, tuple[Use, ...]] = {**GDDR6, "REFAB": (Use("pins", True, "0", "nRFC"),)}
HBM2_PIM: Mapping[str, tuple[Use, ...]] = {
    **{name: uses for name, uses in GDDR6.items() if name != "REFPB"},
    "ACTAB": NO_DATA, "TMOD": NO_DATA,
    "WRGRF": (pins("nCWL"), writes("buffer", "nCWL", LANDS)),
    "MACEVEN": (reads("array"), reads("buffer", "nMAC"), writes("accumulator", "nDRAIN")),
    "MACODD": (reads("array"), reads("buffer", "nMAC"), writes("accumulator", "nDRAIN")),
    "RDGRF": (reads("accumulator"), pins("nCL")),
    "WREVEN": (reads("accumulator"), pins("nCWL"), writes("array", LANDS)),
    "WRODD": (reads("accumulator"), pins("nCWL"), writes("array", LANDS)),
}  # fmt: skip
FLOWS: Mapping[str, tuple[Standard, Mapping[str, tuple[Use, ...]]]] = {
    "gddr6": (gddr6.STANDARD, GDDR6),
    "gddr6-pim": (gddr6_pim.STANDARD, GDDR6_PIM),
    "aim": (aim.STANDARD, AIM),
    "lpddr5x": (lpddr5x.STANDARD, GDDR6),
    "lpddr5x-pim": (lpddr5x_pim.STANDARD, LPDDR5X_PIM),
    "hbm3": (hbm3.STANDARD, HBM3),
    "hbm2-pim": (hbm2_pim.STANDARD, HBM2_PIM),
}


def uses_of(name: str, command: Command, bank: int) -> list[Use]:
    """What a command uses, the array by bank; every command has its clock of the command bus."""
    found = [Use("command bus", False, "0", "0")]
    for use in FLOWS[name][1][command.name]:
        if use.what == "array":
            banks = (bank,) if command.has_bank else BANKS
            found += [replace(use, what=f"array {b}") for b in banks]
        else:
            found.append(use)
    return found


@dataclass(frozen=True)
class Pair:
    """Two commands, in bank `bank` if they address one, that use one thing."""

    name: str
    first: str
    second: str
    bank: int
    before: Use
    after: Use

    def __str__(self) -> str:
        return f"{self.name}-{self.first}-{self.second}-{self.before.what}".replace(" ", "")


def pairs() -> Iterator[Pair]:
    for name, (standard, _) in FLOWS.items():
        for first in standard.commands:
            for second in standard.commands:
                for bank in BANKS:
                    for before in uses_of(name, first, bank):
                        for after in uses_of(name, second, bank):
                            if before.what == after.what and (before.writes or after.writes):
                                yield Pair(name, first.name, second.name, bank, before, after)


def extreme_devices(standard: Standard) -> list[Device]:
    """Every timing at 1 clock, and each of those that its tables use alone at 60."""
    even = replace(device_of(cycles_of(1)), standard=standard)
    rows, flow = FLOWS[standard.name][0].constraints, FLOWS[standard.name][1]
    used = " ".join(
        [*(row.latency for row in rows), *(f"{use.begin} {use.end}" for uses in flow.values() for use in uses)]
    )
    names = [name for name in even.cycles if re.search(rf"\b{name}\b", used)]
    return [even, *(replace(even, cycles={**even.cycles, name: 60}) for name in names)]


def follow(device: Device, first: Command, second: Command, bank: int) -> int:
    """Clocks from `first` until `second` can issue, by the shortest way that the device allows."""
    course = _Course(device)
    if first.needs is not Needs.CLOSED:
        course.open_all()
    course.enter(first.mode)
    course.clk += 1000  # nothing before binds
    at = course.issue(first, bank)
    course.prepare(second, bank)
    return course.earliest(second, bank) - at


class _Course:
    """A channel, each command on it as early as it may."""

    def __init__(self, device: Device) -> None:
        self.channel = Channel(device)
        self.standard = device.standard
        self.roles = device.standard.roles
        self.clk = 0

    def earliest(self, command: Command, bank: int) -> int:
        return max(self.clk, self.channel.earliest(command.name, bank_of(command, bank)))

    def issue(self, command: Command, bank: int) -> int:
        self.clk = self.earliest(command, bank)
        self.channel.issue(command.name, self.clk, *address(command, bank))
        return self.clk

    def enter(self, mode: str) -> None:
        if mode not in ("", self.channel.mode):
            self.issue(self.standard.command(self.roles.switch_mode or ""), NONE)

    def open_all(self) -> None:
        """Open all banks at once if the device can."""
        if self.roles.open_all:
            command = self.standard.command(self.roles.open_all)
            self.enter(command.mode)
            self.issue(command, NONE)
        else:
            for bank in range(self.channel.device.banks):
                self.issue(self.standard.command(self.roles.open_bank or ""), bank)

    def prepare(self, command: Command, bank: int) -> None:
        open_now = self.channel.open_rows[bank] != CLOSED
        if command.needs is Needs.OPEN and not open_now:
            self.enter(self.standard.command(self.roles.open_bank or "").mode)
            if command.has_bank:
                self.issue(self.standard.command(self.roles.open_bank or ""), bank)
            else:
                self.open_all()
        if command.needs is Needs.CLOSED and self.channel.any_open():
            self.issue(self.standard.command(self.roles.close_all or ""), bank)
        self.enter(command.mode)


def too_early(standard: Standard, among: list[Pair], device: Device) -> list[Pair]:
    """The pairs whose second command begins before the first one is done."""
    reached: dict[tuple[str, str, int], int] = {}
    found = []
    for pair in among:
        key = (pair.first, pair.second, pair.bank)
        if key not in reached:
            reached[key] = follow(device, standard.command(pair.first), standard.command(pair.second), pair.bank)
        if reached[key] + evaluate(pair.after.begin, device.cycles) < evaluate(pair.before.end, device.cycles):
            found.append(pair)
    return found


@pytest.mark.parametrize("name", FLOWS)
def test_the_second_begins_when_the_first_is_done(name: str) -> None:
    standard, mine = FLOWS[name][0], [pair for pair in pairs() if pair.name == name]
    least = {"gddr6-pim": 6, "lpddr5x-pim": 6, "aim": 6, "hbm3": 3, "hbm2-pim": 6}.get(name, 4)
    assert len({pair.before.what for pair in mine}) >= least
    for device in extreme_devices(standard):
        longest = max(device.cycles, key=lambda timing: device.cycles[timing])
        assert too_early(standard, mine, device) == [], f"with {longest} = {device.cycles[longest]}"


@pytest.mark.parametrize("name", FLOWS)
def test_every_command_is_in_the_flow_and_its_burst_ends_when_it_completes(name: str) -> None:
    standard, flow = FLOWS[name]
    assert list(flow) != [] and set(flow) == {command.name for command in standard.commands}
    for device in extreme_devices(standard):
        for command in standard.commands:
            bursts = [use for use in flow[command.name] if use.what == "pins" and use not in REFRESH]
            closing = device.cycles["nRP"] if command.effect is Effect.CLOSE and bursts else 0
            for burst in bursts:
                assert device.completion(command) == evaluate(burst.end, device.cycles) + closing, command.name


# Rows that are there for the sake of data alone; those of nWTRS say nothing of one bank that nWTRL does not.
DATA_ROWS = [
    *(("aim", row) for row in (*aim.WRITE_TO_READ, *aim.BUFFERS, *aim.PINS) if "nWTRS" not in row.latency),
    *(
        ("gddr6-pim", row)
        for row in gddr6_pim.CONSTRAINTS
        if {"WRGB", "RDMAC"} & {*row.preceding, *row.following} and row.latency != "1"
    ),
    *(
        ("lpddr5x-pim", row)
        for row in lpddr5x_pim.CONSTRAINTS
        if {"WRGB", "RDMAC"} & {*row.preceding, *row.following} and row.latency not in ("1", "nMRD")
    ),
]


@pytest.mark.parametrize(("name", "row"), DATA_ROWS, ids=lambda value: getattr(value, "latency", value))
def test_a_row_left_out_is_found(name: str, row: TimingConstraint) -> None:
    standard = FLOWS[name][0]
    without = replace(standard, constraints=tuple(other for other in standard.constraints if other != row))
    mine = [p for p in pairs() if p.name == name and p.first in row.preceding and p.second in row.following]
    devices = [device for device in extreme_devices(without) if device.latency(row) > 1]
    assert any(too_early(without, mine, device) for device in devices)
