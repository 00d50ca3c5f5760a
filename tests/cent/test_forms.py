"""Level 2: cycles of products, by closed form and by the replay; both readings equal the recorded ones."""

from __future__ import annotations

from functools import cache

import pytest

import pimsim
from pimsim.devices.aim.replay import replay
from pimsim.devices.registry import device_of
from pimsim.dram.gaps import gaps
from pimsim.dram.timing import Device
from pimsim.reproduce.cent import forms
from pimsim.reproduce.cent.models import MODELS, Place
from pimsim.reproduce.cent.programs import Operators, block, instructions, weights_only
from tests.cent.golden import alone, commands_of, place_of, program, table
from tests.cent.test_programs import name_of

OPERATORS = table("operators")
PRODUCTS = [row for row in OPERATORS if row["closed_form_cycles"]]
TABLES = ("aim-reference", "aim-reference-2025-01")


@cache
def device(name: str = TABLES[1]) -> Device:
    return device_of(pimsim.load_config(name))


def cycles(operators: Operators, name: str = TABLES[1]) -> int:
    return replay(instructions(operators), device(name)).cycles


def operator_of(row: dict[str, str]) -> Operators:
    return alone(block(MODELS[row["model"]], place_of(row), int(row["context_tokens"])), row["operator"])


@pytest.mark.parametrize("row", PRODUCTS, ids=name_of)
def test_a_closed_form_gives_the_recorded_cycles(row: dict[str, str]) -> None:
    found = forms.products(MODELS[row["model"]], place_of(row), int(row["context_tokens"]))
    assert found[row["operator"]] == int(row["cycles"]) == int(row["closed_form_cycles"])


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("row", PRODUCTS, ids=name_of)
def test_the_replay_of_a_product_takes_the_recorded_cycles_and_commands(row: dict[str, str], name: str) -> None:
    found = replay(instructions(operator_of(row)), device(name))
    assert found.cycles == int(row["cycles"])
    assert {key: found.counts[key] for key in commands_of(row)} == commands_of(row)


@pytest.mark.parametrize("row", [row for row in OPERATORS if not row["closed_form_cycles"]], ids=name_of)
def test_the_replay_of_what_the_host_writes_takes_the_recorded_cycles(row: dict[str, str]) -> None:
    assert cycles(operator_of(row)) == int(row["cycles"])


@pytest.mark.parametrize("name", ["7b_c8_score_L1000", "7b_c8_sv_L1000", "7b_c8_w1_L4096", "70b_c10_wk_L4096"])
def test_products_of_other_contexts_take_the_recorded_cycles(name: str) -> None:
    recorded = next(int(row["cycles"]) for row in table("programs") if row["program"] == name)
    assert cycles(program(name)) == recorded


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("place", [Place(8), Place(9), Place(16), Place(32), Place(32, 3), Place(32, 8)])
@pytest.mark.parametrize("context", [1, 1000, 4095])
def test_closed_forms_and_replay_agree_where_nothing_was_recorded(model: str, place: Place, context: int) -> None:
    operators, expected = block(MODELS[model], place, context), forms.products(MODELS[model], place, context)
    for name in ("wk", "w1", "score", "sv"):
        assert cycles(alone(operators, name)) == expected[name], name


@pytest.mark.parametrize("row", [r for r in table("blocks") if r["program"] == "weights_only"], ids=name_of)
def test_a_program_of_weights_alone_is_the_sum_of_its_products(row: dict[str, str]) -> None:
    shape, place = MODELS[row["model"]], place_of(row)
    found = replay(instructions(weights_only(shape, place)), device())
    assert found.cycles == forms.weights_only(shape, place) == int(row["cycles"])
    assert found.open_cycles == int(row["active_cycles"])
    assert {key: found.counts[key] for key in commands_of(row)} == commands_of(row)


@pytest.mark.parametrize("row", table("versions"), ids=name_of)
def test_a_block_takes_the_recorded_cycles_by_both_tables(row: dict[str, str]) -> None:
    operators = block(MODELS[row["model"]], place_of(row), int(row["context_tokens"]))
    assert cycles(operators) == int(row["cycles_jan2025_table"]) == int(row["published_cycles"])
    assert cycles(operators, TABLES[0]) == int(row["cycles_jul2025_table"])


def test_the_table_of_january_differs_from_that_of_july_as_it_is_said() -> None:
    january, july = gaps(device()), gaps(device(TABLES[0]))
    scopes = ("same_bank", "same_bank_group", "other_bank_group")
    across, within = scopes[1:], scopes[1:2]
    opened = {f"{a}->{b} {scope}": (89, 6) for a, b in (("ACT", "ACT16"), ("ACT16", "ACT")) for scope in scopes}
    opened |= {f"ACT16->ACT16 {scope}": (89, 6) for scope in scopes} | {"ACT->ACT same_bank": (89, 6)}
    closed = {f"PRE->PRE {scope}": (1, 32) for scope in across}
    closed |= {f"{name}->PRE {scope}": (1, 12) for name in ("RD", "RDCP", "MAC") for scope in within}
    closed |= {f"{name}->PRE {scope}": (1, 41) for name in ("WR", "WRCP") for scope in within}
    assert {key: (july[key], january[key]) for key in july if july[key] != january[key]} == opened | closed
    assert january.keys() == july.keys()
