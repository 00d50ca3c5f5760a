"""Baseline device files: provenance of what is shipped, and errors of what users write."""

from __future__ import annotations

import re
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import pytest

from pimsim import baselines
from pimsim.baselines.devices import SOURCES, constants, parse_device
from pimsim.errors import InputError
from pimsim.workload.models import MODELS, build

T4_GB = "capacity:\n    value: 16\n    unit: GB"


def shipped(name: str) -> str:
    return files("pimsim.baselines").joinpath(f"{name}.yaml").read_text(encoding="utf-8")


def problems(text: str) -> list[str]:
    """What `parse_device` finds wrong, a line each."""
    with pytest.raises(InputError) as caught:
        parse_device(text, "mine.yaml")
    return str(caught.value).splitlines()


def line_of(text: str, part: str) -> int:
    return 1 + next(i for i, line in enumerate(text.splitlines()) if part in line)


def test_devices_of_the_paper_are_shipped() -> None:
    assert {"gpu-t4", "cpu-xeon-6154"} <= set(baselines.available())
    for name in baselines.available():
        assert baselines.load(name).name == name


@pytest.mark.parametrize("name", baselines.available())
def test_every_constant_has_a_source_in_the_data_and_the_same_in_a_comment(name: str) -> None:
    lines = shipped(name).splitlines()
    commented = 0
    for number, line in enumerate(lines):
        label = re.fullmatch(r"\s*# source: (\w+)", line)
        if label is None:
            continue
        commented += 1
        stated = next(m[1] for later in lines[number + 1 :] if (m := re.search(r"\bsource: (\w+)", later)))
        assert stated == label[1], f"line {number + 1}"
    table = 1  # the counts of ATen operators share one source
    assert commented == len(constants(baselines.load(name))) + table
    assert {c["source"] for c in constants(baselines.load(name)).values()} <= set(SOURCES)


def test_file_is_loaded_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(shipped("gpu-t4").replace("name: gpu-t4", "name: my-gpu").replace("value: 18.3", "value: 8"))
    device = baselines.load(str(path))
    assert device.name == "my-gpu"
    result = baselines.evaluate(str(path), build(MODELS["gpt2-small"], lm_head=True), [1])
    assert result["latency_ns"] == pytest.approx(650 * 8e3, rel=2e-3)


def test_name_that_does_not_exist_is_answered_with_the_nearest() -> None:
    with pytest.raises(InputError, match=r"unknown baseline 'gpu-t5'; did you mean 'gpu-t4'\?"):
        baselines.load("gpu-t5")


def test_file_that_does_not_exist_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        baselines.load(str(tmp_path / "none.yaml"))


@pytest.mark.parametrize(
    ("old", "new", "key", "message"),
    [
        ("  efficiency: {value: 0.75", "  eficiency: {value: 0.75", "memory.eficiency", "did you mean 'efficiency'?"),
        ("value: 0.75", "value: 1.75", "memory.efficiency", "at most 1"),
        ("value: 0.75", "value: -0.75", "memory.efficiency.value", "greater than 0"),
        ("value: 320", "value: fast", "memory.bandwidth.value", "not 'fast'"),
        ("value: 320", "value: true", "memory.bandwidth.value", "not True"),
        ("unit: GB/s", "unit: Gb/s", "memory.bandwidth", "must be in GB/s, not 'Gb/s'"),
        ("GB/s, source: spec", "GB/s, source: guess", "memory.bandwidth.source", "unknown source 'guess'"),
        ("  data_type: fp16", "  data_type: fp8", "roofline.data_type", "'fp8' is not one of data_types: fp32, fp16"),
        ("synchronise: step", "synchronise: layer", "eager.synchronise", "'step' or 'operator'"),
        ("layernorm: 1", "layernrom: 1", "eager.aten_ops.per_operator", "did you mean 'layernorm'?"),
        ("layernorm: 1", "layernorm: -1", "eager.aten_ops.per_operator.layernorm", "greater than or equal to 0"),
        ("overhead: 31", "overhead: -1", "eager.aten_ops.overhead", "greater than or equal to 0"),
        ("overhead: 31", "fused: {attention: 6}\n    overhead: 31", "eager.aten_ops.fused.mask", "key is missing"),
        ("idle: {value: 26", "idle: {value: 260", "power.idle", "above power.cap"),
        ("schema: pimsim.baseline/1", "schema: pimsim.baseline/2", "schema", "pimsim.baseline/1"),
        ("  measured: {}", "", "eager.measured", "required key is missing"),
        (T4_GB, T4_GB.replace("GB", "Gb"), "memory.capacity", "must be in GB or GiB, not 'Gb'"),
        ("  capacity:", "  capactiy:", "memory.capactiy", "did you mean 'capacity'?"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_line_and_key(old: str, new: str, key: str, message: str) -> None:
    text = shipped("gpu-t4").replace(old, new, 1)
    (found,) = [p for p in problems(text) if f": {key}: " in p]
    assert message in found
    expected = line_of(text, new.strip().splitlines()[0].split("{")[0]) if new else line_of(text, "eager:")
    file, line, column, _ = found.split(":", 3)
    assert (file, int(line)) == ("mine.yaml", expected) and int(column) >= 1


SCOPE = "lm_head: true, batch: 1, data_type: fp32, contexts: [1, 2], operators_sha256: " + 64 * "a"


@pytest.mark.parametrize(
    ("old", "new", "key", "message"),
    [
        ("lm_head", "lm_haed", "scope.lm_haed", "did you mean 'lm_head'?"),
        ("batch: 1", "batch: 0", "scope.batch", "greater than or equal to 1"),
        ("[1, 2]", "[2, 1]", "scope.contexts", "must be the first and the last, not 2 and 1"),
        ("[1, 2]", "[1]", "scope.contexts.1", "required key is missing"),
        ("fp32", "fp64", "scope.data_type", "'fp64' is not one of data_types: fp32, fp16"),
        ("aa", "A", "scope.operators_sha256", "should match pattern"),
    ],
)
def test_scope_of_a_measurement_is_checked(old: str, new: str, key: str, message: str) -> None:
    scope = SCOPE.replace(old, new, 1)
    entry = f"  measured: {{m: {{value: 1, unit: ms, source: measured, note: n, scope: {{{scope}}}}}}}"
    found = problems(shipped("gpu-t4").replace("  measured: {}", entry))
    assert any(f" eager.measured.m.{key}: " in problem and message in problem for problem in found), found


def test_all_problems_are_reported_at_once() -> None:
    text = shipped("gpu-t4").replace("value: 320", "value: -1").replace("value: 18.3", "value: x")
    text = text.replace("power:", "pow:")
    keys = {problem.split(": ")[1] for problem in problems(text)}
    assert keys == {"memory.bandwidth.value", "eager.op_time.value", "power", "pow"}


def test_duplicate_key_is_refused() -> None:
    assert "duplicate key" in problems(shipped("gpu-t4") + "roofline:\n  data_type: fp32\n")[0]


def test_operator_without_a_count_is_an_input_error() -> None:
    device = parse_device(shipped("gpu-t4").replace("gelu: 8, ", ""), "mine.yaml")
    workload = build(MODELS["gpt2-small"], lm_head=False)
    unrecorded = replace(workload, operators=tuple(replace(o, aten=None) for o in workload.operators))
    with pytest.raises(InputError, match="no ATen operator count for 'gelu'"):
        baselines.evaluate(device, unrecorded, [1])
