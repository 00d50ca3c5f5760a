"""Whole simulations: every way to run one gives the same counts, a log that is legal, and all clocks accounted for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from pimsim import run
from pimsim.config.schema import Config
from pimsim.devices.plan import compile_plan
from pimsim.devices.registry import resolve
from pimsim.logs.checker import check
from pimsim.logs.log import read_log
from pimsim.sim.run import simulate
from pimsim.sim.tally import Tally
from tests.configs import config_of, systems

Overrides = dict[str, Any]


def engine(overrides: Overrides, mode: str, fold: bool) -> Config:
    return config_of({**overrides, "engine.mode": mode, "engine.fold": fold})


@settings(max_examples=80)
@given(systems())
def test_every_engine_counts_the_same(overrides: Overrides) -> None:
    tally = simulate(engine(overrides, "fast", True), course=True)
    assert tally.course is not None
    for mode, fold in (("fast", True), ("fast", False), ("stepped", True), ("stepped", False)):
        assert simulate(engine(overrides, mode, fold), course=True) == tally


@settings(max_examples=80)
@given(systems())
def test_clocks_and_tokens_add_up(overrides: Overrides) -> None:
    config = config_of(overrides)
    tally = simulate(config)
    assert sum(row.cycles for row in tally.rows) == tally.cycles == sum(token.cycles for token in tally.tokens)
    assert sum(tally.causes().values()) == tally.cycles
    prompt, output = config.workload.prompt_tokens, config.workload.output_tokens
    query = config.workload.query_tokens
    contexts = [*range(1, prompt + 1), *range(prompt + query, prompt + output + 1, query)]
    assert [token.context for token in tally.tokens] == contexts
    assert [token.phase for token in tally.tokens] == ["prefill"] * prompt + ["decode"] * (output // query)
    assert tally.prefill_cycles == sum(token.cycles for token in tally.tokens if token.phase == "prefill")
    assert all(token.cycles > 0 for token in tally.tokens)
    device = resolve(config.dram, config.pim)
    assert all(row.open_cycles >= 0 for row in tally.rows)
    assert tally.total("open_cycles") <= device.channels * tally.cycles


def logged(config: Config) -> tuple[Tally, Any]:
    """A simulation and its log."""
    device = resolve(config.dram, config.pim)
    with TemporaryDirectory() as folder:
        tally = simulate(config, log=Path(folder) / "log.csv")
        return tally, read_log(Path(folder) / "log.csv", device.standard)


@settings(max_examples=60)
@given(systems())
def test_the_log_holds_every_command_and_is_legal(overrides: Overrides) -> None:
    config = config_of(overrides)
    plan = compile_plan(config)
    tally, log = logged(config)
    assert tally == simulate(config)
    names = plan.device.standard.log_names
    assert dict(zip(names, np.bincount(log.command, minlength=len(names)).tolist(), strict=True)) == tally.commands
    assert check(log, plan.device) == []
    assert log.row.max() < plan.memory.rows


@settings(max_examples=30)
@given(systems())
def test_the_stepped_engine_logs_the_same(overrides: Overrides) -> None:
    _, fast = logged(engine(overrides, "fast", True))
    _, stepped = logged(engine(overrides, "stepped", False))
    for name in ("clk", "channel", "command", "bank_group", "bank", "row", "column"):
        assert np.array_equal(getattr(fast, name), getattr(stepped, name))


@settings(max_examples=80)
@given(systems())
def test_overlap_is_never_slower(overrides: Overrides) -> None:
    paper, overlap = (simulate(config_of({**overrides, "schedule": s})).cycles for s in ("paper", "overlap"))
    assert overlap <= paper


@settings(max_examples=80)
@given(systems())
def test_overlap_without_refresh_needs_no_fall_back(overrides: Overrides) -> None:
    """With refresh it may: what starts earlier can meet a refresh that `paper` hides in a pause."""
    still = {**overrides, "dram.refresh": "none"}
    paper, overlap = (simulate(config_of({**still, "schedule": s})).cycles for s in ("paper", "overlap"))
    assert overlap <= paper


@pytest.mark.parametrize("model", ["gpt2-small", "gpt2-xl"])
@pytest.mark.parametrize("refresh", ["all_bank", "none"])
def test_overlap_is_faster_on_the_shipped_device(model: str, refresh: str) -> None:
    gpt = {"workload.model": model, "workload.output_tokens": 3, "dram.refresh": refresh}
    paper, overlap = (simulate(config_of({**gpt, "schedule": s})).cycles for s in ("paper", "overlap"))
    assert overlap < paper


def test_overlap_falls_back_where_refresh_makes_it_lose() -> None:
    """GPT2-large with a bank refreshed every 426 clocks: overlapping costs 0.42 %."""
    gpt = {"workload.model": "gpt2-large", "workload.output_tokens": 3, "dram.refresh": "per_bank"}
    configs = [config_of({**gpt, "schedule": s}) for s in ("paper", "overlap")]
    assert simulate(configs[0]) == simulate(configs[1])
    assert logged(configs[1])[0] == simulate(configs[0])


@settings(max_examples=30)
@given(systems())
def test_two_runs_are_equal(overrides: Overrides) -> None:
    assert comparable(config_of(overrides)) == comparable(config_of(overrides))


def comparable(config: Config) -> str:
    """`summary.json` without `simulation`."""
    summary = dict(run(config).summary)
    del summary["simulation"]
    return json.dumps(summary)


@pytest.mark.parametrize("schedule", ["paper", "overlap"])
@pytest.mark.parametrize("refresh", ["all_bank", "per_bank", "none"])
def test_gpt2_small_is_the_same_on_every_engine(schedule: str, refresh: str) -> None:
    gpt2 = {"workload.model": "gpt2-small", "workload.output_tokens": 1, "workload.lm_head": True}
    gpt2 |= {"schedule": schedule, "dram.refresh": refresh}
    summaries = {comparable(engine(gpt2, mode, fold)) for mode in ("fast", "stepped") for fold in (True, False)}
    assert len(summaries) == 1


# ---- compiled and interpreted -------------------------------------------------------------

TINY: Overrides = {
    "workload.model_config": {"name": "tiny", "layers": 1, "d_model": 48, "heads": 3},
    "workload.prompt_tokens": 1,
    "workload.output_tokens": 1,
    "workload.biases": True,
    "dram.channels": 2,
    "dram.timing.tREFI_ns": 900,
    "asic.sram_KiB": 0.25,
}
SUMMARY = "import sys; from tests.agreement.test_engines_and_logs import TINY, comparable, config_of; "
SUMMARY += "sys.stdout.write(comparable(config_of(TINY)))"


def in_a_process(**environment: str) -> str:
    """The tiny summary from a fresh interpreter."""
    root = str(Path(__file__).parents[2])
    path = os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])
    clean = {key: value for key, value in os.environ.items() if key != "NUMBA_DISABLE_JIT"}
    done = subprocess.run(
        [sys.executable, "-c", SUMMARY],
        cwd=root,
        env={**clean, "PYTHONPATH": path, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.mark.nojit
def test_compiled_and_interpreted_kernels_agree_to_the_byte() -> None:
    """This process runs either of the two kernels; the fresh ones run one each."""
    here = comparable(config_of(TINY))
    assert in_a_process() == here
    assert in_a_process(NUMBA_DISABLE_JIT="1") == here
