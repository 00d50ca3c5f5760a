"""What is wrong with a trace is told with its line, column and key: all of it, and nothing that follows from it."""

from __future__ import annotations

import gzip

import pytest

from pimsim.errors import InputError, Problem
from pimsim.workload.trace import reader, rules
from pimsim.workload.trace.reader import load_trace
from tests.conftest import Write
from tests.trace.traces import SMALL, TRACES, text_of


def problems_of(write: Write, text: str | bytes, name: str = "t.jsonl") -> tuple[Problem, ...]:
    """Everything that is wrong with a file."""
    with pytest.raises(InputError) as caught:
        load_trace(write(text, name))
    return caught.value.problems


def test_the_small_trace_is_right(write: Write) -> None:
    assert load_trace(write(text_of(), "t.jsonl")).schedule[0].last == 3


@pytest.mark.parametrize(
    ("old", "new", "line", "key", "message"),
    [
        # what a line says of itself
        ('"role":"qkv"', '"role":"qvk"', 3, "role", "unknown role 'qvk'; did you mean 'qkv'?"),
        ('"op":"linear"', '"op":"linaer"', 3, "op", "unknown operator 'linaer'; did you mean 'linear'?"),
        ('"scope":"block","role":"qkv"', '"scope":"blok","role":"qkv"', 3, "scope", "did you mean 'block'?"),
        ('"in":8', '"in":-8', 3, "in", "must be at least 1, not -8"),
        ('"in":8', '"in":true', 3, "in", "must be an integer or an expression, not true"),
        ('"in":8', '"in":1.5', 3, "in", "must be an integer or an expression, not 1.5"),
        ('"in":8,', "", 3, "in", "is missing"),
        ('"bias":true', '"bias":1', 3, "weight.bias", "must be true or false, not 1"),
        ('"weight":{"bias":true}', '"weight":[]', 3, "weight", "must be an object, not a list"),
        ('"kv_len":"T"', '"kv_len":"T*T"', 4, "head_groups.0.kv_len", "is not affine"),
        ('"steps":4', '"steps":[3,1]', 5, "steps", "the first step 3 is behind the last 1"),
        ('"steps":4', '"steps":[1]', 5, "steps", "[first, last], not a list of 1"),
        ('"phase":"decode"', '"phase":"decoed"', 5, "phase", "did you mean 'decode'?"),
        ('"type":"schedule"', '"type":"shedule"', 5, "type", "did you mean 'schedule'?"),
        ('"kv":"bf16"', '"kv":"bf61"', 1, "data_types.kv", "did you mean 'bf16'?"),
        ('"version":"1.0"', '"version":"2.0"', 1, "version", "2.0 is not supported"),
        ('"version":"1.0"', '"version":1', 1, "version", "must be text such as 1.0"),
        ('"in":8,', '"in":8,"in":8,', 3, "in", "duplicate key, first given in column"),
        ('"in":8,', '"in":8 ', 3, "", "not JSON: expecting ',' delimiter"),
        ('"in":8', '"in":NaN', 3, "", "NaN is not a finite number"),
        ('"in":8', '"in":1e999', 3, "", "1e999 is not a finite number"),
        ('"in":8', '"in":' + "1" * 5000, 3, "", "a number with too many digits"),
        ('"in":8', '"in":' + "[" * 21 + "]" * 21, 3, "", "is nested too deeply"),
        # what lines say of each other
        ('"deps":["qkv"]', '"deps":["qvk"]', 4, "deps.0", "no operator 'qvk' in the template; did you mean 'qkv'?"),
        ('"deps":["input"]', '"deps":["attention"]', 3, "deps.0", "cycle: qkv -> attention -> qkv"),
        ('"deps":["qkv"]', '"deps":["attention"]', 4, "deps.0", "cycle: attention depends on itself"),
        ('"deps":["qkv"]', '"deps":["qkv","qkv"]', 4, "deps.1", "'qkv' is there twice"),
        ('"block","role":"qkv"', '"once_before","role":"qkv"', 4, "deps.0", "'qkv' is in scope once_before"),
        ('"id":"attention"', '"id":"qkv"', 4, "id", "'qkv' is taken by line 3"),
        ('"id":"attention"', '"id":"input"', 4, "id", "'input' means what enters the scope"),
        ('"kv_len":"T"', '"kv_len":"T+S"', 4, "head_groups.0.kv_len", "symbol 'S' is not declared"),
        ('"kv_len":"T"', '"kv_len":"T-2"', 4, "head_groups.0.kv_len", "T-2 is -1 at T=1, B=1, Q=1 (line 5, step 0)"),
        ('"kv_len":"T"', '"kv_len":"3-T"', 4, "head_groups.0.kv_len", "-T+3 is -1 at T=4, B=1, Q=1 (line 5, step 3)"),
        ('[{"heads":2,"kv_heads":2', '[{"heads":2,"kv_heads":3', 4, "head_groups", "kv_heads must divide heads"),
        ('"out":8', '"out":9', 4, "out", "outputs must be heads * head_dim"),
        ('"op":"linear"', '"op":"rmsnorm"', 3, "weight.bias", "bias means nothing to 'rmsnorm'"),
        ('"op":"attention","in":24', '"op":"linear","in":24', 4, "head_groups", "mean nothing to 'linear'"),
        ('"bias":true', '"tied":"embed"', 3, "weight.tied", "'embed' is no embedding before it"),
        ('"template":"decode","id":"qkv"', '"template":"decoed","id":"qkv"', 3, "template", "did you mean 'decode'?"),
        ('"count":2', '"count":3', 2, "repeat", "1 x 3 layers, but the model has 2"),
        ('"steps":4,"template":"decode"', '"steps":4,"template":"code"', 5, "template", "did you mean 'decode'?"),
        ('"Q":1}}', '"Q":2}}', 5, "bindings", "2 query tokens, but a context of 1 at step 0"),
        ('"B":1,"Q":1', '"Q":1', 5, "bindings.B", "is missing"),
        ('"B":1,', '"B":1,"C":1,', 5, "bindings.C", "symbol 'C' is not declared"),
        ('"T":"step+1"', '"T":"B+1"', 5, "bindings.T", "a binding depends on `step` only"),
        ('"T":"step+1"', '"T":"step-1"', 5, "bindings", "T is -1 at step 0"),
        ('"Q":1}}', '"Q":1},"accept":2}', 5, "accept", "2, but step 0 has 1 query tokens"),
        ('"Q":1}}', '"Q":1},"layers":3}', 5, "layers", "3, but the model has 2"),
        ('"symbols":{"T":"",', '"symbols":{', 1, "symbols.T", "is missing: context"),
        ('"symbols":{"T":""', '"symbols":{"step":"","T":""', 1, "symbols.step", "is the number of a step"),
        ('"max_positions":64', '"max_positions":64,"parameters":9', 1, "model.parameters", "9, but the operators of"),
        ('"layers":2', f'"layers":2,"config_sha256":"{"0" * 64}"', 1, "model.config_sha256", "is not that of"),
        ('true},', 'true},"experts":{"count":4,"active":2},', 3, "experts", "must be in the header's `routing`"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_place(write: Write, old: str, new: str, line: int, key: str, message: str) -> None:
    text = text_of((old, new))
    found = [p for p in problems_of(write, text) if message in p.message]
    assert [(p.line, p.key) for p in found] == [(line, key)]


def test_one_mistake_is_one_problem(write: Write) -> None:
    path = TRACES / "gpt2-small.jsonl"
    text = path.read_text(encoding="utf-8").replace('"op":"layernorm"', '"op":"layrenorm"', 1)
    [problem] = problems_of(write, text)
    assert str(problem).endswith("t.jsonl:4:86: op: unknown operator 'layrenorm'; did you mean 'layernorm'?")


def test_all_mistakes_are_told_at_once_in_the_order_of_lines(write: Write) -> None:
    text = text_of(('"in":8', '"in":0'), ('"kv_len":"T"', '"kv_len":"X"'), ('"steps":4', '"steps":0'))
    assert [(p.line, p.key) for p in problems_of(write, text)] == [(3, "in"), (4, "head_groups.0.kv_len"), (5, "steps")]


def test_columns_are_those_of_the_value_and_of_the_place_in_an_expression(write: Write) -> None:
    [problem] = problems_of(write, text_of(('"kv_len":"T"', '"kv_len":"2*T*B"')))
    line = text_of(('"kv_len":"T"', '"kv_len":"2*T*B"')).splitlines()[3]
    assert line[problem.column - 1] == "B"


@pytest.mark.parametrize("key", ["flops", "matrix_flops", "weight_bytes", "kv_bytes"])
def test_checks_are_computed_again_and_must_agree(write: Write, key: str) -> None:
    text = (TRACES / "gpt2-small.jsonl").read_text(encoding="utf-8")
    [problem] = problems_of(write, text.replace(f'"{key}":', f'"{key}":1'))
    assert problem.key == f"checks.0.{key}"
    assert "but the operators make" in problem.message


def test_a_second_header_is_refused(write: Write) -> None:
    [problem] = problems_of(write, text_of(lines=(*SMALL, SMALL[0])))
    assert (problem.line, problem.key) == (6, "type")


@pytest.mark.parametrize("text", ["", "\n\n", '{"type":"op"}', "[]", '{"type":"header","format":"chakra"}', "{}"])
def test_a_file_without_its_header_is_refused(write: Write, text: str) -> None:
    [problem] = problems_of(write, text)
    assert problem.line == 1


def test_templates_without_operators_and_traces_without_templates_are_refused(write: Write) -> None:
    assert "no template follows" in problems_of(write, SMALL[0])[0].message
    assert "has no operators" in problems_of(write, "\n".join(SMALL[:2]))[0].message


def test_truncated_gzip_is_told_where_it_breaks(write: Write) -> None:
    whole = gzip.compress((TRACES / "gpt2-small.jsonl").read_bytes())
    problems = problems_of(write, whole[: len(whole) // 2], "t.jsonl.gz")
    assert problems[-1].message == "truncated or damaged gzip: the file is cut off"
    assert problems[-1].line > 1 and problems[-1].column > 1


def test_a_damaged_checksum_and_what_is_no_gzip_are_refused(write: Write) -> None:
    whole = bytearray(gzip.compress(text_of().encode()))
    whole[-8] ^= 1
    assert "damaged gzip" in problems_of(write, bytes(whole), "t.gz")[0].message
    assert "damaged gzip" in problems_of(write, text_of(), "u.gz")[0].message


def test_bytes_that_are_not_utf8_have_a_column(write: Write) -> None:
    data = text_of(('"name":"tiny"', '"name":"t?ny"')).encode().replace(b"t?ny", b"t\xffny")
    problem = problems_of(write, data)[0]
    assert (problem.line, problem.message) == (1, "not UTF-8: byte 0xff")
    assert data[problem.column - 1] == 0xFF


def test_limits_keep_memory_bounded(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "MOST_OPS", 1)
    assert "more than 1 operators in a template" in problems_of(write, text_of())[0].message
    monkeypatch.setattr(rules, "MOST_TEMPLATES", 0)
    assert "more than 0 templates" in problems_of(write, text_of())[0].message
    long = text_of(('"id":"decode"', '"id":"' + "x" * (2 << 20) + '"'))
    assert "a line of more than 1048576 bytes" in problems_of(write, long)[0].message


def test_problems_that_are_too_many_are_not_listed(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "MOST_PROBLEMS", 3)
    problems = problems_of(write, text_of(lines=(SMALL[0], *["{}"] * 10)))
    assert len(problems) == 4
    assert problems[-1].message == "more than 3 problems; from here on they are not listed"
