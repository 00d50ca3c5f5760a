"""Whole runs in which inputs share open rows: what they count, on every engine, at which prices; what auto finds."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import pytest

from pimsim import load_config, run
from pimsim.config.resolved import config_sha256
from pimsim.config.schema import Config
from pimsim.devices.plan import compile_plan
from pimsim.devices.registry import device_of
from pimsim.energy.model import Prices
from pimsim.errors import InputError
from pimsim.logs.checker import check
from pimsim.logs.log import read_log
from pimsim.mapping.reuse import group_of, groups_up_to
from pimsim.sim.run import simulate
from pimsim.sweep.proxy import area_mm2
from tests.conftest import SHIPPED
from tests.sharing.programs import clocks

MODEL = {"name": "m", "layers": 2, "d_model": 384, "heads": 6, "vocabulary": 300}
QUERIES = {"workload__query_tokens": 4, "workload__output_tokens": 8, "workload__lm_head": True}
UNITS: tuple[dict[str, Any], ...] = (
    {},
    {"pim__accumulators": 2},
    {"pim__units_per_bank": 4, "pim__global_buffer_bytes": 8192},
    {"pim__units_per_bank": 0.5, "pim__accumulators": 4},
)


def config_of(name: str = "pim-gpt", **keys: Any) -> Config:
    given = {"workload.model_config": MODEL, "baselines": []}
    changes = {key.replace("__", "."): value for key, value in (QUERIES | keys).items()}
    config = load_config(SHIPPED.parent / f"{name}.yaml", {**given, **changes})
    assert isinstance(config, Config)
    return config


# ---- what is the same --------------------------------------------------------------------------------


@pytest.mark.parametrize("units", UNITS)
def test_what_is_multiplied_does_not_depend_on_who_shares_a_row(units: dict[str, Any]) -> None:
    one, shared = (simulate(config_of(mapping__verify=verify, **units)) for verify in ("repeat", "row_reuse"))
    by_operator = [{row.operator: row.macs for row in tally.rows if row.macs} for tally in (one, shared)]
    assert by_operator[0] == by_operator[1] and len(by_operator[0]) > 5
    assert shared.commands["ACTAB"] < one.commands["ACTAB"]


@pytest.mark.parametrize(("units", "mode", "fold"), [*product(UNITS, ("fast", "stepped"), (True, False))])
def test_every_engine_counts_the_same(units: dict[str, Any], mode: str, fold: bool) -> None:
    keys = {"mapping__verify": "row_reuse", "schedule": "overlap", **units}
    assert simulate(config_of(engine__mode=mode, engine__fold=fold, **keys)) == simulate(config_of(**keys))


@pytest.mark.parametrize("units", UNITS)
@pytest.mark.parametrize("refresh", ["all_bank", "per_bank"])
def test_the_log_of_a_run_is_legal(units: dict[str, Any], refresh: str, tmp_path: Path) -> None:
    keys = {"dram__refresh": refresh, "dram__write_mask": "standard", "dram__timing__tREFI_ns": 15000}
    config = config_of(mapping__verify="row_reuse", **keys, **units)
    tally, device = simulate(config, log=tmp_path / "log.csv"), device_of(config)
    log = read_log(tmp_path / "log.csv", device.standard)
    assert check(log, device) == [] and len(log.command) == sum(tally.commands.values())


def test_a_configuration_that_says_the_defaults_is_the_one_without_them() -> None:
    said = config_of(pim__units_per_bank=1, pim__accumulators=1, mapping__verify="repeat")
    assert config_sha256(said) == config_sha256(config_of())
    assert compile_plan(said).device.standard is compile_plan(config_of()).device.standard


def test_where_a_step_has_one_input_nothing_is_shared() -> None:
    keys = {"workload__query_tokens": 1}
    assert simulate(config_of(mapping__verify="row_reuse", **keys)) == simulate(config_of(**keys))


@pytest.mark.parametrize("keys", [{"workload__batch": 4}, {"workload__prompt_tokens": 8, "workload__prefill_chunk": 4}])
def test_sequences_and_prompts_share_as_tokens_of_a_step_do(keys: dict[str, Any]) -> None:
    keys = {"workload__query_tokens": 1, "workload__output_tokens": 1 if "workload__batch" in keys else 0, **keys}
    one, shared = (simulate(config_of(mapping__verify=verify, **keys)) for verify in ("repeat", "row_reuse"))
    products = [
        sum(row.commands.get("ACTAB", 0) for row in tally.rows if row.operator in ("qkv", "ffn_up", "ffn_down"))
        for tally in (one, shared)
    ]
    assert products[1] * 2 < products[0]


# ---- the faster --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("units", "batch"), [*product(UNITS, (1, 2)), ({"pim__global_buffer_bytes": 4096}, 3)])
def test_auto_takes_the_group_whose_products_take_the_fewest_clocks(units: dict[str, Any], batch: int) -> None:
    """Each group by itself, with the sums that the ASIC adds up behind the last result, none of them streaming."""
    keys = {"workload__batch": batch, "asic__streaming": False, **units}
    plan, vectors = compile_plan(config_of(mapping__verify="auto", **keys)), 4 * batch
    layouts = [compile_plan(config_of(**keys)).memory.matrices]
    from pimsim.devices.pim_gpt import layouts as of

    maker = of(plan.config)
    for name, matrix in plan.memory.matrices.items():
        size = (matrix.grid, *(getattr(matrix, side) for side in ("inputs", "outputs")))
        found = {}
        for made in (layouts[0][name], *(maker.shared(*size, group) for group in groups_up_to(vectors))):
            best = None
            for group in {group_of(made), 1}:
                sizes = [group] * (vectors // group) + [vectors % group] * (vectors % group > 0)
                works = [made.multiply(count=n) if group_of(made) > 1 else made.multiply() for n in sizes]  # type: ignore[call-arg]
                sums = vectors * size[2] * (made.partial_sums - 1)
                end = clocks(matrix.grid, *works)
                end += plan.units.timed("sum", sums, 1, 1, plan.device.tCK_ps).clocks if sums else 0
                best = end if best is None else min(best, end)
            found[group_of(made)] = best
        assert found[group_of(matrix)] == min(found.values()), name


def test_auto_weighs_prompt_and_decoding_by_their_steps() -> None:
    """Layouts are for both: where one input at a time is all but a few steps, the rows are as without sharing."""
    model = {**MODEL, "d_model": 1024, "heads": 16, "layers": 1}  # outputs that fill a row
    keys = {"workload__model_config": model, "workload__query_tokens": 1, "workload__lm_head": False}
    keys |= {"workload__prefill_chunk": 8, "pim__units_per_bank": 2, "mapping__verify": "auto"}
    prompt = compile_plan(config_of(**keys, workload__prompt_tokens=64, workload__output_tokens=0))
    decoding = compile_plan(config_of(**keys, workload__prompt_tokens=8, workload__output_tokens=400))
    assert min(prompt.memory.groups.values()) > 1
    assert set(decoding.memory.groups.values()) == {1}


def test_a_summary_says_what_was_chosen() -> None:
    summary = run(config_of(mapping__verify="auto", pim__units_per_bank=4)).summary
    assert set(summary["mapping"]["verify"].values()) == {4}
    assert "mapping" not in run(config_of(mapping__verify="row_reuse")).summary


# ---- what does not share -------------------------------------------------------------------------------


def test_experts_come_one_by_one() -> None:
    experts = {**MODEL, "experts": 4, "active_experts": 2, "family": "llama"}
    plan = compile_plan(config_of(workload__model_config=experts, mapping__verify="row_reuse"))
    of_experts = {o.name for o in plan.workload.operators if o.op == "linear" and o.experts > 1}
    assert {name for name, group in plan.memory.groups.items() if group == 1} == of_experts
    assert set(plan.memory.groups.values()) == {1, 4} and of_experts


def test_aim_repeats_and_says_why() -> None:
    assert simulate(config_of("aim", mapping__verify="auto")) == simulate(config_of("aim"))
    for key, value in (("mapping__verify", "row_reuse"), ("pim__units_per_bank", 2), ("pim__accumulators", 2)):
        with pytest.raises(InputError, match=r"(pim|mapping)\.\w+: must be .* a product of aim takes"):
            config_of("aim", **{key: value})


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("pim__units_per_bank", 1.5, "must be 0.5 or a whole number, not 1.5"),
        ("pim__units_per_bank", 0.25, "must be 0.5 or a whole number, not 0.25"),
        ("pim__accumulators", 0, "pim.accumulators"),
        ("pim__accumulators", 65, "65 sums of 1 units, of inputs that the buffer has no room for: it has 64 columns"),
    ],
)
def test_units_that_there_cannot_be(key: str, value: float, said: str) -> None:
    with pytest.raises(InputError, match=said):
        config_of(**{key: value})


def test_an_odd_number_of_banks_has_no_pairs() -> None:
    with pytest.raises(InputError, match="must be 1 or more, not 0.5: 3 x 3 banks are no pairs"):
        config_of(dram__bank_groups=3, dram__banks_per_group=3, pim__units_per_bank=0.5)


# ---- prices ---------------------------------------------------------------------------------------------


def test_a_column_that_four_units_take_is_read_once_and_multiplied_four_times() -> None:
    prices = Prices.of(config_of(pim__units_per_bank=4))
    actions = prices.actions
    assert prices.commands["MACABN"] == actions["mac_read"] + 4 * actions["mac_units"]
    assert prices.commands["MACAB"] == actions["mac_read"] + actions["mac_units"]


def test_the_units_energy_is_that_of_one_by_one_where_groups_fill_them() -> None:
    """Padding aside, which both layouts have alike where inputs fill their chunks."""
    model = {**MODEL, "d_model": 512, "heads": 8}
    keys = {"workload__model_config": model, "pim__global_buffer_bytes": 8192, "pim__units_per_bank": 4}
    one, four = (run(config_of(mapping__verify=verify, **keys)) for verify in ("repeat", "row_reuse"))
    energy = [result.summary["system"]["energy_breakdown_pJ"] for result in (one, four)]
    assert energy[0]["mac_units"] == energy[1]["mac_units"]
    assert energy[1]["mac_read"] < energy[0]["mac_read"] / 3


def test_area_grows_with_the_units() -> None:
    half, one, two = (area_mm2(config_of(pim__units_per_bank=units)) for units in (0.5, 1, 2))
    assert two - one == pytest.approx(2 * (one - half)) == pytest.approx(8 * 16 * 16 * 0.01)


def test_utilisation_is_of_all_units() -> None:
    one, two = (run(config_of(pim__units_per_bank=units)).summary["system"] for units in (1, 2))
    assert two["latency_ns"] == one["latency_ns"]  # the other unit has no input
    assert two["mac_utilization"] == pytest.approx(one["mac_utilization"] / 2)
