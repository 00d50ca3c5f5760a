"""`pimsim traffic`: figures that make sense, and options that do not."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from pimsim.cli import cli

CONFIG = "configs/gddr6.yaml"


@pytest.mark.parametrize(
    "option", [("--rate", "nan"), ("--rate", "1e-300"), ("--rate", "0"), ("--read-fraction", "nan"), ("--seed", "-1")]
)
def test_an_option_out_of_range_is_an_input_error(option: tuple[str, str]) -> None:
    result = CliRunner().invoke(cli, ["traffic", CONFIG, "--requests", "10", *option])
    assert result.exit_code == 2
    assert option[0] in result.output


def test_the_table_fits_80_columns() -> None:
    result = CliRunner().invoke(cli, ["traffic", CONFIG])
    assert result.exit_code == 0
    assert max(map(len, result.output.splitlines())) <= 80


def test_no_more_hits_than_requests_and_no_fewer_than_none() -> None:
    args = ["traffic", CONFIG, "--pattern", "random", "--requests", "50000", "--json"]
    summary = json.loads(CliRunner().invoke(cli, args).output)
    assert summary["commands"]["ACT"] > 50_000  # refreshes close rows that were not used yet
    assert summary["row_hit_rate"] == 0
