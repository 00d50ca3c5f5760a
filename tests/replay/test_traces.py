"""`workload.trace`: a trace runs as the model it was made from, and says itself what a configuration leaves out."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pimsim import InputError, api, load_config, run
from pimsim.results.tables import to_csv
from pimsim.workload.models import MODELS, build
from pimsim.workload.ops import Operator
from pimsim.workload.shapes import llama
from pimsim.workload.trace.bind import trace_of
from pimsim.workload.trace.expr import Expr
from pimsim.workload.trace.records import Trace
from pimsim.workload.trace.writer import write_trace
from tests.conftest import SHIPPED

SHAPE = llama("mine", 2, 64, 4, 2, 96, 100, 64)
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
    del summary["config_sha256"], summary["simulation"]
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


def test_a_decode_step_alone_follows_a_prompt_of_what_it_attends_to(place: Place, bare: Path) -> None:
    trace = mine(prompt=1024, steps=1)
    alone = replace(trace, schedule=tuple(line for line in trace.schedule if line.phase == "decode"))
    assert workload_of(bare, trace=str(place(alone))) == (1024, 1, 1, 1)


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


def test_steps_that_do_not_follow_each_other_are_refused_unless_they_are_not_needed(place: Place, bare: Path) -> None:
    trace = mine(steps=3)
    (line,) = trace.schedule
    jump = replace(line, bindings={**line.bindings, "T": Expr(1, (("step", 2),))})
    path = str(place(replace(trace, schedule=(jump,))))
    (problem,) = problems(bare, f"workload.trace={path}")
    assert problem.startswith(f"{path}:") and "a replay goes on from 1 by 1" in problem
    given = {"prompt_tokens": 0, "output_tokens": 2, "batch": 1, "query_tokens": 1}
    assert workload_of(bare, trace=path, **given) == (0, 2, 1, 1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"accept": 1}, "1 of 2 query tokens are accepted; a replay keeps all"),
        ({"bindings": {"T": Expr(8, (("step", 2),)), "B": Expr(1), "Q": Expr(2)}}, "the prefill ends at T = 4"),
    ],
)
def test_schedules_that_no_run_follows_are_refused(
    place: Place, bare: Path, changes: dict[str, Any], message: str
) -> None:
    trace = mine(prompt=4, steps=3, tokens=2)
    path = str(place(replace(trace, schedule=(trace.schedule[0], replace(trace.schedule[1], **changes)))))
    found = problems(bare, f"workload.trace={path}")
    assert any(problem.startswith(f"{path}:") and message in problem for problem in found), found


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
    state = Operator("mixer", "ssm", "ssm_update", "block", 640, 64, deps=("ffn_residual",))
    path = place(trace_of(replace(workload, operators=(*workload.operators, state))))
    line = next(i for i, text in enumerate(path.read_text().splitlines(), 1) if "ssm_update" in text)
    with pytest.raises(InputError) as caught:
        run(load_config(SHIPPED, {"workload.trace": str(path), "workload.output_tokens": 1, "baselines": []}))
    assert str(caught.value).startswith(f"{path}:{line}:1: mixer: the hardware has no way to run 'ssm_update'")


def test_an_lm_head_that_the_trace_lacks_is_refused(place: Place) -> None:
    path = str(place(mine(lm_head=False)))
    keys = {"workload.trace": path, "workload.output_tokens": 1, "baselines": []}
    run(load_config(SHIPPED, keys))
    with pytest.raises(InputError, match=r"workload.lm_head: .*mine.jsonl has no LM head"):
        run(load_config(SHIPPED, {**keys, "workload.lm_head": True}))
