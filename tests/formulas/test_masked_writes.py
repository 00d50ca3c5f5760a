"""Appending V with masks: clocks by formula, the same actions at the same prices, on every engine, and a legal log."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pimsim import InputError, load_config, run
from pimsim.config.resolved import config_sha256
from pimsim.config.schema import Config
from pimsim.devices.plan import compile_plan
from pimsim.devices.registry import HARDWARE, device_of
from pimsim.dram import program as requests
from pimsim.dram.engine import Engine
from pimsim.dram.twin.controller import Controller
from pimsim.energy.model import Prices
from pimsim.logs.checker import check
from pimsim.logs.log import read_log
from pimsim.mapping.grid import Grid, make_grid
from pimsim.sim.inputs import key_of, simulated
from pimsim.sim.run import simulate
from pimsim.sim.tally import OperatorTally, Tally
from tests.conftest import SHIPPED

FILES = ("pim-gpt", "aim")
APPENDS = ("single_bank", "all_bank")
MODEL = {"name": "m", "layers": 2, "d_model": 384, "heads": 6, "vocabulary": 300}


def config_of(name: str, mask: str = "standard", **keys: Any) -> Config:
    given = {"workload.model_config": MODEL, "workload.output_tokens": 3, "baselines": [], "dram.write_mask": mask}
    changes = {key.replace("__", "."): value for key, value in keys.items()}
    config = load_config(SHIPPED.parent / f"{name}.yaml", {**given, **changes})
    assert isinstance(config, Config)
    return config


def appended(tally: Tally) -> OperatorTally:
    return next(row for row in tally.rows if row.operator == "value_append")


# ---- clocks, by formula ---------------------------------------------------------------------------


@settings(max_examples=25)
@given(st.data())
def test_in_all_banks_each_write_but_a_unit_s_last_takes_the_clocks_of_its_mask(data: st.DataObject) -> None:
    """B writes of a unit follow at tCCD, or at the clocks of the bus; the row closes tWR after the last one's data."""
    ccd = data.draw(st.integers(1, 4), label="tCCD")
    column = data.draw(st.sampled_from([32, 64, 128]), label="column_bytes")
    pins = {32: 16, 64: 32, 128: 64}[column]  # so that a burst takes one clock
    keys = {
        "dram__refresh": "none", "mapping__value_append": "all_bank", "dram__channels": 2,
        "dram__column_bytes": column, "dram__io__pins": pins,
        "dram__timing__tCCDS_ns": ccd, "dram__timing__tCCDL_ns": ccd,
    }  # fmt: skip
    plain, masked = (appended(simulate(config_of("pim-gpt", mask, **keys))).cycles for mask in ("none", "standard"))
    held = 1 + column // 2 // 16  # 16 bits of the mask in a clock
    units = 6 * (64 // 16) // 2  # of a channel: 6 heads of 64 elements, 16 banks
    appends = 2 * 3  # layers, tokens
    assert masked - plain == appends * units * (16 - 1) * max(0, held - ccd)


def test_one_bank_at_a_time_activations_set_the_pace_and_hide_the_mask() -> None:
    """ACT, write, mask and PRE take 4 clocks of the bus, and activations are 6 apart."""
    keys = {"dram__refresh": "none", "mapping__value_append": "single_bank"}
    plain, masked = (appended(simulate(config_of("pim-gpt", mask, **keys))) for mask in ("none", "standard"))
    assert masked.cycles == plain.cycles
    assert masked.commands == plain.commands


def test_one_bank_at_a_time_the_bus_sets_the_pace_where_activations_are_fast() -> None:
    """At activations every 2 clocks the bus is full: 3 clocks for each element without a mask, 4 with it."""
    fast = {"dram__timing__tRRDS_ns": 2, "dram__timing__tRRDL_ns": 2, "dram__timing__tFAW_ns": 8}
    fast |= {"dram__timing__tRP_ns": 6, "dram__timing__tRC_ns": 34, "dram__timing__tRCDWR_ns": 8}
    ends = []
    for mask in ("none", "standard"):
        config = config_of("pim-gpt", mask, dram__refresh="none", **fast)
        grid = make_grid(device_of(config), 2048)
        write = grid.masked("WR")
        ends.append([Controller(grid.device).run(scattered(grid, write, n), 0) for n in (4, 8)])
    none, standard = (after - before for before, after in ends)
    assert (none, standard) == (4 * 16 * 3, 4 * 16 * 4)


def scattered(grid: Grid, write: int, n: int) -> requests.Program:
    return requests.program([requests.scatter(write, 0, n, grid.device.columns, *grid.lead)])


def test_all_banks_of_aim_write_at_once_and_the_row_cycle_hides_the_mask() -> None:
    """A write precharges, and the next row opens tWR + tRP after its data."""
    keys = {"dram__refresh": "none", "mapping__value_append": "all_bank"}
    plain, masked = (simulate(config_of("aim", mask, **keys)) for mask in ("none", "standard"))
    assert masked == plain and plain.commands["WRA16"] > 0


def test_a_column_of_one_element_needs_no_mask() -> None:
    config = config_of("pim-gpt", dram__column_bytes=2, pim__lanes=1, dram__channels=1)
    grid = make_grid(device_of(config), 64)
    assert grid.masked("WR") == grid.command("WR") != Grid(device_of(config_of("pim-gpt")), 64).masked("WR")


# ---- the same actions, at the same prices -----------------------------------------------------------


@pytest.mark.parametrize(("name", "append"), list(product(FILES, APPENDS)))
def test_a_mask_changes_no_action_and_energy_only_by_the_time(name: str, append: str) -> None:
    keys = {"mapping__value_append": append, "dram__refresh": "none"}
    none, standard = (run(config_of(name, mask, **keys)) for mask in ("none", "standard"))
    first, second = (result.summary["system"] for result in (none, standard))
    assert first["commands"] == second["commands"] and second["commands"]["WR"] > 0
    assert not {"WDM", "WDMA16"} & set(second["commands"])
    before, after = (figures["energy_breakdown_pJ"] for figures in (first, second))
    untimed = [part for part in before if not part.startswith("standby") and part != "asic"]
    assert {part: before[part] for part in untimed} == {part: after[part] for part in untimed}
    longer = second["cycles"] - first["cycles"]
    idle = float(none.energy.action_pJ["asic_idle"])
    assert after["asic"] - before["asic"] == pytest.approx(idle * longer, abs=1e-3)
    assert longer > 0 or append == "single_bank" or name == "aim"
    columns = [set(result.records("operators")[0]) for result in (none, standard)]
    assert columns[0] == columns[1]


@pytest.mark.parametrize("name", FILES)
def test_a_write_with_a_mask_costs_what_the_write_costs(name: str) -> None:
    config = config_of(name)
    prices = Prices.of(config)
    costs = prices.commands
    for command in prices.device.standard.commands:
        if command.logged:
            assert costs[command.name] == costs[command.logged] > 0


# ---- every engine, and the log ------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "append", "refresh"), list(product(FILES, APPENDS, ("all_bank", "none"))))
def test_every_engine_counts_the_same_and_logs_legal_writes(
    name: str, append: str, refresh: str, tmp_path: Path
) -> None:
    keys = {"mapping__value_append": append, "dram__refresh": refresh, "workload__batch": 2}
    first, *others = [
        simulate(config_of(name, engine__mode=mode, engine__fold=fold, **keys))
        for mode in ("fast", "stepped")
        for fold in (True, False)
    ]
    assert all(other == first for other in others)
    config, path = config_of(name, **keys), tmp_path / "log.csv"
    assert simulate(config, log=path) == first
    device = device_of(config)
    log = read_log(path, device.standard)
    names = device.standard.log_names
    assert dict(zip(names, np.bincount(log.command, minlength=len(names)).tolist(), strict=True)) == first.commands
    assert check(log, device) == [] == check(read_log(path, HARDWARE[config.dram.standard].table), device)


@pytest.mark.parametrize("append", APPENDS)
def test_kernel_and_twin_append_alike(append: str) -> None:
    """The very programs of the layouts; the twin calls a write with a mask by its own name."""
    for name in FILES:
        config = config_of(name, mapping__value_append=append, dram__channels=1)
        plan = compile_plan(config)
        values = [x for x in plan.step(1, head=False).block if x.operator == "value_append"]
        assert values
        for instruction in values:
            work = instruction.work
            assert work is not None
            engine, twin = Engine(plan.device), Controller(plan.device)
            rows: list[Any] = []
            engine.log_to(rows.append)
            end = engine.run(work.program, work.spans, 0, 500, engine.new_totals())
            assert twin.run(work.program[slice(*work.spans[0])], 500) == end
            table = plan.device.standard
            logged = [(row[0], table.log_names[row[2]]) for block in rows for row in block.tolist()]
            assert logged == [(x.clk, table.command(x.command).logged or x.command) for x in twin.commands]
            assert any(table.command(x.command).logged for x in twin.commands)


def test_a_log_has_no_write_with_a_mask(tmp_path: Path) -> None:
    device = device_of(config_of("pim-gpt"))
    path = tmp_path / "log.csv"
    path.write_text("clk,channel,command,bank_group,bank,row,column\n0,0,WDM,0,0,0,0\n")
    with pytest.raises(InputError, match="2:5: command: no command 'WDM'"):
        read_log(path, device.standard)


# ---- the key ---------------------------------------------------------------------------------------------


def test_the_key_is_part_of_the_key_of_a_run_and_its_default_of_no_hash() -> None:
    plain, none, standard = (config_of("pim-gpt", mask) for mask in ("none", "none", "standard"))
    keys = []
    for config in (plain, none, standard):
        plan = compile_plan(config)
        keys.append(key_of(simulated(config, plan.workload), plan.workload, plan.device))
    assert keys[0] == keys[1] != keys[2]
    given: Mapping[str, Any] = {"workload.model_config": MODEL, "workload.output_tokens": 3, "baselines": []}
    assert config_sha256(load_config(SHIPPED, given)) == config_sha256(none) != config_sha256(standard)


@pytest.mark.parametrize("name", ["gddr6", "lpddr5x", "hbm3", "aim-reference"])
def test_a_memory_without_masks_says_which_have_them(name: str) -> None:
    file = SHIPPED.parent / f"{name}.yaml"
    load_config(file, {"dram.write_mask": "none"})
    with pytest.raises(
        InputError, match=r"dram.write_mask: must be none: .* no writes with a mask .*gddr6-pim and aim"
    ):
        load_config(file, {"dram.write_mask": "standard"})


def test_programs_and_traffic_have_whole_columns_and_take_what_they_took() -> None:
    from click.testing import CliRunner

    from pimsim.cli import cli

    folder = SHIPPED.parent
    program = folder.parent / "tests/golden/aim/programs/bias_mac_af_rdaf.aim"
    calls = (
        ["replay", str(program), "--config", str(folder / "aim.yaml")],
        ["traffic", str(SHIPPED), "--pattern", "random", "--requests", "500"],
    )
    for call in calls:
        said = [
            CliRunner().invoke(cli, [*call, "--json", "--set", f"dram.write_mask={mask}"])
            for mask in ("none", "standard")
        ]
        assert [one.exit_code for one in said] == [0, 0], said[0].output
        counts = [json.loads(one.stdout)["commands"] for one in said]
        assert counts[0] == counts[1]
