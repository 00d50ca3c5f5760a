"""`pimsim trace`: what it prints, what it writes, and how it ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner, Result

from pimsim.cli import cli
from pimsim.workload.models import MODELS, build
from tests.conftest import SHIPPED, Write
from tests.trace.traces import TRACES, text_of

Trace = Callable[..., Result]
SMALL = TRACES / "gpt2-small.jsonl"


@pytest.fixture
def trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Trace:
    """pimsim trace ARGUMENTS, in the test's own folder."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(cli, ["trace", *map(str, arguments)])


def test_validate_says_valid(trace: Trace) -> None:
    result = trace("validate", SMALL, TRACES / "mistral-7b.jsonl")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"{SMALL}: valid\n{TRACES / 'mistral-7b.jsonl'}: valid\n"


def test_validate_tells_the_problems_of_all_files(trace: Trace, write: Write) -> None:
    one = write(text_of(('"role":"qkv"', '"role":"kqv"')), "one.jsonl")
    other = write(text_of(('"version":"1.0"', '"version":"3.0"')), "other.jsonl")
    result = trace("validate", one, SMALL, other, "missing.jsonl")
    assert result.exit_code == 2
    assert result.stdout == f"{SMALL}: valid\n"
    assert result.stderr.splitlines() == [
        f"{one}:3:68: role: unknown role 'kqv'; did you mean 'qkv'?",
        f"{other}:1:52: version: 3.0 is not supported: this program reads pimsim-trace 1.x",
        "missing.jsonl:1:1: cannot be read: No such file or directory",
    ]


def test_validate_json_is_an_object_by_file(trace: Trace, write: Write) -> None:
    path = write(text_of(('"bias":true', '"bias":true,"new":1'), ('"in":24', '"in":0')), "t.jsonl")
    result = trace("validate", "--json", path)
    assert result.exit_code == 2
    [[file, found]] = json.loads(result.stdout).items()
    assert file == str(path)
    assert found["valid"] is False
    assert [problem["key"] for problem in found["problems"]] == ["in"]
    assert [warning["key"] for warning in found["warnings"]] == ["weight.new"]


def test_unknown_keys_are_warnings(trace: Trace, write: Write) -> None:
    path = write(text_of(('"bias":true', '"bias":true,"layuot":"in_out"')), "t.jsonl")
    result = trace("validate", path)
    assert result.exit_code == 0
    assert result.stderr == f"{path}:3:126: weight.layuot: warning: unknown key, kept; did you mean 'layout'?\n"


def test_weights_must_fit_into_the_memory_of_a_configuration(trace: Trace) -> None:
    assert trace("validate", "--config", SHIPPED, SMALL).exit_code == 0
    result = trace("validate", "--config", SHIPPED, TRACES / "mistral-7b.jsonl")
    assert result.exit_code == 2
    assert "weights down to here are 6,442,975,232 bytes; the memory of" in result.stderr
    assert "has 4,294,967,296" in result.stderr


def test_schema_is_a_json_schema(trace: Trace) -> None:
    schema = json.loads(trace("validate", "--schema").stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    for line in SMALL.read_text(encoding="utf-8").splitlines():
        jsonschema.validate(json.loads(line), schema)


@pytest.mark.parametrize("name", ["gpt2-small", "mistral-7b", "qwen2.5-0.5b"])
def test_show_is_readable_at_80_columns(trace: Trace, name: str) -> None:
    result = trace("show", TRACES / f"{name}.jsonl")
    assert result.exit_code == 0
    assert all(len(line) <= 80 for line in result.stdout.splitlines()[1:])
    assert "ffn_up" in result.stdout


def test_show_json_has_the_costs_of_the_built_in_model(trace: Trace) -> None:
    found = json.loads(trace("show", SMALL, "--bind", "T=77,B=4", "--json").stdout)
    total = found["templates"]["decode"]["total"]
    workload = build(MODELS["gpt2-small"], lm_head=True)
    assert found["binding"] == {"T": 77, "B": 4, "Q": 1}
    assert total["flops"] == 4 * workload.flops(77)
    assert total["moved_bytes"] == workload.bytes(77, 2, 4, biases=True)
    assert total["weights"] == workload.parameters
    assert total["operators"] == 12 * 10 + 3
    assert sum(role["flops"] for role in found["templates"]["decode"]["roles"].values()) == total["flops"]


@pytest.mark.parametrize(
    ("binding", "message"),
    [
        ("X=1", "--bind:1:1: bind: the trace has no symbol 'X'"),
        ("T=0", "--bind:1:1: bind: 'T=0' is not SYMBOL=NUMBER with a number of at least 1"),
        ("T", "--bind:1:1: bind: 'T' is not SYMBOL=NUMBER with a number of at least 1"),
        ("T=1,T=2", "--bind:1:1: bind: T is there twice"),
        ("T=4,Q=8", "--bind:1:1: bind: 8 query tokens, but a context of 4"),
    ],
)
def test_bindings_that_do_not_fit_are_refused(trace: Trace, binding: str, message: str) -> None:
    result = trace("show", SMALL, "--bind", binding)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"{message}\n"


def test_export_writes_the_shipped_file(trace: Trace, tmp_path: Path) -> None:
    result = trace("export", "--model", "gpt2-small", "--out", "deep/gpt2.jsonl")
    assert (result.exit_code, result.stdout) == (0, f"wrote deep/gpt2.jsonl ({SMALL.stat().st_size:,} bytes)\n")
    assert (tmp_path / "deep/gpt2.jsonl").read_bytes() == SMALL.read_bytes()


def test_export_all_writes_the_folder(trace: Trace, tmp_path: Path) -> None:
    assert trace("export", "--all", "--out", "made").exit_code == 0
    made = {path.name: path.read_bytes() for path in (tmp_path / "made").iterdir()}
    assert made == {path.name: path.read_bytes() for path in TRACES.glob("*.jsonl")}


def test_export_takes_a_prompt_a_batch_and_query_tokens(trace: Trace, tmp_path: Path) -> None:
    options = ("--prompt", 16, "--steps", 8, "--batch", 2, "--query", 4)
    assert trace("export", "--model", "qwen2.5-3b", *options, "--out", "t.jsonl.gz").exit_code == 0
    shown = trace("show", "t.jsonl.gz").stdout
    assert "prefill  0               decode        T=16, B=2, Q=16" in shown
    assert "decode   0..7            decode        T=4*step+20, B=2, Q=4" in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("--model", "gpt2-smal", "--out", "x"),
            "--model:1:1: model: no model 'gpt2-smal'; did you mean 'gpt2-small'?",
        ),
        (("--out", "x"), "is needed"),
        (("--model", "gpt2-small", "--all", "--out", "x"), "is needed"),
        (("--model", "gpt2-small"), "--out:1:1: out: is needed"),
    ],
)
def test_exports_that_are_not_clear_write_nothing(
    trace: Trace, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    result = trace("export", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", ["validate", "show"])
def test_help_says_what_lists_the_shipped_traces(command: str) -> None:
    said = " ".join(CliRunner().invoke(cli, ["trace", command, "--help"]).output.split())
    assert "names of shipped traces; see `pimsim list`" in said or "name of a shipped trace; see `pimsim list`" in said
