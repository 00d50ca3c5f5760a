"""The AiM tables once more, as numbers: what each row and each pair of commands asks for with the preset's timings.

Written from the golden data's rules and the preset, not from the tables, so that no
row can move by a clock unseen.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from pimsim.devices.aim import table as aim
from pimsim.dram.spec import Standard
from pimsim.dram.timing import Device
from pimsim.dram.twin.channel import Channel
from tests.aim.devices import correct_device, reference_device

# README of the golden data, "Rules seen in the command traces"
PAIRS = {
    ("ACT16", "MAC16"): 56, ("ACT16", "AF16"): 86, ("ACT16", "EWMUL16"): 25, ("ACT16", "WRA16"): 28,
    ("ACT", "MAC"): 56, ("ACT", "RDCP"): 66, ("ACT", "WRCP"): 48, ("ACT", "RD"): 36, ("ACT", "WR"): 28,
    ("MAC16", "MAC16"): 2, ("EWMUL16", "EWMUL16"): 2, ("RDCP", "RDCP"): 2, ("WRCP", "WRCP"): 2, ("WRGB", "WRGB"): 2,
    ("WRMAC16", "WRMAC16"): 2, ("MAC16", "PREA"): 12, ("EWMUL16", "PREA"): 39, ("EWMUL16", "PRE"): 39,
    ("WR", "PRE"): 41, ("WRCP", "PRE"): 41, ("WRCP", "PREA"): 41, ("PREA", "ACT16"): 32, ("PRE", "ACT"): 32,
    ("ACT16", "ACT16"): 89, ("WRA16", "ACT16"): 73, ("WRA16", "ACT"): 73, ("MAC16", "RDMAC16"): 2,
    ("RDMAC16", "WRMAC16"): 5, ("RDMAC16", "WRGB"): 5, ("WRGB", "RDMAC16"): 12, ("WRMAC16", "RDMAC16"): 14,
    ("AF16", "AF16"): 1,
    ("TMOD", "ACT"): 32, ("TMOD", "ACT16"): 32, ("TMOD", "AF16"): 32, ("TMOD", "MAC16"): 32, ("TMOD", "PRE"): 32,
    ("TMOD", "PREA"): 32, ("TMOD", "RDAF16"): 32, ("TMOD", "RDCP"): 32, ("TMOD", "RDMAC16"): 32,
    ("TMOD", "WRGB"): 32, ("TMOD", "WRMAC16"): 32,
}  # fmt: skip

# level, how many commands before and after, clocks: a row for each row of the table
ROWS = [
    ("channel", 19, 19, 1), ("channel", 1, 18, 32), ("channel", 3, 3, 2), ("channel", 3, 4, 2), ("channel", 1, 2, 2),
    ("channel", 6, 6, 2), ("channel", 5, 5, 2), ("channel", 7, 4, 2), ("channel", 4, 3, 2), ("channel", 4, 3, 2),
    ("channel", 1, 4, 2), ("channel", 2, 2, 2), ("bank_group", 3, 3, 2), ("bank_group", 2, 2, 2), ("channel", 1, 2, 50),
    ("channel", 1, 1, 55), ("channel", 1, 1, 55), ("channel", 2, 2, 0), ("channel", 2, 1, 5), ("channel", 2, 1, 5),
    ("channel", 2, 3, 17), ("channel", 1, 3, 12), ("channel", 1, 2, 19), ("channel", 1, 3, 19), ("channel", 1, 3, 12),
    ("channel", 1, 3, 14), ("bank_group", 1, 1, 19), ("bank", 6, 2, 12), ("bank", 2, 2, 41), ("bank", 1, 2, 39),
    ("channel", 1, 1, 5), ("bank_group", 1, 1, 6), ("channel", 1, 1, 6), ("channel", 1, 2, 6), ("bank", 2, 2, 89),
    ("bank", 2, 2, 54), ("bank", 2, 2, 32), ("bank", 2, 2, 32), ("bank", 2, 2, 56), ("bank", 2, 1, 86),
    ("bank", 2, 1, 25), ("bank", 2, 1, 66), ("bank", 2, 1, 48), ("bank", 2, 1, 36), ("bank", 2, 2, 28),
    ("bank", 1, 3, 73), ("bank", 2, 1, 89), ("bank", 2, 1, 32), ("bank", 1, 5, 420),
]  # fmt: skip
CORRECTION_ROWS = [
    ("channel", 1, 1, 28), ("channel", 2, 2, 11), ("channel", 2, 1, 10), ("channel", 1, 2, 2),
    # the array is read once a write is in it: 6 + 2 + 9, or 11 in the same bank group; 6 + 11
    ("channel", 1, 2, 17), ("bank_group", 1, 5, 19), ("channel", 1, 3, 17), ("bank_group", 1, 6, 19),
    ("bank", 1, 5, 17),
    # buffer and bias: 1 + 2; 50; 50 - 1; 1 + 2 - 50
    ("channel", 1, 3, 3), ("channel", 1, 3, 50), ("channel", 1, 1, 49), ("channel", 1, 1, -47), ("channel", 1, 3, 3),
    # the pins: 50 + 2 - 0, 0 + 2 - 50, 6 + 2 - 1 twice, 1 + 2 - 6, 1 + 2 - 1, 1 + 2 - 6, 1 + 2 - 1
    ("channel", 1, 2, 52), ("channel", 2, 1, -48), ("channel", 2, 1, 7), ("channel", 2, 1, 7), ("channel", 1, 2, -3),
    ("channel", 1, 1, 2), ("channel", 1, 2, -3), ("channel", 1, 1, 2),
    # refresh: a silent bus, before and after
    ("channel", 1, 5, 420), ("channel", 1, 1, 52), ("channel", 2, 1, 2), ("channel", 1, 1, 3), ("channel", 1, 1, 3),
]  # fmt: skip

# What is right by default: clocks in place of the reference's, by hand from the preset.
CORRECTED_PAIRS = {
    ("WR", "RD"): 19, ("WR", "MAC"): 19, ("WR", "RDCP"): 19, ("WR", "MAC16"): 19, ("WR", "EWMUL16"): 19,
    ("WR", "AF16"): 19, ("WRCP", "RD"): 19, ("WRCP", "MAC"): 19, ("WRCP", "RDCP"): 19, ("WRCP", "MAC16"): 19,
    ("WRCP", "EWMUL16"): 19, ("WRCP", "AF16"): 19, ("EWMUL16", "RD"): 17, ("EWMUL16", "MAC"): 17,
    ("EWMUL16", "RDCP"): 17, ("EWMUL16", "MAC16"): 17, ("EWMUL16", "EWMUL16"): 2,
    ("RDCP", "MAC"): 50, ("RDCP", "MAC16"): 50, ("RDCP", "WRCP"): 50, ("RDCP", "WRGB"): 49, ("RDCP", "RDCP"): 2,
    ("MAC", "RDMAC16"): 11, ("MAC16", "RDMAC16"): 11, ("MAC16", "AF16"): 11, ("AF16", "RDAF16"): 2,
    ("RD", "RDMAC16"): 52, ("RD", "RDAF16"): 52, ("WR", "WRGB"): 7, ("WR", "WRMAC16"): 7,
    ("REFAB", "TMOD"): 420, ("REFAB", "WRGB"): 420, ("REFAB", "RDMAC16"): 420, ("REFAB", "RDAF16"): 420,
    ("REFAB", "WRMAC16"): 420, ("RD", "REFAB"): 52,
}  # fmt: skip


def rows(device: Device) -> list[tuple[str, int, int, int]]:
    return [(c.level, len(c.preceding), len(c.following), device.latency(c)) for c in device.standard.constraints]


def gap(device: Device, before: str, after: str) -> int:
    """Clocks that the table puts between two commands that share all there is to share."""
    return max(
        device.latency(c)
        for c in device.standard.constraints
        if before in c.preceding and after in c.following and c.window == 1
    )


def test_every_row_asks_for_its_clocks() -> None:
    assert rows(correct_device()) == ROWS + CORRECTION_ROWS
    assert rows(reference_device(nRFC=420)) == ROWS


@pytest.mark.parametrize(
    ("pair", "clocks"), PAIRS.items(), ids=lambda value: "-".join(value) if isinstance(value, tuple) else ""
)
def test_pair_keeps_the_distance_of_the_traces(pair: tuple[str, str], clocks: int) -> None:
    assert gap(reference_device(), *pair) == clocks


@pytest.mark.parametrize(
    ("pair", "clocks"), CORRECTED_PAIRS.items(), ids=lambda value: "-".join(value) if isinstance(value, tuple) else ""
)
def test_pair_keeps_the_distance_that_is_right(pair: tuple[str, str], clocks: int) -> None:
    assert gap(correct_device(), *pair) == clocks


def test_a_read_in_another_bank_group_waits_tWTRS_after_a_write() -> None:
    for first in ("WR", "WRCP"):
        for second in ("MAC", "RDCP"):
            channel = Channel(correct_device())
            channel.issue("ACT16", 0, row=0)
            channel.issue(first, 1000, bank=0, row=0, column=0)
            assert [channel.earliest(second, bank) for bank in (0, 1, 4)] == [1019, 1019, 1017]


def test_no_row_can_be_off_by_one_unseen() -> None:
    device = correct_device()
    table = device.standard.constraints
    for k, constraint in enumerate(table):
        for change in ("+ 1", "- 1"):
            wrong = replace(constraint, latency=f"{constraint.latency} {change}")
            standard = replace(device.standard, constraints=(*table[:k], wrong, *table[k + 1 :]))
            assert rows(replace(device, standard=standard)) != ROWS + CORRECTION_ROWS


def test_activations_in_other_and_same_bank_groups() -> None:
    for bank, clocks in ((4, 5), (1, 6)):
        channel = Channel(reference_device())
        channel.issue("ACT", 100, bank=0, row=0)
        assert channel.earliest("ACT", bank) == 100 + clocks


def test_activation_window_holds_the_fifth_act_of_the_correct_profile_alone() -> None:
    for device, fifth in ((reference_device(), 123), (correct_device(), 128)):
        channel = Channel(device)
        for k, bank in enumerate((0, 4, 8, 12)):
            channel.issue("ACT", 100 + 6 * k, bank=bank, row=0)
        assert channel.earliest("ACT", 1) == fifth


@pytest.mark.parametrize("standard", [aim.STANDARD, aim.REFERENCE], ids=lambda standard: standard.name)
def test_table_has_a_source_for_every_row_and_a_cause_for_every_pair(standard: Standard) -> None:
    names = [command.name for command in standard.commands]
    assert all(c.source for c in standard.constraints)
    assert all(set(c.preceding) | set(c.following) <= set(names) for c in standard.constraints)
    for before in (None, *names):
        for after in names:
            assert any(b in ("*", before) and a in ("*", after) for b, a, _ in standard.causes), (before, after)
