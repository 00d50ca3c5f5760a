"""The pages about traces have every key of the format, and their commands do what they say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from pimsim.cli import cli
from pimsim.errors import InputError
from pimsim.workload.trace.fields import Field, Items, Kind, Object
from pimsim.workload.trace.reader import load_trace
from pimsim.workload.trace.schema import RECORDS
from tests.conftest import Write

ROOT = Path(__file__).parents[2]
PAGE = "\n".join((ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8") for name in ("traces", "trace-format"))


def _fields(kind: Kind, path: str = "") -> Iterator[tuple[str, Field]]:
    inner = kind.item if isinstance(kind, Items) else kind
    for field in inner.fields if isinstance(inner, Object) else ():
        if field.key != "type":
            yield f"{path}{field.key}", field
            yield from _fields(field.kind, f"{path}{field.key}{'[]' * isinstance(field.kind, Items)}.")


@pytest.mark.parametrize("record", RECORDS)
def test_every_key_of_the_format_is_on_the_page(record: str) -> None:
    section = PAGE.split(f"\n### `{record}`\n")[1].split("\n### ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    expected = list(_fields(RECORDS[record]))
    assert len(rows) == len(expected)
    for row, (path, field) in zip(rows, expected, strict=True):
        assert row.startswith(f"| `{path}` | {'yes' if field.required else ''} |")
        assert field.doc in row and field.default in row


def test_the_example_of_the_format_is_a_trace(write: Write) -> None:
    [example] = re.findall(r'```\n(\{"type":"header".*?)```', PAGE, re.DOTALL)
    assert load_trace(write(example, "t.jsonl")).schedule[0].steps == 4


def test_the_example_of_a_cycle_is_a_trace_and_is_shown_as_it_is(write: Write) -> None:
    [plain] = re.findall(r'```\n(\{"type":"header".*?)```', PAGE, re.DOTALL)
    [cycle] = re.findall(r'```\n(\{"type":"template".*?)```', PAGE, re.DOTALL)
    graph = [line for line in plain.splitlines() if '"type":"schedule"' not in line]
    path = write("\n".join([*graph, cycle]), "mine.jsonl")
    assert load_trace(path).schedule[-1].cycle == "speculative"
    shown = CliRunner().invoke(cli, ["trace", "show", str(path)]).stdout.splitlines()
    assert PAGE.split("$ pimsim trace show mine.jsonl | tail -6\n")[1].split("\n```")[0].splitlines() == shown[-6:]


def test_mistakes_on_the_page_are_told_as_they_are(write: Write) -> None:
    [plain] = re.findall(r'```\n(\{"type":"header".*?)```', PAGE, re.DOTALL)
    [cycle] = re.findall(r'```\n(\{"type":"template".*?)```', PAGE, re.DOTALL)
    graph = [line for line in plain.splitlines() if '"type":"schedule"' not in line]
    lines = [*graph, *cycle.splitlines()[:-1]]
    step = '{"type":"schedule","phase":"decode","steps":100,"template":"decode","bindings":{"T":"%s","B":%d,"Q":%d}%s}'
    lines += [
        step % ("kept+19", 1, 3, ',"accept":4,"cycle":"speculative"'),
        step % ("step+40", 1, 3, ',"accept":1,"tree":[-1,2,1]'),
        step % ("step+50", 4, 1, ',"fork":4'),
        step % ("step+60", 2, 1, ',"fork":2'),
        step % ("kept+70", 1, 1, ""),
    ]
    with pytest.raises(InputError) as caught:
        load_trace(write("\n".join(lines), "mine.jsonl"))
    told = PAGE.split("all at once, each with its place:\n\n```\n")[1].split("\n```")[0].splitlines()
    assert [str(problem).split("mine.jsonl")[1] for problem in caught.value.problems] == [
        line.removeprefix("mine.jsonl") for line in told
    ]


def test_what_the_page_shows_is_what_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    shown = PAGE.split("$ pimsim trace show traces/llama-3.2-1b.jsonl\n")[1].split("```")[0]
    assert CliRunner().invoke(cli, ["trace", "show", "traces/llama-3.2-1b.jsonl"]).stdout == shown
    told = PAGE.split("--config configs/pim-gpt.yaml\n")[1].split("```")[0]
    arguments = ["trace", "validate", "traces/mistral-7b.jsonl", "--config", "configs/pim-gpt.yaml"]
    assert CliRunner().invoke(cli, arguments).stderr == told
