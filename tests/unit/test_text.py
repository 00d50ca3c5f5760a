"""Text from users moves nothing on a screen, computes nothing in a spreadsheet, and as a name stays in its folder."""

from __future__ import annotations

import ast
import csv
import io
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table

import pimsim
from pimsim.cli import say
from pimsim.results.csv_text import to_csv
from pimsim.sweep.table import csv_text
from pimsim.text import csv_cell, not_a_file_name, not_text, on_screen, one_line

PACKAGE = Path(pimsim.__file__).parent
any_text = st.text(st.characters(codec=None), max_size=30)  # half surrogate pairs as well
HOSTILE = "a\x1b[31m\x1b]0;title\x07\r\x9b2Jb\u202e[/red][bold]:smile:\ud800"


@given(any_text)
def test_nothing_that_is_shown_moves_a_terminal(text: str) -> None:
    assert one_line(text).isprintable()
    assert on_screen(text).count("\n") == text.count("\n")
    assert on_screen(text, "ascii").isascii()
    on_screen(text, "utf-8").encode()


@given(st.text(st.characters(categories=["L", "N", "P", "S"]), max_size=20))
def test_text_that_is_harmless_is_shown_as_it_is(text: str) -> None:
    assert one_line(text) == on_screen(text, "utf-8") == text


def test_rich_shows_text_as_it_is_and_escapes_what_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    from rich.text import Text

    made = say.console()
    made.file = io.StringIO()
    table = Table(title=HOSTILE)
    table.add_column(HOSTILE)
    table.add_row(HOSTILE)
    table.add_row(Text(HOSTILE))
    made.print(table, width=300)
    made.print(HOSTILE, width=300)
    shown = made.file.getvalue()
    assert shown.count("[/red][bold]:smile:") == 5
    assert not [c for c in shown if unicodedata.category(c) in ("Cc", "Cf", "Cs") and c != "\n"]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-cmd|' /C calc'!A0", "@SUM(1)"])
def test_no_cell_of_a_csv_is_a_formula(text: str) -> None:
    for written in (to_csv([{"operator": text, "ns": -1.5}]), csv_text([{"operator": text, "ns": -1.5}])):
        head, cells = csv.reader(io.StringIO(written, newline=""))
        assert (head, cells) == (["operator", "ns"], [f"'{text}", "-1.5"])


def test_a_row_is_a_line() -> None:
    assert to_csv([{"operator": "a\r\nb\x1b"}]) == csv_text([{"operator": "a\r\nb\x1b"}]) == "operator\na\\r\\nb\\x1b\n"


@given(st.one_of(st.integers(), st.floats(), st.booleans(), st.none()))
def test_numbers_stay_numbers(value: object) -> None:
    assert csv_cell(value) is value


@pytest.mark.parametrize(
    "name", ["", ".", "..", " . ", "../../x", "/etc/x", "a/b", "a\\b", "a\0b", "a\nb", "a\x1b", "\ud800", "ü" * 101]
)
def test_what_is_no_file_name_is_refused(name: str) -> None:
    assert not_a_file_name(name)


@given(any_text)
def test_a_name_that_is_allowed_is_one_file_in_its_folder(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    if not_a_file_name(name) is not None:
        return
    folder = tmp_path_factory.getbasetemp() / "names"
    (folder / name).mkdir(parents=True, exist_ok=True)
    assert (folder / name).resolve().parent == folder.resolve()
    assert not_text(name) is None


@pytest.mark.parametrize("name", ["channels", "[red]x[bold]", "größe", "a b.c", "gpt2=small", ".hidden", "-x"])
def test_odd_names_are_names(name: str) -> None:
    assert not_a_file_name(name) is None


def test_commands_print_in_one_way_only() -> None:
    """`say`, `emit` and `console` are the only ways out: another would print names as they come."""
    found = []
    for path in [*PACKAGE.rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and path.name != "say.py":
                called = ast.unparse(node.func)
                if called in ("click.echo", "click.secho", "print", "Console", "rich.print", "sys.stdout.write"):
                    found.append(f"{path.relative_to(PACKAGE)}:{node.lineno}: {called}")
    assert not found
