"""A latency table: each point is the run of that step alone, and rows of a point sum to it."""

from __future__ import annotations

import csv
import json
import math
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

import pimsim
from pimsim import InputError
from pimsim.config.schema import Config
from pimsim.exports.table import BATCHES, STEP, UNITS, Row, Table, latency_table

SMALL = {"name": "small", "layers": 2, "d_model": 384, "heads": 6, "vocabulary": 700, "max_positions": 600}


def config_of(name: str = "pim-gpt", **keys: Any) -> Config:
    config = pimsim.load_config(name, {"workload.model_config": SMALL, "baselines": [], **keys})
    assert isinstance(config, Config)
    return config


def of_point(table: Table, phase: str, context: int, batch: int) -> list[Row]:
    return [row for row in table.rows if (row["phase"], row["context_tokens"], row["batch"]) == (phase, context, batch)]


@pytest.fixture(scope="module")
def table() -> Table:
    return latency_table(config_of(), [3, 200, 1200], [1, 3], [40])


@pytest.mark.parametrize("context", [3, 200, 1200])
@pytest.mark.parametrize("batch", [1, 3])
def test_a_point_is_the_run_of_its_step(table: Table, context: int, batch: int) -> None:
    """The second reading: `pimsim run` with the keys that say so, and its own summary."""
    keys = {"workload.context": context - 1, "workload.output_tokens": 1, "workload.batch": batch}
    result = pimsim.run(config_of(**keys))
    *operators, step = of_point(table, "decode", context, batch)
    assert step["operator"] == STEP and step["latency_ns"] == result.summary["system"]["latency_ns"]
    assert step["energy_pJ"] == result.summary["system"]["energy_pJ"]
    wanted = [(r["operator"], r["count"], r["latency_ns"], r["energy_pJ"]) for r in result.records("operators")]
    assert [(r["operator"], r["count"], r["latency_ns"], r["energy_pJ"]) for r in operators] == wanted


def test_a_prompt_is_the_run_of_its_step(table: Table) -> None:
    keys = {"workload.prompt_tokens": 40, "workload.prefill_chunk": 40, "workload.output_tokens": 0}
    system = pimsim.run(config_of(**keys)).summary["system"]
    step = of_point(table, "prefill", 40, 1)[-1]
    assert (step["latency_ns"], step["energy_pJ"]) == (system["prefill_latency_ns"], system["prefill_energy_pJ"])
    assert step["step_tokens"] == 40


def test_a_system_of_devices_has_a_table_as_well() -> None:
    keys = {"system.devices": 2, "system.tensor": 2}
    result = pimsim.run(config_of(**keys, **{"workload.context": 99, "workload.output_tokens": 1}))
    *operators, step = latency_table(config_of(**keys), [100], [1]).rows
    system = result.summary["system"]
    assert (step["latency_ns"], step["energy_pJ"]) == (system["latency_ns"], system["energy_pJ"])
    assert math.isclose(sum(row["latency_ns"] for row in operators), step["latency_ns"], rel_tol=1e-12)


def test_rows_of_a_point_sum_to_its_step(table: Table) -> None:
    points = groupby(table.rows, key=lambda row: (row["phase"], row["context_tokens"], row["batch"]))
    for _, rows in points:
        *operators, step = rows
        for name in ("latency_ns", "energy_pJ"):
            assert math.isclose(sum(row[name] for row in operators), step[name], rel_tol=1e-12)


def test_a_step_is_no_straight_line_between_two_contexts(table: Table) -> None:
    """What a table that interpolates would say is not what is simulated."""
    between = latency_table(config_of(), [700], [1]).rows[-1]["latency_ns"]
    low, high = (of_point(table, "decode", context, 1)[-1]["latency_ns"] for context in (200, 1200))
    assert low < between < high and between != (low + high) / 2


def test_unasked_it_has_what_the_model_and_the_memory_hold() -> None:
    found = latency_table(config_of())
    assert {row["context_tokens"] for row in found.rows} == {128, 256, 512}  # of 600 positions
    assert {row["batch"] for row in found.rows} == set(BATCHES) and not found.left_out


def test_what_nobody_asked_for_and_does_not_fit_is_left_out_and_told() -> None:
    found = latency_table(config_of(**{"dram.rows": 220, "dram.channels": 2}), [500])
    batches = {row["batch"] for row in found.rows}
    assert batches and batches < set(BATCHES)
    assert len(found.left_out) == len(BATCHES) - len(batches) and "does not fit" in found.left_out[0]


@pytest.mark.parametrize(
    "keys",
    [
        {"placement.linear": "gpu-h100", "placement.sub_batches": 2},
        {"system.devices": 2, "system.pipeline": 2, "system.in_flight": 2},
    ],
)
def test_the_first_batch_is_left_out_as_well_where_it_cannot_be(keys: dict[str, Any]) -> None:
    found = latency_table(config_of(**keys, **{"workload.batch": 2}), [64])
    assert {row["batch"] for row in found.rows} == set(BATCHES) - {1}
    assert len(found.left_out) == 1 and "batch 1: must divide the 1 sequences" in found.left_out[0]


def test_a_context_that_fits_with_no_batch_is_refused_once() -> None:
    config = config_of(**{"dram.rows": 220, "dram.channels": 2})
    with pytest.raises(InputError) as caught:
        latency_table(config, [3, 100_000])
    assert [problem.key for problem in caught.value.problems].count("dram.rows") == 1


def test_a_table_of_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="does not fit"):
        latency_table(config_of(**{"dram.rows": 4, "dram.channels": 2}))


def test_what_was_asked_for_and_does_not_fit_is_refused_with_every_point() -> None:
    config = config_of(**{"dram.rows": 220, "dram.channels": 2})
    with pytest.raises(InputError) as caught:
        latency_table(config, [500, 100_000, 200_000], [1])
    keys = [problem.key for problem in caught.value.problems]
    assert keys.count("dram.rows") == 2  # the other problem of each, if there is one, is what else would do


def test_what_is_refused_says_of_which_points_it_is() -> None:
    config = config_of(**{"dram.rows": 220, "dram.channels": 2})
    with pytest.raises(InputError) as caught:
        latency_table(config, [500, 100_000], [1, 64], [60_000])
    told = {problem.message.partition(": ")[0] for problem in caught.value.problems}
    refused = [*(("decode", c, b) for c, b in ((100_000, 1), (500, 64), (100_000, 64))), *(
        ("prefill", 60_000, batch) for batch in (1, 64))]  # fmt: skip
    assert told == {f"{phase} at context {context}, batch {batch}" for phase, context, batch in refused}


def test_points_with_the_same_problem_are_told_together() -> None:
    config = config_of(**{"placement.linear": "gpu-h100", "placement.sub_batches": 2, "workload.batch": 2})
    with pytest.raises(InputError) as caught:
        latency_table(config, [3, 4, 5, 6, 7], [1])
    (problem,) = caught.value.problems
    three = "; ".join(f"decode at context {context}, batch 1" for context in (3, 4, 5))
    assert problem.message.startswith(f"{three} and 2 others: must divide the 1 sequences")


def test_what_is_odd_about_a_system_is_told() -> None:
    keys = {"system.devices": 2, "system.pipeline": 2, "workload.context": 8, "workload.output_tokens": 1}
    wanted, told = pimsim.run(config_of(**keys)).summary["warnings"], list[Any]()
    table = latency_table(config_of(**keys), [9], [1], tell=told.append)
    assert list(table.warnings) == wanted and "1 of 2 stages" in wanted[0]
    assert [[problem.message for problem in problems] for problems in told] == [wanted]


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({}, "on this device, every command and refresh simulated. The rows"),
        ({"system.devices": 2, "system.tensor": 2}, "on a system of 2 devices, every command and refresh simulated"),
        ({"placement.linear": "gpu-h100"}, "on this device with gpu-h100 beside it. What the device does is simulated"),
    ],
)
def test_a_table_says_whose_time_it_has(keys: dict[str, Any], said: str) -> None:
    assert f"starts from rest, {said}" in latency_table(config_of(**keys), [9], [1]).about()["means"]


def test_a_point_with_a_machine_beside_is_the_run_of_its_step() -> None:
    keys = {"placement.linear": "gpu-h100", "workload.context": 99, "workload.output_tokens": 1}
    system = pimsim.run(config_of(**keys)).summary["system"]
    *operators, step = latency_table(config_of(**keys), [100], [1]).rows
    assert (step["latency_ns"], step["energy_pJ"]) == (system["latency_ns"], system["energy_pJ"])
    assert math.isclose(sum(row["latency_ns"] for row in operators), step["latency_ns"], rel_tol=1e-12)


def test_both_files_have_the_same_rows_and_say_what_they_are(table: Table, tmp_path: Path) -> None:
    table.save(tmp_path / "t.json")
    assert table.save(tmp_path / "t.csv") == [tmp_path / "t.csv", tmp_path / "t.csv.json"]
    whole = json.loads((tmp_path / "t.json").read_text())
    with open(tmp_path / "t.csv", newline="") as file:
        rows = [{name: type(whole["rows"][0][name])(row[name]) for name in row} for row in csv.DictReader(file)]
    assert rows == whole.pop("rows") == list(table.rows) and list(rows[0]) == list(UNITS)
    assert json.loads((tmp_path / "t.csv.json").read_text()) == whole
    assert whole["config_sha256"] == pimsim.run(config_of()).summary["config_sha256"]


def test_its_hash_tells_rows_apart(table: Table) -> None:
    faster = latency_table(config_of(**{"asic.clock_GHz": 2}), [3], [1])
    slower, again = (latency_table(config_of(), [3], [1]) for _ in range(2))
    assert slower.sha256 == again.sha256 != faster.sha256
    assert slower.trace_sha256 == faster.trace_sha256 and slower.config_sha256 != faster.config_sha256
