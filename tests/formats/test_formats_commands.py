"""Commands for pairs of formats: the clocks of each, every gate a clock early and on its clock, what is the same."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from math import ceil

import pytest

from pimsim import load_config
from pimsim.devices.pim_gpt import HARDWARE
from pimsim.devices.registry import device_of
from pimsim.dram.gaps import gaps
from pimsim.dram.spec import Does
from pimsim.dram.timing import Device
from pimsim.dram.twin.channel import Channel, ProtocolError
from pimsim.formats import PAIRS
from tests.configs import config_of
from tests.conftest import SHIPPED
from tests.device_timings.test_gddr6_pim_gaps import CLOCKS, SCOPES, expected
from tests.situations import Situation, check_gate, situations
from tests.strategies import device_of as device_with

NAMES = ("int4xint8", "int8xbf16")
TABLE = HARDWARE.table_for(pairs=("bf16xbf16", *NAMES))
OWN = {"int4xint8": (5, 11), "int8xbf16": (7, 13)}  # clocks between columns, and to the sum
WIDE = 9  # clocks of whole integers on the pins
MORE = {
    f"{time}_{name}": clocks for name, of in OWN.items() for time, clocks in zip(("nMAC", "nDRAIN"), of, strict=True)
}


def device() -> Device:
    return replace(device_with({**CLOCKS, **MORE, "nBLRES32": WIDE}), standard=TABLE)


def test_the_table_has_a_command_for_each_pair_and_a_read_of_whole_integers() -> None:
    added = [c for c in TABLE.commands if c.name not in {c.name for c in HARDWARE.table.commands}]
    assert [c.name for c in added] == ["MACAB_int4xint8", "MACAB_int8xbf16", "RDMAC32"]
    assert [c.pair for c in added] == ["int4xint8", "int8xbf16", ""]
    assert [c.does for c in added] == [Does.MULTIPLY, Does.MULTIPLY, Does.GIVE_WHOLE]
    narrow, wide = (device().pin_bytes(TABLE.command(name)) for name in ("RDMAC", "RDMAC32"))
    assert wide == 2 * narrow


def test_without_pairs_the_table_is_the_table() -> None:
    assert HARDWARE.table_for() is HARDWARE.table
    assert HARDWARE.table_for(pairs=("bf16xbf16",)) is HARDWARE.table
    masked = HARDWARE.table_for(masked=True, pairs=NAMES)
    assert [c.name for c in masked.commands if c.logged] == ["WDM"]
    assert masked.commands[-1].name == "WDM"


def _by_hand(first: str, second: str, scope: str) -> int:
    """The distance that the table of BF16 has, with the pair's clocks in the place of a MAC's."""
    plain = {"RDMAC32": "RDMAC"} | {f"MACAB_{name}": "MACAB" for name in NAMES}
    clocks = dict(CLOCKS)
    if first in plain:
        pair = first.removeprefix("MACAB_")
        if pair in OWN:
            clocks["nMAC"], clocks["nDRAIN"] = OWN[pair]
        else:
            clocks["nBLRES"] = WIDE
    found = gaps(replace(device_with(clocks), standard=HARDWARE.table))
    return found[f"{plain.get(first, first)}->{plain.get(second, second)} {scope}"]


@pytest.mark.parametrize("scope", SCOPES)
def test_a_pair_keeps_the_distances_of_a_multiplication_with_its_own_clocks(scope: str) -> None:
    assert expected(scope)  # the distances of BF16, which are written by hand there
    found = gaps(device())
    new = {"MACAB_int4xint8", "MACAB_int8xbf16", "RDMAC32"}
    for first, second in product([c.name for c in TABLE.commands], repeat=2):
        if {first, second} & new:
            assert found[f"{first}->{second} {scope}"] == _by_hand(first, second, scope), (first, second)


def _own(shared: bool = True) -> list[Situation]:
    new = {"MACAB_int4xint8", "MACAB_int8xbf16", "RDMAC32"}
    found = [x for x in situations(shared, TABLE) if new & {x.preceding, x.following}]
    return [x for x in found if x.constraint.latency != "1"]


@pytest.mark.parametrize("situation", _own(), ids=str)
def test_a_row_blocks_a_clock_early_and_not_on_its_clock(situation: Situation) -> None:
    check_gate(situation)


@pytest.mark.parametrize(("pair", "lanes"), [("int8xint8", 32), ("int8xint8", 8), ("int4xint8", 64), ("int3xbf16", 16)])
def test_a_column_takes_its_beats_and_its_last_one_the_pipeline(pair: str, lanes: int) -> None:
    device = device_of(config_of({"pim.formats": {pair: lanes}}))
    beats, stages = ceil(256 // PAIRS[pair].stored.bits / lanes), 2 + (lanes - 1).bit_length()
    pace, drain = device.cycles[f"nMAC_{pair}"], device.cycles[f"nDRAIN_{pair}"]
    assert (pace, drain) == (beats, beats - 1 + stages)
    channel, name = Channel(device), f"MACAB_{pair}"
    read = "RDMAC32" if PAIRS[pair].exact else "RDMAC"
    channel.issue("ACTAB", 0, row=0)
    channel.issue(name, 1000, row=0, column=0)
    if pace > 1:
        with pytest.raises(ProtocolError, match=f"allows clock {1000 + pace}"):
            channel.issue(name, 1000 + pace - 1, row=0, column=1)
    channel.issue(name, 1000 + pace, row=0, column=1)
    with pytest.raises(ProtocolError, match=f"allows clock {1000 + pace + drain}"):
        channel.issue(read, 1000 + pace + drain - 1)
    channel.issue(read, 1000 + pace + drain)


# ---- GDDR6-AiM ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("pair", "lanes"), [("int8xint8", 32), ("int8xint8", 4), ("int4xbf16", 16), ("int2xint8", 32)])
def test_on_aim_a_column_takes_its_beats_and_its_last_one_the_drain(pair: str, lanes: int) -> None:
    """At 1 GHz and 2 clocks a ns: two clocks a beat, tCCDL at least, and the drain of 11 clocks behind the last."""
    aim = load_config(SHIPPED.parent / "aim.yaml", {"pim.formats": {pair: lanes}, "baselines": []})
    beats = ceil(256 // PAIRS[pair].stored.bits / lanes)
    pace, drain = max(2, 2 * beats), 11 + 2 * (beats - 1)
    name, read = f"MAC16_{pair}", "RDMAC32" if PAIRS[pair].exact else "RDMAC16"

    def opened() -> Channel:
        channel = Channel(device_of(aim))
        channel.issue("ACT16", 0, row=0)
        channel.issue(name, 1000, row=0, column=0)
        return channel

    for following in (name, "MAC16"):
        with pytest.raises(ProtocolError, match=f"allows clock {1000 + pace}"):
            opened().issue(following, 1000 + pace - 1, row=0, column=1)
        opened().issue(following, 1000 + pace, row=0, column=1)
    channel = opened()
    channel.issue("TMOD", 1001)
    late = max(1000 + drain, 1001 + device_of(aim).cycles["nMODCH"])
    with pytest.raises(ProtocolError, match=f"allows clock {late}"):
        channel.issue(read, late - 1, column=0)
    channel.issue(read, late, column=0)


def test_on_aim_whole_integers_take_the_pins_twice_as_long() -> None:
    aim = device_of(load_config(SHIPPED.parent / "aim.yaml", {"pim.formats": {"int8xint8": 32}, "baselines": []}))
    narrow, wide = (aim.standard.command(name) for name in ("RDMAC16", "RDMAC32"))
    assert aim.pin_bytes(wide) == 2 * aim.pin_bytes(narrow)
    assert aim.completion(wide) - aim.completion(narrow) == aim.cycles["nBL"]
    found = gaps(aim)
    for after in ("RDMAC16", "RDMAC32", "RDAF16"):
        assert found[f"RDMAC32->{after} same_bank"] == max(2 * aim.cycles["nBL"], aim.cycles["nCCDL"])
