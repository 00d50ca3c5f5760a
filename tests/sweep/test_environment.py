"""What happens around a sweep: files are edited, memory and disks run out, folders are damaged, names are hostile."""

from __future__ import annotations

import csv
import io
import json
import re
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import pimsim.sweep
from pimsim import api
from pimsim.errors import InputError
from pimsim.files import open_input
from pimsim.held import holding, keeping
from pimsim.sweep import point
from pimsim.sweep.folder import JOURNAL, MANIFEST
from tests.conftest import SHIPPED
from tests.sweep.conftest import TINY, Pimsim, sweep_of
from tests.sweep.test_run import contents

ROOT = Path(__file__).parents[2]
SMALL, MEDIUM = ((ROOT / "traces" / f"gpt2-{size}.jsonl").read_bytes() for size in ("small", "medium"))
T4 = (Path(pimsim.__file__).parent / "baselines" / "gpu-t4.yaml").read_text().replace("name: gpu-t4", "name: mine", 1)
GOALS = ["system.latency_ns"]


# -- files that are edited meanwhile -----------------------------------------------------


@pytest.fixture
def traced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A sweep file over a trace and a baseline file, both beside it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.jsonl").write_bytes(SMALL)
    (tmp_path / "t4.yaml").write_text(T4)
    path = tmp_path / "traced.yaml"
    settings = {"workload.trace": "t.jsonl", "workload.output_tokens": 1, "workload.prompt_tokens": 0,
                "workload.query_tokens": 1, "workload.batch": 1, "baselines": ["t4.yaml"]}  # fmt: skip
    (tmp_path / "base.yaml").write_text(f"extends: {SHIPPED}\n")
    path.write_text(json.dumps({"base": "base.yaml", "set": settings, "axes": {"dram.channels": [4, 8, 16]}}))
    return path


def edit(folder: Path) -> None:
    (folder / "t.jsonl").write_bytes(MEDIUM)
    (folder / "t4.yaml").write_text(T4.replace("value: 70", "value: 7"))


def figures(result: Any) -> list[tuple[Any, ...]]:
    return [(row["system.cycles"], row["trace_sha256"], row["baselines.mine.speedup"]) for row in result.rows()]


@pytest.mark.parametrize("workers", [0, 1])
def test_a_file_that_is_edited_during_a_sweep_is_the_one_that_it_began_with(
    traced: Path, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = figures(pimsim.sweep.run(traced, workers=0))
    loaded = pimsim.sweep.load_sweep(traced)
    edit(traced.parent)
    assert figures(pimsim.sweep.run_sweep(loaded, workers=workers)) == before
    (traced.parent / "t.jsonl").unlink()
    (traced.parent / "t4.yaml").unlink()
    assert figures(pimsim.sweep.run_sweep(loaded, workers=workers)) == before


def test_a_resumed_sweep_refuses_files_that_were_edited(traced: Path, tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    pimsim.sweep.run(traced, out=out, workers=0)
    edit(tmp_path)
    with pytest.raises(InputError, match="or a file that they name has changed"):
        pimsim.sweep.run(traced, out=out, workers=0, resume=True)


def test_a_file_that_is_not_there_when_a_sweep_begins_is_there_for_no_point(traced: Path) -> None:
    (traced.parent / "t4.yaml").unlink()
    loaded = pimsim.sweep.load_sweep(traced)
    (traced.parent / "t4.yaml").write_text(T4)
    result = pimsim.sweep.run_sweep(loaded, workers=0)
    assert result.statuses == {"ok": 0, "infeasible": 3, "failed": 0}
    assert {row["error"] for row in result.rows()} == {"cannot be read: No such file or directory"}


def test_a_trace_that_a_search_may_choose_is_held_too(traced: Path) -> None:
    search = {"trials": 2, "seed": 1, "axes": {"workload.trace": ["t.jsonl"], "dram.channels": [4, 8]}}
    settings = {"workload.output_tokens": 1, "baselines": []}
    loaded = pimsim.sweep.load_sweep({"base": "base.yaml", "set": settings, "search": search, "objectives": GOALS})
    assert list(loaded.files) == ["t.jsonl"] and loaded.files["t.jsonl"] == SMALL


def test_what_is_held_is_read_in_place_of_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with keeping() as kept:
        assert open_input(path).read() == b"old"
        path.write_bytes(b"new")
        assert open_input(path).read() == b"old"
        with pytest.raises(InputError, match="No such file"):
            open_input(tmp_path / "none")
        (tmp_path / "none").touch()
        with pytest.raises(InputError, match="No such file"):
            open_input(tmp_path / "none")
    with holding(kept):
        assert open_input(tmp_path / "x" / ".." / "file").read() == b"old"
    assert open_input(path).read() == b"new"


# -- failures that are not the input's -----------------------------------------------------


@pytest.fixture
def without_memory(monkeypatch: pytest.MonkeyPatch) -> Iterator[set[int]]:
    """Channel counts at which there is no memory; the set may be changed."""
    short: set[int] = {2}
    run = api.run_keeping

    def starved(config: Any, *how: Any) -> Any:
        if config.dram.channels in short:
            raise MemoryError
        return run(config, *how)

    monkeypatch.setattr(api, "run_keeping", starved)
    monkeypatch.setattr(point, "_AGAIN_S", 0)
    yield short


def test_a_point_that_the_environment_stopped_is_tried_again_with_resume(
    without_memory: set[int], simulated: list[Any], tmp_path: Path
) -> None:
    sweep = sweep_of({"dram.channels": [1, 2, 3], "pim.lanes": [8, 12, 16]}, objectives=GOALS)
    out, whole = tmp_path / "out", tmp_path / "whole"
    assert pimsim.sweep.run(sweep, out=str(out), workers=0).statuses == {"ok": 4, "infeasible": 3, "failed": 2}
    without_memory.clear()
    simulated.clear()
    assert pimsim.sweep.run(sweep, out=str(out), workers=0, resume=True).statuses["failed"] == 0
    assert len(simulated) == 2
    pimsim.sweep.run(sweep, out=str(whole), workers=0)
    assert contents(out) == contents(whole)


def test_what_goes_wrong_once_is_tried_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    run, calls = api.run_keeping, 0

    def flaky(config: Any, *how: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise OSError(28, "No space left on device")
        return run(config, *how)

    monkeypatch.setattr(api, "run_keeping", flaky)
    monkeypatch.setattr(point, "_AGAIN_S", 0)
    assert pimsim.sweep.run(sweep_of({"dram.channels": [1, 2]}), workers=0).statuses["ok"] == 2


def test_a_search_goes_on_as_if_a_point_had_not_failed(without_memory: set[int], tmp_path: Path) -> None:
    search = {"trials": 9, "seed": 3, "batch": 3, "sampler": "tpe", "axes": {"dram.channels": {"range": [1, 8]}}}
    sweep = {"base": str(SHIPPED), "set": TINY, "search": search, "objectives": GOALS}
    out, whole = tmp_path / "out", tmp_path / "whole"
    without_memory.clear()
    pimsim.sweep.run(sweep, out=str(whole), workers=0)
    first = next(pimsim.sweep.load_result(whole).rows())
    without_memory.add(first["dram.channels"])
    assert pimsim.sweep.run(sweep, out=str(out), workers=0).statuses["failed"] > 0
    without_memory.clear()
    assert pimsim.sweep.run(sweep, out=str(out), workers=0, resume=True).statuses["failed"] == 0
    names = ("results.parquet", "pareto.csv", "report.html")
    assert {name: contents(out)[name] for name in names} == {name: contents(whole)[name] for name in names}


def test_the_exit_status_says_whether_points_failed_or_none_was_feasible(
    without_memory: set[int], pimsim: Pimsim, sweep_file: Callable[[str], Path]
) -> None:
    path = sweep_file("axes: {dram.channels: [1, 2]}\nobjectives: [system.latency_ns]\n")
    done = pimsim("sweep", path, "--workers", "0", "--out", "out")
    assert (done.exit_code, done.stderr) == (
        1, "out: 1 of 2 points failed, for reasons that are not in the input; --resume tries them again\n"
    )  # fmt: skip
    without_memory.clear()
    done = pimsim("sweep", path, "--workers", "0", "--out", "out", "--resume")
    assert (done.exit_code, done.stderr) == (0, "")
    path = sweep_file("axes: {pim.lanes: [12, 24]}\nobjectives: [system.latency_ns]\n")
    done = pimsim("sweep", path, "--workers", "0", "--out", "none", "--json")
    assert (done.exit_code, done.stderr) == (1, "none: none of 2 points is feasible\n")
    assert json.loads(done.stdout)["statuses"] == {"ok": 0, "infeasible": 2, "failed": 0}
    path = sweep_file("axes: {pim.lanes: [8, 16]}\nconstraints: [pim.lanes > 16]\n")
    done = pimsim("sweep", path, "--workers", "0", "--out", "dropped")
    assert (done.exit_code, done.stderr) == (1, "dropped: the constraints drop all 2 points\n")


def test_an_objective_that_is_the_same_everywhere_is_pointed_out(
    pimsim: Pimsim, sweep_file: Callable[[str], Path]
) -> None:
    path = sweep_file("axes: {dram.channels: [1, 2]}\nobjectives: [system.latency_breakdown_ns.silu]\n")
    done = pimsim("sweep", path, "--workers", "0", "--out", "out")
    assert done.exit_code == 0
    message = "system.latency_breakdown_ns.silu is 0 at every point: as an objective it decides nothing"
    assert done.stderr == f"out: warning: {message}\n"


def test_what_points_warn_of_is_in_their_rows_and_on_standard_error(
    pimsim: Pimsim, sweep_file: Callable[[str], Path], tmp_path: Path
) -> None:
    """A machine that can hold no model has no speedup: no point is in the front, and each says why."""
    small, count = re.subn(r"(capacity:\s+value: )16", r"\g<1>0.000001", T4)
    assert count == 1
    (tmp_path / "mine.yaml").write_text(small)
    path = sweep_file("axes: {dram.channels: [1, 2]}\nobjectives: [baselines.mine.speedup]\n")
    path.write_text(path.read_text().replace("[gpu-t4]", "[mine.yaml]"))
    done = pimsim("sweep", path, "--workers", "0", "--out", "out", "--format", "csv")
    assert done.exit_code == 0, done.stderr
    first, second = done.stderr.splitlines()
    assert first.startswith("out: warning: 2 of 2 points: tiny does not fit mine, so there is no speedup")
    assert second == "out: warning: no point has a figure for baselines.mine.speedup: the front is empty"
    rows = list(csv.DictReader(io.StringIO((tmp_path / "out" / "results.csv").read_text())))
    assert [row["warnings"] for row in rows] == [first.partition("points: ")[2]] * 2
    assert (tmp_path / "out" / "pareto.csv").read_text().strip() == ""


# -- folders that are damaged --------------------------------------------------------------


@pytest.fixture
def finished(tmp_path: Path) -> tuple[dict[str, Any], Path]:
    """A sweep of two points, and its folder."""
    sweep = sweep_of({"dram.channels": [1, 2]}, objectives=GOALS)
    pimsim.sweep.run(sweep, out=str(tmp_path / "out"), workers=0)
    return sweep, tmp_path / "out"


def line_of(row: Any) -> bytes:
    text = json.dumps(row).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


@pytest.mark.parametrize(
    "line",
    [
        line_of([]), line_of({}), line_of({"index": 0}), line_of({"index": "0", "status": "ok"}),
        line_of({"index": True, "status": "ok"}), line_of({"index": -1, "status": "ok"}),
        line_of({"index": 10**30, "status": "ok"}), line_of({"index": 0, "status": "great"}),
        line_of({"index": 0, "status": "ok", "x": {}}), b"00000000 \n", b"\xff\xfe\n", b"\n", b"x" * 100,
        b"%08x %s\n" % (zlib.crc32(b"[" * 9999), b"[" * 9999), b"%08x 1\n" % zlib.crc32(b"1" ),
    ],
)  # fmt: skip
def test_a_damaged_line_is_not_believed(line: bytes, finished: tuple[dict[str, Any], Path]) -> None:
    sweep, out = finished
    expected = contents(out)
    whole = (out / JOURNAL).read_bytes()
    (out / JOURNAL).write_bytes(line + whole.split(b"\n")[1] + b"\n" if line.endswith(b"\n") else whole + line)
    pimsim.sweep.run(sweep, out=str(out), workers=0, resume=True)
    assert contents(out) == expected


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", "null", "{", "[" * 99_999, "\ud800", "1" * 5000, '{"sweep_sha256": 1}'],
)  # fmt: skip
def test_a_damaged_manifest_is_refused(text: str, finished: tuple[dict[str, Any], Path]) -> None:
    sweep, out = finished
    (out / MANIFEST).write_bytes(text.encode("utf-8", "surrogatepass"))
    for read in (lambda: pimsim.sweep.run(sweep, out=str(out), resume=True), lambda: pimsim.sweep.load_result(out)):
        with pytest.raises(InputError, match=r"sweep.json (cannot be read|is no manifest of a sweep): "):
            read()


@pytest.mark.parametrize("key", ["name", "points", "keys", "objectives", "shard", "design", "base_sha256"])
@pytest.mark.parametrize("value", [None, 1.5, [1], {"a": "b", "c": "d"}, -1, 10**12])
def test_a_manifest_with_a_wrong_entry_is_refused(key: str, value: Any, finished: tuple[dict[str, Any], Path]) -> None:
    _, out = finished
    manifest = json.loads((out / MANIFEST).read_text())
    (out / MANIFEST).write_text(json.dumps({**manifest, key: value}))
    with pytest.raises(InputError, match=f"is no manifest of a sweep: {key} is wrong"):
        pimsim.sweep.load_result(out)


def test_a_journal_that_is_deleted_under_way_is_written_again(
    finished: tuple[dict[str, Any], Path], tmp_path: Path
) -> None:
    sweep, out = finished
    again = tmp_path / "again"
    pimsim.sweep.run(sweep, out=str(again), workers=0, progress=lambda *_: (again / JOURNAL).unlink(missing_ok=True))
    assert contents(again) == contents(out)
    assert (again / JOURNAL).read_bytes() == (out / JOURNAL).read_bytes()
    result = pimsim.sweep.load_result(again)
    (again / JOURNAL).unlink()
    with pytest.raises(InputError, match="journal.jsonl:1:1: cannot be read: No such file"):
        list(result.rows())


# -- names ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["../../x", "/tmp/x", "a/b", "..", ".", "", "a\\b", "a\0b", "a\nb", "\x1b[2J", "\ud800", "x" * 300]
)
def test_a_name_that_is_no_file_name_is_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / "sweep.yaml"
    path.write_text(json.dumps(sweep_of({"dram.channels": [1]}, name=name)))
    with pytest.raises(InputError, match=r"sweep.yaml:1:\d+: name: (must be a file name|has (half|a NUL))"):
        pimsim.sweep.load_sweep(path)


def test_markup_escapes_and_formulas_in_names_are_text(
    pimsim: Pimsim, sweep_file: Callable[[str], Path], tmp_path: Path
) -> None:
    axis = {"name": ["[/red]", "=1+1", "\x1b[31mred", "-x"]}
    path = sweep_file(f"name: '[bold]x'\naxes: {json.dumps(axis)}\nobjectives: [system.latency_ns]\n")
    done = pimsim("sweep", path, "--workers", "0", "--format", "csv")
    assert done.exit_code == 0, done.stderr
    assert done.stdout.startswith("[bold]x: 4 points") and "\x1b" not in done.stdout
    assert all(text in done.stdout for text in ("[/red]", "=1+1", "\\x1b[31mred", "written to results/[bold]x"))
    rows = list(csv.DictReader(io.StringIO((tmp_path / "results" / "[bold]x" / "results.csv").read_text())))
    assert [row["name"] for row in rows] == ["[/red]", "'=1+1", "\\x1b[31mred", "'-x"]


def test_a_shard_of_thousands_of_digits_is_refused(pimsim: Pimsim, sweep_file: Callable[[str], Path]) -> None:
    path = sweep_file("axes: {dram.channels: [1]}\n")
    for shard in (f"1/{'9' * 5000}", f"{'9' * 5000}/1", "1/\u0661", "-1/1", "0/1", "1/", "1/1/1", "2/1", "\x1b/1"):
        done = pimsim("sweep", path, "--shard", shard, "--out", "out")
        assert (done.exit_code, len(done.stderr.splitlines())) == (2, 1) and len(done.stderr) < 200
        assert "must be I/N with 1 <= I <= N" in done.stderr and "\x1b" not in done.stderr
