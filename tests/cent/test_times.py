"""Levels 4 and 5: times and energies from recorded cycles and commands, to 1e-9."""

from __future__ import annotations

import pytest

from pimsim.reproduce.cent import energy, times
from pimsim.reproduce.cent.energy import Standby
from pimsim.reproduce.cent.models import MODELS, Split, problems_of
from pimsim.reproduce.cent.published import published
from tests.cent.golden import run_of, split_of, table
from tests.cent.test_programs import name_of

EXACT = 1e-9
BLOCKS = table("blocks")
RUNS = [row for row in BLOCKS if row["program"] != "embedding"]
EMBEDDINGS = {split_of(row): int(row["cycles"]) for row in BLOCKS if row["program"] == "embedding"}
_WHERE = ("model", "pipeline_stages", "tensor_parallel", "program", "context_tokens", "component")
ENERGIES = {tuple(row[key] for key in _WHERE): float(row["device_energy_mJ"]) for row in table("energy")}


def close(value: float, expected: float) -> bool:
    return abs(value - expected) <= EXACT * abs(expected)


def test_times_of_every_published_row_follow_from_its_cycles() -> None:
    assert len(published()) == 385
    for row in published():
        found = vars(times.times(row.split, row.context, row.pim_cycles, EMBEDDINGS[row.split]))
        wrong = {key: value for key, value in found.items() if not close(value, row.values[key])}
        assert not wrong, (row.split, row.context, wrong)


def test_every_published_split_is_accepted_and_is_of_one_mode() -> None:
    splits = {row.split for row in published()}
    assert len(splits) == len(EMBEDDINGS) == 12
    assert [problem for split in splits for problem in problems_of(split)] == []
    assert {split.model for split in splits if split.in_pipeline} == {"Llama2-7B", "Llama2-70B"}


def test_transfers_by_hand() -> None:
    pipeline, alone = Split("Llama2-7B", 8, 32, 1, 8), Split("Llama2-7B", 8, 8, 1, 32)
    lane = 18 * 4 * 2**30
    flits = -(-4096 * 2 // 192)
    assert close(times.cxl_ms(pipeline), 180e-6 + flits * 256 / lane * 1e3)
    wide = -(-11008 * 2 // 192)
    gathers = 6 * 180e-6  # nobody else has a share
    assert close(times.cxl_ms(alone), 5 * times.cxl_ms(pipeline) + 180e-6 + wide * 256 / lane * 1e3 + gathers)
    both = Split("Llama2-7B", 8, 4, 2, 32)
    shares = (-(-2048 * 2 // 192), -(-5504 * 2 // 192))
    more = (5 * shares[0] + shares[1]) * 256 / lane * 1e3
    assert close(times.cxl_ms(both), times.cxl_ms(alone) + more)


def test_blocks_of_a_device_share_its_near_memory_units() -> None:
    shape = MODELS["Llama2-13B"]
    cycles = times.pnm_cycles(shape, 128)
    by_hand = 2 * (5120 / 256 / 32 * 66 + 29) + 128 * 40 / 16 / 32 * 110 + 40 * 18.25 + 2 * 5120 * 3 / 8
    assert close(cycles, by_hand)
    assert close(times.pnm_ms(Split("Llama2-13B", 20, 40, 1, 16), 128), 2 * by_hand / 2e6)


@pytest.mark.parametrize("row", RUNS, ids=name_of)
def test_components_of_the_energy_are_the_published_ones(row: dict[str, str]) -> None:
    context = row["context_tokens"] or "4096"
    found = energy.components(split_of(row), int(context), run_of(row), Standby.AS_PUBLISHED)
    where = (row["model"], row["pipeline_stages"], row["tensor_parallel"], row["program"], context)
    recorded = {key: ENERGIES[(*where, key)] for key in found if (*where, key) in ENERGIES}
    assert {key: value for key, value in recorded.items() if not close(found[key], value)} == {}
    assert len(recorded) in ((24,) if context in ("128", "4096") else (0,))
    if row["device_energy_mJ"]:
        assert close(sum(found.values()), float(row["device_energy_mJ"]))


def test_energies_of_a_token_are_the_published_ones() -> None:
    runs = {(split_of(row), row["program"], row["context_tokens"]): run_of(row) for row in RUNS}
    compared = 0
    for row in published():
        block = runs.get((row.split, "block", str(row.context)))
        if block is None or block.cycles != row.pim_cycles:
            continue
        weights = runs.get((row.split, "weights_only", ""))
        found = energy.token_mJ(row.split, row.context, block, weights, Standby.AS_PUBLISHED)
        assert close(found, row.values["token_energy_mJ"]), (row.split, row.context)
        compared += 1
    assert compared == sum(row["program"] == "block" for row in RUNS)


@pytest.mark.parametrize(
    ("model", "stages", "published_mJ", "right_mJ"), [("Llama2-7B", "32", 79.0, 103.4)], ids=["7B"]
)
def test_standby_of_all_channels_counts_unless_the_switch_says_otherwise(
    model: str, stages: str, published_mJ: float, right_mJ: float
) -> None:
    row = next(r for r in RUNS if (r["model"], r["pipeline_stages"], r["context_tokens"]) == (model, stages, "4096"))
    wrong, right = (
        energy.token_mJ(split_of(row), 4096, run_of(row), None, standby)
        for standby in (Standby.AS_PUBLISHED, Standby.CORRECTED)
    )
    assert (round(wrong, 1), round(right, 1)) == (published_mJ, right_mJ)
    assert energy.token_mJ(split_of(row), 4096, run_of(row), None) == right
    counted, whole = (
        energy.components(split_of(row), 4096, run_of(row), standby)
        for standby in (Standby.AS_PUBLISHED, Standby.CORRECTED)
    )
    standbys = {"act_stby", "pre_stby"}
    assert {key for key in counted if counted[key] != whole[key]} == standbys
    assert all(close(whole[key], 32 * counted[key]) for key in standbys)
