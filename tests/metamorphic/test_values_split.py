"""V split along tokens: where it is the split by heads, and that nothing else changes with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

import pimsim.sweep
from pimsim import load_config
from pimsim.devices.plan import compile_plan
from pimsim.devices.registry import HARDWARE
from pimsim.logs.checker import check
from pimsim.logs.log import read_log
from pimsim.sim.run import simulate
from pimsim.sim.tally import Tally
from tests.configs import config_of, systems
from tests.conftest import SHIPPED
from tests.examples import examples
from tests.sweep.conftest import TINY, sweep_of

AIM = SHIPPED.parent / "aim.yaml"
TOKENS = {"mapping.values": "tokens"}
GROUPED = {"name": "grouped", "layers": 2, "d_model": 96, "heads": 4, "kv_heads": 2, "d_ff": 40}
SMALL = {
    "workload.model": None, "workload.model_config": GROUPED, "workload.context": 180, "workload.output_tokens": 20,
    "pim.global_buffer_bytes": 64, "dram.channels": 3, "baselines": [],
}  # fmt: skip


@settings(max_examples=examples(30))
@given(systems())
def test_one_channel_has_all_tokens(overrides: dict[str, Any]) -> None:
    one = {**overrides, "dram.channels": 1}
    tallies = [simulate(config_of({**one, "mapping.values": split})) for split in ("heads", "tokens", "auto")]
    assert tallies[0] == tallies[1] == tallies[2]


@settings(max_examples=examples(30))
@given(systems())
def test_only_p_V_and_what_adds_it_up_change(overrides: dict[str, Any]) -> None:
    """As many multiplications and elements of V, and every other operator has its commands."""
    still = {**overrides, "dram.refresh": "none"}
    by = [simulate(config_of({**still, "mapping.values": split})) for split in ("heads", "tokens")]

    def others(tally: Tally) -> list[Any]:
        own = ("values", "value_append", "sum")
        return [(row.phase, row.operator, row.commands, row.macs) for row in tally.rows if row.operator not in own]

    assert others(by[0]) == others(by[1])
    assert by[0].total("macs") == by[1].total("macs")
    assert by[0].commands["WR"] == by[1].commands["WR"]


@pytest.mark.parametrize("append", ["single_bank", "all_bank"])
@pytest.mark.parametrize("sums", ["banks", "asic"])
def test_aim_counts_the_same_however_it_is_simulated(sums: str, append: str, tmp_path: Path) -> None:
    own = {"pim.sums": sums, "pim.activation": "asic", "mapping.value_append": append, "schedule": "overlap"}
    config = load_config(AIM, SMALL | TOKENS | own)
    tally = simulate(config)
    for mode, fold in (("fast", False), ("stepped", True), ("stepped", False)):
        assert simulate(load_config(AIM, SMALL | TOKENS | own | {"engine.mode": mode, "engine.fold": fold})) == tally
    plan, log = compile_plan(config), tmp_path / "log.csv"
    assert simulate(config, log=log) == tally
    assert check(read_log(log, HARDWARE["aim"].table), plan.device) == []


@pytest.mark.parametrize("append", ["single_bank", "all_bank"])
def test_a_log_keeps_every_rule(append: str, tmp_path: Path) -> None:
    config = config_of(SMALL | TOKENS | {"mapping.value_append": append, "schedule": "overlap"})
    log = tmp_path / "log.csv"
    tally = simulate(config, log=log)
    assert check(read_log(log, HARDWARE["gddr6-pim"].table), compile_plan(config).device) == []
    assert simulate(config_of(SMALL | TOKENS | {"mapping.value_append": append, "schedule": "overlap",
                                                "engine.mode": "stepped", "engine.fold": False})) == tally  # fmt: skip


def test_a_sweep_over_the_split() -> None:
    axes = {"mapping.values": ["heads", "tokens", "auto"], "workload.context": [15, 4000]}
    model = TINY["workload.model_config"] | {"kv_heads": 1}
    result = pimsim.sweep.run(
        {**sweep_of(axes), "set": {**TINY, "workload.model_config": model}, "objectives": ["system.cycles"]}, workers=0
    )
    rows = {(row["mapping.values"], row["workload.context"]): row["system.cycles"] for row in result.rows()}
    assert len(rows) == 6
    assert rows["tokens", 4000] == rows["auto", 4000] < rows["heads", 4000]
    assert rows["auto", 15] <= min(rows["heads", 15], rows["tokens", 15])
