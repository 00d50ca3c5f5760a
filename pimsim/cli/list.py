"""`pimsim list`."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from itertools import takewhile

import click

from pimsim.cli.say import emit, say

WIDTH = 80


@click.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else on standard output.")
def list_(as_json: bool) -> None:
    """List what has a name: configurations, sweeps, traces and examples.

    A name can be given from any folder, wherever CONFIG, SWEEP or the file of a trace is asked for
    (`--set workload.trace=NAME`).  A file of that name comes first.
    """
    import json

    shelves = dict(_shelves())
    if as_json:
        named = {kind: found if any(found.values()) else [*found] for kind, found in shelves.items()}
        emit(json.dumps({"schema": "pimsim.list/1", **named}, indent=2))
        return
    for kind, found in shelves.items():
        say(f"{kind}, for {_USES[kind]}")
        for line in _lines(found):
            say(line)


_USES = {
    "configurations": "`pimsim run NAME` and wherever CONFIG stands",
    "sweeps": "`pimsim sweep NAME`",
    "traces": "`pimsim run CONFIG --set workload.trace=NAME`",
    "examples": "`pimsim init DIR --example NAME`",
}


def _shelves() -> Iterator[tuple[str, Mapping[str, str]]]:
    """What each kind has, by name, with what it is; "" where its name says it."""
    from pimsim.cli.init import EXAMPLES, README
    from pimsim.config.shipped import CONFIGURATIONS, SWEEPS, TRACES, folder_of

    yield "configurations", {name: _about(file) for name, file in CONFIGURATIONS.items()}
    yield "sweeps", {name: _about(file) for name, file in SWEEPS.items()}
    yield "traces", dict.fromkeys(TRACES, "")
    examples = folder_of("examples")
    yield "examples", {name: _heading(str(examples / name / README)) for name in EXAMPLES}


def _about(file: str) -> str:
    """The first sentence of the comment that a file begins with; "" without one."""
    from pimsim.config.loader import read_text
    from pimsim.errors import InputError

    try:
        lines = read_text(file).splitlines()
    except InputError:  # of a registered one that is gone
        return ""
    comment = takewhile(lambda line: line[:1] == "#" and line[1:].strip(), lines)
    paragraph = " ".join(line[1:].strip() for line in comment)
    sentence, _, _ = paragraph.partition(". ")
    return sentence.rstrip(".")


def _heading(readme: str) -> str:
    from pimsim.config.loader import read_text

    return read_text(readme).partition("\n")[0].lstrip("# ")


def _lines(found: Mapping[str, str]) -> Iterator[str]:
    """A line or more for each name with what it is; names alone side by side."""
    if not any(found.values()):
        yield _filled(", ".join(found), "  ", "  ")
        return
    indent = " " * (max(map(len, found)) + 4)
    for name, about in found.items():
        first = f"  {name:<{len(indent) - 2}}"
        yield _filled(about, first, indent) or first.rstrip()


def _filled(text: str, first: str, others: str) -> str:
    return textwrap.fill(text, WIDTH, initial_indent=first, subsequent_indent=others, break_on_hyphens=False)
