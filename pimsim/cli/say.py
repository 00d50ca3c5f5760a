"""What commands print: `say` for people, `emit` for programs.  No command prints in another way.

Names come from files that somebody else may have written: `say` and `console` escape
what a terminal would obey, and rich takes nothing in them for markup.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from typing import IO, TYPE_CHECKING, Any

import click

from pimsim.text import on_screen

if TYPE_CHECKING:
    from rich.console import Console

    from pimsim.results.layout import Screen


def say(text: str = "", err: bool = False) -> None:
    """Print text for people, a line or several."""
    stream = sys.stderr if err else sys.stdout
    click.echo(on_screen(text, getattr(stream, "encoding", None)), err=err)


def listed(title: str, notes: Iterable[str], err: bool = True) -> None:
    """Notes under a title, in 80 columns, on standard error unless told otherwise; nothing if there are none."""
    import textwrap

    notes = list(notes)
    if notes:
        say(title, err=err)
    for note in notes:
        say(textwrap.fill(note, 80, initial_indent="  - ", subsequent_indent="    "), err=err)


def emit(document: str, nl: bool = True) -> None:
    """Print JSON or YAML, whose own rules say how a character is written."""
    click.echo(document, nl=nl)


def may_be_a_terminal(stream: IO[str]) -> bool:
    """False where rich's console would surely say that it is no terminal: it takes long to import."""
    return stream.isatty() or any(os.environ.get(name) for name in ("FORCE_COLOR", "TTY_COMPATIBLE"))


def screen() -> Screen:
    """Standard output for lines of `pimsim.results.layout`: with styles on a terminal."""
    if may_be_a_terminal(sys.stdout):
        return console()
    from pimsim.results.layout import Plain

    return Plain(say, _width(), sys.stdout.encoding or "utf-8")


def _width() -> int:
    """The width of the screen where standard output is none, as rich has it: COLUMNS, that of another stream, or 80."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isdigit():
        return _size().get("width", 0) or int(columns)
    for descriptor in (0, 1, 2):
        with suppress(OSError):
            return os.get_terminal_size(descriptor).columns or 80
    return 80


def console(stderr: bool = False) -> Console:
    """rich's console for tables and progress bars: text in them is text, whatever is in it."""
    plain = {"markup": False, "emoji": False, "highlight": False}
    made: Console = _console_class()(stderr=stderr, **plain, **_size())
    return made


def _size() -> dict[str, int]:
    """The size of the screen where COLUMNS or LINES is a number that rich takes and no screen can have."""
    size = {}
    for variable, name, usual in (("COLUMNS", "width", 80), ("LINES", "height", 25)):
        text = os.environ.get(variable, "")
        if text.isdigit() and not (text.isdecimal() and len(text) < 6 and int(text)):
            size[name] = usual
    return size


@cache
def _console_class() -> Any:
    from rich.console import Console
    from rich.segment import Segment

    class SafeConsole(Console):
        """Escapes text before it is laid out, and again whatever came in another way."""

        def render_str(self, text: str, **options: Any) -> Any:
            return super().render_str(on_screen(text, self.encoding), **options)

        def render(self, renderable: Any, options: Any = None) -> Any:
            for segment in super().render(renderable, options):
                yield segment if segment.control else Segment(on_screen(segment.text, self.encoding), segment.style)

    return SafeConsole
