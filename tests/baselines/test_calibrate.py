"""`pimsim calibrate`: from measurements of a made machine to a file that `baselines:` accepts."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from pimsim import baselines
from pimsim.baselines import measure as measure_module
from pimsim.baselines.calibrate import Decode, Measurement, PowerDraw, fit, measure, render
from pimsim.baselines.devices import BaselineDevice, constants, parse_device
from pimsim.cli import cli
from pimsim.workload.models import MODELS, ModelShape, build

GPT_COUNTS = {"layernorm": 1, "linear": 3, "attention": 27, "gelu": 8, "add": 1}
COPY_GBps, OP_TIME_US, SHARE = 30.0, 60.0, 0.8


def known_device() -> BaselineDevice:
    """The device that the made machine behaves like."""
    data = baselines.load("cpu-xeon-6154").model_dump(by_alias=True)
    data["memory"]["bandwidth"]["value"] = COPY_GBps
    data["eager"]["op_time"]["value"] = OP_TIME_US
    data["eager"]["efficiency"]["value"] = SHARE
    return BaselineDevice.model_validate(data)


@dataclass
class MadeMachine:
    """Runs a token in the time of `known_device`, disturbed in all runs but the second."""

    kind: str = "cpu"
    data_type: str = "fp32"
    threads: int = 9
    description: str = "Made Machine"
    draw: PowerDraw | None = None
    memory: int | None = 3 * 2**30

    def facts(self) -> Mapping[str, str]:
        return {"cpu": 'Made "CPU": 1', "torch": "0"}

    def decode(self, shape: ModelShape, prompt: int, tokens: int, repeats: int) -> Decode:
        contexts = (prompt + 1, prompt + tokens)
        workload = build(shape, lm_head=True)
        ms = baselines.evaluate(known_device(), workload, [sum(contexts) // 2])["latency_ns"] / 1e6
        runs = tuple(tuple(ms * (1 if run == 1 else 1.5) for _ in range(tokens)) for run in range(repeats))
        return Decode(shape, contexts, runs, GPT_COUNTS, 51 * shape.layers + 38)

    def copy_GBps(self) -> float:
        return COPY_GBps

    def peak_TFLOPs(self, data_type: str) -> float:
        return {"fp32": 2.419, "fp16": 9.0, "bf16": 8.0}[data_type]

    def power(self) -> PowerDraw | None:
        return self.draw

    def memory_bytes(self) -> int | None:
        return self.memory


def measured(machine: MadeMachine, *names: str, power: PowerDraw | None = None) -> Measurement:
    return measure(machine, [MODELS[name] for name in names], 32, 7, 3, power, {"date": "2026-01-02"})


def written(measurement: Measurement) -> BaselineDevice:
    return parse_device(render(measurement, "mine", fit(measurement, "mine")), "mine.yaml")


def test_fit_finds_the_constants_of_the_machine() -> None:
    found = fit(measured(MadeMachine(), "gpt2-small", "gpt2-large", "gpt2-xl"), "mine")
    assert found.op_time_us == pytest.approx(OP_TIME_US, rel=0.01)
    assert found.efficiency == pytest.approx(SHARE, rel=0.01)
    assert found.error < 0.01


def test_one_model_alone_leaves_the_efficiency_at_1() -> None:
    measurement = measured(MadeMachine(), "gpt2-small")
    found = fit(measurement, "mine")
    assert found.efficiency == 1 and found.error < 0.01
    assert constants(written(measurement))["eager.efficiency"]["source"] == "assumed"


def test_least_disturbed_run_counts_and_the_spread_is_stated() -> None:
    device = written(measured(MadeMachine(), "gpt2-small", "gpt2-medium"))
    quiet = MadeMachine().decode(MODELS["gpt2-small"], 32, 7, 3)
    entry = device.eager.measured["gpt2-small"]
    assert entry.value == pytest.approx(quiet.runs[1][0], rel=1e-3)
    assert entry.source == "measured"
    assert f"{quiet.runs[1][0]:.4g} to {quiet.runs[0][0]:.4g} ms" in entry.note


def test_file_says_how_each_constant_is_known() -> None:
    device = written(measured(MadeMachine(), "gpt2-small", "gpt2-medium"))
    sources = {key: constant["source"] for key, constant in constants(device).items()}
    assert sources == {
        "memory.bandwidth": "measured",
        "memory.efficiency": "derived",
        "memory.capacity": "measured",
        "data_types.fp32.peak": "measured",
        "power.idle": "assumed",
        "power.cap": "assumed",
        "eager.op_time": "derived",
        "eager.efficiency": "derived",
        "eager.measured.gpt2-small": "measured",
        "eager.measured.gpt2-medium": "measured",
    }
    assert device.provenance == {"date": "2026-01-02", "cpu": 'Made "CPU": 1', "torch": "0"}
    assert device.eager.aten_ops.overhead == 31 and device.eager.synchronise == "operator"


def test_power_comes_from_nvml_or_from_the_user() -> None:
    asked = constants(written(measured(MadeMachine(kind="gpu", draw=PowerDraw(11, 72)), "gpt2-small")))
    assert (asked["power.idle"]["value"], asked["power.cap"]["value"]) == (11, 72)
    assert asked["power.cap"]["source"] == "measured"
    assumed = constants(written(measured(MadeMachine(), "gpt2-small")))
    assert assumed["power.cap"]["value"] == 100 and "9 cores of cpu-xeon-6154" in assumed["power.cap"]["note"]
    stated = constants(written(measured(MadeMachine(), "gpt2-small", power=PowerDraw(5, 15))))
    assert (stated["power.idle"]["value"], stated["power.idle"]["source"]) == (5, "spec")


def test_gpu_waits_once_a_step_and_has_both_formats() -> None:
    measurement = measured(replace(MadeMachine(kind="gpu"), data_type="fp16"), "gpt2-small", "gpt2-xl")
    device = written(measurement)
    assert device.eager.synchronise == "step" and set(device.data_types) == {"fp32", "fp16"}
    assert device.eager.data_type == device.roofline.data_type == "fp16"
    assert device.eager.efficiency.value == 1


@pytest.mark.parametrize("name", [name for name in baselines.available() if not name.startswith("cpu")])
def test_what_is_not_measured_is_as_in_the_machine_that_it_is_like(name: str) -> None:
    """Rates of other formats, the link and the table of kernels, and power, each with its label."""
    measurement = measured(MadeMachine("gpu", "bf16"), "gpt2-small")
    like = baselines.load(name)
    device = parse_device(render(measurement, "mine", fit(measurement, "mine"), like), "mine.yaml")
    assert {key: device.data_types[key].peak.value for key in ("fp32", "fp16", "bf16")} == {
        "fp32": 2.419, "fp16": 9.0, "bf16": 8.0,
    }  # fmt: skip
    for key in set(like.data_types) - set(measurement.peaks):
        found, theirs = device.data_types[key], like.data_types[key]
        assert (found.element_bytes, found.peak.source) == (theirs.element_bytes, theirs.peak.source)
        assert found.peak.value == pytest.approx(theirs.peak.value, rel=1e-3)
        assert found.peak.note == f"not measured: as for {name}: {theirs.peak.note}"
    assert (device.link is None) == (like.link is None) and device.kernels == like.kernels
    if device.link and like.link:
        assert device.link.bandwidth.value == like.link.bandwidth.value
    assert device.power.cap.value == like.power.cap.value
    assert device.capacity_bytes == 3 * 2**30  # its own


def test_what_is_measured_goes_before_what_it_is_like() -> None:
    measurement = measured(MadeMachine("gpu", "fp16", draw=PowerDraw(11, 99)), "gpt2-small")
    text = render(measurement, "mine", fit(measurement, "mine"), baselines.load("gpu-h100"))
    device = parse_device(text, "mine.yaml")
    assert (device.power.idle.value, device.power.cap.value) == (11, 99)
    assert device.data_types["fp16"].peak.value == 9 and device.data_types["bf16"].peak.value == 989.4


def test_measured_file_is_accepted_and_stands_for_what_was_measured(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    measurement = measured(MadeMachine(), "gpt2-small", "gpt2-medium")
    path.write_text(render(measurement, "mine", fit(measurement, "mine")), encoding="utf-8")
    result = baselines.evaluate(str(path), build(MODELS["gpt2-small"], lm_head=True), [36])
    assert result["model"]["kind"] == "measured"
    assert result["model"]["note"] == "measured as gpt2-small at contexts 33 to 39"
    assert result["latency_ns"] == pytest.approx(measurement.decodes[0].ms * 1e6, rel=1e-3)
    without = baselines.evaluate(str(path), build(MODELS["gpt2-small"], lm_head=False), [36])
    assert without["model"]["kind"] == "eager" and "with the LM head" in without["model"]["note"]


def test_scope_says_what_the_machine_ran() -> None:
    device = written(measured(replace(MadeMachine(kind="gpu"), data_type="fp16"), "gpt2-medium"))
    scope = device.eager.measured["gpt2-medium"].scope
    assert scope is not None
    assert (scope.lm_head, scope.batch, scope.data_type, scope.contexts) == (True, 1, "fp16", (33, 39))
    assert scope.operators_sha256 == build(MODELS["gpt2-medium"], lm_head=True).sha256()


def test_memory_is_what_the_machine_says_or_left_out() -> None:
    assert written(measured(MadeMachine(), "gpt2-small")).capacity_bytes == 3 * 2**30
    assert written(measured(MadeMachine(memory=None), "gpt2-small")).capacity_bytes is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tpu"], "'tpu' is not one of"),
        (["cpu", "--models", "gpt2-smal"], "--models: unknown model 'gpt2-smal'; did you mean 'gpt2-small'?"),
        (["cpu", "--models", ","], "names no model"),
        (["cpu", "--models", "gpt2-xl,gpt2-xl"], "names a model twice"),
        (["cpu", "--tokens", "1000", "--prompt", "100"], "has 1024 positions"),
        (["cpu", "--idle-power", "5"], "go together"),
        (["cpu", "--idle-power", "5", "--full-power", "4"], "5 W is above --full-power 4 W"),
        (["cpu", "--data-type", "fp16"], "a CPU is measured in fp32"),
        (["cpu", "--out", "mine.txt"], "must end in .yaml"),
        (["cpu", "--out", "no-such-folder/mine.yaml"], "no folder"),
        (["cpu", "--threads", "0"], "0 is not in the range"),
        (["gpu", "--like", "gpu-h10"], "--like: unknown baseline 'gpu-h10'; did you mean 'gpu-h100'?"),
    ],
)  # fmt: skip
def test_wrong_options_are_one_line_and_status_2(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(cli, ["calibrate", *arguments])
    assert result.exit_code == 2
    assert message in result.output and "Traceback" not in result.output


def test_command_prints_a_table_of_80_columns_and_warns_of_a_busy_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measure_module, "TorchMachine", lambda kind, data_type, threads: MadeMachine())
    out = tmp_path / "mine.yaml"
    result = CliRunner().invoke(cli, ["calibrate", "cpu", "--out", str(out), "--name", "mine", "--repeats", "3"])
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert max(map(len, lines[:-1])) <= 80
    assert lines[2].split()[0] == "gpt2-small" and lines[2].split()[-2] == "650"
    assert "other work ran" in result.output  # the other runs of the made machine take half as long again
    assert baselines.load(str(out)).name == "mine"


def test_command_makes_a_table_for_a_machine_that_it_is_like(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure_module, "TorchMachine", lambda kind, data_type, threads: MadeMachine(kind, data_type))
    out = tmp_path / "mine.yaml"
    given = ["--out", str(out), "--name", "mine", "--data-type", "bf16", "--like", "gpu-a100"]
    assert CliRunner().invoke(cli, ["calibrate", "gpu", *given]).exit_code == 0
    device = baselines.load(str(out))
    assert device.eager.data_type == "bf16" and device.link and "int8" in device.data_types


@pytest.mark.skipif(importlib.util.find_spec("torch") is not None, reason="torch is installed")
def test_without_torch_the_extra_to_install_is_named(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["calibrate", "cpu", "--out", str(tmp_path / "mine.yaml")])
    assert result.exit_code == 2 and "pip install 'pimsim[trace]'" in result.output
    assert not (tmp_path / "mine.yaml").exists()


def test_real_machine_is_measured_with_torch() -> None:
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    from pimsim.baselines.measure import TorchMachine

    shape = ModelShape("tiny", 2, 64, 4, 4, 256, 500, 64)
    decode = TorchMachine("cpu", "fp32", 1).decode(shape, 4, 3, 2)
    assert [len(run) for run in decode.runs] == [3, 3] and decode.ms > 0
    assert decode.contexts == (8, 10)
    assert sum(decode.aten_by_op.values()) > 30 and decode.aten_ops > 2 * sum(decode.aten_by_op.values())
