"""Two buffers: what is hidden, by formula; each distance of the commands that fill and swap by hand; each gate."""

from __future__ import annotations

from itertools import product

import pytest

from pimsim.devices.pim_gpt import HARDWARE
from pimsim.dram.gaps import gaps
from pimsim.dram.spec import Standard
from tests.device_timings.test_gddr6_pim_gaps import CLOCKS, SCOPES, expected
from tests.device_timings.test_gddr6_pim_timings import CYCLES
from tests.sharing.programs import clocks, config_of, device_with, shared
from tests.situations import Situation, check_gate, situations

TWO = HARDWARE.table_for(units=(1, 2, 4, 2))
FILLS, FILLS_BEHIND = ("WRGB", "WRGBN"), ("WRGBB", "WRGBBN")


# ---- what is hidden ----------------------------------------------------------------------------------


def taken(buffers: int, inputs: int, outputs: int = 2048) -> int:
    config = config_of(pim__buffers=buffers, pim__global_buffer_bytes=2048 * inputs)
    matrix = shared(config, 3072, outputs, inputs)
    assert len(matrix.stored.chunks) == 3
    return clocks(matrix.grid, matrix.multiply(count=inputs))


def test_all_of_a_chunk_is_hidden_where_its_columns_fit_between_rows() -> None:
    """From the last product on: with one buffer the sums leave the pins (RDMAC to WRGB, nCL + nBLRES + 1 - nCWL behind
    nDRAIN), 64 columns follow, and the last one arrives (nCWL + nBL); with two the next row opens, and no more.
    """
    c = device_with().cycles
    filled = c["nDRAIN"] + c["nCL"] + c["nBLRES"] + 1 - c["nCWL"] + 63 + c["nCWL"] + c["nBL"]
    opened = c["nRTP"] + c["nRP"] + c["nRCDRD"]
    assert taken(1, 1) - taken(2, 1) == 2 * (filled - opened) == 2 * (84 - 26)


@pytest.mark.parametrize(("outputs", "rows"), [(256, 2), (1024, 8)])
def test_else_as_many_columns_as_fit_while_rows_open(outputs: int, rows: int) -> None:
    """9 clocks behind each row but a chunk's last: from the pins' turn (17 behind the last product) to the next column
    (26).  What is left is waited for, and SWGB takes a clock.
    """
    hidden = 9 * (rows - 1)
    assert hidden < 64 * 4
    assert taken(1, 4, outputs) - taken(2, 4, outputs) == 2 * (hidden - 1)


def test_a_single_chunk_gains_nothing() -> None:
    found = [
        clocks(matrix.grid, matrix.multiply())
        for buffers in (1, 2)
        for matrix in (shared(config_of(pim__buffers=buffers), 1024, 2048, 1),)
    ]
    assert found[0] == found[1]


# ---- the table -----------------------------------------------------------------------------------------


def test_a_buffer_behind_is_filled_at_any_time_and_swapped_when_both_are_through() -> None:
    """nMAC 40: a column that is multiplied keeps its buffer; a column on its way, nCWL + nBL, keeps the other."""
    found = gaps(device_with(TWO, {**CYCLES, "nMAC": 40}))
    for multiply in ("MACAB", "MACABN"):
        assert {found[f"{multiply}->{fill} same_bank"] for fill in FILLS} == {40 - 9}
        assert {found[f"{multiply}->{fill} same_bank"] for fill in FILLS_BEHIND} == {1}
        assert found[f"{multiply}->SWGB same_bank"] == 40
        assert found[f"SWGB->{multiply} same_bank"] == 1
        assert {found[f"{fill}->{multiply} same_bank"] for fill in FILLS} == {9 + 2}
        assert {found[f"{fill}->{multiply} same_bank"] for fill in FILLS_BEHIND} == {1}
    assert {found[f"{fill}->SWGB same_bank"] for fill in FILLS_BEHIND} == {9 + 2}
    assert {found[f"{fill}->SWGB same_bank"] for fill in FILLS} == {1}
    assert {found[f"SWGB->{fill} same_bank"] for fill in (*FILLS, *FILLS_BEHIND)} == {1}
    assert found["REFAB->SWGB same_bank"] == CYCLES["nRFC"]


@pytest.mark.parametrize("scope", SCOPES)
def test_all_other_commands_keep_their_distances(scope: str) -> None:
    by_hand, found = expected(scope), gaps(device_with(TWO, CLOCKS))
    twins = {"WRGBN": "WRGB", "MACABN": "MACAB"}
    names = [c.name for c in TWO.commands if c.name not in (*FILLS_BEHIND, "SWGB")]
    for first, second in product(names, names):
        pair = f"{twins.get(first, first)}->{twins.get(second, second)}"
        assert found[f"{first}->{second} {scope}"] == by_hand.get(pair, 1), (first, second)


@pytest.mark.parametrize("cycles", [CYCLES, {**CYCLES, "nCWL": 30, "nBL": 5}])
def test_in_all_else_a_column_behind_is_one_in_front(cycles: dict[str, int]) -> None:
    found = gaps(device_with(TWO, cycles))
    names = [c.name for c in TWO.commands if not c.name.startswith("MAC") and c.name != "SWGB"]
    for name in names:
        for fill, behind in zip(FILLS, FILLS_BEHIND, strict=True):
            assert found[f"{name}->{fill} same_bank"] == found[f"{name}->{behind} same_bank"]
            assert found[f"{fill}->{name} same_bank"] == found[f"{behind}->{name} same_bank"]
    late, burst = cycles["nCWL"] + cycles["nBL"], cycles["nBL"]
    for fill in (*FILLS, *FILLS_BEHIND):
        assert found[f"{fill}->RDMAC same_bank"] == found[f"{fill}->RD same_bank"] == max(1, late + 1 - 17)
        assert found[f"{fill}->WR same_bank"] == found[f"WR->{fill} same_bank"] == burst
        assert {found[f"{fill}->{other} same_bank"] for other in (*FILLS, *FILLS_BEHIND)} == {burst}
        assert found[f"RD->{fill} same_bank"] == max(1, 17 + burst + 1 - cycles["nCWL"])
        assert found[f"RDMAC->{fill} same_bank"] == max(1, 17 + cycles["nBLRES"] + 1 - cycles["nCWL"])
        assert (found[f"REFAB->{fill} same_bank"], found[f"{fill}->REFAB same_bank"]) == (cycles["nRFC"], late)


def test_the_bus_carries_a_swap_as_any_command() -> None:
    found = gaps(device_with(TWO, CYCLES))
    for command in TWO.commands:
        assert found[f"SWGB->{command.name} same_bank"] == 1
        if not command.name.startswith(("MAC", "REFAB", "WRGBB")):
            assert found[f"{command.name}->SWGB same_bank"] == 1


def new(standard: Standard) -> list[Situation]:
    behind = {*FILLS_BEHIND, "SWGB"}
    found = [x for x in situations(True, standard) if {x.preceding, x.following} & behind]
    return [x for x in found if x.constraint.latency != "1"]


@pytest.mark.parametrize("situation", new(TWO), ids=str)
def test_a_row_blocks_a_clock_early_and_not_on_its_clock(situation: Situation) -> None:
    check_gate(situation)
