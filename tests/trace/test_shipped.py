"""The traces that come with pimsim, and the generator that makes them without torch."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from pimsim.errors import InputError
from pimsim.workload.launches import RECORDED_WITH
from pimsim.workload.models import MODELS, build
from pimsim.workload.trace.bind import trace_of, workload_of
from pimsim.workload.trace.generate import SHIPPED, generated
from pimsim.workload.trace.reader import load_trace
from pimsim.workload.trace.writer import dump_trace
from tests.trace.traces import TRACES

T = 1024


def test_the_folder_holds_what_the_command_makes() -> None:
    assert {path.name for path in TRACES.glob("*.jsonl*")} == {f"{name}.jsonl" for name in SHIPPED}


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_traces_are_up_to_date_and_small(name: str) -> None:
    """If this fails: pimsim trace export --all --out traces"""
    data = (TRACES / f"{name}.jsonl").read_bytes()
    assert data == dump_trace(generated(name)).encode()
    assert len(data) < 8000


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_traces_are_the_built_in_models(name: str) -> None:
    workload = workload_of(load_trace(TRACES / f"{name}.jsonl"))
    built = build(MODELS[name], lm_head=True)
    assert workload.operators == built.operators
    assert workload.sha256() == built.sha256()
    assert workload.blocks_only().sha256() == build(MODELS[name], lm_head=False).sha256()


@pytest.mark.parametrize("name", SHIPPED)
def test_checks_of_shipped_traces_agree_with_closed_forms(name: str) -> None:
    """Per layer: q, k, v and output matrices, a FFN of 2 or 3 matrices, q K^T and p V; once the LM head."""
    header = json.loads((TRACES / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()[0])
    model, [check] = header["model"], header["checks"]
    layers, d, dim, d_ff = model["layers"], model["d_model"], model["head_dim"], model["d_ff"]
    gpt = model["family"] == "gpt2"
    q, kv = model["heads"] * dim, model["kv_heads"] * dim
    matrices = layers * (2 * d * q + 2 * d * kv + (2 if gpt else 3) * d * d_ff) + d * model["vocabulary"]
    attended = min(T, 4096)
    assert check["binding"] == {"T": T, "B": 1, "Q": 1}
    assert check["matrix_flops"] == 2 * matrices + 4 * layers * q * attended
    assert check["kv_bytes"] == 2 * layers * 2 * kv * attended
    assert check["weight_bytes"] == 2 * model["parameters"]
    vectors = layers * ((4 * d if gpt else 2 * d) + _biases(name, d, d_ff, q, kv)) + (2 * d if gpt else d)
    untied = d * model["vocabulary"] if name in ("mistral-7b", "llama-3-8b") else 0
    positions = d * model["max_positions"] if gpt else 0
    assert model["parameters"] == matrices + vectors + positions + untied


def _biases(name: str, d: int, d_ff: int, q: int, kv: int) -> int:
    if name.startswith("gpt"):
        return q + 2 * kv + d + d_ff + d
    return q + 2 * kv if name.startswith("qwen") else 0


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("gpt2-small", 124_439_808),
        ("gpt2-xl", 1_557_611_200),
        ("llama-3.2-1b", 1_235_814_400),
        ("qwen2.5-0.5b", 494_032_768),
        ("mistral-7b", 7_241_732_096),
        ("llama-3-8b", 8_030_261_248),
    ],
)
def test_parameters_are_those_of_the_published_models(name: str, parameters: int) -> None:
    assert load_trace(TRACES / f"{name}.jsonl").header.model.parameters == parameters


def test_a_windowed_attention_stops_growing_at_its_window() -> None:
    trace = load_trace(TRACES / "mistral-7b.jsonl")
    attention = next(op for op in trace.templates[0].ops if op.op == "attention")
    assert attention.window == 4096
    workload = workload_of(trace)
    assert workload.flops(9000) == workload.flops(4096) > workload.flops(4095)


def test_launches_are_charged_to_every_operator() -> None:
    trace = load_trace(TRACES / "gpt2-xl.jsonl")
    assert trace.header.producer == {"launches": RECORDED_WITH}
    assert trace.header.overhead is not None
    inside = sum(op.launch.aten for op in trace.templates[0].ops if op.launch and op.scope == "block")
    once = sum(op.launch.aten for op in trace.templates[0].ops if op.launch and op.scope != "block")
    # The reference recording of the same release counts 2,486 in all.
    assert abs(48 * inside + once + trace.header.overhead.aten - 2486) <= 1


def test_shapes_without_a_recording_say_nothing_of_launches() -> None:
    shape = replace(MODELS["gpt2-small"], kv_heads=4)  # no GPT-2 shares heads of K and V
    trace = trace_of(build(shape, lm_head=True))
    assert trace.header.overhead is None
    assert all(op.launch is None for op in trace.templates[0].ops)


def test_names_that_are_unknown_are_refused() -> None:
    with pytest.raises(InputError, match="no model 'gpt2-smal'; did you mean 'gpt2-small'"):
        generated("gpt2-smal")


@pytest.mark.parametrize("name", ["gpt2-small", "llama-3.2-1b", "qwen2.5-0.5b", "qwen2.5-3b", "mistral-7b"])
def test_the_exporter_makes_the_same_file(name: str) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    from pimsim.workload.export import export

    exported = export(name)
    trace = trace_of(exported.decode, producer=exported.producer)
    if exported.producer["launches"] == RECORDED_WITH:
        assert dump_trace(trace) == dump_trace(generated(name))
    assert workload_of(trace).sha256() == workload_of(generated(name)).sha256()
