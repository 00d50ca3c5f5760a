"""A product on HBM2-PIM by arithmetic: its commands, its bytes, and its clocks where nothing else comes in between."""

from __future__ import annotations

from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pimsim
from pimsim import InputError, api
from pimsim.config.schema import Config
from pimsim.devices import hbm2_pim
from pimsim.devices.hbm2_pim.products import Registers, addition
from pimsim.devices.hbm2_pim.table import ADD
from pimsim.devices.plan import compile_plan
from pimsim.devices.registry import device_of
from pimsim.dram.program import program
from pimsim.dram.twin.controller import Controller
from pimsim.generation.speaking import speaking
from pimsim.logs.checker import check
from pimsim.logs.log import read_log
from pimsim.mapping.grid import make_grid
from pimsim.results.drawn.rates import device_roof
from pimsim.sim.run import simulate
from pimsim.sim.tally import Tally
from pimsim.workload.formats import in_formats
from pimsim.workload.graph import Workload
from pimsim.workload.ops import Operator
from pimsim.workload.shapes import ModelShape
from tests.conftest import SHIPPED

HBM2_PIM = SHIPPED.parent / "hbm2-pim.yaml"
WIDTH, BUFFER, BANKS, ROW = 16, 8, 16, 32  # elements of a column, columns of the registers, banks, columns of a row


def config_of(**keys: Any) -> Config:
    given = {"baselines": [], "workload.prompt_tokens": 0, "workload.output_tokens": 1}
    config = pimsim.load_config(HBM2_PIM, given | {key.replace("__", "."): value for key, value in keys.items()})
    assert isinstance(config, Config)
    return config


def graph(config: Config, inputs: int, outputs: int) -> Workload:
    """One y = W x and nothing else."""
    shape = ModelShape("product", 1, inputs, 1, 1, outputs, 1, 1)
    operator = Operator("product", "ffn_up", "linear", "block", inputs, outputs, deps=("input",))
    return in_formats(config, Workload(shape, (operator,)))


def product(config: Config, inputs: int, outputs: int) -> Tally:
    return simulate(compile_plan(config, graph(config, inputs, outputs)))


def expected(config: Config, inputs: int, outputs: int) -> dict[str, int]:
    """Commands of a product: a channel has a set of sums for each BANKS outputs, and reads `pairs` sets at a time."""
    channels, pairs = config.dram.channels, config.pim.registers // 2  # type: ignore[attr-defined]
    columns, sets = ceil(inputs / WIDTH), ceil(outputs / BANKS)
    mine = [len(range(channel, sets, channels)) for channel in range(channels)]
    reads = sum(ceil(n / pairs) for n in mine)
    return {
        "WRGRF": reads * columns,
        "MACEVEN": sets * columns,
        "MACODD": sets * columns,
        "RDGRF": sets * BANKS,
        "TMOD": 2 * reads,
    }


SIZES = [(1024, 1024), (4096, 4096), (1600, 4800), (16, 16), (1, 1), (100, 3000), (5000, 17)]


@pytest.mark.parametrize(("inputs", "outputs"), SIZES)
@pytest.mark.parametrize("registers", [8, 2, 16])
def test_a_product_has_the_commands_of_the_closed_form(inputs: int, outputs: int, registers: int) -> None:
    config = config_of(pim__registers=registers, dram__refresh="none")
    found = product(config, inputs, outputs).commands
    forms = expected(config, inputs, outputs)
    assert {name: found[name] for name in forms} == forms
    assert found["RD"] == found["WR"] == found["ACT"] == 0


def test_a_block_of_the_registers_is_a_row_and_takes_its_clocks() -> None:
    """128 inputs of 64 outputs a channel: 8 columns of x, 32 columns of the even banks and 32 of the odd, 64 sums."""
    config = config_of(dram__refresh="none", dram__channels=1, asic__streaming=False)
    n = device_of(config).cycles
    tally = product(config, 128, 64)
    assert {name: count for name, count in tally.commands.items() if count} == {
        "TMOD": 2, "ACTAB": 1, "PREAB": 1, "WRGRF": 8, "MACEVEN": 32, "MACODD": 32, "RDGRF": 64
    }  # fmt: skip
    filled = n["nMODCH"] + 7 * n["nCCDL"] + n["nCWL"] + n["nBL"] + n["nWTRL"]  # the row opens meanwhile
    multiplied = filled + 63 * n["nMAC"]
    back = multiplied + n["nRTP"] + n["nRP"] + n["nMODCH"] + 63 * n["nCCDS"] + n["nCL"] + n["nBL"]
    assert pim_clocks(config, 128, 64) == back


def pim_clocks(config: Config, inputs: int, outputs: int) -> int:
    """Clocks of the product's program alone."""
    plan = compile_plan(config, graph(config, inputs, outputs))
    work = plan.memory.matrices["product"].multiply()
    first, last = work.spans[0]
    return Controller(plan.device).run(work.program[first:last], 0)


def test_rows_follow_each_other_at_the_pace_of_the_units() -> None:
    """A row more of each bank: its 64 columns, then it closes, the next one opens, and x comes meanwhile."""
    config = config_of(dram__refresh="none", dram__channels=1)
    n = device_of(config).cycles
    more = pim_clocks(config, 256, 64) - pim_clocks(config, 128, 64)
    opened = n["nRTP"] + n["nRP"]  # the next row's activation, after the last column
    filled = opened + 7 * n["nCCDL"] + n["nCWL"] + n["nBL"] + n["nWTRL"]
    assert more - (63 * n["nMAC"] + max(opened + n["nRCDRD"], filled)) in (0, 1)


@pytest.mark.parametrize("fence_ns", [10, 150])
def test_a_fence_holds_eight_commands_apart(fence_ns: int) -> None:
    """After x and after each 8 columns, the host waits; a fence is longer than what it waits for otherwise."""
    without, with_fence = (
        pim_clocks(config_of(dram__refresh="none", dram__channels=1, pim__fence_ns=fence), 128, 64)
        for fence in (0, fence_ns)
    )
    n = device_of(config_of()).cycles
    fence = ceil(fence_ns * 1000 / 834)
    each = 7 * (fence - n["nMAC"])  # between two eights of columns
    x = max(0, fence - n["nCWL"] - n["nBL"] - n["nWTRL"])
    last = max(0, fence - n["nRTP"])
    assert with_fence - without == each + x + last


@pytest.mark.parametrize("columns", [8, 16, 40, 100])
def test_an_addition_writes_a_sum_for_each_column_that_it_loads(columns: int) -> None:
    """x and y have as many columns, at the same places in the even and in the odd banks; z has the other half."""
    device = device_of(config_of(dram__refresh="none"))
    controller, one = Controller(device), addition(make_grid(device, 256), Registers(), columns)
    controller.run(program(one.rows), 0)
    places = {name: [(c.row, c.column) for c in controller.commands if c.command == name] for name in ADD}
    loaded, added, written = places.values()
    assert loaded == added == [(row, column - ROW // 2) for row, column in written]
    assert len(set(loaded)) == columns and all(column < ROW // 2 for _, column in loaded)
    rows = ceil(columns / (ROW // 2))
    assert sum(c.command == "ACTAB" for c in controller.commands) == rows


def test_an_addition_takes_the_clocks_of_its_columns_and_of_two_turns() -> None:
    device = device_of(config_of(dram__refresh="none"))
    n = device.cycles
    ends = [
        Controller(device).run(program(addition(make_grid(device, 256), Registers(), columns).rows), 0)
        for columns in (8, 16)
    ]
    turns = n["nDRAIN"] + n["nCWL"] + n["nBL"] + n["nWTRL"]  # the last sum to its write, and the last write to a read
    assert ends[1] - ends[0] == 2 * 7 * n["nMAC"] + n["nMAC"] + 7 * n["nCCDL"] + turns


def test_what_crosses_the_pins() -> None:
    """x once for each set of registers and channel, and sixteen partial sums of each output."""
    config = config_of(dram__refresh="none")
    tally = product(config, 1024, 4096)
    passes = 4096 // (16 * 64)
    assert tally.total("pin_bytes") == 16 * (passes * 1024 * 2 + 4096 // 16 * 32)
    assert tally.total("payload_bytes") == 2 * (16 * passes * 1024 + 16 * 4096)
    assert tally.total("macs") == 1024 * 4096


def test_the_stack_is_the_published_one() -> None:
    config = config_of()
    device = device_of(config)
    inside, peak = device_roof(device, config.pim.lanes, float(config.pim.clock_GHz))
    assert inside == pytest.approx(1228.8, rel=1e-3) and peak == pytest.approx(1228.8, rel=1e-3)
    outside = device.channels * device.column_bytes * 1000 / (device.cycles["nBL"] * device.tCK_ps)
    assert outside == pytest.approx(307.2, rel=1e-3)
    dram = config.dram
    size = dram.channels * dram.bank_groups * dram.banks_per_group * dram.rows * dram.row_bytes
    assert size == 4 * (4 << 30) // 8  # four dies of 4 Gb
    assert (device.cycles["nBL"], device.cycles["nMAC"]) == (2, 4)


@pytest.mark.parametrize(("model", "stacks"), [("gpt2-large", 1), ("gpt2-xl", 2), ("gpt3-xl", 2)])
def test_a_model_has_the_memory_that_there_is(model: str, stacks: int) -> None:
    api.preflight(api.load(HBM2_PIM, {"workload.model": model, "dram.channels": 16 * stacks}))
    if stacks > 1:
        with pytest.raises(InputError, match="rows"):
            api.preflight(api.load(HBM2_PIM, {"workload.model": model}))


MODELS: dict[str, dict[str, Any]] = {
    "gpt2": {"d_model": 384, "heads": 6},
    "llama": {"family": "llama", "d_model": 512, "heads": 8, "kv_heads": 2, "d_ff": 1376, "window": 3},
    "experts": {"family": "llama", "d_model": 256, "heads": 4, "d_ff": 448, "experts": 4, "active_experts": 2},
    "wide heads": {"d_model": 600, "heads": 2, "d_ff": 64},  # a head is more than the registers hold
}


def model_config(model: str, **keys: Any) -> Config:
    shape = {"name": model, "layers": 2, "vocabulary": 700, **MODELS[model]}
    given = {"workload__prompt_tokens": 1, "workload__output_tokens": 3, "workload__lm_head": True}
    return config_of(workload__model=None, workload__model_config=shape, dram__channels=4, **given | keys)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    "keys", [{}, {"pim__fence_ns": 20, "schedule": "overlap", "workload__batch": 2, "mapping__chunk_heads": 1}], ids=str
)
def test_every_engine_counts_the_same_and_commands_are_legal(model: str, keys: dict[str, Any], tmp_path: Path) -> None:
    config, *others = [
        model_config(model, engine__mode=mode, engine__fold=fold, **keys)
        for mode in ("fast", "stepped")
        for fold in (True, False)
    ]
    tally, device = simulate(config, log=tmp_path / "log.csv"), device_of(config)
    assert all(simulate(other) == tally for other in others)
    log = read_log(tmp_path / "log.csv", device.standard)
    counts = np.bincount(log.command, minlength=len(device.command_names)).tolist()
    assert dict(zip(device.command_names, counts, strict=True)) == tally.commands
    assert check(log, device) == []


def test_the_shipped_configuration_runs_and_its_log_is_clean(tmp_path: Path) -> None:
    config = pimsim.load_config(HBM2_PIM, {"workload.output_tokens": 1})
    result = pimsim.run(config, log=tmp_path / "log.csv", window_ns=(0, 20_000))
    device = device_of(config)
    assert check(read_log(tmp_path / "log.csv", device.standard), device) == []
    assert 0 < result.summary["system"]["mac_utilization"] < 1


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("pim.registers", 3, "must be even, not 3"),
        ("dram.banks_per_group", 3, "must be even, not 3"),
        ("mapping.value_append", "all_bank", "must be single_bank, not all_bank"),
        ("mapping.values", "tokens", "must be heads, not tokens"),
        ("pim.formats", {"bf16xbf16": 16}, "must be fp16xfp16: 16"),
        ("workload.weight_format", "int8", "weights of int8 times fp16"),
        ("pim.fence_ns", -1, "must be at least 0, not -1"),
    ],
)
def test_what_the_device_cannot_do_is_refused(key: str, value: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        api.preflight(api.load(HBM2_PIM, {key: value}))


def test_tokens_are_not_computed_and_the_place_is_said() -> None:
    with pytest.raises(InputError, match="MACEVEN and MACODD of hbm2-pim say not what they do with numbers") as caught:
        speaking(config_of(), None, 1, 1)  # type: ignore[arg-type]
    assert [problem.key for problem in caught.value.problems] == ["dram.standard"]


def test_layouts_have_no_wires_that_would_mean_something_else() -> None:
    layouts, grid = hbm2_pim.layouts(config_of()), make_grid(device_of(config_of()), 256)
    keys, values = (make(grid, 4, 4, 64, 128) for make in (layouts.keys, layouts.values))
    for wires in (layouts.matrix(grid, 64, 64).wires, lambda: keys.score_wires(5), lambda: values.weigh_wires(5)):
        with pytest.raises(InputError, match="have no wires"):
            wires()
