"""Files that a user names: what is read, how much of it, and how a file appears."""

from __future__ import annotations

import gzip
import os
import resource
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from pimsim import files
from pimsim.errors import InputError


def message(action: Callable[[], object]) -> str:
    with pytest.raises(InputError) as error:
        action()
    (problem,) = error.value.problems
    return problem.message


def special(folder: Path, kind: str) -> Path:
    path = folder / kind
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "device":
            path.symlink_to("/dev/zero")
        case "socket":
            with tempfile.TemporaryDirectory(dir="/tmp") as short:  # a socket's name is short
                socket.socket(socket.AF_UNIX).bind(f"{short}/s")
                os.rename(f"{short}/s", path)
        case "folder":
            path.mkdir()
        case "endless link":
            path.symlink_to(path)
    return path


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("pipe", "is a pipe, not a file"),
        ("device", "is a device, not a file"),
        ("socket", "is a socket, not a file"),
        ("folder", "Is a directory"),
        ("endless link", "Too many levels of symbolic links"),
        ("nothing", "No such file or directory"),
    ],
)
def test_what_is_no_file_is_not_read(tmp_path: Path, kind: str, why: str) -> None:
    path = special(tmp_path, kind)
    assert message(lambda: files.open_input(path)) == f"cannot be read: {why}"


@pytest.mark.parametrize(("name", "why"), [("", "empty"), ("a\0b", "NUL"), ("a\ud800b", "surrogate")])
def test_a_name_that_no_file_has(name: str, why: str) -> None:
    assert why in message(lambda: files.open_input(name))
    assert why in message(lambda: files.write_bytes(name, b""))


def test_a_file_is_read_up_to_its_limit(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert files.read_bytes(path, 5) == b"12345"
    assert message(lambda: files.read_bytes(path, 4)) == "cannot be read: has more than 4 bytes"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[1, 2", "not JSON: expecting ',' delimiter"),
        ("1" * 5000, "a number with too many digits"),
        ("[" * 100_000, "is nested too deeply"),
        ("[1, 1e999]", "1e999 is not a finite number"),
        ("[NaN]", "NaN is not a finite number"),
        ('["\\ud83d\\ude00", "\\ud800"]', "half a surrogate pair, which no text may have"),
    ],
    ids=["cut off", "digits", "deep", "infinite", "NaN", "surrogate"],
)
def test_json_is_a_value_or_a_json_error(text: str, why: str) -> None:
    with pytest.raises(files.JsonError) as error:
        files.json_value(text)
    assert str(error.value) == why


def test_json_of_other_programs_may_have_infinity() -> None:
    assert files.parse_json(b'[Infinity, "\\ud83d\\ude00"]', "x") == [float("inf"), "\U0001f600"]


# -- writing --------------------------------------------------------------------------


@pytest.fixture(params=["nameless", "hidden"])
def pending(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How a file waits until it is whole: systems have files without names, or have not."""
    if request.param == "hidden":
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    return str(request.param)


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path, pending: str) -> None:
    path = tmp_path / "file"
    with files.whole_file(path) as file:
        file.write(b"new")
        assert not path.exists()
    assert path.read_bytes() == b"new"
    with pytest.raises(RuntimeError), files.whole_file(path) as file:
        file.write(b"half")
        raise RuntimeError
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["file"]


def test_a_compressed_file_is_the_same_whenever_it_is_written(tmp_path: Path) -> None:
    for name in ("a", "b"):
        with files.whole_file(tmp_path / name, compress=True) as file:
            file.write(b"text")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert gzip.decompress((tmp_path / "a").read_bytes()) == b"text"


def test_a_file_has_the_permissions_of_any_new_file(tmp_path: Path, pending: str) -> None:
    files.write_bytes(tmp_path / "mine", b"")
    (tmp_path / "usual").write_bytes(b"")
    mine, usual = (stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("mine", "usual"))
    assert mine == usual


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("file")
    files.write_bytes(tmp_path / "link", b"text")
    assert (tmp_path / "file").read_bytes() == b"text"
    assert (tmp_path / "link").is_symlink()


def test_a_device_is_written_to_and_not_replaced() -> None:
    files.write_bytes("/dev/null", b"text")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    assert message(lambda: files.write_bytes("/dev/full", b"text")) == "cannot be written: No space left on device"


@pytest.mark.parametrize("size", [10, 10_000_000])
def test_a_disk_that_cannot_take_it(tmp_path: Path, pending: str, size: int) -> None:
    """A limit on the size of files stands for a full disk."""

    def write() -> None:
        with files.whole_file(tmp_path / "file") as file:
            for _ in range(10):
                file.write(bytes(size // 10))

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, before[1]))
    try:
        assert message(write) == "cannot be written: File too large"
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(not hasattr(os, "O_TMPFILE"), reason="this system has no files without names")
def test_a_killed_process_leaves_nothing(tmp_path: Path) -> None:
    code = (
        "import sys, time\nfrom pimsim import files\nwith files.whole_file(sys.argv[1]) as file:\n"
        "    file.write(bytes(5_000_000)); file.flush(); print('written', flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "file")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "written\n"
        process.kill()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("number", "text"), [(999, "999 bytes"), (1000, "1.0 kB"), (123_456, "123 kB"), (2_100_000_000, "2.1 GB")]
)
def test_sizes_for_people(number: int, text: str) -> None:
    assert files.size(number) == text
