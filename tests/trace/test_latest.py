"""pimsim-trace 1.1: every key is read, checked, shown and written again; what is wrong has its place and the fix."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner

from pimsim.cli import cli
from pimsim.errors import InputError, Problem
from pimsim.workload.trace import lines as lines_module
from pimsim.workload.trace.expr import Expr
from pimsim.workload.trace.reader import load_trace
from pimsim.workload.trace.records import Acceptance, Trace
from pimsim.workload.trace.schema import json_schema
from pimsim.workload.trace.writer import dump_trace
from pimsim.workload.trees import depths_of, is_chain, wrong_tree
from tests.conftest import Write
from tests.trace.latest import attention, lines, model, op, schedule, template, text_of
from tests.trace.traces import TRACES
from tests.trace.traces import text_of as small

Line = dict[str, Any]
Change = Callable[[list[Line]], None]


def read(write: Write, *changes: Change) -> Trace:
    """The trace of every key, changed."""
    return load_trace(write(text_of(changed(*changes)), "t.jsonl"))


def changed(*changes: Change) -> list[Line]:
    made = lines()
    for change in changes:
        change(made)
    return made


def problems_of(write: Write, made: list[Line]) -> list[Problem]:
    try:
        load_trace(write(text_of(made), "t.jsonl"))
    except InputError as error:
        return list(error.problems)
    return []


# ---- read and written


def test_every_key_is_read_and_written_again(write: Write) -> None:
    trace = read(write)
    assert trace.warnings == ()
    assert dump_trace(trace) == text_of(lines())


def test_the_trace_of_every_key_has_every_key() -> None:
    """What 1.1 added is in it, so that the tests above say something of each key."""
    said = [key for line in lines() for key in _keys(line)]
    later = {
        "model",
        "weights_of",
        "append",
        "cache",
        "sinks",
        "mask",
        "value_dim",
        "kernel",
        "tokens",
        "state",
        "take",
    }
    later |= {"scale_bits", "zero_bits", "mean", "positions", "cycle", "tree", "fork", "reorder", "accept", "layers"}
    assert later <= set(said)


def _keys(value: Any) -> list[str]:
    if isinstance(value, list):
        return [key for item in value for key in _keys(item)]
    return [*value, *(key for item in value.values() for key in _keys(item))] if isinstance(value, dict) else []


def test_the_schema_holds_for_every_key() -> None:
    schema = jsonschema.Draft202012Validator(json_schema())
    for line in lines():
        schema.validate(line)


def test_acceptance_is_exactly_what_its_text_says(write: Write) -> None:
    accepts = [line.accept for line in read(write).schedule if isinstance(line.accept, Acceptance)]
    positions = (Fraction(73, 100), Fraction(52, 100), Fraction(35, 100))
    assert accepts == [Acceptance(Fraction(232, 100)), Acceptance(Fraction(260, 100), positions)]


def test_what_makes_k_and_v_says_how_many_are_added(write: Write) -> None:
    trace = read(write)
    added = {(op.template, op.id): op.appended for t in trace.templates for op in t.ops if op.op == "attention"}
    assert added.pop(("remember", "cross")) == Expr(0, (("S", 1),))
    assert set(added.values()) == {None}


def test_a_file_of_1_0_with_keys_of_1_1_is_read_without_a_warning_and_written_as_1_1(write: Write) -> None:
    trace = read(write, lambda made: made[0].update(version="1.0"))
    assert (trace.warnings, trace.header.version) == ((), "1.0")
    assert dump_trace(trace) == text_of(lines())


LATER: list[tuple[str, str]] = [
    ('"weight":{"bias":true}', '"weight":{"bias":true,"group":8,"scale_bits":16}'),
    ('"deps":["qkv"]', '"mask":"block","deps":["qkv"]'),
    ('"deps":["qkv"]', '"append":false,"deps":["qkv"]'),
    ('"deps":["qkv"]', '"cache":"x","deps":["qkv"]'),
    ('"deps":["qkv"]', '"window":4,"sinks":1,"deps":["qkv"]'),
    ('"deps":["qkv"]', '"deps":["qkv"],"tokens":"Q"'),
    ('"kv_len":"T"', '"kv_len":"T","value_dim":4'),
    ('"count":2}', '"count":2},"model":{"name":"other"}'),
    ('"kv":"bf16"', '"kv":"fp8_e5m2"'),
    ('"Q":1}}', '"Q":1},"cycle":"x"}'),
    ('"Q":1}}', '"Q":1},"tree":[-1]}'),
    ('"Q":1}}', '"Q":1},"fork":1}'),
    ('"Q":1}}', '"Q":1},"reorder":0.5}'),
    ('"Q":1}}', '"Q":1},"accept":{"mean":0.5}}'),
    ('"Q":1}}', '"Q":1},"layers":[1]}'),
]


@pytest.mark.parametrize("change", LATER, ids=[new for _, new in LATER])
def test_what_came_later_makes_a_file_of_1_1(write: Write, change: tuple[str, str]) -> None:
    trace = load_trace(write(small(change), "t.jsonl"))
    assert '"version":"1.1"' in dump_trace(trace).splitlines()[0]


def test_what_was_there_in_1_0_stays_in_a_file_of_1_0(write: Write) -> None:
    old = ('"Q":1}}', '"Q":1},"accept":1,"layers":1}'), ('"deps":["qkv"]', '"deps":["qkv"],"take":{"qkv":[0,24]}')
    trace = load_trace(write(small(*old), "t.jsonl"))
    assert '"version":"1.0"' in dump_trace(trace).splitlines()[0]
    newer = replace(trace, header=replace(trace.header, version="1.1"))
    assert '"version":"1.1"' in dump_trace(newer).splitlines()[0]


def test_a_model_of_a_template_is_as_the_headers_but_for_what_it_says(write: Write) -> None:
    trace = load_trace(write(small(('"count":2}', '"count":2},"model":{"name":"other","vocabulary":9}')), "t.jsonl"))
    [only] = trace.templates
    assert only.model == replace(trace.header.model, name="other", vocabulary=9) == trace.model_of(only)


def test_unknown_keys_in_an_acceptance_are_kept_and_told(write: Write) -> None:
    trace = load_trace(write(small(('"Q":1}}', '"Q":1},"accept":{"mean":0.5,"maen":1}}')), "t.jsonl"))
    assert [(warning.line, warning.key) for warning in trace.warnings] == [(5, "accept.maen")]
    assert '"accept":{"mean":0.5,"maen":1}' in dump_trace(trace)


# ---- what is wrong


def ran(number: int, **values: Any) -> Change:
    """Other values of a line of the schedule, from 0; None: without the key."""

    def apply(made: list[Line]) -> None:
        line = [each for each in made if each["type"] == "schedule"][number]
        for key, value in values.items():
            if value is None:
                del line[key]
            elif key == "bindings":
                line[key] = {**line[key], **value}
            else:
                line[key] = value

    return apply


def said(owner: str, id: str, **values: Any) -> Change:
    """Other values of an operator; `in_` is `in`."""

    def apply(made: list[Line]) -> None:
        line = next(each for each in made if (each.get("template"), each.get("id")) == (owner, id))
        line |= {key.rstrip("_"): value for key, value in values.items()}

    return apply


def of(owner: str, **values: Any) -> Change:
    """Other values of a template."""

    def apply(made: list[Line]) -> None:
        line = next(each for each in made if (each["type"], each.get("id")) == ("template", owner))
        line |= values

    return apply


def behind(*more: Line) -> Change:
    return lambda made: made.extend(more)


ENCODE, REMEMBER, DECODE, STATE, DRAFT, VERIFY, TWO, BEAMS, LAST = range(9)
_BEAM = {"T": 50, "B": 4, "Q": 1, "S": 6}
NOTHING = {"heads": 2, "kv_heads": 2, "head_dim": 4, "kv_len": "T"}

# What is changed; which line is wrong (of the schedule, or template and operator), the key, and what is said.
WRONG: list[tuple[Change, Any, str, str]] = [
    # kept above Q
    (ran(VERIFY, accept=5, tree=None), VERIFY, "accept", "5, but step 0 has 4 query tokens, and keeps no more"),
    (ran(VERIFY, accept={"mean": 4.5}, tree=None), VERIFY, "accept.mean", "4.5, but step 0 has 4 query tokens"),
    (ran(TWO, accept={"positions": [0.5] * 4}), TWO, "accept.positions", "has 4, but step 0 has 4 query tokens, of"),
    (ran(TWO, accept={"positions": [0.5, 0.6]}), TWO, "accept.positions.1", "0.6 is more than 0.5 before it: a draft"),
    (ran(TWO, accept={"positions": [1.5]}), TWO, "accept.positions.0", "must be from 0 to 1, not 1.5"),
    (ran(TWO, accept={"positions": [-0.5]}), TWO, "accept.positions.0", "must be from 0 to 1, not -0.5"),
    (ran(TWO, accept={"positions": []}), TWO, "accept.positions", "must have at least 1 element"),
    (ran(TWO, accept={"mean": 1, "positions": [0.5]}), TWO, "accept", "must have one of mean and positions"),
    (ran(TWO, accept={}), TWO, "accept", "must have one of mean and positions"),
    (ran(TWO, accept="all"), TWO, "accept", "must be an integer, not 'all'"),
    (ran(TWO, accept={"mean": -1}), TWO, "accept.mean", "must be from 0 to"),
    # trees
    (ran(VERIFY, tree=[-1, 2, 1, 0]), VERIFY, "tree.1", "1, 2 follow each other in a cycle"),
    (ran(VERIFY, tree=[-1, 1, 0, 0]), VERIFY, "tree.1", "1 follows itself; a token follows one that a path from -1"),
    (ran(VERIFY, tree=[-1, 2, 0, 0]), VERIFY, "tree.1", "2 stands behind 1; a token follows one that stands before it"),
    (ran(VERIFY, tree=[-1, 0, 0, 4]), VERIFY, "tree.3", "4 is no token of the step, which has 0 to 3 (-1: it follows"),
    (ran(VERIFY, tree=[-1, -2, 0, 0]), VERIFY, "tree.1", "must be at least -1, not -2"),
    (ran(VERIFY, tree=[-1, 0, 1]), VERIFY, "tree", "has 3 tokens, but step 0 has 4: one for each of Q"),
    (ran(VERIFY, tree=[]), VERIFY, "tree", "must have at least 1 element"),
    (ran(VERIFY, accept=4), VERIFY, "accept", "4, but the longest path of the tree has 3 tokens"),
    (ran(VERIFY, accept=None), VERIFY, "accept", "is missing: a step would keep all 4 tokens, but the longest path"),
    (ran(VERIFY, accept={"mean": 3.5}), VERIFY, "accept.mean", "3.5, but the longest path of the tree has 3 tokens"),
    (ran(VERIFY, accept={"positions": [0.5] * 3}), VERIFY, "accept.positions", "has 3, but the longest path of the"),
    # masks
    (ran(VERIFY, tree=None), VERIFY, "tree", "is missing: the mask of 'attention' is tree; say which token follows"),
    (said("latent", "attention", mask="causal"), ("latent", "attention"), "mask", "is causal, but line"),
    (said("latent", "attention", mask="block"), ("latent", "attention"), "mask", "has a tree: say tree, or nothing"),
    (said("latent", "attention", mask="tre"), ("latent", "attention"), "mask", "did you mean 'tree'?"),
    # forks
    (ran(LAST, fork=2, bindings={"B": 2}), LAST, "fork", "is 2, but line 37 has 4 sequences: a fork shares"),
    (ran(BEAMS, bindings={"B": 3}), BEAMS, "bindings.B", "is 3, but after `fork` there are 4 sequences; say 4"),
    (ran(LAST, bindings={"B": 5}), LAST, "bindings.B", "is 5, but line 37 has 4, and it goes on from there; say"),
    # cycles
    (ran(DECODE, bindings={"T": "kept+2"}), DECODE, "bindings.T", "`kept` counts what a cycle keeps: name the `cycle`"),
    (ran(TWO, bindings={"T": "keep+10"}), TWO, "bindings.T", "symbol 'keep': a binding depends on `step` and `kept`"),
    (ran(DRAFT, steps=[0, 6]), DRAFT, "steps", "7, but the cycle passes 3 times (line 35): as many, or a multiple, 6"),
    (ran(LAST, cycle="two"), LAST, "cycle", "the cycle 'two' of line 36 has ended; its lines stand one behind the"),
    (ran(VERIFY, bindings={"T": "7-kept"}), VERIFY, "bindings", "but a context of 3 at step 2, kept 4"),
    (lambda made: made[0]["symbols"].update(kept=""), "header", "symbols.kept", "is the number of tokens that a"),
    # layers
    (ran(LAST, layers=3), LAST, "layers", "3, but the model has 2"),
    (ran(LAST, layers=[0, 2]), LAST, "layers.1", "2, but the model has 2: 0 to 1"),
    (ran(LAST, layers=[1, 0]), LAST, "layers.1", "0 stands behind 1; each layer is there once, in their order"),
    (ran(LAST, layers=[1, 1]), LAST, "layers.1", "1 stands behind 1"),
    (ran(LAST, layers=[]), LAST, "layers", "must have at least 1 element"),
    (ran(DRAFT, layers=2), DRAFT, "layers", "2, but the model has 1"),
    # caches and weights
    (said("decode", "cross", cache="memry \u2603"), ("decode", "cross"), "cache", "did you mean 'memory \u2603'?"),
    (said("decode", "cross", cache="elsewhere"), ("decode", "cross"), "cache", "is no attention of the model, and no"),
    (of("latent", weights_of="decod"), "latent", "weights_of", "no template 'decod'; did you mean 'decode'?"),
    (of("streams", weights_of="streams"), "streams", "weights_of", "is the template itself; leave it out"),
    # models
    (of("draft", model=model("draft", layers=1, d_model=8)), "draft", "model.d_model", "is 8, but the vectors between"),
    (of("draft", model=model("draft", layers=2, d_model=4, heads=1, kv_heads=1)), "draft", "repeat", "1 x 1"),
    (
        of("draft", model=model("draft", layers=1, d_model=4, heads=2, kv_heads=1)),
        ("draft", "attention"), "head_groups.0.heads", "1, but the template's model has 2",
    ),
    (of("draft", model={"layers": 1, "d_model": 4, "heads": 3, "kv_heads": 2}), "draft", "model.kv_heads", "do not"),
    (
        of("draft", model={"layers": 1, "d_model": 4, "heads": 1, "kv_heads": 1, "parameters": 9}),
        "draft", "model.parameters", "9, but the operators of 'draft' have 48",
    ),
    (
        of("draft", model=model("draft", layers=1, d_model=4, heads=1, kv_heads=1) | {"config_sha256": "0" * 64}),
        "draft", "model.config_sha256", "is not that of the sizes",
    ),
    # attentions
    (said("decode", "attention", window=0), ("decode", "attention"), "sinks", "sinks mean nothing without a window"),
    (
        said("decode", "attention", head_groups=[{**NOTHING, "kv_len": 4}]),
        ("decode", "attention"), "window", "a number of tokens attended to that is not the context mean nothing",
    ),
    (said("latent", "attention", in_=20), ("latent", "attention"), "in", "(queries, keys and values), or the 12 of"),
    (said("latent", "attention", in_=20), ("latent", "attention"), "in", "or 18 where V is the first elements of K"),
    (said("latent", "attention", out=12), ("latent", "attention"), "out", "outputs must be heads * value_dim"),
    (said("streams", "attention", out=12), ("streams", "attention"), "out", "must be the 8 elements of all"),
    (
        said("streams", "attention", head_groups=[{**NOTHING, "kv_len": "T-9"}]),
        ("streams", "attention"), "head_groups.0.kv_len", "of the first token of a step, -Q+T-8 is -2 at T=10",
    ),
    # what is no attention
    (said("state", "conv", kernel=0), ("state", "conv"), "kernel", "is missing: taps of the convolution"),
    (said("state", "conv", out=8), ("state", "conv"), "out", "conv must have as many outputs as inputs"),
    (said("state", "conv", in_=33, out=33, take={}), ("state", "conv"), "in", "is 33, but 'in_proj' gives 32 elements"),
    (said("state", "conv", state="ram"), ("state", "conv"), "state", "unknown state 'ram'; did you mean 'sram'?"),
    (said("state", "update", in_=65), ("state", "update"), "in", "is 65: a state has the same number of elements"),
    (said("state", "gated", kernel=4), ("state", "gated"), "kernel", "kernel means nothing to 'mul'"),
    # vectors of another number
    (
        said("remember", "cross_q", tokens="S+1"),
        ("remember", "cross"), "deps", "'cross_q' gives S+1 and 'cross_kv' gives S vectors: what is no query makes",
    ),
    (said("remember", "cross_q", tokens="S"), ("remember", "cross"), "tokens", "'cross_kv' gives S vectors"),
    (said("state", "in_proj", tokens=3), ("state", "conv"), "tokens", "say how many it takes, 3 or Q of them"),
    (
        said("state", "update", tokens=3),
        ("state", "gated"), "deps", "'update' gives 3 and 'in_proj' gives Q vectors: only an attention reads both",
    ),
    (said("remember", "cross_kv", tokens="S-6"), ("remember", "cross_kv"), "tokens", "S-6 is 0 at T=1"),
    (said("remember", "cross_kv", tokens="U"), ("remember", "cross_kv"), "tokens", "symbol 'U' is not declared"),
    (said("remember", "cross_kv", tokens=0), ("remember", "cross_kv"), "tokens", "must be at least 1, not 0"),
]  # fmt: skip


def _line_of(made: list[Line], where: Any) -> int:
    """The line that is wrong, from 1."""
    if isinstance(where, int):
        return [i for i, line in enumerate(made, 1) if line["type"] == "schedule"][where]
    names = (where[1], where[0]) if isinstance(where, tuple) else (where, None)
    found = (i for i, line in enumerate(made, 1) if (line.get("id"), line.get("template")) == names)
    return 1 if where == "header" else next(found)


@pytest.mark.parametrize(("change", "where", "key", "message"), WRONG)
def test_what_is_wrong_has_a_place_and_a_fix(write: Write, change: Change, where: Any, key: str, message: str) -> None:
    made = changed(change)
    found = problems_of(write, made)
    told = [problem for problem in found if (problem.line, problem.key) == (_line_of(made, where), key)]
    assert told and any(message in problem.message for problem in told), found
    assert all(problem.column > 1 or "is missing" in problem.message for problem in told)


def test_all_that_is_wrong_is_told_at_once(write: Write) -> None:
    wrong = [ran(TWO, accept={"mean": 9}), ran(LAST, layers=[5]), ran(BEAMS, bindings={"B": 3}), ran(DRAFT, steps=7)]
    found = problems_of(write, changed(*wrong, said("decode", "cross", cache="no")))
    keys = [(13, "cache"), (34, "steps"), (36, "accept.mean"), (37, "bindings.B"), (38, "layers.0")]
    assert [(problem.line, problem.key) for problem in found] == keys


@pytest.mark.parametrize(
    "change",
    [
        ran(VERIFY, accept=4, tree=[-1, 0, 1, 2]),  # a tree that is a chain keeps all
        ran(VERIFY, accept=None, tree=[-1, 0, 1, 2]),
        ran(VERIFY, accept=3),
        ran(VERIFY, accept={"mean": 3}),
        ran(VERIFY, accept={"positions": [1, 1]}),
        ran(VERIFY, tree=[-1, -1, 0, 2]),
        ran(VERIFY, accept=0),
        ran(TWO, accept={"mean": 4}),
        ran(TWO, layers=[0, 1]),
        ran(TWO, layers=2),
        ran(LAST, bindings={"B": 2}),  # the other sequences have ended
        ran(LAST, fork=4),
        ran(LAST, fork=8, bindings={"B": 8}),
        ran(DRAFT, steps=[0, 8]),
        ran(DRAFT, steps=[5, 10]),
        ran(BEAMS, cycle="three", bindings={"T": "kept+10"}),
        ran(STATE, cycle="zero", bindings={"T": "kept+step+7"}),
        said("latent", "attention", mask="tree", in_=18, append=False),
        said("decode", "cross", cache="attention"),
        said("decode", "cross", cache="cross"),
        said("decode", "cross", cache="cross_kv"),  # the product that makes them
        said("decode", "cross", append=False),
        said("state", "conv", take={}),
        said("remember", "cross_q", tokens="Q"),
        of("streams", weights_of="encode"),
        behind(schedule("decode", 1, "decode", {"T": 5, "B": 3, "Q": 1, "S": 6})),  # other sequences, at earlier tokens
    ],
)
def test_what_is_odd_but_agrees_is_a_trace(write: Write, change: Change) -> None:
    made = [{key: value for key, value in line.items() if value != {}} for line in changed(change)]
    assert problems_of(write, made) == []


def test_masks_of_a_chain_are_free(write: Write) -> None:
    for mask in ("causal", "block", "tree"):
        made = changed(said("latent", "attention", mask=mask), ran(VERIFY, tree=[-1, 0, 1, 2]))
        assert problems_of(write, made) == []


def test_sequences_of_another_model_are_its_own(write: Write) -> None:
    made = changed(ran(VERIFY, bindings={"B": 4}), ran(DRAFT, bindings={"B": 2}))
    assert problems_of(write, made) == []


def test_a_file_of_1_0_which_had_no_fork_may_have_more_sequences(write: Write) -> None:
    more = ('"Q":1}}', '"Q":1}}\n{"type":"schedule","phase":"decode","steps":2,"template":"decode",'
            '"bindings":{"T":"step+5","B":3,"Q":1}}')  # fmt: skip
    assert len(load_trace(write(small(more), "t.jsonl")).schedule) == 2
    with pytest.raises(InputError, match="say `fork`: 3"):
        load_trace(write(small(more, ('"version":"1.0"', '"version":"1.1"')), "t.jsonl"))


def words(owner: str, rows: int) -> Change:
    """A token table, so that the words of a template's model matter."""

    def apply(made: list[Line]) -> None:
        at = next(i for i, line in enumerate(made) if (line["type"], line.get("id")) == ("template", owner))
        size = made[at + 1]["in"]
        made.insert(
            at + 1, op(owner, "embed", "embed", "embedding", rows, size, [], tables=[{"name": "t", "rows": rows}])
        )
        made[at + 1]["scope"] = "once_before"

    return apply


def draft(vocabulary: int) -> Change:
    return of("draft", model=model("draft", layers=1, d_model=4, heads=1, kv_heads=1, vocabulary=vocabulary))


def test_a_draft_has_the_vocabulary_of_what_verifies_it(write: Write) -> None:
    made = changed(draft(33), words("draft", 33), words("latent", 32))
    [problem] = problems_of(write, made)
    assert (problem.line, problem.key) == (_line_of(made, "draft"), "model.vocabulary")
    assert problem.message == (
        "is 33, but line 36 of the schedule runs it with 'latent', whose model has 32: "
        "a draft has the vocabulary of the model that verifies it"
    )


def test_a_draft_without_words_of_its_own_has_none_to_agree(write: Write) -> None:
    assert problems_of(write, changed(draft(33), words("latent", 32))) == []
    assert problems_of(write, changed(draft(32), words("draft", 32), words("latent", 32))) == []


def test_lines_outside_of_a_cycle_draft_as_well(write: Write) -> None:
    plain = {"T": 50, "B": 1, "Q": 1, "S": 6}
    changes = (draft(33), words("draft", 33), words("streams", 32))
    lone = [ran(number, cycle=None, bindings={"T": 12}) for number in (DRAFT, VERIFY)]
    more = behind(schedule("decode", 1, "draft", plain, accept=0), schedule("decode", 1, "streams", plain))
    [problem] = problems_of(write, changed(*changes, *lone, more))
    assert problem.key == "model.vocabulary"
    kept = behind(schedule("decode", 1, "draft", plain), schedule("decode", 1, "streams", plain))
    assert problems_of(write, changed(*changes, *lone, ran(DRAFT, accept=None), kept)) == []


def test_blocks_of_several_layers_run_as_a_whole(write: Write) -> None:
    two = [
        template("pairs", 1) | {"repeat": {"layers": 2, "count": 1}},
        op("pairs", "one", "qkv", "linear", 8, 24, ["input"]),
        attention("pairs", 24, ["one"], id="first"),
        op("pairs", "two", "qkv", "linear", 8, 24, ["first"]),
        attention("pairs", 24, ["two"], id="second"),
    ]

    def problems(layers: Any) -> list[Problem]:
        made = lines()
        made[1:1] = two
        made.append(schedule("decode", 1, "pairs", {"T": 50, "B": 4, "Q": 1, "S": 6}, layers=layers))
        return problems_of(write, made)

    spans = "a block of 'pairs' is 2 layers, which run together"
    assert [problem.message for problem in problems(1)] == [f"1, but {spans}: 2"]
    assert [problem.message for problem in problems([1])] == [
        f"{spans}: 0 run with those that are there; add them, or leave the block out"
    ]
    assert problems(2) == problems([0, 1]) == []


def test_a_line_that_is_wrong_says_nothing_of_the_others_of_its_cycle(write: Write) -> None:
    made = changed(ran(DRAFT, steps=[0, 6]), ran(VERIFY, phase="decod"))
    assert [problem.key for problem in problems_of(write, made)] == ["phase"]
    made = changed(ran(DRAFT, phase="decod"), ran(VERIFY, steps=[0, 6]))
    assert [problem.key for problem in problems_of(write, made)] == ["phase"]


def test_a_cycle_has_a_bounded_number_of_lines(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines_module, "MOST_LINES", 1)
    [problem] = problems_of(write, lines())
    assert (problem.line, problem.key) == (35, "cycle")


def test_what_the_last_token_sees_too_little_of_is_told_once(write: Write) -> None:
    found = problems_of(write, changed(said("streams", "attention", head_groups=[{**NOTHING, "kv_len": "T-60"}])))
    assert [(problem.key, problem.message.split(" ")[0]) for problem in found] == [("head_groups.0.kv_len", "T-60")]


# ---- trees


def test_depths_of_trees() -> None:
    assert depths_of([-1, 0, 0, 1, 3]) == [0, 1, 1, 2, 3]
    assert depths_of([2, 0, -1]) == [1, 2, 0]
    assert depths_of([-1, 2, 1]) == [0, -1, -1]
    assert is_chain([-1, 0, 1]) and not is_chain([-1, -1]) and not is_chain([-1, 0, 0])


def test_long_trees_take_no_time() -> None:
    size = 100_000
    assert depths_of([*range(1, size), -1])[0] == size - 1
    [(key, message)] = wrong_tree([*range(1, size), 0])
    assert key == "tree.0" and "0, 1, 2, 3, 4, 5, 6, 7, ... follow each other in a cycle" in message


# ---- shown


def test_show_says_how_steps_follow_each_other(write: Write) -> None:
    path = write(text_of(lines()), "t.jsonl")
    shown = CliRunner().invoke(cli, ["trace", "show", str(path), "--bind", "S=6,Q=2"])
    assert (shown.exit_code, shown.stderr) == (0, "")
    table = shown.stdout.splitlines()
    assert all(len(line) <= 80 for line in table[1:])
    assert "of another model: mamba (gpt2), d_model 8, vocabulary 32" in table
    assert "weights of template decode" in table
    assert table[-20:] == [
        "phase    steps  template  cycle        layers   accept     tree        fork",
        "         reorder  bindings",
        "prefill  0      encode",
        "                  T=6, B=1, Q=6, S=6",
        "prefill  0      remember",
        "                  T=1, B=1, Q=1, S=6",
        "decode   0..2   decode",
        "                  T=step+2, B=1, Q=1, S=6",
        "decode   0..1   state",
        "                  T=step+7, B=1, Q=1, S=6",
        "decode   0..5   draft     speculative           0",
        "                  T=kept+step+7, B=1, Q=1, S=6",
        "decode   0..2   latent    speculative           2.32/step  4, depth 3",
        "                  T=kept+10, B=1, Q=4, S=6",
        "decode   0..4   streams   two          0        2.6/step",
        "                  T=kept+10, B=1, Q=4, S=6",
        "decode   0..3   streams                                                4",
        "         1.5      T=step+40, B=4, Q=1, S=6",
        "decode   0      streams                first 1  1",
        "                  T=44, B=4, Q=1, S=6",
    ]


def test_show_has_a_column_only_where_a_line_says_something(write: Write) -> None:
    plain = write(small(('"Q":1}}', '"Q":1},"accept":1}')), "t.jsonl")
    table = CliRunner().invoke(cli, ["trace", "show", str(plain)]).stdout.splitlines()
    assert table[-2:] == [
        "phase   steps  template  accept  bindings",
        "decode  0..3   decode    1       T=step+1, B=1, Q=1",
    ]


def test_show_json_says_other_models(write: Write) -> None:
    path = write(text_of(lines()), "t.jsonl")
    found = json.loads(CliRunner().invoke(cli, ["trace", "show", "--json", str(path)]).stdout)["templates"]
    assert found["draft"]["model"]["name"] == "draft" and found["streams"]["weights_of"] == "decode"
    assert "model" not in found["decode"] and "weights_of" not in found["decode"]


def test_shipped_traces_are_still_of_1_0() -> None:
    for path in Path(TRACES).glob("*.jsonl"):
        assert '"version":"1.0"' in path.read_text(encoding="utf-8").splitlines()[0]
