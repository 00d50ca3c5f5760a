"""Attention by heads: what it leaves as it was, what it is never worse than, and that all readings of it agree."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

import pimsim
import pimsim.sweep
from pimsim import api, load_config
from pimsim.devices.plan import compile_plan
from pimsim.devices.registry import HARDWARE
from pimsim.logs.checker import check
from pimsim.logs.log import read_log
from pimsim.results import placement
from pimsim.sim.run import settled, simulate
from pimsim.sim.tally import Tally
from tests.configs import config_of, systems
from tests.conftest import SHIPPED
from tests.examples import examples
from tests.sweep.conftest import TINY, sweep_of

AIM = SHIPPED.parent / "aim.yaml"
BY_HEADS = {"mapping.attention": "per_head"}
MODEL = {"name": "m", "layers": 2, "d_model": 256, "heads": 16, "kv_heads": 8, "d_ff": 64}
SMALL = {
    "workload.model": None, "workload.model_config": MODEL, "workload.context": 180, "workload.output_tokens": 12,
    "pim.global_buffer_bytes": 64, "dram.channels": 3, "baselines": [], "schedule": "overlap",
}  # fmt: skip
SPLITS = ("heads", "tokens")


def both(overrides: Mapping[str, Any], path: Path = SHIPPED) -> list[Tally]:
    """As a whole, and by heads."""
    ways = ("whole", "per_head")
    return [simulate(load_config(path, {"baselines": [], **overrides, "mapping.attention": way})) for way in ways]


@settings(max_examples=examples(30))
@given(systems())
def test_only_rows_and_softmaxes_change(overrides: dict[str, Any]) -> None:
    """As many multiplications, columns, bytes and elements; every other operator has its commands."""
    whole, by_heads = both({**overrides, "dram.refresh": "none"})
    rows = {"ACT", "ACTAB", "PRE", "PREAB"}

    def others(tally: Tally) -> list[Any]:
        own = ("scores", "values", "softmax", "sum", "softcap")
        return [(row.phase, row.operator, row.commands, row.macs) for row in tally.rows if row.operator not in own]

    def data(tally: Tally) -> dict[str, int]:
        return {name: n for name, n in tally.commands.items() if name not in rows}

    assert others(whole) == others(by_heads) and data(whole) == data(by_heads)
    for count in ("macs", "payload_bytes", "pin_bytes", "adds", "multiplies", "sram_bytes"):
        assert whole.total(count) == by_heads.total(count)
    assert [(row.phase, row.operator) for row in whole.rows] == [(row.phase, row.operator) for row in by_heads.rows]


@settings(max_examples=examples(25))
@given(systems())
def test_one_head_is_the_whole(overrides: dict[str, Any]) -> None:
    model = overrides.get("workload.model_config")
    one = {**model, "heads": 1, "kv_heads": 1, "d_model": 24, "head_dim": 24} if model else None
    keys = {**overrides, "workload.model_config": one, "pim.global_buffer_bytes": 24 * overrides["dram.column_bytes"]}
    whole, by_heads = both(keys)
    assert whole == by_heads


@settings(max_examples=examples(20))
@given(systems())
def test_the_faster_is_taken(overrides: dict[str, Any]) -> None:
    """Exactly, under every schedule: both are run."""
    ways = both(overrides)
    auto = config_of({"baselines": [], **overrides, "mapping.attention": "auto"})
    assert simulate(auto) == min(ways, key=lambda tally: tally.cycles)
    plan = settled(compile_plan(auto))
    assert plan.config.mapping.attention == ("per_head" if ways[1].cycles < ways[0].cycles else "whole")


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("path", [SHIPPED, AIM])
def test_engines_agree_and_a_log_keeps_every_rule(path: Path, split: str, tmp_path: Path) -> None:
    keys = SMALL | BY_HEADS | {"mapping.values": split}
    config, log = load_config(path, keys), tmp_path / "log.csv"
    tally = simulate(config)
    for mode, fold in (("fast", False), ("stepped", True), ("stepped", False)):
        assert simulate(load_config(path, keys | {"engine.mode": mode, "engine.fold": fold})) == tally
    plan = compile_plan(config)
    assert simulate(config, log=log) == tally
    assert check(read_log(log, HARDWARE[config.dram.standard].table), plan.device) == []


@pytest.mark.parametrize("sums", ["banks", "asic"])
@pytest.mark.parametrize("split", SPLITS)
def test_aim_moves_the_same(split: str, sums: str) -> None:
    keys = SMALL | {"mapping.values": split, "pim.sums": sums, "pim.activation": "asic", "dram.refresh": "none"}
    whole, by_heads = both(keys, AIM)
    assert whole.commands["MAC16"] == by_heads.commands["MAC16"]
    for count in ("macs", "payload_bytes", "pin_bytes"):
        assert whole.total(count) == by_heads.total(count)


def test_a_softmax_that_the_banks_scale_goes_as_a_whole() -> None:
    whole, by_heads = both(SMALL | {"pim.softmax": "banks"}, AIM)
    assert whole == by_heads


def test_scores_that_are_spilled_go_as_a_whole() -> None:
    """Nothing goes on before all of them are back; as long as they fit they go by heads, in one run."""
    keys = SMALL | {"workload.context": 0, "workload.output_tokens": 40, "asic.sram_KiB": 1}
    plan = compile_plan(config_of(keys | BY_HEADS))
    spills = {context: _operators(plan, context) for context in (4, 40)}
    assert "spill" not in spills[4] and spills[4].count("softmax") > 1
    assert "spill" in spills[40] and spills[40].count("softmax") == 1
    assert simulate(plan) == simulate(config_of(keys | BY_HEADS | {"engine.mode": "stepped", "engine.fold": False}))


def _operators(plan: Any, context: int) -> list[str]:
    """Of the instructions of a block, from its scores on."""
    found = [instruction.operator for instruction in plan.step(context, False).block]
    return found[found.index("scores") : found.index("attn_out")]


def test_one_at_a_time_it_only_costs() -> None:
    """Under `paper` nothing runs beside anything, and each softmax fills its pipeline anew."""
    for split in SPLITS:
        whole, by_heads = both(SMALL | {"schedule": "paper", "dram.refresh": "none", "mapping.values": split})
        assert by_heads.cycles > whole.cycles


def test_a_slow_asic_waits_less() -> None:
    """The softmax of the first heads runs beside the scores of the next; that of the last beside p V of the first."""
    keys = {"workload.model": "gpt3-xl", "workload.context": 1000, "workload.output_tokens": 4, "schedule": "overlap",
            "asic.clock_GHz": 0.1}  # fmt: skip
    whole, by_heads = both(keys)
    assert by_heads.causes()["softmax"] < whole.causes()["softmax"]
    assert by_heads.cycles < whole.cycles


def test_a_choice_is_told_and_kept() -> None:
    run = pimsim.run(config_of({**SMALL, "mapping.attention": "auto"}))
    by = {way: pimsim.run(config_of({**SMALL, "mapping.attention": way})).summary for way in ("whole", "per_head")}
    chosen = run.summary["mapping"]["attention"]
    assert run.summary["system"] == by[chosen]["system"]
    assert "mapping" not in by["whole"] and "mapping" not in by["per_head"]
    line = placement.chosen_line(run.plan, run.config)
    assert line == {"whole": "attention as a whole", "per_head": "attention by heads"}[chosen]


def test_the_stages_of_a_schedule_go_together() -> None:
    """Trees of drafts, whose K and V are copied; the choice is one for all stages."""
    trace = SHIPPED.parent / "studies" / "traces" / "medusa.jsonl"
    keys = {"workload.trace": str(trace), "workload.model": None, "dram.rows": 1 << 20, "schedule": "overlap",
            "asic.clock_GHz": 0.2, "baselines": []}  # fmt: skip
    by = {way: simulate(api.prepare(config_of({**keys, "mapping.attention": way})).plan)
          for way in ("whole", "per_head", "auto")}  # fmt: skip
    assert by["auto"] == by["per_head"] and by["per_head"].cycles < by["whole"].cycles
    assert by["whole"].total("macs") == by["per_head"].total("macs")


def test_a_sweep_over_it() -> None:
    axes = {"mapping.attention": ["whole", "per_head", "auto"], "asic.clock_GHz": [1, 0.1]}
    model = TINY["workload.model_config"] | {"heads": 8, "d_model": 64}
    sweep = {**sweep_of(axes), "set": {**TINY, "workload.model_config": model, "schedule": "overlap"}}
    rows = pimsim.sweep.run({**sweep, "objectives": ["system.cycles"]}, workers=0).rows()
    found = {(row["mapping.attention"], row["asic.clock_GHz"]): row["system.cycles"] for row in rows}
    for clock in (1, 0.1):
        assert found["auto", clock] == min(found["whole", clock], found["per_head", clock])
