"""Mutated inputs are accepted or refused by the commands that read them; `bench/fuzz.py` tries thousands."""

from __future__ import annotations

import importlib.util
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.examples import TIMES, examples

_FILE = Path(__file__).parents[2] / "bench" / "fuzz.py"
NEEDS = {"parquet": "pyarrow", "chakra": "google.protobuf"}
KINDS = ("configuration", "trace", "program", "log", "parquet", "profile", "chakra")
MUTATIONS = examples(40)
SEED = time.time_ns() if TIMES else 13


@pytest.fixture(scope="module")
def fuzz() -> Any:
    spec = importlib.util.spec_from_file_location("fuzz", _FILE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["fuzz"] = module  # where its dataclasses are looked up
    spec.loader.exec_module(module)
    return module


def test_every_kind_is_here(fuzz: Any) -> None:
    assert set(fuzz.KINDS) == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_mutated_files_are_accepted_or_refused(
    fuzz: Any, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind in NEEDS:
        pytest.importorskip(NEEDS[kind])
    monkeypatch.chdir(tmp_path)
    counts, failures = fuzz.fuzz(kind, MUTATIONS, SEED, tmp_path)
    assert not failures, failures[0]
    assert counts["refused"] > MUTATIONS // 2


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_mutated_is_accepted_before(
    fuzz: Any, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind in NEEDS:
        pytest.importorskip(NEEDS[kind])
    monkeypatch.chdir(tmp_path)
    path = tmp_path / f"whole{fuzz.KINDS[kind].suffix}"
    path.write_bytes(fuzz.seeds(kind)[-1])
    assert fuzz.outcome(fuzz.KINDS[kind], path) == "accepted"


@pytest.mark.parametrize("name", ["a line in a packed log", "lists in a profile", "a configuration of its own aliases"])
def test_small_files_that_are_huge_once_they_are_read(fuzz: Any, name: str, tmp_path: Path) -> None:
    assert fuzz.defused(name, 80, tmp_path) == ""
