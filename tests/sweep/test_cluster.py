"""A sweep on a Dask cluster: a real scheduler, workers in processes of their own, one of them killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import pimsim.sweep
from pimsim.errors import InputError
from pimsim.sweep import cluster as dask_backend
from pimsim.sweep.space import Request
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
        dashboard_address=None,
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


def test_workers_of_another_version_are_refused(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pimsim, "__version__", "99.0")
    with pytest.raises(InputError, match=r"cannot simulate: RuntimeError: a worker has pimsim .*, the sweep 99.0"):
        pimsim.sweep.run(SWEEP, scheduler=cluster.scheduler_address)


def test_a_point_that_dask_gives_up_is_a_failed_row(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_backend, "_evaluate", _die)
    with dask_backend.Cluster(cluster.scheduler_address) as backend:
        ((index, row),) = backend.map([(7, Request({"name": "x"}))])
    assert (index, row["status"], row["error"]) == (7, "failed", "the process that simulated it died each time")


def _die(version: str, values: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)
