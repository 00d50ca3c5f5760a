"""What an operator of 1.1 costs, counted by hand: two sequences of three tokens, the newest at context 10."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pimsim.workload.trace.cost import OperatorCost, cost_of, operator_of
from pimsim.workload.trace.expr import Expr, parse
from pimsim.workload.trace.reader import load_trace
from pimsim.workload.trace.records import Header, HeadGroup, ModelInfo, OpRecord, Table, Template
from tests.conftest import Write
from tests.trace.latest import lines, text_of

HEADER = Header(ModelInfo("m", "m", 1, 8, 2, 1, 4, 8, 8, 8))
AT = {"T": 10, "B": 2, "Q": 3, "S": 5}
B, Q, T, S = 2, 3, 10, 5
BYTES = 2  # of a number
OPERATIONS = 6  # of a score, beside its products: scale, compare, subtract, exp, sum, divide


def attention(taken: int = 16, kv_len: str = "T", **more: Any) -> OpRecord:
    """Two heads of four elements with one head of K and V: 8 elements of queries, 8 of K and V."""
    groups = more.pop("groups", (HeadGroup(2, 1, 4, parse(kv_len)),))
    out = more.pop("out", 8)
    return OpRecord("t", "x", "block", "attn", "attention", Expr(taken), Expr(out), head_groups=groups, **more)


def scores(*seen: int) -> dict[str, int]:
    """Operations of two sequences whose tokens see so many tokens each: two heads, eight products a score."""
    matrix = B * sum(seen) * 2 * 2 * 8
    return {"flops": matrix + B * sum(seen) * 2 * OPERATIONS, "matrix_flops": matrix}


def cache(read: int, written: int, token: int = 8) -> dict[str, int]:
    """Bytes of K and V: tokens of a sequence that are read, and that are added."""
    return {"kv_bytes": B * read * token * BYTES, "moved_bytes": B * (read + written) * token * BYTES}


ATTENTIONS: dict[str, tuple[OpRecord, dict[str, int]]] = {
    "each sees itself and those before it": (attention(), scores(8, 9, 10) | cache(10, 3)),
    "causal, as it says": (attention(mask="causal"), scores(8, 9, 10) | cache(10, 3)),
    "of a tree, of which nothing is known": (attention(mask="tree"), scores(8, 9, 10) | cache(10, 3)),
    "each sees the whole step": (attention(mask="block"), scores(10, 10, 10) | cache(10, 3)),
    "nothing is kept": (attention(append=False), scores(10, 10, 10) | cache(10, 0)),
    "K and V are there": (attention(8, "S"), scores(5, 5, 5) | cache(5, 0)),
    "K and V of all of T are there": (attention(8), scores(10, 10, 10) | cache(10, 0)),
    "K and V are made of other vectors": (attention(kv_len="S", appended=parse("S")), scores(5, 5, 5) | cache(5, 5)),
    "a window": (attention(window=4), scores(4, 4, 4) | cache(4, 3)),
    "sinks and a window": (attention(window=7, sinks=2), scores(8, 9, 9) | cache(9, 3)),
    "some of T": (attention(kv_len="T-4"), scores(4, 5, 6) | cache(6, 3)),
    "twice T": (attention(kv_len="2*T+Q"), scores(19, 21, 23) | cache(23, 3)),
    "always as many": (attention(kv_len="4"), scores(4, 4, 4) | cache(4, 3)),
    "five queries": (attention(8, "S", tokens=parse("S")), scores(5, 5, 5, 5, 5) | cache(5, 0)),
    "five tokens": (attention(tokens=parse("S")), scores(6, 7, 8, 9, 10) | cache(10, 5)),
    "one of a sequence": (attention(per="sequence"), scores(10) | cache(10, 1)),
}


@pytest.mark.parametrize("name", ATTENTIONS)
def test_attentions_cost_what_their_tokens_see(name: str) -> None:
    record, expected = ATTENTIONS[name]
    assert cost_of(record, HEADER, AT) == OperatorCost(**expected)


def test_a_latent_v_is_smaller_than_its_k() -> None:
    """K of six elements whose first four are V: it is read, and written, as K and as V."""
    record = attention(18, out=8, groups=(HeadGroup(2, 1, 6, parse("T"), 4),))
    products = B * 2 * (6 + 4) * (8 + 9 + 10)
    cost = cost_of(record, HEADER, AT)
    assert (cost.matrix_flops, cost.flops) == (2 * products, 2 * products + OPERATIONS * B * 2 * 27)
    assert (cost.kv_bytes, cost.moved_bytes) == (B * 10 * 10 * BYTES, B * 13 * 10 * BYTES)


def test_groups_of_heads_each_see_their_own() -> None:
    groups = (HeadGroup(1, 1, 4, parse("T")), HeadGroup(1, 1, 4, parse("3")))
    cost = cost_of(attention(24, groups=groups), HEADER, AT)
    products = B * 8 * (8 + 9 + 10 + 3 + 3 + 3)
    assert (cost.matrix_flops, cost.flops) == (2 * products, 2 * products + OPERATIONS * products // 8)
    assert (cost.kv_bytes, cost.moved_bytes) == (B * 8 * (10 + 3) * BYTES, B * 8 * (10 + 3 + 2 * 3) * BYTES)


def keeps_state(op: str, taken: int, **more: Any) -> OpRecord:
    return OpRecord("t", "x", "block", "ssm", op, Expr(taken), Expr(16), **more)


@pytest.mark.parametrize(
    ("record", "operations", "state", "weights"),
    [
        (keeps_state("conv", 16, kernel=4), (2 * 4 - 1) * 16, 3 * 16, 4 * 16),
        (keeps_state("conv", 16, kernel=1), 16, 0, 16),
        (keeps_state("ssm_update", 64), 7 * 64, 64, 0),
        (keeps_state("ssm_update", 64, state="sram"), 7 * 64, 64, 0),
    ],
)
def test_states_are_read_and_written_once_for_all_tokens_of_a_sequence(
    record: OpRecord, operations: int, state: int, weights: int
) -> None:
    """By a machine that only stores, whatever `state` says."""
    moved = (B * 2 * state + weights) * BYTES
    expected = OperatorCost(flops=B * Q * operations, weights=weights, weight_bytes=weights * BYTES, moved_bytes=moved)
    assert cost_of(record, HEADER, AT) == expected


def test_an_operator_runs_for_the_vectors_that_it_takes() -> None:
    own = OpRecord("t", "x", "block", "qkv", "linear", Expr(8), Expr(16))
    other = OpRecord("t", "x", "block", "qkv", "linear", Expr(8), Expr(16), tokens=parse("2*S"))
    assert cost_of(own, HEADER, AT).flops == B * Q * 2 * 8 * 16
    assert cost_of(other, HEADER, AT).flops == B * 2 * S * 2 * 8 * 16
    assert cost_of(other, HEADER, AT).moved_bytes == cost_of(own, HEADER, AT).moved_bytes == 8 * 16 * BYTES


def test_tables_are_read_for_each_vector() -> None:
    tables = (Table("", 32),)
    record = OpRecord("t", "x", "once_before", "embed", "embedding", Expr(32), Expr(8), tables=tables, tokens=Expr(7))
    assert cost_of(record, HEADER, AT).moved_bytes == B * 7 * 8 * BYTES


def test_the_context_of_an_operator_is_open() -> None:
    """A graph is made without a value of T, unless a size depends on it."""
    record = attention(kv_len="2*T-S")
    [group] = record.head_groups
    made = operator_of(record, {"S": 5, "Q": 1, "B": 1}, group)
    assert (made.kv_slope, made.kv_constant, made.append) == (2, -5, True)
    assert not operator_of(attention(8, "S"), {"S": 5}, HeadGroup(2, 1, 4, parse("S"))).append


def test_a_file_and_its_records_say_the_same_of_what_is_appended(write: Write) -> None:
    """A template made of records, and one that is read line by line."""
    trace = load_trace(write(text_of(lines()), "t.jsonl"))
    template = trace.template("remember")
    plain = tuple(replace(op, appended=None) for op in template.ops)
    assert [op.appended for op in Template("remember", 1, 2, plain).ops] == [op.appended for op in template.ops]
    assert template.ops[-1].appended == parse("S")


@pytest.mark.parametrize(
    ("query", "made", "appended"),
    [(None, None, None), ("1", None, "Q"), (None, "S", "S"), ("S", "S", None), ("Q", None, None), ("1", "S", "S")],
)
def test_what_is_no_query_makes_k_and_v(query: str | None, made: str | None, appended: str | None) -> None:
    def op(id: str, kind: str, tokens: str | None, deps: tuple[str, ...]) -> OpRecord:
        vectors = parse(tokens) if tokens else None
        return OpRecord("t", id, "block", "attn", kind, Expr(8), Expr(8), deps=deps, tokens=vectors)

    ops = (op("q", "linear", query, ()), op("kv", "linear", made, ()), op("x", "attention", query, ("q", "kv")))
    assert Template("t", 1, 1, ops).ops[-1].appended == (parse(appended) if appended else None)
