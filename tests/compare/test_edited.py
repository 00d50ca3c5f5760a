"""Files of a result, changed at random: refused with their place, or read, compared and shown."""

from __future__ import annotations

import random
import runpy
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

import pimsim
from pimsim.errors import InputError
from tests.compare.conftest import run_of
from tests.examples import TIMES, examples

FUZZ: dict[str, Any] = runpy.run_path(str(Path(__file__).parents[2] / "bench" / "fuzz.py"))
SEED = time.time_ns() if TIMES else 7
FILES = ("summary.json", "operators.csv", "tokens.csv", "config.resolved.yaml")


def outcome(folder: Path, original: Path) -> str:
    """What comes of a folder with a file that was changed."""
    try:
        result = pimsim.load_result(folder)
    except InputError as error:
        assert all(problem.file and problem.line and problem.column for problem in error.problems)
        return "refused"
    comparison = pimsim.compare([original, result])
    assert comparison.to_json() and str(comparison) and comparison._repr_html_() and str(result)
    assert isinstance(result.config_problem, str) and result.plot.available()  # type: ignore[attr-defined]
    return "read"


@pytest.mark.parametrize("file", FILES)
def test_an_edited_file_is_refused_or_read(file: str, tmp_path: Path) -> None:
    chance, counts = random.Random(f"{SEED}{file}"), {"refused": 0, "read": 0}
    original = run_of(workload__prompt_tokens=1).save(tmp_path / "original")
    content = (original / file).read_bytes()
    folder = Path(shutil.copytree(original, tmp_path / "edited"))
    for number in range(examples(60)):
        (folder / file).write_bytes(FUZZ["mutated"](content, chance, FUZZ["_TEXT"]))
        try:
            counts[outcome(folder, original)] += 1
        except Exception as error:
            raise AssertionError(f"case {number} of seed {SEED}") from error
    assert counts["refused"] > (0 if file.endswith(".yaml") else 30), counts
