"""Lists of names that stand in sentences and tables by hand are whole: what the program has by name, they name."""

from __future__ import annotations

import re
from collections.abc import Iterator

import click

from pimsim.cli import cli
from pimsim.config.devices import CONFIGS
from pimsim.workload.decoding import data
from pimsim.workload.export import configs
from tests.docs.shown import PAGES, ROOT, commands


def page(name: str) -> str:
    return (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")


def rows(text: str) -> set[str]:
    """The names in the first cells of the tables of a page."""
    cells = re.findall(r"^\| ([^|]+) \|", text, re.MULTILINE)
    return {name.strip("`") for cell in cells for name in re.split(r", (?=`)", cell)}


def every_command(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The names of all commands, those of groups behind the group's."""
    context = click.Context(group, **cli.context_settings)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        yield from every_command(command, (*path, name)) if isinstance(command, click.Group) else [(*path, name)]


def test_every_command_is_on_some_page() -> None:
    shown = {tuple(line[:length]) for place in PAGES for line in commands(place) for length in (1, 2)}
    assert [" ".join(command) for command in every_command(cli) if command not in shown] == []


def test_every_way_of_decoding_has_its_rows() -> None:
    names, text = list(data.mechanisms()), page("decoding")
    assert f"each of {({15: 'fifteen'})[len(names)]} published ways" in text
    for part in (text.partition("## Studies")[0], text.partition("## How each becomes a schedule")[2]):
        assert set(names) - rows(part) == set()


def test_every_baseline_has_its_rows() -> None:
    names = {path.stem for path in (ROOT / "pimsim" / "baselines").glob("*.yaml")}
    text = page("baselines")
    assert names - rows(text.partition("## The machines")[0]) == set()
    assert names - rows(text.partition("## What fits")[2].partition("\n## ")[0]) == set()


def test_every_standard_has_its_row() -> None:
    assert rows(page("memories")) >= set(CONFIGS)


def test_every_built_in_configuration_of_a_model_is_named() -> None:
    assert [name for name in configs.known() if f"`{name}`" not in page("export")] == []


def test_every_folder_of_tests_and_every_gate_is_in_contributing() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    folders = {path.name for path in (ROOT / "tests").iterdir() if any(path.glob("test_*.py"))}
    assert [name for name in sorted(folders) if f"`{name}`" not in text] == []
    gates = re.findall(r"^(test[\w-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(gates) > 5 and [gate for gate in gates if f"| `make {gate}` |" not in text] == []
