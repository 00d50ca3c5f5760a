"""Mutated inputs are accepted or refused by the commands that read them; `bench/fuzz.py` tries thousands."""

from __future__ import annotations

import runpy
import time
from pathlib import Path
from typing import Any

import pytest

from tests.examples import TIMES, examples

SCRIPT: dict[str, Any] = runpy.run_path(str(Path(__file__).parents[2] / "bench" / "fuzz.py"))
NEEDS = {"parquet": "pyarrow", "chakra": "google.protobuf"}
KINDS = ("configuration", "trace", "program", "log", "parquet", "profile", "chakra")
MUTATIONS = examples(40)
SEED = time.time_ns() if TIMES else 13


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A kind whose package is here; the test runs in its own folder."""
    name: str = request.param
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    monkeypatch.chdir(tmp_path)
    return name


def test_every_kind_is_here() -> None:
    assert set(SCRIPT["KINDS"]) == set(KINDS)


def test_mutated_files_are_accepted_or_refused(kind: str, tmp_path: Path) -> None:
    counts, failures = SCRIPT["fuzz"](kind, MUTATIONS, SEED, tmp_path)
    assert not failures, failures[0]
    assert counts["refused"] > MUTATIONS // 2


def test_what_is_mutated_is_accepted_before(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"whole{SCRIPT['KINDS'][kind].suffix}"
    path.write_bytes(SCRIPT["seeds"](kind)[-1])
    assert SCRIPT["outcome"](SCRIPT["KINDS"][kind], path) == "accepted"


@pytest.mark.parametrize("name", ["a line in a packed log", "lists in a profile", "a configuration of its own aliases"])
def test_small_files_that_are_huge_once_they_are_read(name: str, tmp_path: Path) -> None:
    assert SCRIPT["defused"](name, 80, tmp_path) == ""
