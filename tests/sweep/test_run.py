"""A sweep is the same to the byte whoever simulates it, in how many parts, and however often it was stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pimsim.sweep
from pimsim.errors import InputError
from pimsim.results import figures, named
from pimsim.sim.tally import COMMON_CAUSES
from pimsim.sweep.folder import JOURNAL
from tests import schedule_kinds
from tests.conftest import SHIPPED
from tests.sweep.conftest import TINY, Pimsim, sweep_of
from tests.sweep.test_pool import is_alive, wait_until

ROOT = Path(__file__).parents[2]
TO_COME = {"peak_power_mW", "asic_busy_fraction"}
SweepFile = Callable[[str], Path]

AXES: dict[str, Any] = {"dram.channels": [1, 2, 3], "pim.lanes": [8, 16, 12], "schedule": ["paper", "overlap"]}
GOALS = ["system.latency_per_token_ns", "system.energy_per_token_pJ"]
SLOW = {
    "base": str(SHIPPED),
    "set": {"workload.model": "gpt2-medium", "workload.output_tokens": 8, "baselines": []},
    "axes": {"dram.channels": {"range": [2, 31, 1]}},
    "objectives": GOALS,
}


_OTHERS = (JOURNAL, ".lock")


def contents(folder: Path) -> dict[str, bytes]:
    """The files that must not depend on how a sweep came about."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file() and path.name not in _OTHERS}


def test_rows_have_inputs_status_and_figures_in_the_order_of_the_points() -> None:
    result = pimsim.sweep.run(sweep_of(AXES, constraints=["dram.channels != 2"], objectives=GOALS), workers=0)
    rows = list(result.rows())
    assert (result.dropped, result.statuses) == (6, {"ok": 8, "infeasible": 4, "failed": 0})
    assert [row["index"] for row in rows] == [*range(6), *range(12, 18)]
    assert [row["status"] for row in rows[:6]] == ["ok"] * 4 + ["infeasible"] * 2
    assert rows[4]["error"] == "pim.lanes: 12 lanes do not divide the 16 BF16 of a column (dram.column_bytes)"
    assert (rows[1]["dram.channels"], rows[1]["pim.lanes"], rows[1]["schedule"]) == (1, 8, "overlap")
    config = pimsim.load_config(SHIPPED, {**TINY, "dram.channels": 3, "schedule": "paper"})
    summary = pimsim.run(config).summary
    row = next(row for row in rows if row["dram.channels"] == 3 and row["pim.lanes"] == 16)
    numbers = {key: value for key, value in summary["system"].items() if not isinstance(value, dict)}
    assert {key: row[f"system.{key}"] for key in numbers} == numbers
    assert row["config_sha256"] == summary["config_sha256"]
    assert len({row["point_id"] for row in rows}) == len(rows)
    assert not [key for key in row if "wall" in key or key.endswith("per_s") and "tokens" not in key]
    assert [row["index"] for row in result.pareto()] == result.summary()["pareto"]
    assert result.to_frame().shape[0] == 12


def test_a_trace_in_an_axis_is_found_beside_the_sweep_file_and_says_how_many_tokens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace = (ROOT / "traces" / "gpt2-small.jsonl").read_bytes()
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "small.jsonl").write_bytes(trace)
    path = tmp_path / "here" / "sweep.yaml"
    settings = {"workload.output_tokens": 2, "baselines": []}
    path.write_text(json.dumps({"base": str(SHIPPED), "set": settings, "axes": {"workload.trace": ["small.jsonl"]}}))
    monkeypatch.chdir(tmp_path)
    (row,) = pimsim.sweep.run(path, workers=1).rows()
    config = pimsim.load_config(SHIPPED, {"workload.model": "gpt2-small", **settings})
    expected = pimsim.run(config).summary
    assert (row["status"], row["workload.trace"]) == ("ok", "small.jsonl")
    assert row["system.cycles"] == expected["system"]["cycles"] and row["trace_sha256"] == expected["trace_sha256"]
    digest = pimsim.sweep.load_sweep(path).sha256
    (tmp_path / "here" / "small.jsonl").write_bytes((ROOT / "traces" / "gpt2-medium.jsonl").read_bytes())
    assert pimsim.sweep.load_sweep(path).sha256 != digest
    (tmp_path / "here" / "small.jsonl").unlink()
    with pytest.raises(InputError, match=r"sweep.yaml:1:\d+: workload.trace: cannot be read: No such file"):
        pimsim.sweep.load_sweep(path)


ROUTED = {"name": "routed", "family": "llama", "layers": 1, "d_model": 64, "heads": 4, "d_ff": 96, "experts": 4,
          "active_experts": 2}  # fmt: skip
SUMMARISED: list[dict[str, Any]] = [
    {**TINY, "baselines": ["gpu-t4", "cpu-xeon-6154"], "workload.prompt_tokens": 2, "workload.lm_head": True},
    {**TINY, "workload.model_config": ROUTED, "schedule": "overlap", "dram.refresh": "per_bank"},
    {**TINY, "baselines": [], "system.devices": 2, "system.pipeline": 2},
]


def numbers_of(section: Any, path: str) -> set[str]:
    """The dotted names of the numbers in a section of a summary, those that are null included."""
    if isinstance(section, dict):
        return {name for key, value in section.items() for name in numbers_of(value, f"{path}.{key}")}
    return {path} if section is None or (isinstance(section, int | float) and not isinstance(section, bool)) else set()


def test_the_table_of_figures_is_what_summaries_have(tmp_path: Path) -> None:
    """Every number of a summary can be an objective, and nothing can that no summary has."""
    found: set[str] = set()
    trace = {"workload.model": None, "workload.trace": str(schedule_kinds.write(tmp_path, "chain"))}
    for settings in (*SUMMARISED, {**trace, "baselines": []}):
        summary = pimsim.run(pimsim.load_config(SHIPPED, settings)).summary
        for section in ("system", "workload"):
            found |= numbers_of(summary[section], section)
        devices = {
            key: value for key, value in summary.get("devices", {}).items() if key not in ("shares", "exchanges")
        }
        found |= numbers_of(devices, "devices")
        for name, baseline in summary["baselines"].items():
            single = {key: value for key, value in baseline.items() if not isinstance(value, dict)}
            found |= numbers_of(single, f"baselines.{name}")
            for model, keys in named.MODELS.items():
                found |= numbers_of({key: baseline[model][key] for key in keys}, f"baselines.{name}.{model}")
    known = set(figures.known(["gpu-t4", "cpu-xeon-6154"]))
    assert found <= known
    missing = {name for name in known - found if not figures.is_part(name)}
    assert {name.rpartition(".")[2] for name in missing} <= TO_COME
    causes = {name for name in found if name.startswith("system.latency_breakdown_ns.")}
    assert {name.rpartition(".")[2] for name in causes} > set(COMMON_CAUSES)


def test_a_figure_that_no_point_can_have_is_refused_before_anything_runs(tmp_path: Path) -> None:
    for name, hint in {
        "system.energy_breakdown_pJ.mac_raed": "; did you mean 'system.energy_breakdown_pJ.mac_read'?",
        "system.latency_breakdown_ns.geluu": "; did you mean 'system.latency_breakdown_ns.gelu'?",
        "system.latency_breakdown_ns.": "; there are mac, activation, input_transfer, ",
        "system.commands.MACB": "; did you mean 'system.commands.MACAB'?",
        "system.commands.MACAB.x": "",
        "system.energy_breakdown_pJ": ": objectives.0: system.energy_breakdown_pJ: is no single number; its parts are ",
        "baselines.gpu-t5.speedup": "; did you mean 'baselines.gpu-t4.speedup'?",
        "baselines.gpu-t4.speed": "; did you mean 'baselines.gpu-t4.speedup'?",
        "latency_ns": "; did you mean 'system.latency_ns'?",
        "sytem.commands.RD": "; did you mean 'system.commands.RD'?",
        "workload.model": "no figure of a result",
    }.items():
        sweep = sweep_of({"dram.channels": [1, 2]}, objectives=[name])
        with pytest.raises(InputError) as caught:
            pimsim.sweep.run({**sweep, "set": {**TINY, "baselines": ["gpu-t4"]}}, out=str(tmp_path / "out"), workers=0)
        assert hint in str(caught.value) and not (tmp_path / "out").exists()


def test_the_speedup_over_the_bound_is_an_objective_as_that_over_the_eager_model_is(tmp_path: Path) -> None:
    name = "baselines.gpu-t4.roofline.speedup"
    sweep = sweep_of({"dram.channels": [1, 2]}, objectives=[{"maximise": name}])
    result = pimsim.sweep.run({**sweep, "set": {**TINY, "baselines": ["gpu-t4"]}}, out=str(tmp_path / "out"), workers=0)
    row = result.pareto()[0]
    settings = {**TINY, "baselines": ["gpu-t4"], "dram.channels": 2}
    single = pimsim.run(pimsim.load_config(SHIPPED, settings)).summary["baselines"]["gpu-t4"]
    assert row["dram.channels"] == 2 and row[name] == single["roofline"]["speedup"] != single["speedup"]


def test_every_figure_with_a_letter_missing_leads_back_to_it() -> None:
    for name in figures.known(["gpu-t4"]):
        section, _, last = name.rpartition(".")
        for at in range(len(last) if len(last) > 3 else 0):
            wrong = f"{section}.{last[:at]}{last[at + 1 :]}"
            message = figures.unknown(wrong, ["gpu-t4"])
            assert message is None or "; did you mean '" in message, wrong
        assert figures.unknown(f"{name}_", ["gpu-t4"]) == f"no figure of a result; did you mean {name!r}?"


def test_a_part_that_does_not_occur_is_zero_and_a_figure_that_is_null_is_none() -> None:
    rows = [
        {"status": "ok", "system.latency_ns": 2.0, "baselines.gpu-t4.speedup": None},
        {"status": "ok", "system.latency_ns": 3.0, "baselines.gpu-t4.speedup": 2.0, "system.commands.WR": 5},
        {"status": "failed", "system.latency_ns": 1.0},
    ]
    assert pimsim.sweep.pareto(rows, ["system.commands.WR"]) == [rows[0]]
    assert pimsim.sweep.pareto(rows, [{"maximise": "baselines.gpu-t4.speedup"}]) == [rows[1]]
    with pytest.raises(ValueError, match=r"no row has system.commands.WRR; did you mean 'system.commands.WR'\?"):
        pimsim.sweep.pareto(rows, ["system.commands.WRR"])


def test_the_area_proxy_of_the_papers_asic_is_the_papers_area() -> None:
    from pimsim.sweep import proxy

    config = pimsim.load_config(SHIPPED)
    half = config.model_copy(update={"dram": config.dram.model_copy(update={"channels": 4})})
    assert 2 * proxy.area_mm2(half) - proxy.area_mm2(config) == pytest.approx(0.64)
    row = pimsim.sweep.evaluate_point(pimsim.load_config(SHIPPED, TINY))
    assert row["proxy.area_mm2"] == pytest.approx(proxy.area_mm2(config))


def test_a_point_that_breaks_the_program_is_a_failed_row(monkeypatch: pytest.MonkeyPatch) -> None:
    from pimsim import api

    run = api.run_keeping

    def broken(config: Any, *how: Any) -> Any:
        if config.dram.channels == 2:
            raise RuntimeError("two\nchannels")
        return run(config, *how)

    monkeypatch.setattr(api, "run_keeping", broken)
    result = pimsim.sweep.run(sweep_of({"dram.channels": [1, 2, 3]}), workers=0)
    assert [(row["status"], row["error"]) for row in result.rows()] == [
        ("ok", None),
        ("failed", "RuntimeError: two channels"),
        ("ok", None),
    ]


def test_a_constraint_without_an_answer_is_an_infeasible_row() -> None:
    constraint = "dram.rows / (dram.channels - 2) < 0"
    result = pimsim.sweep.run(sweep_of({"dram.channels": [1, 2, 3]}, constraints=[constraint]), workers=0)
    found = [(row["dram.channels"], row["status"], row["error"]) for row in result.rows()]
    assert found == [(1, "ok", None), (2, "infeasible", f"constraint '{constraint}': division by zero")]
    assert result.dropped == 1


def test_one_worker_many_none_and_shards_give_the_same_bytes(tmp_path: Path) -> None:
    sweep = sweep_of(AXES, constraints=["dram.channels * pim.lanes < 48"], objectives=GOALS)
    folders = {workers: tmp_path / f"{workers} workers" for workers in (0, 1, 3)}
    for workers, folder in folders.items():
        pimsim.sweep.run(sweep, out=str(folder), workers=workers)
    expected = contents(folders[0])
    assert sorted(expected) == ["pareto.csv", "report.html", "results.parquet", "sweep.json"]
    assert contents(folders[1]) == contents(folders[3]) == expected
    shards = [tmp_path / f"shard {i}" for i in (1, 2, 3)]
    for i, shard in enumerate(shards, 1):
        pimsim.sweep.run(sweep, out=str(shard), workers=0, shard=(i, 3))
    loaded = pimsim.sweep.load_sweep(sweep)
    pimsim.sweep.merge(loaded, shards, tmp_path / "merged")
    assert contents(tmp_path / "merged") == expected
    with pytest.raises(InputError, match=r"points are in none of the folders, the first is 1; finish"):
        pimsim.sweep.merge(loaded, [shards[0], shards[2]], tmp_path / "partly")
    assert not (tmp_path / "partly").exists()
    with pytest.raises(InputError, match="it holds another shard: 1/3 there, 2/3 now"):
        pimsim.sweep.run(sweep, out=str(shards[0]), workers=0, shard=(2, 3), resume=True)


def test_map_points_gives_rows_in_the_order_of_the_configurations() -> None:
    configs = [pimsim.load_config(SHIPPED, {**TINY, "dram.channels": n}) for n in (3, 1, 2)]
    rows = pimsim.sweep.map_points(configs, workers=2)
    assert rows == [pimsim.sweep.evaluate_point(config) for config in configs] == pimsim.sweep.map_points(configs, 0)


# -- going on -------------------------------------------------------------------------


def test_a_resumed_sweep_simulates_only_what_is_missing(simulated: list[Any], tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    pimsim.sweep.run(sweep_of(AXES, objectives=GOALS), out=str(whole), workers=0)
    pimsim.sweep.run(sweep_of(AXES, objectives=GOALS), out=str(cut), workers=0)
    journal = (cut / JOURNAL).read_bytes()
    (cut / JOURNAL).write_bytes(journal[: len(journal) * 2 // 3])
    (cut / "results.parquet").unlink()
    left = journal[: len(journal) * 2 // 3].count(b"\n")
    simulated.clear()
    seen: list[tuple[int, int]] = []
    pimsim.sweep.run(
        sweep_of(AXES, objectives=GOALS), out=str(cut), workers=0, resume=True, progress=lambda *at: seen.append(at)
    )
    assert len(simulated) == 18 - left and seen == [(n, 18) for n in range(left, 19)]
    assert contents(cut) == contents(whole)


def test_another_sweep_or_one_that_nobody_asked_to_go_on_with_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, sweep = str(tmp_path / "out"), sweep_of({"dram.channels": [1, 2]})
    pimsim.sweep.run(sweep, out=out, workers=0)
    before = contents(tmp_path / "out")
    with pytest.raises(InputError, match="holds a sweep already; give --resume"):
        pimsim.sweep.run(sweep, out=out, workers=0)
    with pytest.raises(InputError, match="the sweep file has changed"):
        pimsim.sweep.run(sweep_of({"dram.channels": [1, 3]}), out=out, workers=0, resume=True)
    with pytest.raises(InputError, match="the base configuration, `set` or a file that they name has changed"):
        changed = {**sweep, "set": {**TINY, "workload.batch": 2}}
        pimsim.sweep.run(changed, out=out, workers=0, resume=True)
    monkeypatch.setattr(pimsim, "__version__", "99.0")
    with pytest.raises(InputError, match="another version: .* there, 99.0 now"):
        pimsim.sweep.run(sweep, out=out, workers=0, resume=True)
    assert contents(tmp_path / "out") == before


def start(path: Path, out: Path, *options: str) -> subprocess.Popen[str]:
    """`pimsim sweep` as a process of its own."""
    command = [sys.executable, "-m", "pimsim", "sweep", str(path), "--out", str(out), "--reports", "none", *options]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )


def finished(out: Path) -> int:
    journal = out / JOURNAL
    return journal.read_bytes().count(b"\n") if journal.exists() else 0


def children(pid: int) -> list[int]:
    """The worker processes of a sweep; not multiprocessing's resource tracker."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in found if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, bytes]]:
    """A sweep of a second or two, and what it gives when nothing disturbs it."""
    folder = tmp_path_factory.mktemp("slow")
    path = folder / "slow.yaml"
    path.write_text(json.dumps(SLOW))
    pimsim.sweep.run(path, out=str(folder / "whole"), workers=0)
    return path, contents(folder / "whole")


def test_killed_parents_and_workers_change_nothing(slow: tuple[Path, dict[str, bytes]], tmp_path: Path) -> None:
    path, expected = slow
    out = tmp_path / "out"
    for kills in range(1, 3):
        with start(path, out, "--workers", "2", "--resume") as sweep:
            wait_until(lambda goal=6 * kills: finished(out) >= goal)
            workers = children(sweep.pid)
            os.kill(sweep.pid, signal.SIGKILL)
        wait_until(lambda workers=workers: not any(map(is_alive, workers)))
        assert not (out / "results.parquet").exists()
    with start(path, out, "--workers", "2", "--resume") as sweep:
        before = finished(out)
        wait_until(lambda: finished(out) >= before + 3)
        os.kill(children(sweep.pid)[0], signal.SIGKILL)
        output, errors = sweep.communicate(timeout=100)
    assert (sweep.returncode, errors, output.splitlines()[1:2]) == (0, "", ["30 ok  0 infeasible  0 failed"])
    assert contents(out) == expected


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_stops_at_once_and_says_how_to_go_on(
    number: int, slow: tuple[Path, dict[str, bytes]], tmp_path: Path
) -> None:
    path, expected = slow
    out = tmp_path / "out"
    with start(path, out, "--workers", "1") as sweep:
        wait_until(lambda: finished(out) >= 3)
        sweep.send_signal(number)
        output, errors = sweep.communicate(timeout=100)
    assert (sweep.returncode, output) == (130, "")
    done = finished(out)
    assert errors.splitlines() == [
        f"stopped: {done} of 30 points are finished and kept; go on with",
        f"  pimsim sweep {path} --out {out} --reports none --resume",
    ]
    page = (out / "report.html").read_text(encoding="utf-8")
    assert f"{30 - done} of 30 points are not simulated yet" in page
    assert f"pimsim sweep {os.path.relpath(path, ROOT)} --resume" in page
    assert not (out / "results.parquet").exists()
    if number == signal.SIGINT:
        with start(path, out, "--resume") as again:
            assert again.wait(100) == 0
        assert contents(out) == expected


def test_two_sweeps_into_one_folder_are_refused(slow: tuple[Path, dict[str, bytes]], tmp_path: Path) -> None:
    path, _ = slow
    out = tmp_path / "out"
    with start(path, out, "--workers", "1") as first:
        wait_until(lambda: finished(out) >= 1)
        with start(path, out, "--resume") as second:
            _, errors = second.communicate(timeout=100)
        assert second.returncode == 2 and f"runs in this folder already (process {first.pid} on" in errors
        first.kill()


# -- the command ----------------------------------------------------------------------


def test_the_command_prints_the_front_and_writes_the_folder(pimsim: Pimsim, sweep_file: SweepFile) -> None:
    path = sweep_file("axes: {dram.channels: [1, 2, 64], pim.lanes: [16, 12]}\nobjectives: [system.latency_ns]\n")
    done = pimsim("sweep", path, "--workers", "0", "--format", "csv")
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[:2] == ["tiny: 6 points, 0 dropped by constraints", "3 ok  3 infeasible  0 failed"]
    assert lines[2].startswith("  3 x infeasible: pim.lanes: 12 lanes do not divide")
    assert lines[-1] == "written to results/tiny"
    assert (path.parent / "results" / "tiny" / "results.csv").read_text().startswith("index,point_id,status,error,dram")


def test_json_is_all_that_is_printed(pimsim: Pimsim, sweep_file: SweepFile) -> None:
    path = sweep_file("axes: {dram.channels: [1, 2]}\nobjectives: [baselines.gpu-t4.speedup]\n")
    done = pimsim("sweep", path, "--workers", "0", "--json", "--out", "out")
    found = json.loads(done.stdout)
    assert (found["rows"], found["statuses"]["ok"], found["schema"]) == (2, 2, "pimsim.sweep/1")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--shard", "3/2"], "--shard:1:1: shard: must be I/N with 1 <= I <= N, not '3/2'"),
        (["--workers", "-1"], "--workers:1:1: workers: "),
        (["--scheduler", "tcp://127.0.0.1:1"], "--scheduler:1:1: --scheduler: no scheduler at tcp://127.0.0.1:1"),
        (["--merge", "nowhere"], "--merge:1:1: --merge: nowhere holds no sweep"),
    ],
)
def test_options_that_are_wrong_write_nothing(
    options: list[str], message: str, pimsim: Pimsim, sweep_file: SweepFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pimsim.sweep.cluster._TIMEOUT_S", 0.5)
    path = sweep_file("axes: {dram.channels: [1, 2]}\n")
    done = pimsim("sweep", path, "--out", "out", *options)
    assert (done.exit_code, done.stdout, message in done.stderr) == (2, "", True), done.stderr
    assert "Traceback" not in done.stderr and not (path.parent / "out").exists()


def test_a_sweep_file_that_is_wrong_writes_nothing(pimsim: Pimsim, sweep_file: SweepFile) -> None:
    path = sweep_file("axes: {dram.chanels: [1]}\n")
    done = pimsim("sweep", path, "--out", "out")
    message = f"{path}:6:8: dram.chanels: unknown key; did you mean 'dram.channels'?\n"
    assert (done.exit_code, done.stdout, done.stderr) == (2, "", message)
    assert not (path.parent / "out").exists()
