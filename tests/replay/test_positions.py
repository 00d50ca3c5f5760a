"""Contexts beyond the positions of a model: an error where their table is read, a warning elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pimsim import InputError, api, load_config
from pimsim.workload.models import build
from pimsim.workload.shapes import ModelShape, llama
from pimsim.workload.trace.bind import trace_of
from pimsim.workload.trace.writer import write_trace
from tests.conftest import SHIPPED

POSITIONS = 64
LEARNED = {"name": "m", "layers": 2, "d_model": 64, "heads": 4, "d_ff": 96, "max_positions": POSITIONS}
ROTATED = {**LEARNED, "family": "llama"}


@pytest.fixture(params=["model_config", "trace"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """source(learned): keys of a model of that kind, from its sizes or from a trace without a schedule."""

    def _source(learned: bool) -> dict[str, Any]:
        if request.param == "model_config":
            return {"workload.model": None, "workload.model_config": LEARNED if learned else ROTATED}
        sizes = ("m", 2, 64, 4, 4, 96, 100, POSITIONS)
        step = build(ModelShape(*sizes) if learned else llama(*sizes), lm_head=True)
        path = write_trace(trace_of(step, steps=1), tmp_path / "t.jsonl")
        path.write_text("".join(line for line in path.read_text().splitlines(True) if '"schedule"' not in line))
        return {"workload.trace": str(path)}

    return _source


def outcome(keys: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Keys of what is refused, and of what is warned of."""
    config = load_config(SHIPPED, {"baselines": [], **keys})
    warned = [problem.key for problem in api.warnings(config) if "positions" in problem.message]
    try:
        api.preflight(config)
    except InputError as error:
        return [problem.key for problem in error.problems], warned
    return [], warned


@pytest.mark.parametrize(
    ("tokens", "key"),
    [
        ({"output_tokens": 65}, "workload.output_tokens"),
        ({"output_tokens": 1, "prompt_tokens": 64}, "workload.output_tokens"),
        ({"output_tokens": 1, "prompt_tokens": 65}, "workload.prompt_tokens"),
        ({"output_tokens": 1, "context": 65, "prompt_tokens": 3}, "workload.context"),
    ],
)
def test_the_key_that_goes_beyond_is_told(source: Any, tokens: dict[str, int], key: str) -> None:
    keys = {f"workload.{name}": value for name, value in tokens.items()}
    assert outcome({**source(learned=True), **keys, "workload.lm_head": True}) == ([key], [])
    assert outcome({**source(learned=True), **keys}) == ([], [key])
    assert outcome({**source(learned=False), **keys, "workload.lm_head": True}) == ([], [key])


def test_the_last_position_is_one(source: Any) -> None:
    for learned in (True, False):
        for tokens in ({"workload.output_tokens": 64}, {"workload.context": 60, "workload.output_tokens": 4}):
            assert outcome({**source(learned), **tokens, "workload.lm_head": True}) == ([], [])


def test_built_in_models_have_the_positions_of_their_checkpoints() -> None:
    keys = {"workload.model": "gpt2-small", "workload.output_tokens": 1025}
    assert outcome({**keys, "workload.lm_head": True}) == (["workload.output_tokens"], [])
    assert outcome(keys) == ([], ["workload.output_tokens"])
    assert outcome({**keys, "workload.output_tokens": 1024, "workload.lm_head": True}) == ([], [])
