"""A sweep file: which points it describes, and everything that can be wrong with it, at once and in its place."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from pimsim.errors import InputError
from pimsim.sweep.domains import identity
from pimsim.sweep.reader import load_sweep
from tests.conftest import SHIPPED
from tests.sweep.conftest import sweep_of

ROOT = Path(__file__).parents[2]
SweepFile = Callable[[str], Path]


def points(axes: dict[str, Any], **sections: Any) -> list[dict[str, Any]]:
    return [point for _, point in load_sweep(sweep_of(axes, **sections)).space.points()]


def values(axes: dict[str, Any], key: str) -> list[Any]:
    return [point[key] for point in points(axes)]


def test_grid_axes_multiply_and_the_last_varies_fastest() -> None:
    found = points({"dram.channels": [1, 2], "schedule": ["paper", "overlap"]})
    assert [tuple(point.values()) for point in found] == [
        (1, "paper"),
        (1, "overlap"),
        (2, "paper"),
        (2, "overlap"),
    ]


def test_a_range_is_exact_and_has_its_end() -> None:
    assert values({"dram.channels": {"range": [1, 7, 2]}}, "dram.channels") == [1, 3, 5, 7]
    assert values({"dram.channels": {"range": [1, 6, 2]}}, "dram.channels") == [1, 3, 5]
    steps = values({"dram.timing.tCL_ns": {"range": [12, 12.3, 0.1]}}, "dram.timing.tCL_ns")
    assert steps == [12, Decimal("12.1"), Decimal("12.2"), Decimal("12.3")]


def test_a_log_range_has_equal_ratios_and_whole_values_where_the_key_has() -> None:
    assert values({"dram.channels": {"log_range": [1, 64], "points": 7}}, "dram.channels") == [1, 2, 4, 8, 16, 32, 64]
    assert values({"dram.channels": {"log_range": [1, 3], "points": 9}}, "dram.channels") == [1, 2, 3]
    thirds = values({"asic.clock_GHz": {"log_range": [0.5, 4], "points": 4}}, "asic.clock_GHz")
    assert thirds == [Decimal("0.5"), 1, 2, 4]


def test_zipped_keys_vary_together_beside_a_grid() -> None:
    zipped = {"dram.channels": [1, 2], "dram.bank_groups": [4, 2]}
    found = points({"zip": zipped, "schedule": ["paper", "overlap"]})
    assert [(p["dram.channels"], p["dram.bank_groups"]) for p in found] == [(1, 4), (1, 4), (2, 2), (2, 2)]
    two = points({"zip": [zipped, {"asic.adders": [1, 2, 3], "asic.multipliers": [3, 2, 1]}]})
    assert len(two) == 6


def test_a_value_of_a_zip_may_come_again_beside_another(sweep_file: SweepFile) -> None:
    found = points({"zip": {"dram.channels": [2, 8, 8], "dram.bank_groups": [4, 4, 2]}})
    assert [tuple(p.values()) for p in found] == [(2, 4), (8, 4), (8, 2)]
    twice = problems("axes: {zip: {dram.channels: [2, 8, 2], asic.clock_GHz: [1, 2, 1.0]}}\n", sweep_file)
    assert twice == [":6:8: axes.zip: the values at place 3 are those at place 1"]


def test_a_section_or_a_list_is_one_value_twice_however_it_is_written() -> None:
    assert identity({"a": 1, "b": [2, True]}) == identity({"b": [Decimal("2.0"), True], "a": Decimal(1)})
    assert identity({"a": [1]}) != identity({"a": [2]}) and identity(1) != identity(True)


def test_random_points_follow_from_the_seed_and_stay_inside() -> None:
    axes = {"asic.clock_GHz": {"uniform": [0.5, 2]}, "asic.adders": {"log_uniform": [16, 1024]}, "dram.rows": [1, 2]}
    first, again, other = (points({"random": {"samples": 200, "seed": seed, "axes": axes}}) for seed in (1, 1, 2))
    assert first == again != other
    assert all(Decimal("0.5") <= point["asic.clock_GHz"] <= 2 for point in first)
    adders = sorted(point["asic.adders"] for point in first)
    assert adders[0] >= 16 and adders[-1] <= 1024 and all(isinstance(value, int) for value in adders)
    assert 90 < adders[100] < 180  # the middle of a log scale is 128
    assert 60 < sum(point["dram.rows"] == 1 for point in first) < 140


def test_a_latin_hypercube_has_one_value_in_each_slice_of_every_axis() -> None:
    axes = {"asic.clock_GHz": {"uniform": [1, 9]}, "asic.power_mW": {"uniform": [100, 180]}}
    found = points({"latin_hypercube": {"samples": 8, "seed": 5, "axes": axes}})
    assert sorted(int(point["asic.clock_GHz"]) for point in found) == list(range(1, 9))
    assert sorted(int(point["asic.power_mW"]) // 10 for point in found) == list(range(10, 18))
    assert [point["asic.clock_GHz"] for point in found] != sorted(point["asic.clock_GHz"] for point in found)


def test_one_at_a_time_is_the_base_and_then_each_value_alone() -> None:
    found = points({"one_at_a_time": {"dram.channels": [4, 16], "asic.adders": [1]}})
    assert found == [{}, {"dram.channels": 4}, {"dram.channels": 16}, {"asic.adders": 1}]


def test_the_shipped_sweeps_can_be_read() -> None:
    files = sorted((ROOT / "configs" / "sweeps").glob("*.yaml"))
    assert files and all(load_sweep(file).name == file.stem for file in files)


def test_an_axis_of_models_replaces_the_model_of_the_base() -> None:
    sweep = load_sweep(
        {"base": str(SHIPPED), "axes": {"workload.model_config": [{"name": "x"}, {"name": "y"}]}}
        | {"axes": {"workload.model": ["gpt2-small", "gpt2-medium"]}}
    )
    assert [sweep.request(point).values["workload"]["model"] for _, point in sweep.space.points()] == [
        "gpt2-small",
        "gpt2-medium",
    ]


def problems(text: str, sweep_file: SweepFile) -> list[str]:
    path = sweep_file(text)
    with pytest.raises(InputError) as caught:
        load_sweep(path)
    return [str(problem).removeprefix(str(path)) for problem in caught.value.problems]


def test_every_problem_comes_at_once_in_the_order_of_the_file(sweep_file: SweepFile) -> None:
    text = (
        "axes:\n"
        "  dram.chanels: [1, 2]\n"
        "  dram.channels: [1, 2, 2, 200]\n"
        "  schedule: []\n"
        "  asic.adders: {log_rang: [1, 5]}\n"
        "  asic.clock_GHz: {uniform: [0.5, 1]}\n"
        "  zip: {dram.rows: [1, 2], dram.bank_groups: [1, 2, 3]}\n"
        "constraints:\n"
        "  - 'dram.channels * dram.bank_group <= 512'\n"
        "  - dram.channels = 3\n"
        "objectives: [system.latency_per_tok_ns, {maximize: system.tokens_per_s}]\n"
        "extra: 3\n"
    )
    assert problems(text, sweep_file) == [
        ":7:3: dram.chanels: unknown key; did you mean 'dram.channels'?",
        ":8:25: dram.channels: duplicate value 2",
        ":8:28: dram.channels: must be at most 128, not 200; is the unit right?",
        ":9:3: schedule: is an axis without values",
        ":10:17: asic.adders.log_rang: unknown kind of axis; did you mean 'log_range'?",
        ":11:20: asic.clock_GHz.uniform: unknown kind of axis; "
        "only random, latin_hypercube, sobol and search draw from an interval",
        ":12:3: axes.zip: must be lists of one length: dram.rows has 2, dram.bank_groups has 3",
        ":14:22: constraints.0: unknown key dram.bank_group; did you mean 'dram.bank_groups'?",
        ":15:19: constraints.1: unexpected '='; did you mean '=='?",
        ":16:14: objectives.0: system.latency_per_tok_ns: no figure of a result; "
        "did you mean 'system.latency_per_token_ns'?",
        ":16:41: objectives.1: must be a figure, or {maximise: figure} or {minimise: figure}; did you mean 'maximise'?",
        ":17:1: extra: unknown key",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", ":1:1: axes: is needed: a mapping of keys to lists of values"),
        ("axes: {dram.channels: 4}\n", ":6:8: dram.channels: must be a list of values or one of "),
        ("axes: {workload.output_tokens: [1]}\n", ":6:8: workload.output_tokens: duplicate: already set on line 4"),
        ("axes: {dram.io.pins: [8], dram.io: [x]}\n", ":6:27: dram.io: duplicate: already an axis as dram.io.pins"),
        ("axes: {schedule: [papper]}\n", ":6:19: schedule: must be 'paper' or 'overlap', not 'papper'; did you mean"),
        ("axes: {dram.channels: {range: [4, 1]}}\n", ":6:24: dram.channels.range: must go up"),
        ("axes: {dram.channels: {range: [1, 4, 0.5]}}\n", ":6:24: dram.channels: must be a whole number, not 1.5"),
        ("axes: {dram.channels: {log_range: [1, 8]}}\n", ":6:24: dram.channels.log_range: needs points: N"),
        ("axes: {asic.adders: {range: [1, 1e6]}}\n", ":6:22: asic.adders.range: has 1000000 values; at most"),
        ("axes: {random: {samples: 3, axes: {schedule: [paper]}}}\n", ":6:8: axes.random.seed: is needed: a whole"),
        ("axes: {random: {samples: 3, seed: 1}}\n", ":6:8: axes.random.axes: must be a mapping"),
        ("axes: {random: {samples: 3, seed: 1, axes: {dram.channels: {uniform: [1, 129]}}}}\n", "must be at most 128"),
        (
            "axes: {sobol: {samples: 3, seed: 1, axes: {asic.adders: {uniform: [1, 9]}}}}\n",
            "must be a power of 2, not 3",
        ),
        ("axes: {one_at_a_time: {asic.adders: [1]}, schedule: [paper]}\n", "must be the only axis"),
        (
            "axes: {one_at_a_time: {asic.adders: [1]}}\nconstraints: [asic.adders > 1]\n",
            "would drop points that one_at",
        ),
        ("axes: {schedule: [paper]}\nsearch: {trials: 1, seed: 1}\n", ":7:1: search: a sweep has axes or a search"),
        ("search: {trials: 1, seed: 1, axes: {schedule: [paper]}}\n", ":6:1: search: needs objectives"),
        ("axes: {schedule: [paper]}\nconstraints: ['dram.channels']\n", ":7:16: constraints.0: is a number, not a"),
        ("axes: {schedule: [paper]}\nconstraints: [baselines == 1]\n", "constraints.0: baselines is no single value"),
        (
            "axes: {schedule: [paper]}\nobjectives: [baselines.gpu-a100.speedup]\n",
            "no figure of a result; did you mean",
        ),
        ("axes: {schedule: [paper], schedule: [overlap]}\n", ":6:27: axes.schedule: duplicate key"),
        ("axes: {workload.model: [gpt2-smal]}\n", "unknown model 'gpt2-smal'; did you mean 'gpt2-small'?"),
    ],
)
def test_what_is_wrong_is_said_where_it_is(text: str, problem: str, sweep_file: SweepFile) -> None:
    assert [found for found in problems(text, sweep_file) if problem in found]


def test_the_base_is_checked_once_with_its_own_place(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(f"extends: {SHIPPED}\ndram: {{rows: 3.5}}\npim: {{lanes: 7}}\n")
    path = tmp_path / "sweep.yaml"
    path.write_text("base: base.yaml\naxes: {dram.channels: [1, 2]}\n")
    with pytest.raises(InputError) as caught:
        load_sweep(path)
    assert [str(problem).removeprefix(str(tmp_path)) for problem in caught.value.problems] == [
        "/base.yaml:2:8: dram.rows: must be a whole number, not 3.5",
        "/base.yaml:3:7: pim.lanes: 7 lanes do not divide the 16 BF16 of a column (dram.column_bytes)",
    ]


def test_a_rule_that_an_axis_can_mend_is_left_to_the_points() -> None:
    lanes = load_sweep(sweep_of({"zip": {"pim.lanes": [16, 32], "dram.column_bytes": [32, 64]}}))
    assert len(lanes.space) == 2


def test_a_base_that_is_not_there_is_the_fault_of_the_line_that_names_it(sweep_file: SweepFile) -> None:
    path = sweep_file("axes: {schedule: [paper]}\n")
    path.write_text(path.read_text().replace(str(SHIPPED), "gone.yaml"))
    with pytest.raises(InputError, match=r":1:1: base: gone.yaml: cannot be read: No such file"):
        load_sweep(path)


def kept(axes: dict[str, Any], *constraints: str) -> list[dict[str, Any]]:
    sweep = load_sweep(sweep_of(axes, constraints=list(constraints)))
    return [point for _, point in sweep.space.points() if sweep.filter.keeps(point)]


def test_constraints_drop_points_and_see_the_base_and_its_defaults() -> None:
    banks = "dram.channels * dram.bank_groups * dram.banks_per_group <= 128"
    assert kept({"dram.channels": [4, 8, 16]}, banks) == [{"dram.channels": 4}, {"dram.channels": 8}]
    assert kept({"asic.taylor_terms": [5, 6]}, "asic.taylor_terms > 5 and mapping.value_append == 'single_bank'") == [
        {"asic.taylor_terms": 6}
    ]


def test_a_constraint_sees_what_follows_from_an_axis() -> None:
    models = [{"name": "a", "layers": 1, "d_model": d, "heads": 1} for d in (16, 64)]
    sweep = load_sweep(
        {
            "base": str(SHIPPED),
            "axes": {"workload.model_config": models},
            "constraints": ["workload.model_config.d_ff <= 64"],
        }
    )
    assert [sweep.filter.keeps(point) for _, point in sweep.space.points()] == [True, False]


def test_the_hash_follows_from_what_is_simulated_alone(tmp_path: Path) -> None:
    def digest(text: str) -> str:
        path = tmp_path / "sweep.yaml"
        path.write_text(f"base: {SHIPPED}\n{text}")
        return load_sweep(path).sha256

    plain = digest("axes: {dram.channels: [1, 2]}\n")
    assert plain == digest("# a remark\naxes:\n  dram.channels: {range: [1, 2]}\n")
    others = [
        digest("axes: {dram.channels: [1, 2, 3]}\n"),
        digest("axes: {dram.channels: [2, 1]}\n"),
        digest("axes: {dram.channels: [1, 2]}\nset: {workload.batch: 2}\n"),
        digest("axes: {dram.channels: [1, 2]}\nconstraints: [dram.channels > 1]\n"),
        digest("axes: {dram.channels: [1, 2]}\nobjectives: [system.latency_ns]\n"),
    ]
    assert len({plain, *others}) == 6
