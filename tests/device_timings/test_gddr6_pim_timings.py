"""The gddr6-pim device against JEDEC's rules, with clocks written out by hand.

The timings are all different, so that no rule can pass for another.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from pimsim.devices.pim_gpt.table import STANDARD
from pimsim.dram.spec import TimingConstraint
from pimsim.dram.timing import Device
from pimsim.dram.twin.channel import Channel, ProtocolError
from tests.strategies import device_of

CYCLES = {
    "nRCDRD": 14, "nRCDWR": 11, "nRP": 13, "nRAS": 29, "nRC": 45, "nCCDS": 2, "nCCDL": 3, "nRRDS": 5, "nRRDL": 7,
    "nFAW": 31, "nRTP": 4, "nWR": 15, "nWTRS": 6, "nWTRL": 8, "nCL": 17, "nCWL": 9, "nRFC": 110, "nRFCpb": 60,
    "nREFI": 2000, "nBL": 2, "nBLRES": 2, "nMAC": 3, "nDRAIN": 6, "nFAWAB": 0, "nRREFD": 16, "nPPD": 10,
}  # fmt: skip


@pytest.fixture
def device() -> Device:
    """4 bank groups of 4 banks; bank 0, 1, 2, 3 share a group, 4 is the next group's first."""
    return device_of(CYCLES)


@pytest.fixture
def channel(device: Device) -> Channel:
    return Channel(device)


def test_fresh_channel_holds_nothing_back(channel: Channel, device: Device) -> None:
    assert {channel.earliest(name, 0) for name in device.command_names} == {0}


def test_read_waits_tRCDRD_and_write_tRCDWR_after_act(channel: Channel) -> None:
    channel.issue("ACT", 100, 0, row=5)
    assert channel.earliest("RD", 0) == 114
    assert channel.earliest("WR", 0) == 111


def test_mac_waits_tRCDRD_after_all_bank_activation(channel: Channel) -> None:
    channel.issue("ACTAB", 100, row=5)
    assert channel.earliest("MACAB") == 114


def test_mac_waits_for_the_last_of_the_banks_to_open(channel: Channel) -> None:
    for bank in range(16):
        channel.issue("ACT", 100 * bank, bank, row=5)
    assert channel.earliest("MACAB") == 1514


def test_precharge_waits_tRAS_after_act(channel: Channel) -> None:
    channel.issue("ACT", 100, 0, row=5)
    assert channel.earliest("PRE", 0) == 129
    assert channel.earliest("PREAB") == 129
    assert channel.earliest("PRE", 1) == 101


def test_act_waits_tRP_after_precharge_and_tRC_after_act(channel: Channel) -> None:
    channel.issue("ACT", 0, 0, row=5)
    channel.issue("PRE", 29, 0)
    assert channel.earliest("ACT", 0) == 45
    channel.issue("ACT", 50, 0, row=6)
    channel.issue("PRE", 95, 0)
    assert channel.earliest("ACT", 0) == 108
    assert channel.earliest("ACTAB") == 108


def test_precharge_waits_tRTP_after_read_and_mac(channel: Channel) -> None:
    channel.issue("ACTAB", 0, row=5)
    channel.issue("RD", 200, 0, row=5, column=0)
    assert (channel.earliest("PRE", 0), channel.earliest("PRE", 1)) == (204, 201)
    channel.issue("MACAB", 300, row=5, column=0)
    assert (channel.earliest("PRE", 0), channel.earliest("PREAB")) == (304, 304)


def test_precharge_waits_tWR_after_the_data_of_a_write(channel: Channel) -> None:
    channel.issue("ACT", 0, 0, row=5)
    channel.issue("WR", 100, 0, row=5, column=0)
    assert channel.earliest("PRE", 0) == 100 + 9 + 2 + 15


def test_act_waits_tRRDL_in_its_bank_group_and_tRRDS_in_others(channel: Channel) -> None:
    channel.issue("ACT", 100, 0, row=5)
    assert channel.earliest("ACT", 1) == 107
    assert channel.earliest("ACT", 4) == 105


def test_fifth_act_waits_tFAW_after_the_first(channel: Channel) -> None:
    for clk, bank in zip((100, 105, 110, 115), (0, 4, 8, 12), strict=True):
        channel.issue("ACT", clk, bank, row=5)
    assert channel.earliest("ACT", 1) == 131
    channel.issue("ACT", 131, 1, row=5)
    assert channel.earliest("ACT", 5) == 136


def test_fourth_act_does_not_wait_tFAW(channel: Channel) -> None:
    for clk, bank in zip((100, 105, 110), (0, 4, 8), strict=True):
        channel.issue("ACT", clk, bank, row=5)
    assert channel.earliest("ACT", 12) == 115


def test_all_bank_activation_is_exempt_from_tFAW(channel: Channel) -> None:
    for clk, bank in zip((100, 105, 110, 115), (0, 4, 8, 12), strict=True):
        channel.issue("ACT", clk, bank, row=5)
    channel.issue("PREAB", 150)
    channel.issue("ACTAB", 163, row=5)
    channel.issue("PREAB", 192)
    assert channel.earliest("ACT", 0) == 208  # tRC after ACTAB


@pytest.mark.parametrize("limit", [46, 124])
def test_a_supply_limit_spaces_activations_after_an_all_bank_activation(limit: int) -> None:
    channel = Channel(device_of({**CYCLES, "nFAWAB": limit}))
    channel.issue("ACTAB", 100, row=5)
    channel.issue("PREAB", 129)
    assert channel.earliest("ACTAB") == channel.earliest("ACT", 3) == 100 + limit
    with pytest.raises(ProtocolError, match=f"nFAWAB .* allows clock {100 + limit}"):
        channel.issue("ACTAB", 99 + limit, row=6)
    channel.issue("ACTAB", 100 + limit, row=6)


def test_a_supply_limit_lets_single_activations_be(channel: Channel) -> None:
    limited = Channel(device_of({**CYCLES, "nFAWAB": 124}))
    for device in (channel, limited):
        device.issue("ACT", 100, 0, row=5)
        device.issue("PRE", 129, 0)
    assert channel.earliest("ACTAB") == limited.earliest("ACTAB") == 145


def test_reads_follow_at_tCCDL_in_a_bank_group_and_tCCDS_in_others(channel: Channel) -> None:
    channel.issue("ACTAB", 0, row=5)
    channel.issue("RD", 100, 0, row=5, column=0)
    assert channel.earliest("RD", 1) == 103
    assert channel.earliest("RD", 4) == 102
    assert channel.earliest("MACAB") == 103


def test_bursts_do_not_overlap_on_the_pins() -> None:
    channel = Channel(device_of({**CYCLES, "nBL": 6}))
    channel.issue("ACTAB", 0, row=5)
    channel.issue("RD", 100, 0, row=5, column=0)
    assert channel.earliest("RD", 4) == 106
    channel.issue("RDMAC", 120)
    assert channel.earliest("RD", 4) == 122
    channel.issue("WRGB", 200, column=0)
    assert (channel.earliest("WRGB"), channel.earliest("WR", 4)) == (206, 206)


def test_read_waits_tWTR_after_the_data_of_a_write(channel: Channel) -> None:
    channel.issue("ACTAB", 0, row=5)
    channel.issue("WR", 100, 0, row=5, column=0)
    assert channel.earliest("RD", 1) == 100 + 9 + 2 + 8
    assert channel.earliest("RD", 4) == 100 + 9 + 2 + 6
    assert channel.earliest("MACAB") == 100 + 9 + 2 + 8


def test_write_waits_until_the_read_is_off_the_pins(channel: Channel) -> None:
    channel.issue("ACTAB", 0, row=5)
    channel.issue("RD", 100, 0, row=5, column=0)
    assert channel.earliest("WR", 4) == 100 + 17 + 2 + 1 - 9
    channel.issue("RDMAC", 200)
    assert channel.earliest("WRGB") == 200 + 17 + 2 + 1 - 9


def test_macs_follow_at_the_rate_of_the_mac_unit() -> None:
    channel = Channel(device_of({**CYCLES, "nMAC": 8}))
    channel.issue("ACTAB", 0, row=5)
    channel.issue("MACAB", 100, row=5, column=0)
    assert channel.earliest("MACAB") == 108
    assert channel.earliest("RD", 0) == 103


def test_mac_waits_for_the_vector_and_the_result_for_the_mac(channel: Channel) -> None:
    channel.issue("ACTAB", 0, row=5)
    channel.issue("WRGB", 100, column=0)
    assert channel.earliest("MACAB") == 111
    channel.issue("MACAB", 111, row=5, column=0)
    assert channel.earliest("RDMAC") == 117


def test_everything_waits_tRFC_after_refresh(channel: Channel, device: Device) -> None:
    channel.issue("REFAB", 100)
    # RD, WR and MACAB need an open bank, and so an activation before them
    waits = set(device.command_names) - {"RD", "WR", "MACAB"}
    assert {channel.earliest(name, 0 if name in ("ACT", "PRE", "REFPB") else -1) for name in waits} == {210}
    for name, column in (("WRGB", 0), ("RDMAC", -1)):
        with pytest.raises(ProtocolError, match="allows clock 210"):
            channel.issue(name, 209, column=column)


def test_refresh_of_all_banks_waits_for_data_on_the_pins(device: Device) -> None:
    for name, column, done in (("WRGB", 0, 9 + 2), ("RDMAC", -1, 17 + 2)):
        channel = Channel(device)
        channel.issue(name, 100, column=column)
        assert channel.earliest("REFAB") == 100 + done
        assert channel.earliest("REFPB", 0) == 101
    channel = Channel(device)
    channel.issue("ACT", 0, 0, row=5)
    channel.issue("RD", 100, 0, row=5, column=0)
    channel.issue("PRE", 104, 0)
    assert channel.earliest("REFAB") == 100 + 17 + 2


def test_per_bank_refresh_leaves_the_buffer_and_the_accumulators_alone(channel: Channel) -> None:
    channel.issue("REFPB", 100, 3)
    assert (channel.earliest("WRGB"), channel.earliest("RDMAC")) == (101, 101)


def test_per_bank_refresh_holds_its_own_bank_back_for_tRFCpb_and_activations_of_others_for_tRREFD(
    channel: Channel,
) -> None:
    channel.issue("REFPB", 100, 3)
    assert channel.earliest("ACT", 3) == 160
    assert channel.earliest("ACTAB") == 160
    assert channel.earliest("ACT", 2) == channel.earliest("REFPB", 2) == 116
    assert channel.earliest("RD", 2) == channel.earliest("WR", 2) == channel.earliest("PRE", 2) == 101


def test_per_bank_refresh_counts_as_an_activation(channel: Channel) -> None:
    channel.issue("ACT", 100, 0, row=5)
    assert (channel.earliest("REFPB", 1), channel.earliest("REFPB", 4)) == (107, 105)
    for clk, bank in zip((105, 110, 115), (4, 8, 12), strict=True):
        channel.issue("ACT", clk, bank, row=5)
    assert channel.earliest("REFPB", 1) == 131


def test_precharges_follow_at_tPPD(channel: Channel) -> None:
    channel.issue("PRE", 100, 0)
    assert channel.earliest("PRE", 4) == channel.earliest("PREAB") == 110


def test_the_vector_stays_in_the_buffer_until_its_column_is_multiplied() -> None:
    channel = Channel(device_of({**CYCLES, "nMAC": 30}))
    channel.issue("ACTAB", 0, row=5)
    channel.issue("MACAB", 100, row=5, column=0)
    assert channel.earliest("WRGB") == 100 + 30 - 9


def test_channel_scope_command_shares_no_bank(device: Device) -> None:
    row = TimingConstraint("bank", ("WRGB", "MACAB"), ("PREAB", "WRGB"), "nRFC")
    channel = Channel(replace(device, standard=replace(STANDARD, constraints=(row,))))
    channel.issue("WRGB", 100, column=0)
    assert (channel.earliest("PREAB"), channel.earliest("WRGB")) == (0, 0)


def test_a_window_of_a_level_counts_in_each_of_its_nodes(device: Device) -> None:
    row = TimingConstraint("bank_group", ("ACT", "PREAB"), ("ACT", "ACTAB", "PREAB"), "nFAW", window=2)
    channel = Channel(replace(device, standard=replace(STANDARD, constraints=(row,))))
    for clk, bank in ((100, 0), (103, 4), (109, 5), (112, 8)):
        channel.issue("ACT", clk, bank, row=5)
    assert [channel.earliest("ACT", bank) for bank in (1, 6, 8, 12)] == [0, 103 + 31, 0, 0]
    assert channel.earliest("ACTAB") == 134  # in one bank group after the other
    channel.issue("PREAB", 134)
    assert [channel.earliest("ACT", bank) for bank in (1, 6, 8, 12)] == [100 + 31, 109 + 31, 112 + 31, 0]


def test_channel_refuses_what_the_state_of_the_bank_forbids(channel: Channel) -> None:
    with pytest.raises(ProtocolError, match="RD at clock 0 needs bank 2 open at row 5, but it is closed"):
        channel.issue("RD", 0, 2, row=5, column=0)
    channel.issue("ACT", 0, 2, row=5)
    with pytest.raises(ProtocolError, match="needs bank 2 open at row 6, but it is open at row 5"):
        channel.issue("RD", 50, 2, row=6, column=0)
    with pytest.raises(ProtocolError, match="needs bank 2 closed, but it is open at row 5"):
        channel.issue("ACT", 50, 2, row=5)
    for name in ("ACTAB", "REFAB"):
        with pytest.raises(ProtocolError, match="needs bank 2 closed"):
            channel.issue(name, 50, row=5 if name == "ACTAB" else -1)
    with pytest.raises(ProtocolError, match="MACAB at clock 50 needs bank 0 open"):
        channel.issue("MACAB", 50, row=5, column=0)


@pytest.mark.parametrize(
    ("name", "bank", "row", "column"),
    [("ACT", 16, 0, -1), ("ACT", -1, 0, -1), ("ACTAB", 0, 0, -1), ("ACT", 0, 64, -1), ("ACT", 0, -1, -1),
     ("PRE", 0, 0, -1), ("RD", 0, 0, 8), ("RD", 0, 0, -1), ("WRGB", -1, -1, -1), ("RDMAC", -1, -1, 0),
     ("ACT", -2, 0, -1)],
)  # fmt: skip
def test_channel_refuses_addresses_that_it_does_not_have(
    channel: Channel, name: str, bank: int, row: int, column: int
) -> None:
    with pytest.raises(ProtocolError, match=f"{name} has no (bank|row|column)"):
        channel.issue(name, 0, bank, row, column)


def test_error_names_the_constraint_and_the_clock(channel: Channel) -> None:
    channel.issue("ACT", 100, 0, row=5)
    with pytest.raises(ProtocolError, match=r"RD at clock 113: nRCDRD \(JEDEC tRCDRD\) allows clock 114"):
        channel.issue("RD", 113, 0, row=5, column=0)


def test_open_clocks_run_from_the_first_act_to_the_last_precharge(channel: Channel) -> None:
    channel.issue("ACT", 100, 0, row=5)
    channel.issue("ACT", 110, 4, row=5)
    channel.issue("PRE", 150, 0)
    assert channel.open_cycles(160) == 60
    channel.issue("PRE", 170, 4)
    assert channel.open_cycles(500) == 70
    channel.issue("PREAB", 600)
    channel.issue("ACTAB", 700, row=5)
    assert channel.open_cycles(705) == 75
