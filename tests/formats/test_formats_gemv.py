"""A product in each format by arithmetic: bytes, columns, activations, multiply-accumulates and reads."""

from __future__ import annotations

from math import ceil
from typing import Any

import pytest

from pimsim.config.schema import Config
from pimsim.formats import PAIRS
from pimsim.sim.run import simulate
from tests.configs import config_of

CHANNELS, BANKS, COLUMN = 8, 16, 256  # bits of a column
D = 512
MODEL = {"name": "square", "layers": 1, "d_model": D, "heads": 8, "d_ff": D}
# pair, lanes, group: a unit takes a column in one clock or in several
CASES = [
    ("bf16xbf16", 16, 0),
    ("int8xint8", 32, 0),
    ("int8xbf16", 16, 0),
    ("fp8_e4m3xfp8_e4m3", 32, 0),
    ("fp8_e5m2xfp8_e4m3", 32, 128),
    ("int4xint8", 64, 128),
    ("int4xbf16", 16, 64),
    ("int3xint8", 16, 128),
    ("int2xint8", 64, 64),
    ("mxfp4xfp8_e4m3", 32, 32),
    ("mxfp4xbf16", 16, 32),
]


def config(pair: str, lanes: int, group: int, **changes: Any) -> Config:
    formats = {"bf16xbf16": 16, pair: lanes} if pair != "bf16xbf16" else {}
    keys = {"workload.model": None, "workload.model_config": MODEL, "workload.output_tokens": 1, "pim.formats": formats}
    keys |= {"workload.kv_format": "bf16", "workload.weight_group": group}
    if PAIRS[pair].given.name != "bf16":
        keys |= {"workload.kv_format": "int8", "pim.formats": {**formats, f"int8x{PAIRS[pair].given.name}": 32}}
    stored, given = PAIRS[pair]
    keys |= {"workload.weight_format": stored.name, "workload.activation_format": given.name}
    return config_of({**keys, "dram.refresh": "none", **{k.replace("__", "."): v for k, v in changes.items()}})


def _packed(pair: str, lanes: int, group: int) -> tuple[int, int]:
    """(weights of a column, places that D weights take)."""
    most = COLUMN // PAIRS[pair].stored.bits
    if not group:
        return most, D
    beat = min(lanes, most)
    return most // beat * beat, (D // group - 1) * ceil(group / beat) * beat + group


@pytest.mark.parametrize(("pair", "lanes", "group"), CASES)
@pytest.mark.parametrize("scales", ["unit", "asic"])
def test_a_square_matrix(pair: str, lanes: int, group: int, scales: str) -> None:
    if scales == "asic" and not group:
        return
    stored, given = PAIRS[pair]
    tally = simulate(config(pair, lanes, group, pim__scales=scales))
    row = next(row for row in tally.rows if row.operator == "attn_out")
    slots = D // (CHANNELS * BANKS)
    width, places = _packed(pair, lanes, group)
    groups = D // group if group else 0
    scale_bits = 8 if stored.block else 16
    if scales == "asic":
        columns, side, sums = groups * ceil(group / width), 0, groups
        filled = groups * ceil(group / width) * width
    else:
        columns, side, sums = ceil(places / width), ceil(groups * scale_bits / COLUMN), 1
        filled = columns * width
    wide = stored.kind == given.kind == "int" and not (group and scales == "unit")
    multiply = "MACAB" if pair == "bf16xbf16" else f"MACAB_{pair}"
    commands = {name: number for name, number in row.commands.items() if number}
    assert commands[multiply] == CHANNELS * slots * (columns + side)
    assert commands["WRGB"] == CHANNELS * ceil(filled * given.bits / COLUMN)
    assert commands["RDMAC32" if wide else "RDMAC"] == CHANNELS * slots * sums
    assert row.macs == D * D
    result_bytes = D * sums * (4 if wide else 2)
    assert row.payload_bytes == CHANNELS * D * given.bits // 8 + result_bytes
    assert row.pin_bytes == 32 * commands["WRGB"] + BANKS * (4 if wide else 2) * CHANNELS * slots * sums
    rows_of_a_bank = ceil(slots * (columns + side) / 64)
    assert commands["ACTAB"] == CHANNELS * rows_of_a_bank


@pytest.mark.parametrize(("pair", "lanes", "group"), CASES)
def test_what_the_asic_does_for_a_format(pair: str, lanes: int, group: int) -> None:
    """Activations of fewer bits are quantised once for all that take them, results scaled unless the unit has."""
    stored, given = PAIRS[pair]
    rows = {row.operator: row for row in simulate(config(pair, lanes, group)).rows}
    narrow = given.bits < 16
    # what enters qkv, attn_out, ffn_up, ffn_down; queries, keys and values
    assert (rows["quantise"].count if "quantise" in rows else 0) == 5 * narrow
    scaled = 4 * (narrow or (stored.bits < 16 and not group)) + narrow
    assert (rows["scale"].count if "scale" in rows else 0) == scaled


def test_scales_that_the_asic_applies_are_read_and_added_up() -> None:
    rows = {row.operator: row for row in simulate(config("int4xbf16", 16, 64, pim__scales="asic")).rows}
    outputs = 3 * D + D + D + D  # qkv, attn_out, ffn_up, ffn_down
    assert rows["scales"].payload_bytes == outputs * (D // 64) * 2
    assert rows["scaled"].multiplies == outputs * (D // 64)
    assert rows["scaled"].adds == outputs * (D // 64 - 1)


def test_fewer_bits_with_as_many_multipliers_take_fewer_clocks() -> None:
    """The same products on wider and wider columns: what is left are fills, reads and rows."""
    clocks = [
        next(row.cycles for row in simulate(config(pair, lanes, 0)).rows if row.operator == "ffn_up")
        for pair, lanes in (("bf16xbf16", 16), ("int8xbf16", 32), ("int4xbf16", 64), ("int2xbf16", 128))
    ]
    assert clocks == sorted(clocks, reverse=True)
    assert len(set(clocks)) == len(clocks)
