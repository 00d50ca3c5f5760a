"""A search follows from its seed: how it is run, and how often it was stopped, changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import pimsim.sweep
from pimsim.errors import InputError
from pimsim.sweep.folder import JOURNAL
from pimsim.sweep.search import OPTUNA_JOURNAL
from tests.conftest import SHIPPED
from tests.sweep.conftest import TINY

AXES = {
    "dram.channels": [1, 2, 4, 8],
    "asic.clock_GHz": {"uniform": [0.1, 2]},
    "asic.adders": {"log_uniform": [16, 1024]},
    "schedule": ["paper", "overlap"],
}


def search_of(trials: int = 18, sampler: str = "nsga2", seed: int = 1, **sections: Any) -> dict[str, Any]:
    return {
        "base": str(SHIPPED),
        "set": TINY,
        "search": {"trials": trials, "seed": seed, "batch": 6, "sampler": sampler, "axes": AXES},
        "objectives": ["system.latency_per_token_ns", "proxy.area_mm2"],
        **sections,
    }


def results(folder: Path) -> tuple[bytes, bytes]:
    return (folder / "results.parquet").read_bytes(), (folder / "pareto.csv").read_bytes()


@pytest.mark.parametrize("sampler", ["nsga2", "tpe", "random"])
def test_a_search_that_was_stopped_goes_on_as_if_it_never_was(sampler: str, tmp_path: Path) -> None:
    request = search_of(sampler=sampler)
    pimsim.sweep.run(request, out=str(tmp_path / "whole"), workers=0)
    pimsim.sweep.run(request, out=str(tmp_path / "cut"), workers=2 if sampler == "tpe" else 0)
    assert results(tmp_path / "cut") == results(tmp_path / "whole")
    journal = (tmp_path / "cut" / JOURNAL).read_bytes()
    (tmp_path / "cut" / JOURNAL).write_bytes(journal[: len(journal) // 2])
    pimsim.sweep.run(request, out=str(tmp_path / "cut"), workers=0, resume=True)
    assert results(tmp_path / "cut") == results(tmp_path / "whole")
    assert (tmp_path / "cut" / OPTUNA_JOURNAL).stat().st_size > 0


def test_another_seed_is_another_search() -> None:
    first, second = (
        [row["asic.adders"] for row in pimsim.sweep.run(search_of(8, seed=seed), workers=0).rows()] for seed in (1, 2)
    )
    assert first != second


@pytest.mark.parametrize("sampler", ["nsga2", "tpe"])
def test_a_search_finds_what_a_grid_would_take_longer_for(sampler: str) -> None:
    """One objective that falls with every channel: a good sampler ends at the most."""
    rows = list(pimsim.sweep.run(search_of(48, sampler, objectives=["system.latency_per_token_ns"]), workers=0).rows())
    first, last = rows[:24], rows[24:]
    mean = [sum(row["system.latency_per_token_ns"] for row in part) / 24 for part in (first, last)]
    assert mean[1] < 0.8 * mean[0]


def test_every_point_of_a_search_satisfies_the_constraints() -> None:
    constraint = "dram.channels * asic.adders <= 64 and schedule == 'paper'"
    result = pimsim.sweep.run(search_of(12, "tpe", constraints=[constraint]), workers=0)
    rows = list(result.rows())
    assert len(rows) == 12 and result.dropped > 0
    assert all(row["dram.channels"] * row["asic.adders"] <= 64 and row["schedule"] == "paper" for row in rows)


def test_constraints_that_nothing_satisfies_end_a_search() -> None:
    with pytest.raises(InputError, match="dropped 10000 random points in a row"):
        pimsim.sweep.run(search_of(constraints=["asic.adders > 5000"]), workers=0)


def test_a_search_has_no_shards() -> None:
    with pytest.raises(InputError, match="it has no shards"):
        pimsim.sweep.run(search_of(), workers=0, shard=(1, 2))
