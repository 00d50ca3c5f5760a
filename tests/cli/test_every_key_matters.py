"""Every key of the configuration changes what comes out, or is refused: none is read and forgotten.

A key is changed alone, and the rest of `summary.json` but what echoes the input must differ.
Where the key matters in a situation only (biases, a full SRAM, per-bank refresh), the situation
is set up first, before and after alike.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from pimsim import InputError, load_config, run
from pimsim.config.resolved import resolved_dict
from pimsim.config.schema import ModelConfig
from tests.conftest import SHIPPED

GOLDEN = Path(__file__).parents[1] / "golden"

BASE: Mapping[str, Any] = {"workload.model": "gpt2-small", "workload.output_tokens": 2, "baselines": ["gpu-t4"]}


@dataclass(frozen=True)
class Change:
    """The value that a key changes to, and the situation in which it matters."""

    to: Any
    given: Mapping[str, Any] = field(default_factory=dict)


MODEL = {"name": "m", "layers": 2, "d_model": 96, "heads": 4}
CUSTOM = {"workload.model_config": MODEL, "workload.lm_head": True}
EXPERTS = {"baselines": [], "workload.model_config": {**MODEL, "experts": 3, "active_experts": 2}}
SAMPLED = {**EXPERTS, "workload.routing": "sampled"}

INT4 = {"pim.formats": {"int4xbf16": 16, "bf16xbf16": 16}, "workload.kv_format": "bf16"}

# A cycle that keeps 100 tokens in expectation, in 40 steps.
CYCLE = {"workload.trace": str(GOLDEN / "schedules" / "accepted.jsonl"), "workload.output_tokens": 100, "baselines": []}

BESIDE = {"placement.linear": "gpu-h100"}
TWO = {"baselines": [], "system.devices": 2}
CUT = {"baselines": [], "system.devices": 4, "system.tensor": 4}

# Keys for which twice the value says nothing: it is refused, or does not bind.
SPECIAL: Mapping[str, Change] = {
    "dram.rows": Change(64),  # refused: the model does not fit
    "dram.refresh": Change("per_bank"),
    "dram.write_mask": Change("standard", {"mapping.value_append": "all_bank"}),  # else activations set the pace
    "dram.refresh_together": Change(4, {"dram.refresh": "per_bank"}),
    "dram.standard": Change("ddr5"),  # refused: unknown
    # rules between keys: room for twice the value
    "dram.timing.tRAS_ns": Change(56, {"dram.timing.tRC_ns": 68}),
    "dram.timing.tCCDS_ns": Change(20, {"dram.timing.tCCDL_ns": 20}),  # above tRRDS, at which V is appended
    "dram.timing.tRRDS_ns": Change(12, {"dram.timing.tRRDL_ns": 12, "dram.timing.tFAW_ns": 24}),
    "dram.timing.tRP_ns": Change(24, {"dram.timing.tRC_ns": 52}),
    # a column takes the pins one clock already
    "dram.io.pins": Change(8),
    "dram.io.data_rate_Gbps": Change(8),
    # four bank groups take turns, so that the same group's turn comes after four tRRDS
    "dram.timing.tRRDL_ns": Change(30),
    # a write and a read of the same bank have a precharge and an activation between them
    "dram.timing.tWTRL_ns": Change(100, {"asic.sram_KiB": 4}),
    # what is spilled fills two banks, of two bank groups, and is read from the first at once
    "dram.timing.tWTRS_ns": Change(200, {"asic.sram_KiB": 4, "workload.batch": 4, "dram.timing.tWTRL_ns": 200}),
    "dram.timing.tRFCpb_ns": Change(300, {"dram.refresh": "per_bank"}),
    "dram.timing.tRREFD_ns": Change(300, {"dram.refresh": "per_bank"}),
    # precharges of appended values are as far apart as their activations
    "dram.timing.tPPD_ns": Change(20),
    "dram.timing.tFAWAB_ns": Change(92),  # 16 banks at four per tFAW
    "dram.power.budget_W": Change(1),  # a warning
    "dram.power.reference.tRAS_ns": Change(20),  # the usual formula of an activation is not negative any more
    "asic.power_reference.activity": Change(0.2),
    "dram.power.IDD0_mA": Change(244),
    "dram.power.IDD2N_mA": Change(46),
    "dram.power.IDD3N_mA": Change(284),
    "pim.lanes": Change(8),
    "pim.global_buffer_bytes": Change(1024),
    "pim.pipeline_stages": Change(12),
    "pim.units_per_bank": Change(0.5),
    "pim.buffers": Change(2),
    "pim.accumulators": Change(2, {"mapping.verify": "row_reuse", "workload.query_tokens": 2}),
    "asic.sram_KiB": Change(4),
    "asic.sram_port_bytes": Change(128),
    "asic.range_reduction": Change("ln2"),
    "energy.table": Change("v1"),
    "pim.mac_power_reference.pair": Change("int8xint8"),
    "mapping.reserve_tokens": Change(129),
    "mapping.value_append": Change("all_bank"),
    "mapping.values": Change("tokens"),
    "mapping.attention": Change("per_head"),
    "mapping.chunk_columns": Change(16),
    "mapping.chunk_heads": Change(2),
    "pim.formats": Change({"int8xint8": 32}),
    "pim.scales": Change("asic", {**INT4, "workload.weight_group": 64}),
    "workload.weight_format": Change("int8", {"pim.formats": {"bf16xbf16": 16, "int8xbf16": 16}}),
    "workload.weight_group": Change(64, INT4),
    "workload.kv_format": Change("int8", {"pim.formats": {"bf16xbf16": 16, "int8xbf16": 16}}),
    "workload.activation_format": Change("int8", {"pim.formats": {"int8xbf16": 16, "int8xint8": 16}}),
    "mapping.verify": Change("row_reuse", {"workload.query_tokens": 2}),
    "workload.model": Change("gpt2-medium"),
    "workload.trace": Change("nowhere.jsonl"),  # refused: there is no such file
    "workload.query_tokens": Change(2),
    "workload.model_config": Change(MODEL),
    "workload.prompt_tokens": Change(1),
    "workload.context": Change(16),
    "workload.prefill_chunk": Change(2, {"workload.prompt_tokens": 4}),
    "workload.acceptance": Change("sampled", {**CYCLE, "workload.model": None}),
    "workload.acceptance_seed": Change(1, {**CYCLE, "workload.model": None, "workload.acceptance": "sampled"}),
    "placement.prefill": Change("gpu-h100", {"workload.prompt_tokens": 4}),
    "placement.linear": Change("gpu-h100"),
    "placement.attention": Change("gpu-h100"),
    "placement.machine": Change("gpu-l4", {"placement.linear": "auto", "placement.machine": "gpu-h100"}),
    "placement.kv": Change("shared", {"placement.prefill": "gpu-h100", "workload.prompt_tokens": 4}),
    "placement.sub_batches": Change(2, {**BESIDE, "workload.batch": 2}),
    "schedule": Change("overlap"),
    "system.devices": Change(2),  # a replica that has no sequence, and draws power
    "system.tensor": Change(2, TWO),
    "system.pipeline": Change(2, TWO),
    "system.expert": Change(2, {**TWO, "workload.model_config": {**MODEL, "experts": 2, "active_experts": 1}}),
    "system.in_flight": Change(1, {**TWO, "system.pipeline": 2, "workload.batch": 2}),
    "system.link.bandwidth_GBps": Change(1, CUT),
    "system.link.latency_ns": Change(900, CUT),
    "system.link.energy_pJ_per_bit": Change(9, CUT),
    "system.link.flit_bytes": Change(256, CUT),
    "system.link.topology": Change("chain", CUT),
    "system.link.radix": Change(3, {**CUT, "system.link.topology": "tree"}),
    "system.link.algorithm": Change("ring", CUT),
    "baselines": Change([]),
    "baseline_kernels": Change("measured"),  # a warning: nobody measured a T4's
}
# Labels, how the simulation is done, and what values its commands would have: these must change nothing.
INERT: Mapping[str, Change] = {
    "name": Change("other"),
    "engine.mode": Change("stepped"),
    "engine.fold": Change(False),
    "values.accumulate": Change("bf16"),
}
# Which experts run moves commands to other rows, in no other time: the log shows it.
LOGGED: Mapping[str, Change] = {
    "workload.routing": Change("sampled", EXPERTS),
    "workload.routing_seed": Change(1, SAMPLED),
}
REFUSED = ("schema", "dram.standard", "dram.rows", "workload.trace")
MODEL_KEYS: Mapping[str, Any] = {
    "layers": 4, "d_model": 192, "heads": 8, "d_ff": 768, "vocabulary": 9999, "max_positions": 2, "kv_heads": 2,
    "family": "llama", "head_dim": 16, "window": 1, "experts": 2, "active_experts": 2, "tied": False,
}  # fmt: skip


def leaves(section: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    """Every key of a configuration with its value."""
    found: dict[str, Any] = {}
    for key, value in section.items():
        if isinstance(value, dict) and value:
            found |= leaves(value, f"{path}{key}.")
        else:
            found[f"{path}{key}"] = value
    return found


KEYS = leaves(resolved_dict(load_config(SHIPPED, BASE)))


def change_of(key: str) -> Change:
    """The change of a key: from the table, or to twice the number, or to the other truth value."""
    value = KEYS[key]
    if key in SPECIAL or key in INERT:
        return SPECIAL.get(key) or INERT[key]
    if isinstance(value, bool):
        return Change(not value)
    if isinstance(value, int | float):
        return Change(value * 2)
    return Change(f"{value}x")


@cache
def _outcome(overrides: str) -> str:
    summary = json.loads(json.dumps(run(load_config(SHIPPED, json.loads(overrides))).summary))
    for echo in ("config_sha256", "simulation"):
        del summary[echo]
    for echo in ("model", "context", "prompt_tokens", "output_tokens", "batch"):
        del summary["workload"][echo]
    return json.dumps(summary)


def outcome(overrides: Mapping[str, Any]) -> str:
    """`summary.json` without what differs anyway and what echoes the input."""
    source = {"workload.model": None} if "workload.model_config" in overrides else {}
    return _outcome(json.dumps({**BASE, **source, **overrides}))


def test_the_tables_name_keys_that_exist() -> None:
    assert set(SPECIAL) | set(INERT) | set(LOGGED) | set(REFUSED) <= set(KEYS)
    assert {"name", *MODEL_KEYS} == set(ModelConfig.model_fields)
    assert len(KEYS) > 60


@pytest.mark.parametrize("key", sorted(set(KEYS) - set(INERT) - set(LOGGED) - set(REFUSED)))
def test_a_changed_key_changes_the_result(key: str) -> None:
    change = change_of(key)
    before = outcome(change.given)
    assert outcome({**change.given, key: change.to}) != before


@pytest.mark.parametrize("key", REFUSED)
def test_a_changed_key_is_refused(key: str) -> None:
    with pytest.raises(InputError) as caught:
        outcome({"workload.model": None, key: "t"} if key == "workload.trace" else {key: change_of(key).to})
    assert [problem.key for problem in caught.value.problems] == [key]


@pytest.mark.parametrize("key", sorted(INERT))
def test_labels_and_the_engine_change_nothing(key: str) -> None:
    assert outcome({key: INERT[key].to}) == outcome({})


@pytest.mark.parametrize("key", sorted(LOGGED))
def test_a_key_that_moves_commands_changes_the_log(key: str, tmp_path: Path) -> None:
    change = LOGGED[key]
    logs = []
    for number, overrides in enumerate((change.given, {**change.given, key: change.to})):
        log = tmp_path / f"{number}.csv"
        run(load_config(SHIPPED, {**BASE, "workload.model": None, **overrides}), log=log)
        logs.append(log.read_text())
    assert logs[0] != logs[1]
    assert outcome({**change.given, key: change.to}) == outcome(change.given)


@pytest.mark.parametrize("key", sorted(MODEL_KEYS))
def test_every_size_of_a_model_changes_the_result(key: str) -> None:
    """Without baselines, which count experts and families in their own way."""
    base = {"experts": 2} if key == "active_experts" else {}
    before, after = (
        outcome({**CUSTOM, "baselines": [], "workload.model_config": {**MODEL, **base, **change}})
        for change in ({}, {key: MODEL_KEYS[key]})
    )
    assert after != before


def test_every_way_to_refresh_is_different() -> None:
    assert len({outcome({"dram.refresh": way}) for way in ("all_bank", "per_bank", "none")}) == 3


# ---- keys that slow the machine down ------------------------------------------------------

SLOWER = sorted(key for key in KEYS if key.startswith("dram.timing.") and key != "dram.timing.tREFI_ns")


@pytest.mark.parametrize("key", SLOWER)
def test_a_longer_time_takes_longer(key: str) -> None:
    """All times but the one between refreshes: each costs clocks, not energy alone.

    tCCDS paces writes and reads to different bank groups only; a run of columns is in one bank, and the
    elements of V are further apart.
    """
    change = change_of(key)
    before, after = (
        json.loads(outcome(overrides))["system"]["cycles"]
        for overrides in (change.given, {**change.given, key: change.to})
    )
    assert after >= before if key == "dram.timing.tCCDS_ns" else after > before
