"""`pimsim map`: what it finds is simulated, never slower than the configuration's own, never below the bound."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from pimsim import api, load_config
from pimsim.cli import cli
from pimsim.config.schema import Config
from pimsim.errors import InputError
from pimsim.sweep.placement import KNOBS, bound, candidates, search
from tests.configs import config_of
from tests.conftest import SHIPPED

MODEL = {"name": "m", "layers": 2, "d_model": 256, "heads": 8, "d_ff": 512, "kv_heads": 4, "family": "llama"}
BASE: dict[str, Any] = {
    "workload.model": None, "workload.model_config": MODEL, "workload.output_tokens": 40, "dram.channels": 4,
    "schedule": "overlap",
}  # fmt: skip
AIM = SHIPPED.parent / "aim.yaml"


def config(**changes: Any) -> Config:
    return config_of({**BASE, **{key.replace("__", "."): value for key, value in changes.items()}})


@pytest.mark.parametrize(
    "made",
    [
        config(),
        config(workload__batch=2, pim__global_buffer_bytes=256),
        config(pim__formats={"int8xint8": 32}),
        load_config(AIM, {**BASE, "baselines": []}),
    ],
    ids=["pim-gpt", "small buffer", "int8", "aim"],
)
def test_the_best_is_not_slower_than_the_own_one_and_not_below_the_bound(made: Config) -> None:
    found = search(made, workers=0)
    assert found.tried[0].mapping == {key: getattr(made.mapping, key) for key in found.own.mapping}
    assert found.own.latency_ns == api.run(made).summary["system"]["latency_ns"]
    assert found.best.latency_ns <= found.own.latency_ns
    assert found.best.latency_ns == min(placed.latency_ns for placed in found.tried)
    assert 0 < found.bound.latency_ns <= found.best.latency_ns
    best = made.model_copy(update={"mapping": made.mapping.model_copy(update=dict(found.best.mapping))})
    assert api.run(best).summary["system"]["latency_ns"] == found.best.latency_ns
    assert found.front[0].latency_ns == found.best.latency_ns
    for one in found.front:
        assert not any(
            all(a <= b for a, b in zip(other.costs, one.costs, strict=True)) and other.costs != one.costs
            for other in found.tried
        )


def test_the_bound_counts_the_units() -> None:
    """Four units of a bank, and in HBM2-PIM one for two banks of which each command feeds one."""
    one, four = (config(**{"pim__units_per_bank": n}) for n in (1, 4))
    ratio = bound(one, api.prepare(one).plan).macs_ns / bound(four, api.prepare(four).plan).macs_ns
    assert ratio == pytest.approx(4, rel=1e-12)
    made = load_config("hbm2-pim", {"workload.model": "gpt2-small", "workload.output_tokens": 2, "baselines": []})
    macs = 2 * 12 * 12 * 768 * 768 + 12 * 2 * 768 * (1 + 2)
    by_hand = macs / (16 * 8 * 16 * float(made.pim.clock_GHz))
    assert bound(made, api.prepare(made).plan).macs_ns == pytest.approx(by_hand, rel=1e-12)


def test_candidates_are_all_combinations_once() -> None:
    made = config()
    plan = api.prepare(made).plan
    found = list(candidates(made, plan))
    keys = [key for key in KNOBS if key in type(made.mapping).model_fields]
    texts = [json.dumps(each) for each in found]
    assert len(set(texts)) == len(texts)
    options = [len({json.dumps(each[key]) for each in found}) for key in keys]
    count = 1
    for number in options:
        count *= number
    assert len(found) == count
    assert found[0] == {key: getattr(made.mapping, key) for key in keys}


def test_the_bound_by_hand() -> None:
    """One layer of GPT-2's kind without a head: 12 d^2 products, and 2 d a token attended to."""
    d, tokens = 256, 10
    model = {"name": "g", "layers": 1, "d_model": d, "heads": 4}
    made = config(workload__model_config=model, workload__output_tokens=tokens)
    found = bound(made, api.prepare(made).plan)
    macs = tokens * 12 * d * d + 2 * d * sum(range(1, tokens + 1))
    assert found.macs_ns == pytest.approx(macs / (4 * 16 * 16), rel=1e-12)
    linear = (d + 3 * d) + (d + d) + (d + 4 * d) + (4 * d + d)
    attention = sum(d + 2 * d + 2 * 4 * t + d for t in range(1, tokens + 1))
    assert found.pins_ns == pytest.approx(2 * 8 * (tokens * linear + attention) / (4 * 256), rel=1e-12)


def test_a_memory_without_room_for_a_placement_leaves_it_out() -> None:
    made = config(mapping__reserve_tokens=1000)
    rows = [placed.rows for placed in search(made, workers=0).tried]
    small = made.model_copy(update={"dram": made.dram.model_copy(update={"rows": rows[0]})})
    found = search(small, workers=0)
    assert sum(found.refused.values()) == sum(n > rows[0] for n in rows)
    assert all("rows" in reason for reason in found.refused)
    assert found.tried[0].rows == rows[0]


def test_one_that_does_not_fit_is_refused() -> None:
    with pytest.raises(InputError, match="rows"):
        search(config(dram__rows=3), workers=0)


# -- the command -------------------------------------------------------------------------------


def run_cli(*arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments))


def written(folder: Path) -> Path:
    file = folder / "own.yaml"
    model = ", ".join(f"{key}: {value}" for key, value in MODEL.items())
    file.write_text(
        f"extends: {SHIPPED}\ndram:\n  channels: 4\nworkload:\n  model_config: {{{model}}}\n  output_tokens: 12\n"
    )
    return file


def test_run_takes_what_map_writes(tmp_path: Path) -> None:
    file, out = written(tmp_path), tmp_path / "elsewhere" / "best.yaml"
    out.parent.mkdir()
    found = json.loads(run_cli("map", str(file), "--workers", "0", "--out", str(out), "--json").stdout)
    assert found["best"]["latency_ns"] <= found["own"]["latency_ns"]
    again = json.loads(run_cli("run", str(out), "--json").stdout)
    assert again["system"]["latency_ns"] == found["best"]["latency_ns"]
    assert out.read_text().startswith(f"# {file} with the placement that `pimsim map` found")


def test_what_is_printed_says_what_changes_and_how_far_it_is_from_the_bound(tmp_path: Path) -> None:
    said = run_cli("map", str(written(tmp_path)), "--workers", "0", "--set", "schedule=overlap").stdout
    assert "placements simulated; the fastest takes" in said
    assert "no placement takes less than" in said
    assert max(map(len, said.splitlines())) <= 100


def test_it_is_the_memory_s_own_work_that_is_placed(tmp_path: Path) -> None:
    """The bound has all of the work on the units and the pins, which means nothing where another machine has some."""
    result = run_cli("map", str(written(tmp_path)), "--workers", "0", "--set", "placement.linear=gpu-h100")
    assert result.exit_code == 2
    assert "placement.linear: what lies where is searched for a memory that has all of the work" in result.stderr


def test_a_wrong_key_is_told_with_its_place(tmp_path: Path) -> None:
    result = run_cli("map", str(written(tmp_path)), "--set", "mapping.valuse=heads")
    assert result.exit_code == 2
    assert "did you mean 'values'" in result.stderr
