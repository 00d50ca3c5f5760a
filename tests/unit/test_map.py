"""The map of CONTRIBUTING.md: it has every room, and its directions are those that are checked."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
MAP = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("## Map")[2].partition("\n## ")[0]


def rooms() -> set[str]:
    """The folders and files of pimsim."""
    found = {
        path.stem for path in (ROOT / "pimsim").iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    return found - {"__init__", "__main__"}


def test_the_map_has_every_room_once() -> None:
    cells = [line.split("|")[1] for line in MAP.splitlines() if line.startswith("| `")]
    named = [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]
    assert sorted(named) == sorted(rooms())


def test_the_directions_are_those_that_are_checked() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(contract for contract in contracts if contract["type"] == "layers")["layers"]
    checked = [set(re.findall(r"\w+", layer)) for layer in layers if layer != "__main__"]
    line = next(line for line in MAP.splitlines() if line.startswith("    cli >"))
    assert [set(re.findall(r"\w+", part)) for part in line.split(" > ")] == checked
