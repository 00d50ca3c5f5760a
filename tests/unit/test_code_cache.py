"""Compiled code on disk: whatever became of its files, a run compiles what it cannot read, and says so."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
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


ROOT = Path(__file__).parents[2]
KERNEL = sorted((ROOT / "pimsim/dram/kernel").glob("*.py"))
SCHEDULE = sorted((ROOT / "pimsim/sim/schedule/compiled").glob("*.py"))
COMPILED_BY = [ROOT / "pimsim/dram" / name for name in ("compiler.py", "records.py", "code/views.py", "code_cache.py")]
TINY = """
from pimsim.dram.compiler import entry, view
from pimsim.dram.kernel.arrays import clear

@entry
def tiny(a):
    clear(view(a))
"""
WATCH = """
import sys
import numpy as np
from pimsim.dram.compiler import entry
from pimsim.sim.schedule.compiled.tiny import tiny

def compiles():
    again = entry(tiny.py_func)
    again(np.ones(1, np.int64))
    return not again.stats.cache_hits

assert compiles() and not compiles()
for path in sys.argv[1:]:
    with open(path, "a") as file:
        file.write("# changed\\n")
    print(path, compiles(), compiles())
"""


def test_a_change_of_any_file_that_it_is_made_of_makes_it_anew(tmp_path: Path) -> None:
    copy = tmp_path / "pimsim"
    shutil.copytree(ROOT / "pimsim", copy, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "sim/schedule/compiled/tiny.py").write_text(TINY)
    paths = [str(tmp_path / path.relative_to(ROOT)) for path in [*KERNEL, *SCHEDULE, *COMPILED_BY]]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    run = [sys.executable, "-c", WATCH, *paths]
    done = subprocess.run(run, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [f"{path} True False" for path in paths]


@pytest.mark.parametrize("path", KERNEL + SCHEDULE, ids=lambda path: path.stem)
def test_compiled_code_takes_nothing_from_files_that_the_cache_does_not_watch(path: Path) -> None:
    modules = [node.module for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]
    ours = {module for module in modules if module and module.startswith("pimsim")}
    own = ".".join(path.relative_to(ROOT).parts[:-1])
    watched = ("pimsim.dram.compiler", "pimsim.dram.records", "pimsim.dram.kernel.", f"{own}.")
    assert [module for module in ours if not module.startswith(watched)] == []
