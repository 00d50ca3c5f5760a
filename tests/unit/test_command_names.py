"""No room above the devices names a command of one: they ask the device what it means."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import pimsim
from pimsim.devices.registry import STANDARDS

PACKAGE = Path(pimsim.__file__).parent
ROOMS = (
    "mapping",
    "sim",
    "energy",
    "results",
    "timeline",
    "plots",
    "report",
    "sweep",
    "cli",
    "traffic",
    "baselines",
    "values",
)
# MAC is the name of a unit as well; TMOD, say, is nothing else
NAMES = {command.name for table in STANDARDS.values() for command in table.commands} - {"MAC"}
FILES = [
    path
    for room in ROOMS
    for path in sorted((PACKAGE / room).rglob("*"))
    if path.suffix in (".py", ".yaml", ".html", ".css", ".js")
]


def named(text: str) -> list[str]:
    """Every line that has the name of a command as a word."""
    words = re.compile(rf"(?<![\w-])({'|'.join(sorted(NAMES))})(?![\w-])")
    return [f"{number}: {line.strip()}" for number, line in enumerate(text.splitlines(), 1) if words.search(line)]


def test_the_names_are_found() -> None:
    assert named('x = counts["MACAB"]\n# after RD\nHEARD = 1') == ['1: x = counts["MACAB"]', "2: # after RD"]
    assert len(FILES) > 80


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_no_command_is_named(path: Path) -> None:
    assert named(path.read_text(encoding="utf-8")) == []
