"""From a file of another simulator to the keys of `dram`.

What a channel is: the pins that move a burst together.  Devices in lock step are one device whose rows and columns are
as many times as wide; a pseudo-channel has pins, rows and banks of its own, and belongs to a channel of a standard
that has them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, Decimal
from fractions import Fraction
from typing import Any

from pimsim.config.imports.files import MEMSPEC, Given, MemoryFile
from pimsim.config.imports.keys import (
    BITS_PER_CLOCK,
    COLUMNS_OF_BURSTS,
    COLUMNS_OF_PAIRS,
    CURRENTS,
    OTHER_BITS_PER_CLOCK,
    SHORT,
    TIMES,
)
from pimsim.errors import Problem

_SMALLEST, _LARGEST = Decimal("1e-15"), Decimal("1e12")
_HBM_PAGE = 1024  # bytes of a row of a pseudo-channel in JESD235 and JESD238


@dataclass(frozen=True)
class Value:
    """A value of a key of the configuration, with the keys of the file that it is of.

    reason   what else there is to say
    derived  it is not as it stands there
    """

    value: Any
    of: tuple[Given, ...]
    reason: str = ""
    derived: bool = False


Values = dict[str, Value]


@dataclass
class Reader:
    """What a file says of the keys of `dram`; what it cannot say that way is in `problems`.

    parts    parts of a channel of the standard with rows and pins of their own
    timing   the times that the standard has
    absent   keys of the file that say that there is nothing: times that are 0
    """

    file: MemoryFile
    parts: int
    timing: Collection[str]
    problems: list[Problem] = field(default_factory=list)
    absent: list[Given] = field(default_factory=list)

    @property
    def memspec(self) -> bool:
        """Whether the file is a memspec, or else an INI file of DRAMSim3."""
        return self.file.form == MEMSPEC

    def values(self) -> Values:
        """The values by dotted key."""
        found = self.clock()
        found |= self.organisation()
        tCK = found.get("dram.tCK_ps")
        if tCK is not None:
            found |= {f"dram.timing.{name}": value for name, value in self.times(tCK.value)}
            found |= self.rate(tCK)
        found |= self.refresh()
        return found | self.power(found)

    # -- numbers -----------------------------------------------------------------------

    def whole(self, key: str, least: int = 1) -> Given | None:
        """A key that is a whole number; a problem if it is none, or is too small."""
        given = self.file.get(key)
        if given is None:
            return None
        if isinstance(given.value, int) and not isinstance(given.value, bool) and least <= given.value < _LARGEST:
            return given
        if given.value == 0:
            self.absent.append(given)
        else:
            self.problems.append(given.problem(f"must be a whole number of at least {least}, not {_show(given.value)}"))
        return None

    def number(self, key: str) -> Given | None:
        """A key that is a positive number."""
        given = self.file.get(key)
        if given is None or (_is_number(given.value) and _SMALLEST < Decimal(str(given.value)) < _LARGEST):
            return given
        if given.value == 0:
            self.absent.append(given)
        else:
            self.problems.append(given.problem(f"must be a number above 0 that can be, not {_show(given.value)}"))
        return None

    def needed(self, key: str) -> tuple[Given | None, int]:
        """A key without which there is no organisation, and its value (1 after a complaint)."""
        given = self.whole(key)
        if given is None:
            there = self.file.get(key)
            if there is None:
                section, _, name = key.partition(".")
                self.problems.append(self.file.problem(section, f"has no {name}"))
            elif there.value == 0:
                self.problems.append(there.problem("must be at least 1, not 0"))
            return None, 1
        return given, _int(given)

    def count(self, key: str) -> tuple[tuple[Given, ...], int]:
        """A number of things, 1 where it is not given."""
        given, there = self.whole(key), self.file.get(key)
        if given is None and there is not None and there.value == 0:
            self.problems.append(there.problem("must be at least 1, not 0"))
        return ((), 1) if given is None else ((given,), _int(given))

    # -- clock and data rate -------------------------------------------------------------

    def clock(self) -> Values:
        """tCK in whole ps."""
        key = "memtimingspec.tCK" if self.memspec else "timing.tCK"
        given = self.number(key)
        if given is not None:
            value = Decimal(str(given.value))
            ps = value * (self.seconds if self.memspec else 1000)
        elif self.memspec and (given := self.number("memtimingspec.clkMhz")):
            ps = 1_000_000 / Decimal(str(given.value))
        else:
            there = self.file.get(key) or self.file.get("memtimingspec.clkMhz")
            if there is None:
                self.problems.append(self.file.problem(key, "required key is missing"))
            elif there.value == 0:
                self.problems.append(there.problem("must be above 0, not 0"))
            return {}
        whole = max(1, round(ps))
        rounded = whole != ps
        return {"dram.tCK_ps": Value(whole, (given,), f"ps; {ps:.6g} rounded" if rounded else "ps", rounded)}

    @property
    def seconds(self) -> Decimal:
        """ps of the unit of tCK in a memspec: s, and ps in some versions before 2025."""
        given = self.file.get("memtimingspec.tCK")
        in_seconds = given is None or not _is_number(given.value) or Decimal(str(given.value)) < Decimal("1e-6")
        return Decimal(10) ** 12 if in_seconds else Decimal(1)

    def bits(self) -> tuple[tuple[Given, ...], int, str]:
        """Bits of a pin in a clock, the keys that say it, and how."""
        if not self.memspec:
            given = self.file.get("dram_structure.protocol")
            protocol = str(given.value) if given else ""
            bits = BITS_PER_CLOCK.get(protocol, OTHER_BITS_PER_CLOCK)
            return (given,) if given else (), bits, f"{bits} bits of a pin in a clock of {protocol}, as DRAMSim3 has it"
        rate, clocks = self.whole("memarchitecturespec.dataRate"), self.file.get("memtimingspec.WCK2CK")
        if rate is None:
            self.problems.append(self.file.problem("memarchitecturespec", "has no dataRate"))
            return (), OTHER_BITS_PER_CLOCK, ""
        of_wck = "tWCKDQO_ns" in self.timing and clocks is not None and _int(rate) == 2
        if of_wck and clocks is not None and clocks.value in (2, 4):  # DRAMPower: of WCK, and WCK2CK is a ratio
            return (
                (rate, clocks),
                _int(rate) * _int(clocks),
                "bits of a pin in a clock of WCK, and its clocks in one of CK",
            )
        return (rate,), _int(rate), f"{_int(rate)} bits of a pin in a clock"

    def rate(self, tCK: Value) -> Values:
        """The data rate, rounded up so that a burst takes no clock more."""
        of, bits, how = self.bits()
        exact = Decimal(bits * 1000) / tCK.value
        rate = exact.quantize(Decimal("0.000001"), ROUND_CEILING).normalize()
        return {"dram.io.data_rate_Gbps": Value(rate, (*of, *tCK.of), f"Gb/s per pin; {how}", True)}

    # -- organisation ----------------------------------------------------------------------

    def organisation(self) -> Values:
        """Channels, banks, rows, columns and pins."""
        return self._memspec() if self.memspec else self._ini()

    def _memspec(self) -> Values:
        at = "memarchitecturespec."
        channels, number = self.count(f"{at}nbrOfChannels")
        pseudo, halves = self.count(f"{at}nbrOfPseudoChannels")
        devices, together = self.count(f"{at}nbrOfDevices")
        in_group, groups = self.count(f"{at}nbrOfBankGroups")
        (bank, banks), (row, rows) = self.needed(f"{at}nbrOfBanks"), self.needed(f"{at}nbrOfRows")
        (column, columns), (width, pins) = self.needed(f"{at}nbrOfColumns"), self.needed(f"{at}width")
        burst, length = self.needed(f"{at}burstLength")
        if bank is None or row is None or column is None or width is None or burst is None:
            return {}
        if banks % groups:
            self.problems.append(bank.problem(f"{banks} banks are not {groups} groups of as many"))
            return {}
        page, how = self._page(columns, pins * together, length, bool(pseudo))
        shape = _Shape(number, groups, banks // groups, rows, page, pins * together, length, halves)
        of = {
            "channels": (*channels, *pseudo), "groups": (*in_group, *pseudo), "banks": (bank, *in_group),
            "rows": (row,), "page": (column, width, *devices), "pins": (width, *devices, *pseudo),
            "burst": (burst, width, *devices),
        }  # fmt: skip
        return shape.values(self.parts, of, how)

    def _page(self, columns: int, width: int, burst: int, pseudo: bool) -> tuple[int, str]:
        """Bytes of a row, and how they are counted: of HBM a column is a burst since DRAMSys 5.2, else a word."""
        words, bursts = columns * width // 8, columns * burst * width // 8
        if not pseudo or words == _HBM_PAGE:
            return words, f"{columns} columns of {width} bits"
        return bursts, f"{columns} bursts of {burst * width // 8} bytes"

    def _ini(self) -> Values:
        at = "dram_structure."
        channels, number = self.count("system.channels")
        bus, pins = self.needed("system.bus_width")
        width, each = self.needed(f"{at}device_width")
        (group, groups), (bank, banks) = self.needed(f"{at}bankgroups"), self.needed(f"{at}banks_per_group")
        (row, rows), (column, columns) = self.needed(f"{at}rows"), self.needed(f"{at}columns")
        burst, length = self.needed(f"{at}BL")
        if None in (bus, width, group, bank, row, column, burst):
            return {}
        assert bus and width and group and bank and row and column and burst
        if pins % each:
            self.problems.append(bus.problem(f"{pins} pins are not whole devices of {each} (device_width)"))
            return {}
        enabled = self.file.get(f"{at}bankgroup_enable")
        together: tuple[Given, ...] = (enabled,) if enabled and self.one_group else ()
        if self.one_group:
            groups, banks = 1, groups * banks
        words, how = self._words(columns, length)
        shape = _Shape(number, groups, banks, rows, words * each * (pins // each) // 8, pins, length, 1)
        protocol = self.file.get(f"{at}protocol")
        split = (bank, group, *together) if together else (bank,)
        of = {
            "channels": channels, "groups": (group, *together), "banks": split, "rows": (row,),
            "page": (column, bus, width, *((protocol,) if protocol else ())), "pins": (bus,),
            "burst": (burst, bus),
        }  # fmt: skip
        return shape.values(self.parts, of, how)

    def _words(self, columns: int, burst: int) -> tuple[int, str]:
        """Words of the pins in a row: what DRAMSim3 calls a column differs."""
        given = self.file.get("dram_structure.protocol")
        protocol = str(given.value) if given else ""
        if protocol in COLUMNS_OF_BURSTS:
            return columns * burst, f"{columns} columns, each a burst of {burst}"
        if protocol in COLUMNS_OF_PAIRS:
            return columns * 2, f"{columns} columns of two words"
        return columns, f"{columns} columns"

    @property
    def one_group(self) -> bool:
        """Whether DRAMSim3 has all banks in one group."""
        given, groups = (self.file.get(f"dram_structure.{name}") for name in ("bankgroup_enable", "bankgroups"))
        disabled = given is not None and str(given.value).lower() in ("false", "0", "no", "off")
        return disabled or (groups is not None and groups.value == 1)

    # -- times -----------------------------------------------------------------------------

    def times(self, tCK_ps: int) -> Iterator[tuple[str, Value]]:
        """The times of the standard that the file has, in ns: whole clocks, as there."""
        burst = self.file.get("memarchitecturespec.burstLength")
        for name, (memspec, ini) in TIMES.items():
            if name not in self.timing:
                continue
            names = memspec if self.memspec else ini
            if self.one_group and name in SHORT:
                names = (SHORT[name],)
            section = "memtimingspec." if self.memspec else "timing."
            keys = [section + each.format(BL=burst.value if burst else "") for each in names]
            given = next(filter(None, map(self.whole, keys)), None)
            if given is not None:
                yield name, self.time((given, *self.besides(name)), tCK_ps)
        if not self.memspec and "tRC_ns" in self.timing:
            opened, closed = self.whole("timing.tRAS"), self.whole("timing.tRP")
            if opened and closed:
                yield "tRC_ns", self.time((opened, closed), tCK_ps)

    def besides(self, name: str) -> Iterator[Given]:
        """What DRAMSim3 adds to a latency."""
        given = None if self.memspec or name not in ("tCL_ns", "tCWL_ns") else self.whole("timing.AL")
        if given is not None:
            yield given

    def time(self, parts: tuple[Given, ...], tCK_ps: int) -> Value:
        """A time that is a number of clocks, or of several together."""
        clocks = sum(map(_int, parts))
        ns = Decimal(clocks * tCK_ps) / 1000
        return Value(ns, parts, f"ns; {clocks} clocks", len(parts) > 1)

    def refresh(self) -> Values:
        """The refresh scheme: DRAMSim3's policy; a memspec has none."""
        given = self.file.get("system.refresh_policy")
        schemes = {"RANK_LEVEL_SIMULTANEOUS": "all_bank", "RANK_LEVEL_STAGGERED": "all_bank",
                   "BANK_LEVEL_STAGGERED": "per_bank"}  # fmt: skip
        if given is None or self.memspec:
            return {}
        if given.value not in schemes:
            self.problems.append(given.problem(f"must be one of {', '.join(schemes)}, not {_show(given.value)}"))
            return {}
        return {"dram.refresh": Value(schemes[str(given.value)], (given,), str(given.value))}

    # -- power -----------------------------------------------------------------------------

    def power(self, found: Values) -> Values:
        """Voltage and currents of the devices of a channel, in mA."""
        devices, number = self.devices()
        in_amperes = self.memspec and self.file.get("memtimingspec.clkMhz") is None and self.seconds > 1
        scale = Fraction(1000) if in_amperes else Fraction(1)
        made: Values = {}
        for name, (memspec, ini) in CURRENTS.items():
            keys = [f"mempowerspec.{key}" for key in memspec] if self.memspec else [f"power.{key}" for key in ini]
            given = next(filter(None, map(self.number, keys)), None)
            if given is not None:
                made[f"dram.power.{name}"] = self.current(name, given, scale, number, devices)
        return made

    def current(self, name: str, given: Given, scale: Fraction, number: int, devices: tuple[Given, ...]) -> Value:
        """A voltage, or a current of all devices together."""
        exact = Fraction(str(given.value))
        if name == "VDD_V":
            return Value(_decimal(exact), (given,), "V")
        of = (given, *devices) if number > 1 else (given,)
        reason = "mA" + (f"; {number} devices" if number > 1 else "")
        return Value(_decimal(exact * scale * number), of, reason, number > 1 or scale > 1)

    def devices(self) -> tuple[tuple[Given, ...], int]:
        """How many devices a channel has, and the keys that say it."""
        if self.memspec:
            return self.count("memarchitecturespec.nbrOfDevices")
        bus, width = self.whole("system.bus_width"), self.whole("dram_structure.device_width")
        return ((bus, width), _int(bus) // _int(width)) if bus and width else ((), 1)


@dataclass(frozen=True)
class _Shape:
    """A channel, or a pseudo-channel of it: `halves` of them are a channel."""

    channels: int
    groups: int
    banks: int
    rows: int
    page: int
    pins: int
    burst: int
    halves: int

    def values(self, parts: int, of: Mapping[str, tuple[Given, ...]], how: str) -> Values:
        """As channels of a standard that has `parts` in each."""
        split = max(1, parts // self.halves)  # a channel without pseudo-channels, in a standard that has them
        channels = self.channels * self.halves * split // parts
        page, pins = self.page // split, self.pins // split
        groups = f"{self.groups} in each of {parts} pseudo-channels" if parts > 1 else ""
        return {
            "dram.channels": Value(channels, of["channels"], derived=len(of["channels"]) > 1),
            "dram.bank_groups": Value(self.groups * parts, of["groups"], groups, parts > 1),
            "dram.banks_per_group": Value(self.banks, of["banks"], "per group", len(of["banks"]) > 1),
            "dram.rows": Value(self.rows, of["rows"], "per bank"),
            "dram.row_bytes": Value(page, of["page"], f"bytes; {how}", True),
            "dram.column_bytes": Value(self.burst * pins // 8, of["burst"], f"bytes; a burst of {self.burst}", True),
            "dram.io.pins": Value(pins * parts, of["pins"], "per channel", len(of["pins"]) > 1),
        }


def _is_number(value: Any) -> bool:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


def _int(given: Given) -> int:
    assert isinstance(given.value, int)
    return given.value


def _decimal(value: Fraction) -> Decimal:
    """A number with as many digits as a configuration takes."""
    return (Decimal(value.numerator) / value.denominator).quantize(Decimal("0.000001")).normalize()


def _show(value: Any) -> str:
    text = repr(value) if isinstance(value, str) else "a list" if isinstance(value, tuple) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
