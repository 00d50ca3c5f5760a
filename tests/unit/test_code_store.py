"""Compiled code on disk: whatever became of its files, a run compiles what it cannot read, and says so."""

from __future__ import annotations

import ast
import hashlib
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
from pimsim.dram.code import emit, store
from pimsim.dram.code.load import PLATFORM
from pimsim.dram.code.target import TARGETS, WIDE

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
    monkeypatch.setenv(store.FOLDER, str(tmp_path))
    return tmp_path


@pytest.fixture
def elsewhere(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """A function whose source lies in a folder of its own, and that is kept where nobody said."""
    monkeypatch.delenv(store.FOLDER)
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "user"))
    source = folder / "own" / "thrice.py"
    source.parent.mkdir()
    source.write_text("def thrice(a):\n    return a[0] * 3\n")
    names: dict[str, Any] = {"__name__": "thrice"}
    exec(compile(source.read_text(), str(source), "exec"), names)
    function: Callable[..., Any] = names["thrice"]
    return function


def run(
    function: Callable[[Any], Any] = twice, value: Any = 21, entry: Callable[..., Any] = compiler.entry
) -> tuple[Any, bool]:
    """What a new process would do: the answer, and if it was compiled."""
    made: list[str] = []

    def watched(function: Callable[..., int], kinds: str, target: str) -> bytes:
        made.append(kinds)
        return emit.emit(function, kinds, target)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pimsim.dram.code.entry.emit", watched)
        answer = entry(function)(np.array([value]))
    return answer, bool(made)


def files(folder: Path) -> list[Path]:
    return sorted(folder.rglob(f"*{store.SUFFIX}"))


def test_what_was_kept_is_not_compiled_again(folder: Path) -> None:
    assert run() == (42, True)
    assert run() == (42, False)
    assert not [path for path in folder.iterdir() if path not in files(folder)]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_set_aside_and_its_code_compiled_anew(folder: Path, damage: str) -> None:
    run()
    (path,) = files(folder)
    damaged = DAMAGES[damage](path.read_bytes())
    path.write_bytes(damaged)
    with pytest.warns(RuntimeWarning, match=f"{path.name} cannot be read .* set aside as .* compiled anew"):
        assert run() == (42, True)
    assert path.with_name(f"{path.name}.damaged").read_bytes() == damaged
    assert run() == (42, False)


def test_a_folder_in_the_place_of_a_file_is_set_aside(folder: Path) -> None:
    run()
    (path,) = files(folder)
    path.unlink()
    path.mkdir()
    with pytest.warns(RuntimeWarning, match="cannot be read"):
        assert run() == (42, True)
    assert run() == (42, False)


def test_code_of_other_arguments_is_other_code(folder: Path) -> None:
    run()
    (path,) = files(folder)
    both = compiler.entry(twice)
    with pytest.raises(TypeError, match="arrays of int64 without gaps"):
        both(np.array([1.5]))
    assert both((21,)) == 42
    (other,) = set(files(folder)) - {path}
    other.replace(path)  # under the other's name
    assert run() == (42, True)


@pytest.mark.skipif(WIDE not in TARGETS, reason="there is one target here")
def test_code_for_wider_vectors_has_a_file_of_its_own(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def wide(target: str) -> tuple[Any, bool]:
        monkeypatch.setattr("pimsim.dram.code.entry.widest", lambda: target)
        return run(entry=compiler.wide_entry)

    assert [wide(PLATFORM), wide(PLATFORM), wide(WIDE), wide(WIDE)] == [(42, True), (42, False)] * 2
    assert run() == (42, False)  # code for any processor, whoever made it
    plain, other = (folder / store.file_name(twice, "1", target) for target in (PLATFORM, WIDE))
    assert set(files(folder)) == {plain, other}
    other.write_bytes(DAMAGES["a bit flipped"](other.read_bytes()))
    with pytest.warns(RuntimeWarning, match=f"{other.name} cannot be read .* compiled anew"):
        assert wide(WIDE) == (42, True)
    assert wide(PLATFORM) == (42, False)
    other.replace(plain)  # what a processor might not run
    assert wide(PLATFORM) == (42, True)


@pytest.mark.parametrize("target", TARGETS)
def test_a_wheel_brings_code_for_each_target(folder: Path, monkeypatch: pytest.MonkeyPatch, target: str) -> None:
    entry, objects = compiler.wide_entry(twice), folder / "objects"
    for each in entry.targets:
        store.ship(twice, "1", each, entry.code("1", each), objects)
    for path in files(folder):
        if path.parent != objects:
            path.unlink()
    monkeypatch.setattr(store, "SHIPPED", objects)
    monkeypatch.setattr("pimsim.dram.code.entry.widest", lambda: target)
    assert run(entry=compiler.wide_entry) == (42, False)


def test_code_of_another_source_is_not_run(folder: Path) -> None:
    """Two checkouts that share a folder."""
    run()
    (path,) = files(folder)
    content = path.read_bytes()[store._DIGEST :]
    other = bytes([content[0] ^ 1]) + content[1:]
    path.write_bytes(hashlib.sha256(other).digest() + other)
    assert run() == (42, True)
    assert run() == (42, False)


def test_code_that_cannot_be_kept_is_run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.warns(RuntimeWarning, match=r"cannot be kept .*No space left on device.*NUMBA_CACHE_DIR"):
        assert run() == (42, True)


def test_without_a_folder_for_code_each_run_compiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "folders", lambda function: iter(()))
    for _ in range(2):
        with pytest.warns(RuntimeWarning, match="NUMBA_CACHE_DIR"):
            assert run() == (42, True)


def test_code_is_kept_beside_its_source_or_else_where_the_user_has_such_files(
    elsewhere: Callable[..., Any], folder: Path
) -> None:
    assert run(elsewhere) == (63, True)
    assert [path.parent for path in files(folder)] == [folder / "own" / "__pycache__"]
    assert run(elsewhere) == (63, False)
    shutil.rmtree(folder / "own" / "__pycache__")
    (folder / "own" / "__pycache__").write_text("no folder")
    assert run(elsewhere) == (63, True)
    assert [path.parent for path in files(folder)] == [folder / "user" / "pimsim"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert run(elsewhere) == (63, False)


def test_what_a_wheel_brings_is_run_whatever_made_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run()
    (path,) = files(folder)
    objects = folder / "objects"
    objects.mkdir()
    path.rename(objects / store.file_name(twice, "1", shipped=True))
    monkeypatch.setattr(store, "SHIPPED", objects)
    monkeypatch.setattr(store, "_versions", lambda: "numba-9.9")
    assert run() == (42, False)


def test_a_file_is_named_by_the_versions_that_made_it() -> None:
    import llvmlite
    import numba

    assert f".{sys.implementation.cache_tag}.numba-{numba.__version__}.llvmlite-{llvmlite.__version__}." in (
        store.file_name(twice, "1")
    )


ROOT = Path(__file__).parents[2]
KERNEL = sorted((ROOT / "pimsim/dram/kernel").glob("*.py"))
SCHEDULE = sorted((ROOT / "pimsim/sim/schedule/compiled").glob("*.py"))
VALUES = sorted((ROOT / "pimsim/values").glob("*/compiled/*.py"))
MADE_BY = [ROOT / "pimsim/dram" / name for name in store.MADE_BY]
TINY = """
from pimsim.dram.compiler import entry, view
from pimsim.dram.kernel.arrays import clear

@entry
def tiny(a):
    clear(view(a))
    return 0
"""
WATCH = """
import sys
import numpy as np
from pimsim.dram.code import store
from pimsim.sim.schedule.compiled.tiny import tiny

def compiles():
    store._source.cache_clear()
    tiny.forms.clear()
    made = store.find(tiny.function, "1") is None
    tiny(np.ones(1, np.int64))
    return made

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
    paths = [str(tmp_path / path.relative_to(ROOT)) for path in [*KERNEL, *SCHEDULE, *MADE_BY]]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    run = [sys.executable, "-c", WATCH, *paths]
    done = subprocess.run(run, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [f"{path} True False" for path in paths]


@pytest.mark.parametrize("path", KERNEL + SCHEDULE + VALUES, ids=lambda path: path.stem)
def test_compiled_code_takes_nothing_from_files_that_the_cache_does_not_watch(path: Path) -> None:
    modules = [node.module for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]
    ours = {module for module in modules if module and module.startswith("pimsim")}
    own = ".".join(path.relative_to(ROOT).parts[:-1])
    watched = ("pimsim.dram.compiler", "pimsim.dram.records", "pimsim.dram.kernel.", f"{own}.")
    assert [module for module in ours if not module.startswith(watched)] == []
