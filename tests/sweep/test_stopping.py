"""What a sweep that was stopped leaves, whatever goes wrong while it stops."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pimsim.sweep
from pimsim.errors import InputError
from pimsim.sweep import page as pages
from pimsim.sweep import reports, result, runner
from pimsim.sweep.page import REPORT
from tests.sweep.conftest import Pimsim, sweep_of
from tests.sweep.test_search import search_of

AXES: dict[str, Any] = {"dram.channels": [1, 2, 3, 4, 5, 6, 7, 8]}
GOALS = ["system.latency_per_token_ns", "system.energy_per_token_pJ"]
SWEEP = sweep_of(AXES, objectives=GOALS)
SweepFile = Callable[[str], Path]


def stop_at(wanted: int) -> Callable[[int, int], None]:
    """Ctrl-C when so many points are finished."""

    def stop(done: int, total: int) -> None:
        if done == wanted:
            raise KeyboardInterrupt

    return stop


def stopped(out: Path, at: int, sweep: Any = SWEEP, **options: Any) -> runner.Stopped:
    """What is raised when a sweep into `out` is stopped."""
    with pytest.raises(runner.Stopped) as found:
        pimsim.sweep.run(sweep, out=str(out), workers=0, progress=stop_at(at), **options)
    return found.value


def raising(error: BaseException) -> Callable[..., Any]:
    def fail(*_: Any, **__: Any) -> Any:
        raise error

    return fail


def page_in(out: Path) -> str:
    return (out / REPORT).read_text(encoding="utf-8")


FULL = OSError(errno.ENOSPC, "No space left on device")


# -- what the page says ---------------------------------------------------------------


def test_a_page_with_a_part_of_the_points_counts_all_and_names_the_file_that_has_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "SHOWN", 3)
    stopped(tmp_path / "out", 6)
    page = page_in(tmp_path / "out")
    assert "2 of 8 points are not simulated yet" in page
    assert "of 6, the front among them; all are in journal.jsonl" in page
    assert "results file" not in page.partition("<script")[0]
    pimsim.sweep.run(SWEEP, out=str(tmp_path / "out"), workers=0, resume=True)
    assert "of 8, the front among them; all are in the results file" in page_in(tmp_path / "out")


def test_a_stopped_search_tells_what_its_constraints_dropped_and_how_much_is_missing(tmp_path: Path) -> None:
    search = search_of(18, "random", constraints=["dram.channels > 1"])
    stopped(tmp_path / "out", 9, search)
    page = page_in(tmp_path / "out")
    assert "dropped by constraints: " in page and "9 of 18 points are not simulated yet" in page
    error = stopped(tmp_path / "out", 9, search, resume=True)  # before a new point is there
    assert (error.done, error.total) == (9, 18)
    pimsim.sweep.run(search, out=str(tmp_path / "out"), workers=0, resume=True)
    pimsim.sweep.run(search, out=str(tmp_path / "whole"), workers=0)
    assert page_in(tmp_path / "out") == page_in(tmp_path / "whole")


@pytest.mark.parametrize("typed", ["tiny.yaml", "./tiny.yaml", "../{here}/tiny.yaml", "{whole}"])
def test_the_page_is_the_same_however_the_file_is_typed(
    typed: str, pimsim: Pimsim, sweep_file: SweepFile, tmp_path: Path
) -> None:
    path = sweep_file("axes: {dram.channels: [1, 2]}\n")
    typed = typed.format(here=tmp_path.name, whole=path)
    assert pimsim("sweep", typed, "--out", "typed", "--workers", "0").exit_code == 0
    assert pimsim("sweep", "tiny.yaml", "--out", "plain", "--workers", "0").exit_code == 0
    assert page_in(tmp_path / "typed") == page_in(tmp_path / "plain")
    assert "pimsim sweep tiny.yaml --resume" in page_in(tmp_path / "typed")
    assert f"{path.parent}/" not in page_in(tmp_path / "typed")


def test_a_file_elsewhere_is_named_so_that_the_command_works(
    sweep_file: SweepFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = sweep_file("axes: {dram.channels: [1, 2]}\n")
    (tmp_path / "in a").mkdir()
    monkeypatch.chdir(tmp_path / "in a")
    stopped(Path("out"), 1, path)
    assert "pimsim sweep ../tiny.yaml --resume" in page_in(Path("out"))
    os.rename(path, path := path.parent / "in a" / "my sweep.yaml")
    stopped(Path("again"), 1, path)
    assert "pimsim sweep &#39;my sweep.yaml&#39; --resume" in page_in(Path("again"))


def test_ctrl_c_before_the_points_are_counted_says_how_many_there_may_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped(tmp_path / "out", 2)
    before = page_in(tmp_path / "out")
    monkeypatch.setattr(runner, "select", raising(KeyboardInterrupt()))
    with pytest.raises(runner.Stopped, match="2 of 8 points are finished"):
        pimsim.sweep.run(SWEEP, out=str(tmp_path / "out"), workers=0, resume=True)
    assert page_in(tmp_path / "out") == before


# -- what goes wrong ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (FULL, "No space left on device"),
        (KeyboardInterrupt(), "stopped as well"),
        (MemoryError("so much"), "MemoryError: so much"),
    ],
    ids=["full disk", "second Ctrl-C", "anything"],
)
def test_a_page_that_cannot_be_written_keeps_nobody_from_stopping(
    error: BaseException, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped(tmp_path / "out", 2)
    assert "6 of 8 points" in page_in(tmp_path / "out")
    monkeypatch.setattr(result, "page_of", raising(error))
    found = stopped(tmp_path / "out", 5, resume=True)
    assert (found.done, found.total, found.missing, found.unwritten) == (5, 8, "points", told)
    assert not (tmp_path / "out" / REPORT).exists()  # its numbers hold no longer


def test_the_command_tells_of_the_page_and_exits_as_it_does(
    pimsim: Pimsim, sweep_file: SweepFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = sweep_file("axes: {dram.channels: [1, 2, 3]}\n").rename("my sweep.yaml")
    monkeypatch.setattr(runner.Journal, "append", raising(KeyboardInterrupt()))
    monkeypatch.setattr(result, "page_of", raising(FULL))
    done = pimsim("sweep", path, "--out", "o", "--workers", "0", "--format", "csv", "--figures", "svg")
    assert (done.exit_code, done.stdout) == (130, "")
    assert done.stderr.splitlines() == [
        "o: no report.html of what is finished: No space left on device",
        "stopped: 0 of 3 points are finished and kept; go on with",
        "  pimsim sweep 'my sweep.yaml' --out o --format csv --figures svg --resume",
    ]


def test_a_full_disk_leaves_no_part_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("old")
    monkeypatch.setattr(os, "fsync", raising(FULL))
    with pytest.raises(OSError, match="No space"):
        result.replace_file(tmp_path / "file", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "old"


def test_a_folder_that_nobody_keeps_has_no_page(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[object] = []
    monkeypatch.setattr(runner, "write_unfinished_page", lambda *given: written.append(given))
    with pytest.raises(runner.Stopped):
        pimsim.sweep.run(SWEEP, workers=0, progress=stop_at(2))
    assert not written


# -- behind the last point ------------------------------------------------------------


def test_results_that_are_not_written_are_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped(tmp_path / "out", 2)
    with monkeypatch.context() as patched:
        patched.setattr(result, "write_table", raising(KeyboardInterrupt()))
        with pytest.raises(runner.Stopped, match="8 of 8 points are finished, results are missing"):
            pimsim.sweep.run(SWEEP, out=str(tmp_path / "out"), workers=0, resume=True)
    assert not (tmp_path / "out" / REPORT).exists()  # it said that 6 are missing
    pimsim.sweep.run(SWEEP, out=str(tmp_path / "out"), workers=0, resume=True)
    assert "not simulated yet" not in page_in(tmp_path / "out")


def test_ctrl_c_among_reports_says_what_is_missing_and_the_page_has_those_that_are_made(
    pimsim: Pimsim, sweep_file: SweepFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = sweep_file("axes: {dram.channels: [1, 2, 3]}\n")
    make = reports._make

    def once(wanted: Any) -> str:
        if wanted.folder.name == "1":
            raise KeyboardInterrupt
        return make(wanted)

    monkeypatch.setattr(reports, "_make", once)
    given = ("sweep", path.name, "--out", "o", "--workers", "0", "--reports", "all")
    done = pimsim(*given)
    assert (done.exit_code, done.stdout) == (130, "")
    assert done.stderr.splitlines() == [
        "stopped: 3 of 3 points are finished and kept, but reports of points are missing; make them with",
        "  pimsim sweep tiny.yaml --out o --reports all --resume",
    ]
    assert '"reports":[0]' in page_in(tmp_path / "o").replace(" ", "")
    monkeypatch.setattr(reports, "_make", make)
    assert pimsim(*given, "--resume").exit_code == 0
    assert '"reports":[0,1,2]' in page_in(tmp_path / "o").replace(" ", "")


def test_ctrl_c_among_reports_of_merged_shards_says_the_same(
    pimsim: Pimsim, sweep_file: SweepFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = sweep_file(f"axes: {{dram.channels: [1, 2, 3]}}\nobjectives: {GOALS}\n")
    for part in ("1", "2"):
        assert pimsim("sweep", path.name, "--out", part, "--workers", "0", "--shard", f"{part}/2").exit_code == 0
    with monkeypatch.context() as patched:
        patched.setattr(result, "make_reports", raising(KeyboardInterrupt()))
        done = pimsim("sweep", path.name, "--out", "o", "--merge", "1", "--merge", "2")
    assert done.exit_code == 130
    assert done.stderr.splitlines()[1] == "  pimsim sweep tiny.yaml --out o --resume"
    assert pimsim("sweep", path.name, "--out", "o", "--workers", "0", "--resume").exit_code == 0
    assert list((tmp_path / "o" / "points").iterdir())


@pytest.mark.parametrize("error", [FULL, KeyboardInterrupt()], ids=["full disk", "second Ctrl-C"])
def test_ctrl_c_among_reports_is_that_whatever_the_page_meets(
    error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pimsim.sweep.run(SWEEP, out=str(tmp_path / "out"), workers=0)
    before = page_in(tmp_path / "out")

    def stop(*_: Any) -> Any:
        monkeypatch.setattr(result, "replace_file", raising(error))
        raise KeyboardInterrupt

    monkeypatch.setattr(result, "make_reports", stop)
    with pytest.raises(runner.Stopped, match="8 of 8 points are finished, reports are missing"):
        pimsim.sweep.run(SWEEP, out=str(tmp_path / "out"), workers=0, resume=True, reports="all")
    assert page_in(tmp_path / "out") == before


def test_a_page_that_cannot_be_written_behind_reports_is_no_journal_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def then_full(*_: Any) -> dict[int, str]:
        monkeypatch.setattr(result, "replace_file", raising(FULL))
        return {}

    monkeypatch.setattr(result, "make_reports", then_full)
    with pytest.raises(InputError, match=r"cannot write into .*out: No space left"):
        pimsim.sweep.run(SWEEP, out=str(tmp_path / "out"), workers=0, reports="all")
