"""Traces become the workloads that were recorded, or are refused where they cannot be replayed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pimsim.errors import InputError
from pimsim.workload.models import MODELS, build
from pimsim.workload.trace.bind import Run, difference, runs_of, trace_of, workload_of
from pimsim.workload.trace.cost import cost_of
from pimsim.workload.trace.reader import load_trace
from pimsim.workload.trace.records import Trace
from pimsim.workload.trace.writer import write_trace
from tests.conftest import Write
from tests.trace.traces import text_of

BINDINGS = [{"T": 1, "B": 1, "Q": 1}, {"T": 700, "B": 3, "Q": 1}, {"T": 5000, "B": 2, "Q": 4}]


@pytest.mark.parametrize("name", MODELS)
def test_a_trace_of_a_workload_is_that_workload(write: Write, name: str) -> None:
    workload = build(MODELS[name], lm_head=True)
    path = write(b"", "t.jsonl")
    write_trace(trace_of(workload), path)
    again = workload_of(load_trace(path))
    assert again.operators == workload.operators
    assert again.sha256() == workload.sha256()
    assert (again.blocks, again.overhead_aten, again.overhead_kernels) == (
        workload.blocks,
        workload.overhead_aten,
        workload.overhead_kernels,
    )
    assert (again.shape.name, again.shape.head_dim) == (workload.shape.name, workload.shape.head_dim)


@pytest.mark.parametrize("binding", BINDINGS)
@pytest.mark.parametrize("name", ["gpt2-small", "mistral-7b", "mixtral-8x7b"])
def test_costs_are_the_workloads(name: str, binding: dict[str, int]) -> None:
    workload = build(MODELS[name], lm_head=True)
    trace = trace_of(workload)
    [template] = trace.templates
    context, batch, tokens = binding["T"], binding["B"], binding["Q"]
    for record, operator in zip(template.ops, workload.operators, strict=True):
        cost = cost_of(record, trace.header, binding)
        contexts = range(context - tokens + 1, context + 1)
        assert cost.flops == batch * sum(operator.flops(each) for each in contexts)
        assert cost.matrix_flops == 2 * batch * sum(operator.matrix_macs(each) for each in contexts)
        assert cost.weight_bytes == 2 * operator.parameters()
        if tokens == 1:
            assert cost.moved_bytes == operator.bytes(context, 2, batch, biases=True)


def test_runs_are_the_schedule_in_numbers() -> None:
    trace = trace_of(build(MODELS["gpt2-small"], lm_head=True), prompt=10, steps=5, batch=2, tokens=3)
    assert runs_of(trace) == (
        Run("prefill", "decode", 1, 10, 0, 2, 10, 10),
        Run("decode", "decode", 5, 13, 3, 2, 3, 3),
    )


def test_a_prefill_of_its_own_is_a_template_of_the_same_graph() -> None:
    decode = build(MODELS["gpt2-small"], lm_head=True)
    head = decode.operators[-1]
    prefill = replace(decode, operators=(*decode.operators[:-1], replace(head, per="sequence", aten=9, kernels=9)))
    trace = trace_of(decode, prompt=8, prefill=prefill)
    assert [template.id for template in trace.templates] == ["prefill", "decode"]
    assert workload_of(trace).operators == decode.operators
    assert difference(decode, prefill) == ""
    other = build(MODELS["gpt2-medium"], lm_head=True)
    assert difference(decode, other) == "repeat"


def loaded(write: Write, *changes: tuple[str, str]) -> Trace:
    return load_trace(write(text_of(*changes), "t.jsonl"))


@pytest.mark.parametrize(
    ("change", "line", "key", "message"),
    [
        (
            (
                '{"type":"schedule"',
                '{"type":"op","template":"decode","id":"wide","scope":"once_after","role":"ffn_up","op":"linear","in":8,'
                '"out":"T","deps":["input"]}\n{"type":"schedule"',
            ),
            5,
            "out",
            "do not change with T",
        ),
        (('"kv":"bf16"', '"kv":"fp32"'), 1, "data_types.kv", "no memory here multiplies it as K and V"),
    ],
)
def test_what_cannot_be_replayed_is_refused_with_its_place(
    write: Write, change: tuple[str, str], line: int, key: str, message: str
) -> None:
    trace = loaded(write, change)
    with pytest.raises(InputError) as caught:
        workload_of(trace)
    [problem] = caught.value.problems
    assert (problem.line, problem.key) == (line, key)
    assert message in problem.message
    assert problem.column > 1


@pytest.mark.parametrize(("kv_len", "slope", "constant"), [("2*T", 2, 0), ("T-3", 1, -3), ("7", 0, 7), ("T+Q", 1, 1)])
def test_any_number_of_tokens_is_attended_to(write: Write, kv_len: str, slope: int, constant: int) -> None:
    trace = loaded(write, ('"kv_len":"T"', f'"kv_len":"{kv_len}"'), ('"T":"step+1"', '"T":"step+9"'))
    attention = next(o for o in workload_of(trace).operators if o.op == "attention")
    assert (attention.kv_slope, attention.kv_constant) == (slope, constant)


def test_each_group_of_heads_is_an_attention(write: Write) -> None:
    groups = '"head_groups":[{"heads":1,"kv_heads":1,"head_dim":4,"kv_len":"T"},{"heads":1'
    trace = loaded(
        write,
        ('"head_groups":[{"heads":2', groups),
        ('"kv_heads":2,"head_dim":4,"kv_len"', '"kv_heads":1,"head_dim":4,"kv_len"'),
    )
    workload = workload_of(trace)
    attentions = [o for o in workload.operators if o.op == "attention"]
    assert [(o.name, o.inputs, o.outputs, o.heads) for o in attentions] == [
        ("attention.0", 12, 4, 1),
        ("attention.1", 12, 4, 1),
    ]
