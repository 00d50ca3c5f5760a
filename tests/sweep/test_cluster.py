"""A sweep on a Dask cluster: a real scheduler, workers in processes of their own, one of them killed."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import pimsim.sweep
from pimsim.errors import InputError
from pimsim.sweep import cluster as dask_backend
from pimsim.sweep.space import PointRequest
from tests.conftest import SHIPPED
from tests.sweep.test_run import contents

SWEEP = {
    "base": str(SHIPPED),
    "set": {"workload.model": "gpt2-small", "workload.output_tokens": 8, "baselines": []},
    "axes": {"dram.channels": {"range": [1, 20, 1]}, "pim.lanes": [16, 12]},
    "objectives": ["system.latency_per_token_ns"],
}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A scheduler and two worker processes, each with a nanny."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=True,
        dashboard_address=":0",
        local_directory=str(tmp_path_factory.mktemp("dask")),
    ) as found:
        yield found


def test_a_killed_worker_changes_nothing(cluster: Any, tmp_path: Path) -> None:
    pimsim.sweep.run(SWEEP, out=str(tmp_path / "here"), workers=0)
    killed: list[int] = []

    def kill_one(done: int, total: int) -> None:
        if done == 10 and not killed:
            killed.append(next(iter(cluster.workers.values())).process.pid)
            os.kill(killed[0], signal.SIGKILL)

    result = pimsim.sweep.run(SWEEP, out=str(tmp_path / "dask"), scheduler=cluster.scheduler_address, progress=kill_one)
    assert killed and result.statuses == {"ok": 20, "infeasible": 20, "failed": 0}
    assert contents(tmp_path / "dask") == contents(tmp_path / "here")


def test_accuracy_is_measured_here_and_the_same_to_the_byte(cluster: Any, tmp_path: Path) -> None:
    """Workers simulate; weights and text stay on this machine."""
    pytest.importorskip("tokenizers")
    models = Path(__file__).parents[1] / "golden" / "models"
    accuracy = {"weights": str(models / "char-llama"), "text": str(models / "text" / "chapter-29.txt"), "tokens": 32}
    axes = {"asic.taylor_terms": [1, 6], "dram.channels": [4, 8]}
    sweep = {**SWEEP, "set": {"workload.output_tokens": 1, "baselines": []}, "axes": axes, "accuracy": accuracy}
    pimsim.sweep.run(sweep, out=str(tmp_path / "here"), workers=0)
    result = pimsim.sweep.run(sweep, out=str(tmp_path / "dask"), scheduler=cluster.scheduler_address)
    assert result.statuses["ok"] == 4
    assert contents(tmp_path / "dask") == contents(tmp_path / "here")


def test_workers_need_no_file_and_see_none_that_is_edited(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A trace goes to the cluster once, as it was when the sweep was loaded."""
    traces = Path(__file__).parents[2] / "traces"
    monkeypatch.chdir(tmp_path)  # the workers stand elsewhere
    (tmp_path / "t.jsonl").write_bytes((traces / "gpt2-small.jsonl").read_bytes())
    settings = {"workload.output_tokens": 1, "workload.trace": "t.jsonl", "baselines": []}
    loaded = pimsim.sweep.load_sweep({"base": str(SHIPPED), "set": settings, "axes": {"dram.channels": [8, 16]}})
    (tmp_path / "t.jsonl").write_bytes((traces / "gpt2-medium.jsonl").read_bytes())
    found = list(pimsim.sweep.run_sweep(loaded, scheduler=cluster.scheduler_address).rows())
    (tmp_path / "t.jsonl").unlink()
    assert [row["status"] for row in found] == ["ok", "ok"]
    assert found == list(pimsim.sweep.run_sweep(loaded, workers=0).rows())


def test_a_finished_point_that_its_worker_took_along_is_simulated_again(
    cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch = dask_backend.Cluster._row
    lost: list[str] = []

    def kill_its_worker(self: dask_backend.Cluster, future: Any, request: PointRequest) -> Any:
        if not lost:
            holders = [address for at in self._client.who_has([future]).values() for address in at]
            nannies = cluster.workers.values()
            os.kill(next(n.process.pid for n in nannies if n.worker_address in holders), signal.SIGKILL)
            lost.append(_wait_for(lambda: future.status, "lost"))
        return fetch(self, future, request)

    monkeypatch.setattr(dask_backend.Cluster, "_row", kill_its_worker)
    monkeypatch.setattr(dask_backend, "_evaluate", _slow_row)
    with dask_backend.Cluster(cluster.scheduler_address) as backend:
        rows = dict(backend.map((i, PointRequest({"name": str(i)})) for i in range(3)))
    assert lost == ["lost"] and rows == {i: {"name": str(i)} for i in range(3)}


def _wait_for(state: Callable[[], str], wanted: str) -> str:
    """`wanted` as soon as that is the state, or what the state is after some seconds."""
    for _ in range(2000):
        if state() == wanted:
            break
        time.sleep(0.005)
    return state()


def _slow_row(version: str, request: PointRequest, files: Any) -> Any:
    """A row; slow enough that the second time is not over before the loss was seen."""
    time.sleep(1.0)
    return {"name": request.values["name"]}


def test_a_scheduler_that_goes_away_is_an_error(tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(n_workers=1, threads_per_worker=1, processes=True, dashboard_address=":0") as own:

        def stop(done: int, total: int) -> None:
            if done == 1:
                own.close()

        with pytest.raises(InputError, match=r"went away; finished points are kept, go on with --resume"):
            pimsim.sweep.run(SWEEP, out=str(tmp_path / "dask"), scheduler=own.scheduler_address, progress=stop)
    done = pimsim.sweep.run(SWEEP, out=str(tmp_path / "dask"), resume=True, workers=0)
    assert done.statuses == {"ok": 20, "infeasible": 20, "failed": 0}


def test_workers_of_another_version_are_refused(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pimsim, "__version__", "99.0")
    with pytest.raises(InputError, match=r"cannot simulate: RuntimeError: a worker has pimsim .*, the sweep 99.0"):
        pimsim.sweep.run(SWEEP, scheduler=cluster.scheduler_address)


def test_a_point_that_dask_gives_up_is_a_failed_row(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_backend, "_evaluate", _die)
    with dask_backend.Cluster(cluster.scheduler_address) as backend:
        ((index, row),) = backend.map([(7, PointRequest({"name": "x"}))])
    assert (index, row["status"], row["error"]) == (7, "failed", "the process that simulated it died each time")


def _die(version: str, request: PointRequest, files: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)
