"""Whole runs in formats: every engine gives the same, logs are legal, sizes and clocks relate as they must."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from pimsim import api, load_config, sweep
from pimsim.errors import InputError
from pimsim.logs.checker import check
from pimsim.logs.log import read_log
from pimsim.sim.run import simulate
from pimsim.workload.formats import in_formats, weight_bits
from pimsim.workload.graph import Workload
from pimsim.workload.models import MODELS
from pimsim.workload.ops import Operator
from tests.configs import config_of
from tests.conftest import SHIPPED

MODEL = {
    "name": "m",
    "layers": 2,
    "d_model": 96,
    "heads": 6,
    "d_ff": 200,
    "kv_heads": 3,
    "family": "llama",
    "head_dim": 16,
}
BASE: dict[str, Any] = {
    "workload.model": None, "workload.model_config": MODEL, "workload.output_tokens": 6, "dram.channels": 4,
}  # fmt: skip
KINDS: dict[str, dict[str, Any]] = {
    "int8": {"pim.formats": {"int8xint8": 32}},
    "int8 few lanes": {"pim.formats": {"int8xint8": 4}, "pim.clock_GHz": 0.7},
    "int4 groups": {"pim.formats": {"int4xint8": 64, "int8xint8": 32}, "workload.weight_group": 32},
    "int4 odd groups": {"pim.formats": {"int4xbf16": 16, "bf16xbf16": 16}, "workload.weight_group": 37},
    "int4 asic": {"pim.formats": {"int4xbf16": 16, "bf16xbf16": 16}, "workload.weight_group": 32, "pim.scales": "asic"},
    "int3": {"pim.formats": {"int3xint8": 16, "int8xint8": 32}, "workload.weight_group": 48, "pim.scales": "asic"},
    "fp8": {"pim.formats": {"fp8_e4m3xfp8_e4m3": 32, "fp8_e5m2xfp8_e4m3": 32}, "workload.kv_format": "fp8_e5m2"},
    "mxfp4": {"pim.formats": {"mxfp4xbf16": 32, "bf16xbf16": 16}},
    "kv": {"pim.formats": {"bf16xbf16": 16, "int8xbf16": 16}, "workload.kv_format": "int8"},
}
AIM = SHIPPED.parent / "aim.yaml"
LINEARS = "qkv, attn_out, ffn_up, ffn_down"
EIGHT = ("workload.weight_format", "workload.kv_format", "workload.activation_format")
WAYS: dict[str, dict[str, Any]] = {
    "": {},
    "overlap": {"schedule": "overlap", "mapping.values": "tokens", "workload.batch": 2},
    "small buffer": {"pim.global_buffer_bytes": 512, "workload.query_tokens": 2, "workload.prompt_tokens": 3},
    "head": {"workload.lm_head": True, "workload.biases": True, "mapping.value_append": "all_bank"},
}


def keys(kind: str, way: str = "", **changes: Any) -> dict[str, Any]:
    return {**BASE, **KINDS[kind], **WAYS[way], **{key.replace("__", "."): value for key, value in changes.items()}}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_engine_gives_the_same_and_its_log_is_legal(kind: str, way: str, tmp_path: Path) -> None:
    found = []
    for mode, fold in (("fast", True), ("stepped", True), ("stepped", False)):
        found.append(simulate(config_of(keys(kind, way, engine__mode=mode, engine__fold=fold))))
    assert found[0] == found[1] == found[2]
    config = config_of(keys(kind, way))
    prepared = api.prepare(config)
    device = prepared.plan.device
    api.run(prepared, log=tmp_path / "log.csv")
    log = read_log(tmp_path / "log.csv", device.standard)
    assert not check(log, device)
    assert len(log.command) == sum(found[0].commands.values())


@pytest.mark.parametrize("way", [way for way in WAYS if way != "small buffer"])
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "int8 few lanes"])
def test_the_same_on_aim(kind: str, way: str, tmp_path: Path) -> None:
    given = {**keys(kind, way), "dram.channels": 4, "baselines": []}
    found = [simulate(load_config(AIM, {**given, "engine.mode": mode})) for mode in ("fast", "stepped")]
    assert found[0] == found[1]
    prepared = api.prepare(load_config(AIM, given))
    api.run(prepared, log=tmp_path / "log.csv")
    log = read_log(tmp_path / "log.csv", prepared.plan.device.standard)
    assert not check(log, prepared.plan.device)


def test_a_format_that_is_named_is_the_one_that_is_native() -> None:
    said = simulate(config_of({**keys("int8"), "workload.weight_format": "int8", "workload.kv_format": "int8"}))
    assert said == simulate(config_of(keys("int8")))


def test_of_two_pairs_the_first_is_the_memorys_own() -> None:
    both = {"bf16xbf16": 16, "int8xint8": 32}
    assert simulate(config_of({**BASE, "pim.formats": both})).cycles == simulate(config_of(BASE)).cycles
    turned = dict(reversed(both.items()))
    first, second = (config_of({**BASE, "pim.formats": formats}) for formats in (both, turned))
    assert simulate(second) != simulate(first)
    from pimsim.config.resolved import config_sha256

    assert config_sha256(first) != config_sha256(second)


def test_what_changes_nothing_or_goes_by_its_place_alone_is_warned_of() -> None:
    def warned(**changes: Any) -> list[str]:
        return [
            p.key for p in api.warnings(config_of({**BASE, **{k.replace("__", "."): v for k, v in changes.items()}}))
        ]

    assert warned() == []
    assert warned(workload__weight_group=64) == ["workload.weight_group"]
    assert warned(**KINDS["int4 groups"]) == []
    listed = {"int8xint8": 32, "bf16xbf16": 16}
    assert warned(pim__formats=listed) == ["pim.formats"]
    assert warned(pim__formats=listed, **dict.fromkeys(EIGHT, "int8")) == []
    assert warned(pim__formats=dict(reversed(listed.items()))) == []


def test_the_summary_says_formats_and_what_is_empty() -> None:
    result = api.run(config_of(keys("int4 odd groups")))
    found = result.summary["formats"]
    assert found["weights"] == {"int4": 2 * (96 * (96 + 2 * 48) + 96 * 96 + 3 * 96 * 200)}
    assert (found["kv"], found["activations"]) == (["bf16"], ["bf16"])
    # of 37 weights in beats of 16 a group leaves 11 places; columns and the last groups some more
    assert 0.15 < found["wasted_fraction"] < 0.6
    assert found["bits_per_weight"] > 4 + 16 / 37
    assert "formats" not in api.run(config_of(BASE)).summary
    assert json.dumps(result.summary)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"workload.weight_format": "int8"},
            f"weights of int8 times bf16 ({LINEARS}): the MAC units multiply bf16xbf16",
        ),
        ({"workload.kv_format": "int8"}, "K and V of int8 times bf16 (attention): the MAC units multiply bf16xbf16"),
        (
            {"workload.weight_format": "fp16"},
            f"weights of fp16 times bf16 ({LINEARS}): the MAC units multiply bf16xbf16",
        ),
    ],
)
def test_a_pair_that_is_not_multiplied_is_refused_with_those_that_are(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        simulate(config_of({**BASE, "workload.model_config": {**MODEL, "family": "gpt2"}, **changes}))
    assert message in [problem.message for problem in caught.value.problems]


def test_unknown_pairs_are_told_with_the_nearest_one() -> None:
    with pytest.raises(InputError) as caught:
        config_of({**BASE, "pim.formats": {"int8xint9": 32, "bf16xmxfp4": 16}})
    assert sorted(((p.key, p.message.partition(";")[0]) for p in caught.value.problems), reverse=True) == [
        ("pim.formats.int8xint9", "unknown pair 'int8xint9'"),
        ("pim.formats.bf16xmxfp4", "activations of mxfp4: must be bf16, fp16, fp8_e4m3, fp8_e5m2, int8, int4"),
    ]


def test_a_sweep_varies_the_lanes_of_a_pair() -> None:
    eight = {f"workload.{what}_format": "int8" for what in ("weight", "kv", "activation")}
    axes = {"pim.formats.int8xint8": [8, 16, 32]}
    found = sweep.run(
        {"base": str(SHIPPED), "set": {**BASE, **eight, "baselines": []}, "axes": axes,
         "objectives": ["system.latency_per_token_ns"]}, workers=0,
    )  # fmt: skip
    times = [row["system.latency_per_token_ns"] for row in found.rows()]
    assert times == sorted(times, reverse=True) and len(set(times)) == 3
    with pytest.raises(InputError, match="unknown pair 'int9xint8'; did you mean 'int8xint8'"):
        sweep.run({"base": str(SHIPPED), "axes": {"pim.formats.int9xint8": [8]}}, workers=0)


def test_another_format_than_the_trace_s_has_nothing_of_its_groups() -> None:
    recorded = Operator("q", "qkv", "linear", "block", 256, 64, bits=4, group=128, scale_bits=16, zero_bits=4)
    graph = Workload(MODELS["gpt2-small"], (recorded,))
    asked = {"": (4, 128, 16, 4), "bf16": (16, 0, 0, 0), "mxfp4": (4, 32, 8, 0), "int8": (8, 0, 0, 0)}
    for name, expected in asked.items():
        given = {"pim.formats": {"int4xbf16": 16}, **({"workload.weight_format": name} if name else {})}
        (made,) = in_formats(config_of(given), graph).operators
        assert (made.bits, made.group, made.scale_bits, made.zero_bits) == expected, name
    assert weight_bits(recorded) == 4 + Fraction(20, 128)
    assert weight_bits(replace(recorded, inputs=200)) == 4 + Fraction(2 * 20, 200)  # the last group is not whole


def test_of_a_schedule_each_product_counts_with_the_lanes_of_its_formats() -> None:
    """One product each of two stages, of which the second one is not in the main graph."""
    trace = SHIPPED.parent / "studies" / "traces" / "kangaroo.jsonl"
    given = {"workload.model": None, "workload.trace": str(trace), "dram.rows": 1 << 18, "baselines": []}
    result = api.run(load_config(str(SHIPPED.parent / "pim-gpt-int4.yaml"), given))
    lanes = {"scores": 32, "values": 32}
    busy = sum(row.macs / lanes.get(row.operator, 64) for row in result.tally.rows)
    expected = busy / (8 * 16 * result.summary["system"]["latency_ns"])
    assert result.summary["system"]["mac_utilization"] == pytest.approx(expected, rel=1e-12)
