"""`workload.trace`: a trace runs as the model it was made from, and says itself what a configuration leaves out."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pimsim import InputError, api, load_config, run
from pimsim.baselines.cost import prefill_demands
from pimsim.results.csv_text import to_csv
from pimsim.sweep.reader import load_sweep
from pimsim.workload.models import MODELS, build
from pimsim.workload.shapes import llama
from pimsim.workload.trace.bind import trace_of
from pimsim.workload.trace.expr import Expr
from pimsim.workload.trace.records import Trace
from pimsim.workload.trace.writer import write_trace
from tests.conftest import SHIPPED

SHAPE = llama("mine", 2, 64, 4, 2, 96, 100, 2048)
# The shipped configuration without a workload of its own.
_WORKLOAD = ("  model:", "  prompt_tokens:", "  output_tokens:", "  batch:", "baselines:")
BARE = "".join(line for line in SHIPPED.read_text().splitlines(keepends=True) if not line.startswith(_WORKLOAD))
Place = Callable[..., Path]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """place(trace, name="mine.jsonl"): the trace in a file of the test's own folder."""

    def _place(trace: Trace, name: str = "mine.jsonl") -> Path:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        write_trace(trace, path)
        return path

    return _place


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A configuration that says nothing of the workload."""
    path = tmp_path / "bare.yaml"
    path.write_text(BARE)
    return path


def mine(lm_head: bool = True, **schedule: Any) -> Trace:
    return trace_of(build(SHAPE, lm_head), **schedule)


def outcome(overrides: dict[str, Any]) -> tuple[dict[str, Any], str, str]:
    """What a run gives, less what names the input: the summary and the two tables."""
    result = run(load_config(SHIPPED, {"baselines": [], "dram.rows": 1 << 16, **overrides}))
    summary = json.loads(json.dumps(result.summary))
    del summary["config_sha256"], summary["simulation"], summary["warnings"]  # keys that win over a schedule are told
    return summary, to_csv(result.records("operators")), to_csv(result.records("tokens"))


@pytest.mark.parametrize("lm_head", [False, True])
@pytest.mark.parametrize("name", ["gpt2-small", "gpt3-xl", "llama-3.2-1b", "qwen2.5-0.5b", "mistral-7b"])
def test_a_trace_runs_as_its_model(name: str, lm_head: bool, place: Place) -> None:
    path = place(trace_of(build(MODELS[name], lm_head=True)))
    keys = {"workload.output_tokens": 2, "workload.lm_head": lm_head, "workload.biases": lm_head}
    assert outcome({**keys, "workload.trace": str(path)}) == outcome({**keys, "workload.model": name})


def test_the_shipped_trace_runs_as_its_model() -> None:
    keys = {"workload.output_tokens": 2}
    trace = {**keys, "workload.trace": str(SHIPPED.parents[1] / "traces" / "gpt2-small.jsonl")}
    assert outcome(trace) == outcome({**keys, "workload.model": "gpt2-small"})


def test_a_trace_with_experts_runs_as_its_model(place: Place) -> None:
    sizes = {"name": "m", "layers": 2, "d_model": 64, "heads": 4, "d_ff": 96, "family": "llama", "experts": 4}
    path = place(trace_of(build(replace(SHAPE, name="m", kv_heads=4, experts=4, active=2), lm_head=False)))
    keys = {"workload.output_tokens": 2, "workload.routing": "sampled"}
    model = {"workload.model": None, "workload.model_config": {**sizes, "active_experts": 2}}
    assert outcome({**keys, "workload.trace": str(path)}) == outcome({**keys, **model})


# ---- what the schedule says -------------------------------------------------------------------


def workload_of(config: Path, **overrides: Any) -> tuple[int, int, int, int]:
    work = load_config(config, {f"workload.{key}": value for key, value in overrides.items()}).workload  # type: ignore[union-attr]
    return work.prompt_tokens, work.output_tokens, work.query_tokens, work.batch


def test_the_schedule_gives_what_the_configuration_leaves_out(place: Place, bare: Path) -> None:
    path = str(place(mine(prompt=5, steps=3, batch=2, tokens=4)))
    given = {"trace": path, "lm_head": True}
    assert workload_of(bare, **given) == (5, 12, 4, 2)
    assert workload_of(bare, **given, output_tokens=8) == (5, 8, 4, 2)
    assert workload_of(bare, **given, prompt_tokens=0, batch=1, query_tokens=1) == (0, 12, 1, 1)
    loaded = api.load(bare, {"workload.trace": path})
    line = next(i for i, text in enumerate(Path(path).read_text().splitlines(), 1) if '"decode","steps"' in text)
    assert (loaded.provenance["workload.output_tokens"].file, loaded.provenance["workload.output_tokens"].line) == (
        path, line,
    )  # fmt: skip


def test_what_a_decode_step_alone_attends_to_is_there_already(place: Place, bare: Path) -> None:
    trace = mine(prompt=1024, steps=1)
    alone = replace(trace, schedule=tuple(line for line in trace.schedule if line.phase == "decode"))
    assert workload_of(bare, trace=str(place(alone))) == (0, 1, 1, 1)
    assert context_of(bare, trace=str(place(alone))) == 1024
    assert context_of(bare, trace=str(place(trace))) == 0


def context_of(config: Path, **overrides: Any) -> int:
    work = load_config(config, {f"workload.{key}": value for key, value in overrides.items()}).workload  # type: ignore[union-attr]
    return work.context


def test_a_prompt_in_pieces_goes_on_from_what_is_there(place: Place, bare: Path) -> None:
    """Tokens 101 to 130 in pieces of 10, 10 and 10, then 5 more, on a context of 100."""
    trace = mine(prompt=4, steps=2)
    prefill, decode = trace.schedule
    pieces = replace(prefill, last=2, bindings={"T": Expr(110, (("step", 10),)), "B": Expr(1), "Q": Expr(10)})
    last = replace(prefill, bindings={"T": Expr(135), "B": Expr(1), "Q": Expr(5)})
    decode = replace(decode, bindings={**decode.bindings, "T": Expr(136, (("step", 1),))})
    path = str(place(replace(trace, schedule=(pieces, last, decode))))
    assert workload_of(bare, trace=path) == (35, 2, 1, 1)
    assert context_of(bare, trace=path) == 100
    apart = str(place(replace(trace, schedule=(pieces, decode)), "apart.jsonl"))
    (warning,) = told(bare, f"workload.trace={apart}")
    assert "no step runs tokens 131 to 135 of mine" in warning
    again = str(place(replace(trace, schedule=(decode, last)), "again.jsonl"))
    turns = run(load_config(bare, [f"workload.trace={again}", "baselines=[]"])).tally  # a prompt behind an answer
    assert [token.phase for token in turns.tokens] == ["decode"] * 2 + ["prefill"] * 5
    assert turns.prefill_cycles == sum(token.cycles for token in turns.tokens if token.phase == "prefill")


# ---- what wins --------------------------------------------------------------------------------


def told(config: Path, *overrides: str) -> list[str]:
    """What a run warns of, with its place."""
    loaded = api.load(config, list(overrides))
    return [warning.located(loaded.locate).as_warning() for warning in api.warnings(loaded.config)]


def shipped_with(trace: str, *overrides: str) -> tuple[int, int, int, int]:
    work = load_config(SHIPPED, [f"workload.trace={trace}", *overrides]).workload  # type: ignore[union-attr]
    return work.prompt_tokens, work.output_tokens, work.query_tokens, work.batch


def test_inherited_keys_never_win_over_a_schedule(place: Place, tmp_path: Path) -> None:
    path = str(place(mine(prompt=128, steps=16, batch=8)))
    assert shipped_with(path) == (128, 16, 1, 8)
    assert told(SHIPPED, f"workload.trace={path}") == []
    config = tmp_path / "c.yaml"
    config.write_text(f"extends: {SHIPPED}\nworkload: {{trace: mine.jsonl}}\n")
    assert workload_of(config) == (128, 16, 1, 8)
    top = tmp_path / "top.yaml"
    top.write_text("extends: c.yaml\nbaselines: []\n")
    assert workload_of(top) == (128, 16, 1, 8)
    assert api.load(SHIPPED, [f"workload.trace={path}"]).provenance["workload.output_tokens"].file == path


def test_a_key_of_the_base_is_inherited_even_where_the_trace_says_nothing(place: Place) -> None:
    path = str(place(replace(mine(), schedule=())))
    assert shipped_with(path) == shipped_with(path, "workload.output_tokens=1024") == (0, 1024, 1, 1)


@pytest.mark.parametrize(
    ("text", "overrides", "line"),
    [
        ("workload: {{trace: mine.jsonl, output_tokens: 4}}", (), "c.yaml:2:31"),
        ("workload: {{trace: mine.jsonl}}", ("workload.output_tokens=4",), "--set:1:1"),
        ("name: x", ("workload.trace={path}", "workload.output_tokens=4"), "--set:2:1"),
    ],
)
def test_a_key_beside_the_trace_or_after_it_wins_with_a_warning(
    place: Place, tmp_path: Path, text: str, overrides: tuple[str, ...], line: str
) -> None:
    path = str(place(mine(prompt=128, steps=16, batch=8)))
    config = tmp_path / "c.yaml"
    config.write_text(f"extends: {SHIPPED}\n{text.format()}\n")
    options = [option.format(path=path) for option in overrides]
    work = load_config(config, options).workload  # type: ignore[union-attr]
    assert (work.prompt_tokens, work.output_tokens, work.batch) == (128, 4, 8)
    (warning,) = told(config, *options)
    assert warning.removeprefix(f"{tmp_path}/").startswith(f"{line}: workload.output_tokens: warning: 4 in the place")


@pytest.mark.parametrize("named_by", ["axes", "set", "base"])
def test_a_sweep_has_the_same_precedence(named_by: str, place: Place, tmp_path: Path) -> None:
    """Keys of the sweep file win, those of its base do not; whoever names the trace."""
    path = str(place(mine(prompt=128, steps=16, batch=8)))
    base = tmp_path / "base.yaml"
    named = f"workload: {{trace: {path}}}\n" if named_by == "base" else ""
    base.write_text(f"extends: {SHIPPED}\n{named}")
    for given, tokens in (({}, 16), ({"workload.output_tokens": 4}, 4)):
        axes = {"workload.trace": [path]} if named_by == "axes" else {"dram.channels": [8]}
        settings = {**given, **({"workload.trace": path} if named_by == "set" else {})}
        file = tmp_path / "sweep.yaml"
        file.write_text(json.dumps({"base": str(base), "set": settings, "axes": axes, "objectives": ["system.cycles"]}))
        sweep = load_sweep(file)
        work = sweep.base.values(sweep.space.point(0))["workload"]
        assert (work["prompt_tokens"], work["output_tokens"], work["batch"]) == (128, tokens, 8)


def test_a_key_in_a_file_that_extends_the_traces_wins(place: Place, tmp_path: Path) -> None:
    place(mine(prompt=128, steps=16))
    (tmp_path / "c.yaml").write_text(f"extends: {SHIPPED}\nworkload: {{trace: mine.jsonl}}\n")
    (tmp_path / "top.yaml").write_text("extends: c.yaml\nworkload: {batch: 2}\n")
    assert workload_of(tmp_path / "top.yaml") == (128, 16, 1, 2)


def test_what_is_given_as_the_schedule_says_it_is_no_matter(place: Place, bare: Path) -> None:
    path = str(place(mine(prompt=128, steps=16, batch=8)))
    same = ("workload.prompt_tokens=128", "workload.output_tokens=16", "workload.batch=8", "workload.context=0")
    assert told(bare, f"workload.trace={path}", *same) == []


def test_where_decoding_begins_is_said_by_one_of_both(place: Place, bare: Path) -> None:
    """A prompt in the place of tokens that are there, and the other way round; not both together."""
    whole = mine(prompt=128, steps=16)
    alone = str(place(replace(whole, schedule=whole.schedule[1:]), "alone.jsonl"))
    assert (context_of(bare, trace=alone), workload_of(bare, trace=alone)[0]) == (128, 0)
    assert (context_of(bare, trace=alone, prompt_tokens=64), workload_of(bare, trace=alone, prompt_tokens=64)[0]) == (
        0,
        64,
    )
    path = str(place(whole))
    assert (context_of(bare, trace=path, context=9), workload_of(bare, trace=path, context=9)[0]) == (9, 0)
    keys = [warning.split(": ")[1] for warning in told(bare, f"workload.trace={path}", "workload.context=9")]
    assert keys == ["workload.context", "workload.prompt_tokens"]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"accept": 1}, "says what is accepted"),
        ({"layers": 1}, "says which `layers` run"),
        ({"cycle": "draft"}, "has a `cycle`"),
        ({"template": "prefill"}, "runs several templates (decode, prefill)"),
    ],
)
def test_no_key_changes_a_schedule_that_says_more(place: Place, change: dict[str, Any], what: str) -> None:
    step = build(SHAPE, lm_head=True)
    trace = trace_of(step, prompt=4, steps=2, tokens=2, prefill=step)
    first, second = trace.schedule[1], replace(trace.schedule[1], bindings={"T": Expr(10), "B": Expr(1), "Q": Expr(2)})
    lines = (replace(first, first=0, last=1), replace(second, first=0, last=0, **change))
    path = str(place(replace(trace, schedule=lines)))
    found = problems(SHIPPED, f"workload.trace={path}", "workload.output_tokens=4")
    assert any(
        problem.startswith("--set:2:1: workload.output_tokens: the schedule") and what in problem for problem in found
    )


def test_a_schedule_without_decode_steps_is_a_prompt_alone(place: Place) -> None:
    trace = mine(prompt=16)
    path = str(place(replace(trace, schedule=trace.schedule[:1])))
    alone = run(load_config(SHIPPED, [f"workload.trace={path}", "baselines=[]"]))
    assert {token.phase for token in alone.tally.tokens} == {"prefill"}
    assert (alone.summary["system"]["tpot_ns"], alone.summary["workload"]["tokens_run"]) == (None, 0)
    assert shipped_with(path, "workload.output_tokens=3") == (16, 3, 1, 1)


def test_a_data_type_that_is_computed_as_another_is_told(place: Place) -> None:
    path = place(mine(steps=1))
    path.write_text(path.read_text().replace('"weights":"bf16"', '"weights":"fp16"'))
    (warning,) = told(SHIPPED, f"workload.trace={path}")
    assert warning.startswith(f"{path}:1:") and warning.endswith(
        "data_types.weights: warning: fp16: computed as bf16, which is as large"
        " (data_types.weights, line 1 of the trace)"
    )


def test_texts_of_a_trace_s_warnings_say_what_they_are_of(place: Place, bare: Path) -> None:
    """A summary has them without their keys, each once."""
    path = place(mine(prompt=4, steps=1))
    text = (
        path.read_text().replace('"kv":"bf16"', '"kv":"fp16"').replace('"activations":"bf16"', '"activations":"fp16"')
    )
    path.write_text(text.replace('"scope":"block"', '"scope":"block","theta":1', 2))
    odd = api.warnings(load_config(bare, {"workload.trace": str(path)}))
    assert len({warning.message for warning in odd}) == len(odd) == 4
    assert all(warning.key in warning.message for warning in odd)


# ---- a context that is there already ----------------------------------------------------------


def decoded(**keys: Any) -> tuple[Any, list[Any]]:
    """Steps of a run without refresh, whose reserve does not depend on what is simulated."""
    given = {f"workload.{key}": value for key, value in keys.items()}
    fixed = {"dram.refresh": "none", "mapping.reserve_tokens": 1024, "workload.model": None, "baselines": ["gpu-t4"]}
    model = {"name": "m", "layers": 2, "d_model": 64, "heads": 4, "d_ff": 96}
    result = run(load_config(SHIPPED, {**fixed, "workload.model_config": model, **given}))
    return result, [row for row in result.tally.rows if row.phase == "decode"]


@pytest.mark.parametrize("keys", [{"output_tokens": 5}, {"output_tokens": 6, "query_tokens": 3, "batch": 2}])
def test_a_context_that_is_there_is_a_prompt_that_costs_nothing(keys: dict[str, Any]) -> None:
    after, prompted = decoded(prompt_tokens=20, **keys)
    from_there, there = decoded(context=20, **keys)
    assert there == prompted
    assert all(row.phase == "decode" for row in from_there.tally.rows)
    a, b = after.summary["system"], from_there.summary["system"]
    assert b["prefill_latency_ns"] == b["prefill_energy_pJ"] == 0
    for key in ("latency_per_token_ns", "tokens_per_s", "data_movement_reduction"):
        assert a[key] == b[key], key
    # standby is shared out over all steps, the prompt's as well
    assert b["energy_per_token_pJ"] == pytest.approx(a["energy_per_token_pJ"], rel=0.01)
    assert b["latency_ns"] == a["latency_ns"] - a["prefill_latency_ns"]
    one, other = after.summary["baselines"]["gpu-t4"], from_there.summary["baselines"]["gpu-t4"]
    assert {key: one[key] for key in ("latency_ns", "energy_pJ", "speedup", "required_bytes")} == {
        key: other[key] for key in ("latency_ns", "energy_pJ", "speedup", "required_bytes")
    }
    assert other["prefill_latency_ns"] == 0
    assert from_there.summary["workload"]["context"] == 20


def test_a_prompt_goes_on_from_the_context() -> None:
    """5 tokens before a prompt of 15, in the place of a prompt of 20: the same last 15."""
    whole, parts = (
        decoded(prompt_tokens=20, output_tokens=1)[0],
        decoded(context=5, prompt_tokens=15, output_tokens=1)[0],
    )
    tokens = [(token.phase, token.context, token.cycles) for token in whole.tally.tokens]
    assert [(token.phase, token.context, token.cycles) for token in parts.tally.tokens] == tokens[5:]
    assert parts.tally.prefill_cycles == sum(cycles for phase, _, cycles in tokens[5:] if phase == "prefill")


def test_a_machine_prefills_what_is_not_there() -> None:
    """A prompt of 15 on 5: the operations of the last 15 of 20; K and V of 5 are read, of 15 written and read."""
    step = build(SHAPE, lm_head=True)
    whole, parts, first = (
        {demand.operator.name: demand for demand in prefill_demands(step, tokens, 1, before=before)}
        for tokens, before in ((20, 0), (15, 5), (5, 0))
    )
    for name in ("attention", "ffn_up"):
        assert parts[name].operations == whole[name].operations - first[name].operations
    width = 2 * step.shape.kv_width
    assert whole["attention"].elements == width * (20 + 20)
    assert parts["attention"].elements == width * (5 + 15 + 15)


def test_a_context_needs_room() -> None:
    with pytest.raises(
        InputError, match=r"room for 1024 tokens, but the workload has 1030 \(context, prompt and output\)"
    ):
        decoded(context=1026, output_tokens=4)
    config = load_config(SHIPPED, {"workload.model": "gpt2-small", "workload.context": 9_000_000, "baselines": []})
    with pytest.raises(InputError, match="the workload does not fit"):
        run(config)


def test_a_key_that_came_later_leaves_the_hash_as_it_was() -> None:
    plain, zero, other = (
        run(load_config(SHIPPED, {"workload.output_tokens": 1, "baselines": [], **keys})).summary["config_sha256"]
        for keys in ({}, {"workload.context": 0}, {"workload.context": 1})
    )
    assert plain == zero != other


def test_without_a_schedule_the_configuration_must_say_it(place: Place, bare: Path) -> None:
    path = str(place(replace(mine(), schedule=())))
    (problem,) = problems(bare, f"workload.trace={path}")
    assert problem.startswith(f"{bare}:W:1: workload.output_tokens: required key is missing")
    assert workload_of(bare, trace=path, output_tokens=3) == (0, 3, 1, 1)


def problems(config: Path, *overrides: str) -> list[str]:
    """What is said when a configuration does not load; W is the line of its workload."""
    with pytest.raises(InputError) as caught:
        load_config(config, list(overrides))
    lines = config.read_text().splitlines()
    line = next((i for i, text in enumerate(lines, 1) if text.startswith("workload:")), 0)
    return str(caught.value).replace(f"{config}:{line}:1", f"{config}:W:1").split("\n")


def test_steps_that_do_not_follow_each_other_run_as_they_stand_unless_keys_say_more(place: Place, bare: Path) -> None:
    trace = mine(steps=3)
    (line,) = trace.schedule
    jump = replace(line, bindings={**line.bindings, "T": Expr(1, (("step", 2),))})
    path = str(place(replace(trace, schedule=(jump,))))
    jumping = run(load_config(bare, [f"workload.trace={path}", "baselines=[]"]))
    assert [token.context for token in jumping.tally.tokens] == [1, 3, 5]
    given = {"prompt_tokens": 0, "output_tokens": 2, "batch": 1, "query_tokens": 1}
    assert workload_of(bare, trace=path, **given) == (0, 2, 1, 1)


def test_lines_of_a_schedule_go_on_with_the_same_sequences(place: Place, bare: Path) -> None:
    (first,) = mine(steps=3).schedule
    more = replace(first, first=3, last=4)
    assert workload_of(bare, trace=str(place(replace(mine(steps=3), schedule=(first, more))))) == (0, 5, 1, 1)
    other = replace(more, bindings={**more.bindings, "B": Expr(2)})
    path = str(place(replace(mine(steps=3), schedule=(first, replace(other, fork=2)))))
    forked = run(load_config(bare, [f"workload.trace={path}", "baselines=[]"]))
    assert (forked.summary["workload"]["tokens_run"], forked.summary["workload"]["batch"]) == (3 + 2 * 2, 2)


@pytest.mark.parametrize(
    ("changes", "kept", "contexts"),
    [
        ({"accept": 1}, 2, [6, 8]),
        ({"bindings": {"T": Expr(8, (("step", 2),)), "B": Expr(1), "Q": Expr(2)}}, 4, [8, 10]),
    ],
)
def test_schedules_that_were_once_refused_run(
    place: Place, bare: Path, changes: dict[str, Any], kept: int, contexts: list[int]
) -> None:
    trace = mine(prompt=4, steps=2, tokens=2)
    path = str(place(replace(trace, schedule=(trace.schedule[0], replace(trace.schedule[1], **changes)))))
    result = run(load_config(bare, [f"workload.trace={path}", "baselines=[]"]))
    assert result.summary["workload"]["tokens_kept"] == kept
    assert [token.context for token in result.tally.tokens if token.phase == "decode"] == contexts


# ---- where it is ------------------------------------------------------------------------------


def test_a_trace_is_relative_to_the_file_that_names_it(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place(mine(steps=2), "traces/mine.jsonl")
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "base.yaml").write_text(f"extends: {SHIPPED}\nworkload: {{trace: ../traces/mine.jsonl}}\n")
    (tmp_path / "top.yaml").write_text("extends: configs/base.yaml\nbaselines: []\n")
    results = []
    for folder, top in ((tmp_path, "top.yaml"), (tmp_path / "traces", "../top.yaml")):
        monkeypatch.chdir(folder)
        results.append(run(load_config(top, {"workload.output_tokens": 2})).summary)
    assert results[0]["config_sha256"] == results[1]["config_sha256"]
    assert results[0]["system"] == results[1]["system"]
    monkeypatch.chdir(tmp_path / "traces")
    option = run(load_config(SHIPPED, ["workload.trace=mine.jsonl", "baselines=[]", "workload.output_tokens=2"]))
    assert option.summary["trace_sha256"] == results[0]["trace_sha256"]
    assert option.summary["workload"]["model"] == "mine"


def test_a_trace_that_is_not_there_is_the_fault_of_the_line_that_names_it(bare: Path, tmp_path: Path) -> None:
    config = tmp_path / "c.yaml"
    config.write_text("extends: bare.yaml\nworkload:\n  trace: no.jsonl\n  batch: 0\n")
    first, second = problems(config)
    assert first.startswith(f"{config}:3:3: workload.trace: cannot be read")
    assert second == f"{config}:4:3: workload.batch: must be at least 1, not 0"


def test_what_is_wrong_in_a_trace_has_its_line_there(place: Place, bare: Path) -> None:
    path = place(mine())
    path.write_text(path.read_text().replace('"role":"rope"', '"role":"roap"').replace('"op":"silu"', '"op":"swish"'))
    found = problems(bare, f"workload.trace={path}")
    assert all(problem.startswith(f"{path}:") for problem in found)
    assert sum("'roap'" in problem or "'swish'" in problem for problem in found) == 2


def test_what_the_hardware_cannot_run_has_its_line_in_the_trace(place: Place) -> None:
    workload = build(SHAPE, lm_head=True)
    operators = tuple(replace(o, bits=8) if o.name == "q" else o for o in workload.operators)
    path = place(trace_of(replace(workload, operators=operators)))
    line = next(i for i, text in enumerate(path.read_text().splitlines(), 1) if '"id":"q"' in text)
    with pytest.raises(InputError) as caught:
        run(load_config(SHIPPED, {"workload.trace": str(path), "workload.output_tokens": 1, "baselines": []}))
    assert str(caught.value).startswith(f"{path}:{line}:1: q: weights of int8 times bf16")


def test_an_lm_head_that_the_trace_lacks_is_refused(place: Place) -> None:
    path = str(place(mine(lm_head=False)))
    keys = {"workload.trace": path, "workload.output_tokens": 1, "baselines": []}
    run(load_config(SHIPPED, keys))
    with pytest.raises(InputError, match=r"workload.lm_head: .*mine.jsonl has no LM head"):
        run(load_config(SHIPPED, {**keys, "workload.lm_head": True}))


def test_a_warning_s_text_alone_says_which_key_won(place: Place, bare: Path) -> None:
    path = str(place(mine(prompt=8, steps=5, batch=2)))
    loaded = api.load(bare, {"workload.trace": path, "workload.batch": 3})
    assert [p.message.split(",")[0] for p in api.warnings(loaded.config)] == ["3 in the place of 2 for batch"]


def test_of_a_prompt_alone_no_other_key_is_missing(place: Place, bare: Path) -> None:
    trace = mine(prompt=8, steps=5)
    prefill = replace(trace, schedule=trace.schedule[:1])
    assert workload_of(bare, trace=str(place(prefill))) == (8, 0, 1, 1)


@pytest.mark.parametrize("more", [{}, {"placement.linear": "auto", "placement.machine": "gpu-h100"}])
@pytest.mark.parametrize("trace", [mine(steps=3), mine(prompt=2, steps=3), replace(mine(), schedule=())])
def test_keys_that_leave_nothing_to_run_are_refused(place: Place, trace: Trace, more: dict[str, Any]) -> None:
    """As beside a model, once the trace has said what the keys leave out."""
    keys = {"workload.trace": str(place(trace)), "workload.output_tokens": 0, "workload.prompt_tokens": 0}
    with pytest.raises(InputError, match="must be at least 1, not 0: without a prompt nothing") as error:
        run(load_config(SHIPPED, {"baselines": [], **keys, **more}))
    assert [problem.key for problem in error.value.problems] == ["workload.output_tokens"]
