"""What a pair of formats takes in the MAC units: the closed form, by hand, and what holds for any figures."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from pimsim import api
from pimsim.energy.model import Prices
from pimsim.energy.pairs import SIGNIFICANDS, column_factor, pair_factor
from pimsim.energy.table import EnergyTable, load_table
from pimsim.formats import COMPUTED, FORMATS, NATIVE_PAIR, PAIRS, pair_of

V2 = load_table("v2")
LANES = {"bf16xbf16": 16, "int8xint8": 32, "int4xbf16": 16, "int3xint8": 40}


def factor(name: str, table: EnergyTable = V2) -> Fraction:
    return pair_factor(PAIRS[name], table)


def changed(**values: object) -> EnergyTable:
    """v2 with other values."""
    row = V2.rows["add_fp32"]
    own = {key: replace(V2.rows.get(key, row), value=Fraction(str(value))) for key, value in values.items()}
    return replace(V2, rows={**V2.rows, **own})


# 45 nm, pJ: 8 x 8 bits 0.2, FP16 1.1, an addition of 32 bits 0.1 as an integer, 0.9 as a float (Horowitz, ISSCC 2014)
BF16 = 1.1 * 64 / 121 + 0.9


@pytest.mark.parametrize(
    ("pair", "by_hand"),
    [
        ("int8xint8", (0.2 + 0.1) / BF16),
        ("int4xint4", (0.2 / 4 + 0.1) / BF16),
        ("int4xint8", (0.2 / 2 + 0.1) / BF16),
        ("int3xint8", (0.2 * 24 / 64 + 0.1) / BF16),
        ("fp16xfp16", (1.1 + 0.9) / BF16),
        ("fp8_e4m3xfp8_e4m3", (1.1 * 16 / 121 + 0.9) / BF16),
        ("fp8_e5m2xfp8_e4m3", (1.1 * 12 / 121 + 0.9) / BF16),
        ("int4xbf16", (1.1 * 32 / 121 + 0.9) / BF16),
        ("int8xbf16", (1.1 * 64 / 121 + 0.9) / BF16),
        ("mxfp4xbf16", (1.1 * 16 / 121 + 0.9) / BF16),
        ("mxfp4xfp8_e4m3", (1.1 * 8 / 121 + 0.9) / BF16),
    ],
)
def test_a_factor_is_a_multiplication_and_an_addition_over_those_of_bf16(pair: str, by_hand: float) -> None:
    assert float(factor(pair)) == pytest.approx(by_hand, rel=1e-12)


@pytest.mark.parametrize("table", ["v1", "v2"])
def test_bf16_is_the_measure_whatever_the_figures(table: str) -> None:
    assert pair_factor(PAIRS[NATIVE_PAIR], load_table(table)) == 1
    assert factor(NATIVE_PAIR, changed(multiply_fp16=7, add_fp32="0.01")) == 1


def test_every_float_has_a_significand_and_no_integer_has() -> None:
    assert set(SIGNIFICANDS) == {name for name, made in FORMATS.items() if made.kind == "float"}
    assert all(0 < bits < FORMATS[name].bits for name, bits in SIGNIFICANDS.items())


def test_only_ratios_of_the_figures_count() -> None:
    """Another process is another scale of them all."""
    rows = ("multiply_int8", "multiply_fp16", "add_int32", "add_fp32")
    scaled = changed(**{key: V2.rows[key].value * 3 / 7 for key in rows})
    assert all(pair_factor(pair, scaled) == pair_factor(pair, V2) for pair in PAIRS.values())


@pytest.mark.parametrize("given", COMPUTED)
def test_fewer_bits_of_one_kind_take_less(given: str) -> None:
    integers = [pair_factor(pair_of(name, given), V2) for name in ("int8", "int4", "int3", "int2")]
    floats = [pair_factor(pair_of(name, given), V2) for name in ("fp16", "bf16", "fp8_e4m3", "fp8_e5m2", "mxfp4")]
    assert integers == sorted(integers, reverse=True) and len(set(integers)) == 4
    assert floats == sorted(floats, reverse=True) and len(set(floats)) == 5


def test_the_order_of_a_pair_does_not_count() -> None:
    both = [name for name in FORMATS if name in COMPUTED]
    assert all(pair_factor(pair_of(a, b), V2) == pair_factor(pair_of(b, a), V2) for a in both for b in both)


def test_an_integer_beside_a_float_is_one_of_as_many_bits_of_significand() -> None:
    assert factor("int8xbf16") == factor("bf16xbf16")
    assert factor("int4xbf16") == factor("fp8_e4m3xbf16")


def test_a_row_for_a_pair_stands_in_the_place_of_the_formula() -> None:
    table = changed(mac_int8xint8="0.25")
    assert factor("int8xint8", table) == Fraction(1, 4)
    assert factor("int4xint4", table) == factor("int4xint4")


@pytest.mark.parametrize(
    ("pair", "numbers"),
    [("bf16xbf16", 16), ("int8xint8", 32), ("int4xbf16", 64), ("int3xint8", 85), ("int2xint8", 128)],
)
def test_a_column_takes_a_factor_for_each_of_its_numbers(pair: str, numbers: int) -> None:
    """32 bytes have 16 BF16; of three bits 85, and a bit is left."""
    assert column_factor(PAIRS[pair], 32, V2) == numbers * factor(pair) / 16


# -- what a command of a device costs ------------------------------------------------------------


def priced(**overrides: object) -> Prices:
    given = {key.replace("__", "."): value for key, value in overrides.items()}
    return Prices.of(api.language_model(api.load_config("pim-gpt", {"pim.formats": LANES, **given})))


def units_of(prices: Prices) -> dict[str, Fraction]:
    """How often the command of each pair counts as the MAC units' work on a column of BF16."""
    commands = [command for command in prices.device.standard.commands if command.multiplies]
    shares = {command.pair or NATIVE_PAIR: dict(prices.counted[command.name]) for command in commands}
    assert all(share.pop("mac_read") == 1 for share in shares.values())  # 32 bytes are 32 bytes
    return {pair: Fraction(share.pop("mac_units")) for pair, share in shares.items()}


def test_a_command_of_a_pair_pays_for_its_column() -> None:
    prices = priced()
    assert units_of(prices) == {pair: column_factor(PAIRS[pair], 32, V2) for pair in LANES}
    own, table = priced(pim__lanes=16).commands, prices.device.standard
    (command,) = (command for command in table.commands if command.pair == "int8xint8")
    costs = prices.actions
    assert own[command.name] == costs["mac_read"] + costs["mac_units"] * 2 * factor("int8xint8")


def test_how_many_lanes_there_are_does_not_count() -> None:
    """They say how long a column takes; the products are the same."""
    wide = {**LANES, "int8xint8": 8, "int3xint8": 85}
    assert units_of(priced(pim__formats=wide)) == units_of(priced())


def test_the_power_may_be_that_of_another_pair() -> None:
    found = units_of(priced(pim__mac_power_reference__pair="int8xint8"))
    assert found["int8xint8"] == 2 and found["bf16xbf16"] == 1 / factor("int8xint8")


def test_a_device_without_pairs_is_priced_as_it_was() -> None:
    config = api.language_model(api.load_config("pim-gpt"))
    assert units_of(Prices.of(config)) == {NATIVE_PAIR: 1}
    assert all(
        type(number) is int for row in Prices.of(config).counted.values() for name, number in row if "mac" in name
    )
