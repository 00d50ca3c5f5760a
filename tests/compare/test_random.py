"""Random runs: a comparison against the differences of what the two runs wrote, read by nothing of pimsim."""

from __future__ import annotations

import csv
import json
from fractions import Fraction
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pimsim
from tests.compare.conftest import plain
from tests.configs import config_of, systems
from tests.examples import examples

Files = tuple[dict[str, Any], list[dict[str, str]]]


def written(changes: dict[str, Any], folder: Path) -> Files:
    plain(pimsim.run(config_of(changes))).save(folder)
    rows = list(csv.DictReader(StringIO((folder / "operators.csv").read_text())))
    return json.loads((folder / "summary.json").read_text()), rows


def size(summary: dict[str, Any]) -> tuple[int, ...]:
    work = summary["workload"]
    return tuple(work[key] for key in ("tokens_run", "tokens_kept", "batch", "prompt_tokens"))


@settings(max_examples=examples(12))
@given(st.lists(systems(), min_size=2, max_size=3), st.data())
def test_differences_are_those_of_the_files(changes: list[dict[str, Any]], data: st.DataObject) -> None:
    base = data.draw(st.integers(0, len(changes) - 1), label="base")
    with TemporaryDirectory() as scratch:
        folders = [Path(scratch) / str(at) for at in range(len(changes))]
        files = [written(each, folder) for each, folder in zip(changes, folders, strict=True)]
        found = pimsim.compare(folders, base=base).summary
    whole = len({size(summary) for summary, _ in files}) == 1
    tokens = [1 if whole else summary["workload"]["tokens_kept"] for summary, _ in files]
    clocks = [each["dram.tCK_ps"] for each in changes]
    counted = [[row for row in rows if whole or row["phase"] == "decode"] for _, rows in files]

    assert found["scope"]["tokens"] == tokens
    check_causes(found, counted, clocks, tokens, base)
    check_components(found, files, counted, tokens, base)
    check_operators(found, counted, clocks, tokens)
    check_results(found, [summary for summary, _ in files], base, whole)


def check_causes(found: Any, counted: Any, clocks: list[int], tokens: list[int], base: int) -> None:
    one = len(set(clocks)) == 1
    for each in (*found["causes"]["rows"], {"cause": "", **found["causes"]["total"]}):
        column = f"{each['cause']}_cycles" if each["cause"] else "cycles"
        cycles = [sum(int(row.get(column, 0)) for row in rows) for rows in counted]
        assert each["exact"] == [n * (1 if one else ps) for n, ps in zip(cycles, clocks, strict=True)]
        ns = [Fraction(n * ps, 1000 * t) for n, ps, t in zip(cycles, clocks, tokens, strict=True)]
        assert each["values"] == list(map(float, ns))
        assert each["differences"] == [float(value - ns[base]) for value in ns]
    listed = {each["cause"] for each in found["causes"]["rows"]}
    for rows in counted:
        for name in {key for key in rows[0] if key.endswith("_cycles")} - {"open_cycles", "asic_busy_cycles"}:
            assert name.removesuffix("_cycles") in listed or not any(int(row[name]) for row in rows)


def check_components(found: Any, files: list[Files], counted: Any, tokens: list[int], base: int) -> None:
    for each in found["components"]["rows"]:
        name = each["component"]
        sums = [
            sum(float(row.get(f"{name}_pJ", 0)) for row in rows) / t for rows, t in zip(counted, tokens, strict=True)
        ]
        assert each["values"] == pytest.approx(sums, rel=1e-9)
        assert each["differences"] == [value - each["values"][base] for value in each["values"]] or tokens != [1] * len(
            tokens
        )
    total = found["components"]["total"]
    key = "energy_pJ" if tokens == [1] * len(tokens) and found["scope"]["per"] == "run" else "energy_per_token_pJ"
    assert total["values"] == pytest.approx([summary["system"][key] for summary, _ in files], rel=1e-12)


def check_operators(found: Any, counted: Any, clocks: list[int], tokens: list[int]) -> None:
    for at, rows in enumerate(counted):
        listed = {(each["phase"], each["operator"]): each for each in found["operators"] if each["present"][at]}
        assert set(listed) == {(row["phase"], row["operator"]) for row in rows}
        for row in rows:
            ns = Fraction(int(row["cycles"]) * clocks[at], 1000 * tokens[at])
            each = listed[row["phase"], row["operator"]]
            assert each["latency"]["values"][at] == float(ns)
            assert each["energy"]["values"][at] == pytest.approx(float(row["energy_pJ"]) / tokens[at], rel=1e-12)


def check_results(found: Any, summaries: list[dict[str, Any]], base: int, whole: bool) -> None:
    for each in found["results"]:
        if each["figure"] == "causes.total":  # of all sequences; the row above is of one
            assert each["values"] == found["causes"]["total"]["values"]
            continue
        values = [summary["system"][each["figure"].removeprefix("system.")] for summary in summaries]
        assert each["values"] == values
        if each["comparable"]:
            assert each["differences"] == [value - values[base] for value in values]
        else:
            assert not whole and set(each["differences"]) == {None}
