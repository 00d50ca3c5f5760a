"""The energy tables: complete, labelled, and strict about what they lack."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from pimsim.energy.model import action_costs
from pimsim.energy.pairs import pair_factor
from pimsim.energy.rows import NEEDED
from pimsim.energy.table import TABLES, EnergyTable, load_table
from pimsim.errors import InputError
from pimsim.formats import PAIRS
from pimsim.labels import LABELS
from tests.result_samples import small_config


def priced(table: EnergyTable) -> None:
    """Everything that reads a row of a table."""
    action_costs(small_config(), table)
    for pair in ("int8xint8", "fp16xfp16"):
        pair_factor(PAIRS[pair], table)


@pytest.mark.parametrize("name", TABLES)
def test_every_row_names_unit_source_and_note(name: str) -> None:
    table = load_table(name)
    assert table.name == name
    assert set(table.rows) == set(NEEDED)
    for key, row in table.rows.items():
        assert row.note and row.source in LABELS
        assert row.unit == NEEDED[key].unit and not NEEDED[key].wrong(row.value)


@pytest.mark.parametrize("name", TABLES)
def test_the_hypothesis_says_that_the_changed_term_is_not_published(name: str) -> None:
    assert "not published" in load_table(name).hypothesis


def test_an_unknown_table_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(InputError, match=r"energy.table: unknown energy table 'v22'; did you mean 'v2'"):
        load_table("v22")


@pytest.mark.parametrize("key", [*load_table("v2").rows])
def test_a_missing_row_is_refused_by_name(key: str) -> None:
    table = load_table("v2")
    lacking = replace(table, rows={name: row for name, row in table.rows.items() if name != key})
    with pytest.raises(InputError, match=f"energy.table.{key}"):
        priced(lacking)


def test_a_negative_row_is_refused_by_name() -> None:
    table = load_table("v2")
    negative = replace(table.rows["all_bank_read_factor"], value=Fraction(-1))
    with pytest.raises(InputError, match="energy.table.all_bank_read_factor"):
        action_costs(small_config(), replace(table, rows={**table.rows, "all_bank_read_factor": negative}))


def test_shares_of_one_whole_are_refused_where_they_are_more() -> None:
    table = load_table("v2")
    most = replace(table.rows["asic_leakage_share"], value=Fraction(95, 100))
    with pytest.raises(InputError, match=r"asic_leakage_share: .* is 1.0045, more than 1"):
        action_costs(small_config(), replace(table, rows={**table.rows, "asic_leakage_share": most}))


def test_both_tables_split_the_asic_alike() -> None:
    first, second = (load_table(name).rows for name in TABLES)
    assert {key for key in first if first[key] != second[key]} == {"all_bank_read_factor", "mac_routing_applied"}
