"""Files that somebody has damaged: a configuration that loads or an error with its place, and nothing else."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from pimsim import InputError, api
from pimsim.config.imports import import_memory
from tests.imports.made_up import INI, POWER, memspec

TEXTS = {"gddr6.json": memspec("GDDR6", mempowerspec=POWER), "hbm3.json": memspec("HBM3"), "dramsim3.ini": INI}
WORDS = [
    "0",
    "-1",
    "1e9",
    "NaN",
    "true",
    "[",
    "]",
    "{",
    "}",
    ":",
    "=",
    ";",
    '"',
    "\t",
    "\n",
    "\\",
    "\x00",
    "é",
    "99999999999",
]


def damaged(text: str, chance: random.Random) -> str:
    """A text with a few pieces taken out, doubled, exchanged or replaced by words that mean something."""
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(text))
        end = at + chance.choice((1, 1, 3, 12))
        piece = chance.choice(("", text[at:end] * 2, chance.choice(WORDS), text[::-1][at:end]))
        text = text[:at] + piece + text[end:]
    return text


@pytest.mark.parametrize("name", TEXTS)
def test_a_damaged_file_is_imported_or_refused(tmp_path: Path, name: str) -> None:
    chance, refused = random.Random(name), 0
    file, made = tmp_path / name, tmp_path / "c.yaml"
    for _ in range(150):
        file.write_text(damaged(TEXTS[name], chance), encoding="utf-8")
        try:
            made.write_text(import_memory(file).text, encoding="utf-8")
        except InputError as error:
            refused += 1
            assert all(problem.file == str(file) and problem.line > 0 for problem in error.problems), error
        else:
            api.preflight(api.load(made))
    assert 20 < refused < 150


def test_a_long_line_takes_no_long_time(tmp_path: Path) -> None:
    """A quadratic reader would take hours."""
    for line in (
        "a" + " " * 900_000,
        "[" + " " * 900_000,
        "a = " + "; " * 400_000 + "x",
        "a = 1" + " " * 900_000 + "x",
    ):
        (tmp_path / "m.ini").write_text(f"[timing]\n{line}\n")
        with pytest.raises(InputError):
            import_memory(tmp_path / "m.ini")
