"""Language models on AiM: every engine counts the same, the log is legal, and prices and choices mean what they say."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pimsim
import pimsim.sweep
from pimsim import InputError
from pimsim.config.schema import Config
from pimsim.devices.aim import gemv
from pimsim.devices.aim.engines import KernelChannels
from pimsim.devices.aim.frontend import FIRST_CLOCK, run_segment
from pimsim.devices.aim.table import AF_ROW, FUNCTIONS
from pimsim.devices.plan import compile_plan
from pimsim.devices.registry import device_of
from pimsim.dram.engine import Engine
from pimsim.dram.timing import Device
from pimsim.energy.model import Prices, action_costs
from pimsim.logs.checker import check
from pimsim.logs.log import CommandLog, read_log
from pimsim.results.metrics import asic_causes
from pimsim.sim.run import simulate
from pimsim.sim.system import System
from pimsim.sim.tally import OperatorTally, Tally
from pimsim.workload.graph import Workload
from pimsim.workload.ops import Operator
from pimsim.workload.shapes import ModelShape
from tests.conftest import SHIPPED

AIM = SHIPPED.parent / "aim.yaml"
SMALL: dict[str, dict[str, Any]] = {
    "gpt2": {"d_model": 384, "heads": 6},
    "llama": {"family": "llama", "d_model": 512, "heads": 8, "kv_heads": 2, "d_ff": 1376, "window": 3},
    "experts": {"family": "llama", "d_model": 256, "heads": 4, "d_ff": 448, "experts": 4, "active_experts": 2},
    "wide heads": {"d_model": 2400, "heads": 2, "d_ff": 64},  # a head is more than a buffer
}


def config_of(model: str = "gpt2", **keys: Any) -> Config:
    given = {
        "workload.model_config": {"name": model, "layers": 2, "vocabulary": 700, **SMALL[model]},
        "workload.prompt_tokens": 1, "workload.output_tokens": 3, "workload.lm_head": True, "workload.biases": True,
        "dram.channels": 4, "baselines": [], **{key.replace("__", "."): value for key, value in keys.items()},
    }  # fmt: skip
    config = pimsim.load_config(AIM, given)
    assert isinstance(config, Config)
    return config


def logged(config: Config, path: Path) -> tuple[Tally, CommandLog, Device]:
    device = device_of(config)
    tally = simulate(config, log=path)
    return tally, read_log(path, device.standard), device


def names(log: CommandLog, device: Device) -> list[str]:
    return [device.command_names[number] for number in log.command.tolist()]


# ---- the same on every engine, and legal ------------------------------------------------------

CHOICES: dict[str, dict[str, Any]] = {
    "banks": {},
    "asic": {"pim__sums": "asic", "pim__activation": "asic", "mapping__value_append": "single_bank"},
    "softmax in the banks": {"pim__softmax": "banks", "schedule": "overlap", "workload__batch": 2},
}


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("model", SMALL)
def test_every_engine_counts_the_same(model: str, choice: str) -> None:
    first, *others = [
        simulate(config_of(model, engine__mode=mode, engine__fold=fold, **CHOICES[choice]))
        for mode in ("fast", "stepped")
        for fold in (True, False)
    ]
    assert all(other == first for other in others)


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("model", SMALL)
def test_commands_are_legal_and_all_in_the_log(model: str, choice: str, tmp_path: Path) -> None:
    tally, log, device = logged(config_of(model, **CHOICES[choice]), tmp_path / "log.csv")
    counts = np.bincount(log.command, minlength=len(device.command_names)).tolist()
    assert dict(zip(device.command_names, counts, strict=True)) == tally.commands
    assert check(log, device) == []


@pytest.mark.parametrize(
    ("model", "tokens"), [("gpt2-xl", 1), ("llama-3.2-1b", 1), ("qwen2.5-0.5b", 2)], ids=lambda value: str(value)
)
def test_a_run_of_the_shipped_configuration_passes_the_check(model: str, tokens: int, tmp_path: Path) -> None:
    config = pimsim.load_config(AIM, {"workload.model": model, "workload.output_tokens": tokens})
    result = pimsim.run(config, log=tmp_path / "log.csv", window_ns=(0, 20_000))
    device = device_of(config)
    assert check(read_log(tmp_path / "log.csv", device.standard), device) == []
    assert set(result.summary["baselines"]) == {"gpu-t4", "cpu-xeon-6154"}
    assert result.summary["system"]["energy_pJ"] > 0


# ---- one product is the replayed program --------------------------------------------------------


@pytest.mark.parametrize("refresh", ["all_bank", "none"])
@pytest.mark.parametrize(("m", "k"), [(512, 1024), (700, 1500), (2048, 4096), (1, 1), (3000, 100)])
def test_a_gemv_issues_the_commands_of_the_replayed_program(m: int, k: int, refresh: str) -> None:
    """In a run with no other product; `pimsim replay` decodes from clock 1 on, and a run has no such clock."""
    keys = {"workload__prompt_tokens": 0, "workload__output_tokens": 1, "workload__biases": False}
    config = config_of(**keys, dram__refresh=refresh)
    plan = compile_plan(config, _one_product(k, m))
    engine = Engine(plan.device)
    rows: list[Any] = []
    engine.log_to(rows.append)
    System(plan, engine).run()
    replayed, channels = KernelChannels(plan.device, logged=True), plan.device.channels
    start = FIRST_CLOCK if refresh == "none" else 0
    run_segment(gemv.requests_of(m, k, channels, plan.device), replayed, range(channels), start, 0)
    mine = np.concatenate(rows)
    mine = mine[np.lexsort((mine[:, 1], mine[:, 0]))]
    theirs = replayed.log()
    count = len(theirs.clk)
    for column, values in enumerate((theirs.clk - start, theirs.channel, theirs.command)):
        assert np.array_equal(mine[:count, column], values)
    assert np.array_equal(mine[:count, 4], theirs.row) and np.array_equal(mine[:count, 5], theirs.column)
    after = {plan.device.command_names[number] for number in mine[count:, 2].tolist()}
    assert after <= {"PREA", "REFAB", "TMOD"}  # refreshes up to the end of the run


def _one_product(inputs: int, outputs: int) -> Workload:
    shape = ModelShape("one", 1, inputs, 1, 1, 1, 1, 1)
    linear = Operator("product", "qkv", "linear", "block", inputs, outputs)
    return Workload(shape, (linear,))


# ---- choices ------------------------------------------------------------------------------------


def rows_of(tally: Tally, operator: str) -> list[OperatorTally]:
    return [row for row in tally.rows if row.operator == operator and row.phase == "decode"]


def test_an_activation_function_in_the_banks_is_no_work_of_the_asic(tmp_path: Path) -> None:
    asic, _, _ = logged(config_of(pim__activation="asic"), tmp_path / "asic.csv")
    banks, log, device = logged(config_of(), tmp_path / "banks.csv")
    assert asic.causes()["gelu"] > 0 and "gelu" not in banks.causes()
    assert rows_of(asic, "ffn_act") and not rows_of(banks, "ffn_act")
    assert asic.commands["AF16"] == 0
    # 384 x 4 outputs in 64 banks: 24 of a bank, in 2 layers, 4 steps and 4 channels
    assert banks.commands["AF16"] == banks.commands["RDAF16"] == 24 * 2 * 4 * 4
    assert asic.commands["RDMAC16"] - banks.commands["RDMAC16"] == 24 * 2 * 4 * 4
    tables = {row for name, row in zip(names(log, device), log.row.tolist(), strict=True) if name == "AF16"}
    assert tables == {AF_ROW + FUNCTIONS.index("gelu")}  # whatever the layer


def test_sums_in_the_banks_are_no_work_of_the_asic() -> None:
    asic, banks = (simulate(config_of(pim__sums=sums, pim__activation="asic")) for sums in ("asic", "banks"))
    # biases of 1,152, 384, 1,536 and 384 outputs, and 1,536 inputs are two segments: another 384; 2 layers, 4 steps
    saved = (1152 + 384 + 1536 + 384 + 384) * 2 * 4
    assert rows_of(asic, "sum") and not rows_of(banks, "sum")
    assert asic.total("adds") - banks.total("adds") == saved and banks.total("payload_bytes") > asic.total(
        "payload_bytes"
    )
    assert banks.commands["MAC16"] == asic.commands["MAC16"]


def test_a_softmax_in_the_banks_is_scaled_by_ewmul() -> None:
    asic, banks = (simulate(config_of(pim__softmax=where)) for where in ("asic", "banks"))
    assert asic.commands["EWMUL16"] == 0 < banks.commands["EWMUL16"]
    assert "exponentials" in asic_causes(banks.causes()) and "softmax" not in banks.causes()
    # 6 heads, a multiplication for each of up to 4 scores, 2 layers
    saved = sum(6 * context for context in range(1, 5)) * 2
    assert asic.total("multiplies") - banks.total("multiplies") == saved


def test_a_function_is_left_to_the_asic_where_others_read_its_input() -> None:
    """A gate's silu runs in the banks; the router's choice, the residual and what two read do not."""
    plan = compile_plan(config_of("llama"))
    assert dict(plan.functions) == {"ffn_gate": "silu"}
    gate = next(o for o in plan.workload.operators if o.name == "ffn_gate")
    twice = tuple(
        replace(o, deps=(*o.deps, gate.name)) if o.name == "ffn_residual" else o for o in plan.workload.operators
    )
    assert dict(compile_plan(config_of("llama"), replace(plan.workload, operators=twice)).functions) == {}


def test_a_choice_that_cannot_be_is_refused() -> None:
    with pytest.raises(InputError, match="pim.activation: must be asic, not banks"):
        config_of(pim__sums="asic")


# ---- prices ---------------------------------------------------------------------------------------


def test_prices_are_those_that_cent_gives() -> None:
    """Powers in mW over a time in ns; a MAC takes three reads besides its units."""
    config = config_of(dram__channels=32)
    costs = action_costs(config)
    assert costs["activation"] == Fraction("66.3") * Fraction("44.5")
    assert costs["column_read"] == Fraction("438.15") * Fraction("1.25")
    assert costs["column_write"] == Fraction("553.15") * Fraction("1.25")
    assert costs["mac_read"] == 3 * costs["column_read"]
    assert costs["standby_active"] * 2 == Fraction("263.75") and costs["standby_precharged"] * 2 == Fraction("183.15")
    prices, io = Prices.of(config).commands, 256 * Fraction("5.5")
    assert prices["ACT16"] == 16 * prices["ACT"] == 16 * costs["activation"]
    assert prices["RD"] == costs["column_read"] + io and prices["WRA16"] == 16 * costs["column_write"] + io
    assert prices["MAC"] * 16 == prices["MAC16"] == costs["mac_read"] + costs["mac_units"]
    assert prices["WRGB"] == prices["WRMAC16"] == prices["RDMAC16"] == prices["RDAF16"] == io
    assert prices["AF16"] == 16 * costs["column_read"]
    assert prices["EWMUL16"] == 8 * costs["column_read"] + 4 * costs["column_write"] + costs["mac_units"] / 4
    assert prices["PREA"] == prices["TMOD"] == 0


def test_bytes_on_the_pins_are_those_of_the_commands() -> None:
    tally = simulate(config_of())
    moved = ("RD", "WR", "WRA16", "WRGB", "WRMAC16", "RDMAC16", "RDAF16")
    assert tally.total("pin_bytes") == 32 * sum(tally.commands[name] for name in moved)


# ---- everything around a run ------------------------------------------------------------------------


def test_reports_timelines_and_sweeps(tmp_path: Path) -> None:
    config = config_of(baselines=["gpu-t4"])
    result = pimsim.run(config, timeline=tmp_path / "t.json", log=tmp_path / "log.parquet")
    result.save(tmp_path / "out")
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    breakdown = summary["system"]["latency_breakdown_ns"]
    assert breakdown["mode_switch"] > 0 and list(breakdown)[:7] == [
        "mac", "activation", "input_transfer", "result_transfer", "write", "read", "refresh",
    ]  # fmt: skip
    assert sum(breakdown.values()) == pytest.approx(summary["system"]["latency_ns"])
    assert (tmp_path / "out" / "report.html").stat().st_size > 10_000
    assert (tmp_path / "t.json").stat().st_size > 10_000
    sweep = tmp_path / "sweep.yaml"
    sweep.write_text(
        f"base: {AIM}\nset: {{workload.model: gpt2-small, workload.output_tokens: 1, baselines: []}}\n"
        "axes: {pim.softmax: [asic, banks]}\nobjectives: [system.latency_ns, system.commands.EWMUL16]\n"
    )
    swept = pimsim.sweep.run(sweep, out=tmp_path / "swept")
    assert len(list(swept.rows())) == 2


def test_without_a_model_only_programs_run() -> None:
    config = pimsim.load_config(AIM, {"workload.model": None})
    with pytest.raises(InputError, match="^workload: a model, a model_config or a trace is needed"):
        pimsim.run(config)
