"""The log of a run of every kind of schedule has each address as often as the schedule says, and no other."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

from pimsim import api
from pimsim.logs.log import CommandLog, read_log
from pimsim.mapping.plan import Plan
from pimsim.sim.run import simulate
from pimsim.sim.tally import Tally
from tests.logs import with_row, without_row
from tests.schedules.addresses import Addresses, wrong
from tests.schedules.traces import KINDS, loaded

FEW = {"dram.channels": 3, "workload.lm_head": False}


@cache
def kept(kind: str) -> tuple[Addresses, CommandLog, Tally]:
    """What a kind must do, its log, and what was counted."""
    lines, keys = KINDS[kind]
    plan = api.prepare(loaded(lines, {**FEW, **keys})).plan
    with TemporaryDirectory() as folder:
        tally = simulate(plan, log=Path(folder) / "log.csv")
        return Addresses(plan), read_log(Path(folder) / "log.csv", plan.device.standard), tally


@pytest.mark.parametrize("kind", KINDS)
def test_every_address_is_used_as_often_as_the_schedule_says(kind: str) -> None:
    wanted, log, tally = kept(kind)
    assert wrong(wanted, log)[:5] == []
    for name in ("scores", "values"):  # heads of K and V are alike
        macs = sum(row.macs for row in tally.rows if row.operator == name)
        assert macs == sum(wanted.scored.values()) * 16


BEGINNING = [
    kind for kind, (lines, _) in KINDS.items()
    if any(line.get("phase") == "prefill" for line in lines) and not kind.startswith(("prompts", "cycle"))
] + ["source at once", "source at once, B=2"]  # fmt: skip


@pytest.mark.parametrize("kind", BEGINNING)
def test_what_is_multiplied_was_written(kind: str) -> None:
    """Schedules that begin with nothing: whichever graph writes K and V, another finds them."""
    assert kept(kind)[0].unwritten[:3] == []


def test_what_was_never_written_is_found() -> None:
    assert kept("plain")[0].unwritten


# ---- planted mistakes ----------------------------------------------------------------------

PLANTED = ("tree deep, B=2", "reordered", "forked twice", "source at once, B=2", "sinks and window", "hybrid", "cycle")
Change = Callable[[Plan, CommandLog, int], CommandLog]


def dropped(plan: Plan, log: CommandLog, row: int) -> CommandLog:
    return without_row(log, row)


def twice(plan: Plan, log: CommandLog, row: int) -> CommandLog:
    return CommandLog(**{name: np.insert(column, row, column[row]) for name, column in vars(log).items()})


def next_row(plan: Plan, log: CommandLog, row: int) -> CommandLog:
    return with_row(log, row, row=int(log.row[row]) + 1)


def next_column(plan: Plan, log: CommandLog, row: int) -> CommandLog:
    return with_row(log, row, column=(int(log.column[row]) + 1) % plan.device.columns)


def next_channel(plan: Plan, log: CommandLog, row: int) -> CommandLog:
    return with_row(log, row, channel=(int(log.channel[row]) + 1) % plan.device.channels)


@pytest.mark.parametrize("change", [dropped, twice, next_row, next_column, next_channel])
@pytest.mark.parametrize("kind", PLANTED)
def test_a_command_that_is_another_one_is_found(kind: str, change: Change) -> None:
    wanted, log, _ = kept(kind)
    plan = wanted.plan
    names = plan.device.command_names
    for name in ("WR", "RD", "MACAB"):
        rows = np.flatnonzero(log.command == names.index(name)).tolist()
        if rows:
            row = random.Random(len(rows)).choice(rows)
            assert 1 <= len(wrong(wanted, change(plan, log, row))) <= 2, (name, row)


@pytest.mark.parametrize("kind", ["plain, B=2", "cycle, B=2", "reordered", "states, B=2"])
def test_another_sequence_is_found(kind: str) -> None:
    """A write of one sequence in the place of the other's."""
    wanted, log, _ = kept(kind)
    plan = wanted.plan
    regions = plan.memory.regions
    one, two = (next(r for name, r in regions.items() if _is_cache(name, s)) for s in ("0", "1"))
    by = (two.bases[0] - one.bases[0]) // plan.device.columns
    first = one.bases[0] // plan.device.columns
    writes = np.flatnonzero((log.command == plan.device.command_names.index("WR")) & (log.row == first))
    assert len(writes) and by
    row = int(writes[len(writes) // 2])
    assert len(wrong(wanted, with_row(log, row, row=int(log.row[row]) + by))) == 2


def _is_cache(name: str, sequence: str) -> bool:
    return name.startswith(("values.", "state.")) and sequence in name.split(".")
