"""`pimsim trace speculative` and its like: what they write and say, and what they refuse."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pimsim.cli import cli
from pimsim.workload.decoding.data import mechanisms
from pimsim.workload.trace.reader import load_trace

Run = Callable[..., Result]
SMALL = ("--target", "gpt2-small", "--prompt", "8", "--tokens", "20")


@pytest.fixture
def trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """pimsim trace ARGUMENTS, in the test's own folder."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(cli, ["trace", *map(str, arguments)])


@pytest.mark.parametrize("name", sorted(mechanisms()))
def test_every_mechanism_is_a_command(trace: Run, name: str) -> None:
    given = ("--prompt", "0") if name == "next-scale" else SMALL
    result = trace(name, *given, "--out", "t.jsonl")
    assert result.exit_code == 0, result.stderr
    mechanism = mechanisms()[name]
    lines = result.stdout.splitlines()
    assert lines[0].startswith("wrote t.jsonl (")
    assert f"{'schedule':<12}{name}" in lines and f"{'paper':<12}{mechanism.paper}" in lines
    assert lines[-1] == f"{'run':<12}pimsim run pim-gpt --set workload.trace=t.jsonl --set workload.lm_head=true"
    assert ("left out:" in result.stderr) == bool(mechanism.left_out)
    assert load_trace("t.jsonl").header.producer["schedule"] == name


def test_the_help_of_every_command_names_its_paper(trace: Run) -> None:
    for name, mechanism in mechanisms().items():
        text = " ".join(trace(name, "--help").stdout.split())
        assert f"{mechanism.authors} {mechanism.year}" in text


def test_options_are_taken(trace: Run) -> None:
    result = trace(
        "speculative", "--target", "gpt2-medium", "--draft", "gpt2-small", "--drafts", 2, "--acceptance", "0.8,0.5",
        "--batch", 3, "--context", 100, "--prompt", 0, "--tokens", 23, "--out", "t.jsonl.gz",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    first, second, check = load_trace("t.jsonl.gz").schedule
    assert [str(line.bindings["T"]) for line in (first, second, check)] == ["kept+101", "kept+102", "kept+103"]
    assert {line.bindings["B"].constant for line in (first, second, check)} == {3}
    assert check.steps == 10  # 23 / 2.3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("medusa", "--target", "gpt2-smal"), "--target:1:1: target: no model or trace 'gpt2-smal'; did you mean"),
        (("medusa", *SMALL, "--tree", "medusa-64"), "--tree:1:1: tree: no tree 'medusa-64'; did you mean 'medusa-63'?"),
        (("medusa", *SMALL, "--heads", "2"), "--heads:1:1: heads: 2, but the tree medusa-63 is 4 tokens deep"),
        (("medusa", *SMALL, "--acceptance", "6"), "--acceptance:1:1: acceptance: 6 keeps 6 tokens a step, more than"),
        (
            ("speculative", *SMALL, "--draft", "qwen2.5-0.5b"),
            "--draft:1:1: draft: qwen2.5-0.5b has a vocabulary of 151,936, but gpt2-small one of 50,257",
        ),
        (("speculative", *SMALL, "--tree", "recycling-80", "--drafts", "2"), "--drafts:1:1: drafts: a tree says how"),
        (("swift", *SMALL, "--skip", "12"), "--skip:1:1: skip: 12: of 12 layers at least one must be left"),
        (("swift", *SMALL, "--skip", "1.5"), "--skip:1:1: skip: 1.5: a share below 1, or a whole number of layers"),
        (("layer-skip", *SMALL, "--skip", "half"), "--skip:1:1: skip: 'half' is no number"),
        (("early-exit", *SMALL, "--exits", "13:1"), "--exits:1:1: exits: '13:1': 1 to 12 layers, and at least"),
        (("early-exit", *SMALL, "--exits", "a"), "--exits:1:1: exits: 'a' is not LAYERS:TOKENS, such as 1/2:1"),
        (("kangaroo", *SMALL, "--exit-layer", "12"), "--exit-layer:1:1: exit-layer: 12: from 1 to 11"),
        (("beams", *SMALL, "--reorder", "2"), "--reorder:1:1: reorder: 2: a share, from 0 to 1"),
        (("duo-attention", *SMALL, "--streaming", "x"), "--streaming:1:1: streaming: 'x' is no number"),
        (("drop-prefix", *SMALL, "--keep", "600"), "--keep:1:1: keep: 600, but the prefix has 576 tokens"),
        (("block-transformer", *SMALL, "--block", "3"), "--prompt:1:1: prompt: 8 tokens are no whole number of"),
        (("next-scale", "--scales", "1,0"), "--scales:1:1: scales: '1,0': numbers from 1 with commas"),
        (("beams", *SMALL, "--tokens", "2000"), "--tokens:1:1: tokens: the last step reaches token 2,008"),
        (("hydra",), "--target:1:1: target: is needed; see `pimsim trace hydra --help`"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_and_nothing_is_written(
    trace: Run, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    result = trace(*arguments, "--out", "t.jsonl")
    assert result.exit_code == 2 and result.stdout == ""
    assert result.stderr.startswith(message), result.stderr
    assert not list(tmp_path.iterdir())


def test_mechanisms_lists_what_there_is(trace: Run) -> None:
    text, found = trace("mechanisms").stdout, json.loads(trace("mechanisms", "--json").stdout)
    assert [each["name"] for each in found["mechanisms"]] == list(mechanisms())
    for kind in ("mechanisms", "acceptances", "trees"):
        for each in found[kind]:
            assert each["name"] in text and (kind == "mechanisms" or each["source"] in text)
