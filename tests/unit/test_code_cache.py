"""Compiled code on disk: whatever became of its files, a run compiles what it cannot read, and says so."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pimsim.dram import compiler

pytestmark = pytest.mark.skipif(not compiler.COMPILES, reason="the kernel is interpreted")

DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "cut off": lambda data: data[: len(data) // 2],
    "a bit flipped": lambda data: data[:-9] + bytes([data[-9] ^ 1]) + data[-8:],
    "garbage": lambda data: bytes(range(256)) * 4,
    "text": lambda data: b"no space left on device\n",
}


def twice(a: Any) -> Any:
    return a[0] * 2


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    import numba

    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    return tmp_path


def run(function: Callable[[Any], Any] = twice, value: Any = 21) -> tuple[Any, bool]:
    """What a new process would do: the answer, and if it was compiled."""
    compiled: Any = compiler.entry(function)
    answer = compiled(np.array([value]))
    return answer, not compiled.stats.cache_hits


def files(folder: Path, suffix: str) -> list[Path]:
    return sorted(folder.rglob(f"*{suffix}"))


def test_what_was_kept_is_not_compiled_again(folder: Path) -> None:
    assert run() == (42, True)
    assert run() == (42, False)


@pytest.mark.parametrize("kind", ["nbi", "nbc"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_set_aside_and_its_code_compiled_anew(folder: Path, kind: str, damage: str) -> None:
    run()
    (path,) = files(folder, f".{kind}")
    damaged = DAMAGES[damage](path.read_bytes())
    path.write_bytes(damaged)
    with pytest.warns(RuntimeWarning, match=f"{path.name} cannot be read .* set aside as .* compiled anew"):
        assert run() == (42, True)
    assert path.with_name(f"{path.name}.damaged").read_bytes() == damaged
    assert run() == (42, False)


def test_a_folder_in_the_place_of_a_file_is_set_aside(folder: Path) -> None:
    run()
    (path,) = files(folder, ".nbi")
    path.unlink()
    path.mkdir()
    with pytest.warns(RuntimeWarning, match="cannot be read"):
        assert run() == (42, True)
    assert run() == (42, False)


def test_code_that_was_removed_is_compiled_anew(folder: Path) -> None:
    run()
    files(folder, ".nbc")[0].unlink()
    assert run() == (42, True)
    assert run() == (42, False)


def test_code_of_another_signature_under_the_same_name_is_not_run(folder: Path) -> None:
    """Two processes that write the index at once both take the first free name."""
    run()
    index, code = files(folder, ".nbi")[0].read_bytes(), files(folder, ".nbc")[0]
    files(folder, ".nbi")[0].unlink()
    run(value=1.5)  # another process did not see the index, and wrote its own code under the same name
    assert files(folder, ".nbc") == [code]
    files(folder, ".nbi")[0].write_bytes(index)
    assert run() == (42, True)


def test_code_that_cannot_be_kept_is_run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("pimsim.dram.code_cache._Files._write", full)
    with pytest.warns(RuntimeWarning, match=r"cannot be kept .*No space left on device"):
        assert run() == (42, True)


def test_no_memory_is_no_damage(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run()

    def no_memory(_: bytes) -> None:
        raise MemoryError

    monkeypatch.setattr("pimsim.dram.code_cache.pickle.loads", no_memory)
    with warnings.catch_warnings(), pytest.raises(MemoryError):
        warnings.simplefilter("error")
        run()
    assert len(files(folder, ".nbi")) == len(files(folder, ".nbc")) == 1


def test_a_change_of_how_it_is_compiled_makes_it_anew(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run()
    monkeypatch.setattr("pimsim.dram.code_cache._digest", lambda name: f"another {name}")
    assert run() == (42, True)
