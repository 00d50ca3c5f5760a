"""What points share: an equal key is an equal run, every key of the configuration is in it or is a price, and no row
depends on what a process has of the points before."""

from __future__ import annotations

import json
import pickle
import random
from collections.abc import Mapping
from dataclasses import replace
from functools import cache, partial
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pimsim.sweep
from pimsim import load_config
from pimsim.api import PreparedSystem, prepare
from pimsim.results.named import single_values
from pimsim.sim.inputs import IN_CLOCKS, PRICED, is_priced, simulated
from pimsim.sim.run import simulate
from pimsim.sim.tally import TokenTallies
from pimsim.sweep import backends
from pimsim.sweep.backends import Evaluate
from pimsim.sweep.kept import Kept
from pimsim.sweep.point import evaluate_point
from tests.cli.test_every_key_matters import BASE, KEYS, LOGGED, REFUSED, change_of
from tests.configs import config_of, systems
from tests.conftest import SHIPPED
from tests.examples import examples
from tests.sweep.conftest import TINY, sweep_of
from tests.sweep.test_run import contents

AIM = Path(SHIPPED).parent / "aim.yaml"

# Keys of which a run with another value is the same one, priced or named otherwise ...
OF_PRICES = {
    "name", "baselines", "baseline_kernels", "energy.table", "dram.power.VDD_V", "dram.power.IDD0_mA",
    "dram.power.IDD2N_mA",
    "dram.power.IDD3N_mA", "dram.power.IDD4R_mA", "dram.power.IDD4W_mA", "dram.power.IDD5B_mA", "dram.power.budget_W",
    "dram.power.reference.banks", "dram.power.reference.rows", "dram.power.reference.row_bytes",
    "dram.power.reference.column_bytes", "dram.power.reference.tCCD_ns", "dram.power.reference.tRC_ns",
    "dram.power.reference.tRAS_ns", "dram.power.reference.tRFC_ns", "dram.io.energy_pJ_per_bit", "pim.mac_power_mW",
    "pim.mac_power_reference.units", "pim.mac_power_reference.lanes", "pim.mac_power_reference.clock_GHz",
    "pim.mac_power_reference.pair", "pim.routing_factor", "asic.power_mW", "asic.power_reference.adders",
    "asic.power_reference.multipliers",
    "asic.power_reference.sram_KiB", "asic.power_reference.sram_port_bytes", "asic.power_reference.clock_GHz",
    "asic.power_reference.activity", "values.accumulate", "system.link.energy_pJ_per_bit",
}  # fmt: skip
# ... and in whose situation the value makes no clock more.
OF_THE_SAME_CLOCKS: set[str] = set()


@cache
def _run(overrides: str) -> tuple[Any, Any]:
    prepared = prepare(load_config(SHIPPED, json.loads(overrides)))
    if isinstance(prepared, PreparedSystem):  # each of its devices has a run of its own
        members = [member for member in prepared.members if member]
        return tuple(member.key for member in members), [simulate(member.plan) for member in members]
    return prepared.key, simulate(prepared.plan)


def run(overrides: Mapping[str, Any]) -> tuple[Any, Any]:
    """The key of a run, and what it counts."""
    source = {"workload.model": None} if "workload.model_config" in overrides else {}
    return _run(json.dumps({**BASE, "baselines": [], **source, **overrides}))


@pytest.mark.parametrize("key", sorted(set(KEYS) - set(REFUSED)))
def test_a_key_of_the_configuration_is_a_part_of_the_run_or_decides_no_count(key: str) -> None:
    change = LOGGED.get(key) or change_of(key)
    (before, counted), (after, counts) = run(change.given), run({**change.given, key: change.to})
    assert before is not None
    if before == after:
        assert counted == counts
    assert (before == after) == (key in OF_PRICES | OF_THE_SAME_CLOCKS)


def test_times_that_round_to_the_same_clocks_are_one_run() -> None:
    (same, counted), (other, counts) = (run({"dram.timing.tCL_ns": ns}) for ns in (22.9, 23.0))
    assert same != run({"dram.timing.tCL_ns": 24})[0]
    assert (same, counted) == (other, counts)


def test_a_simulation_has_nothing_of_what_decides_no_count() -> None:
    plan = prepare(config_of()).plan
    for key in (*PRICED, *IN_CLOCKS):
        with pytest.raises(AttributeError):
            attrgetter(key)(plan.config)
        assert is_priced(key) == (key in PRICED)
    assert {key for key in KEYS if is_priced(key)} == OF_PRICES
    assert is_priced("dram.power.VDD_V") and not is_priced("dram.powers") and not is_priced("dram")


def test_what_others_have_registered_has_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody knows what it reads."""
    from pimsim.registry import Origin
    from pimsim.workload.ops import OPS

    config = config_of()
    workload = prepare(config).plan.workload
    monkeypatch.setitem(OPS._added, "gelu", (OPS["gelu"], Origin("mine")))
    assert simulated(config, workload) is config
    assert prepare(config).key is None


# ---- rows ---------------------------------------------------------------------------------

PRICES: Mapping[str, st.SearchStrategy[Any]] = {
    "asic.power_mW": st.integers(1, 900),
    "dram.power.VDD_V": st.sampled_from([1.1, 1.25, 1.35]),
    "dram.power.IDD4R_mA": st.integers(300, 700),
    "dram.power.IDD5B_mA": st.sampled_from([250, 277]),
    "dram.power.budget_W": st.sampled_from([None, 1, 50]),
    "dram.io.energy_pJ_per_bit": st.sampled_from([1, 5.5]),
    "pim.mac_power_mW": st.integers(100, 200),
    "energy.table": st.sampled_from(["v1", "v2"]),
    "baselines": st.sampled_from([[], ["gpu-t4"], ["cpu-xeon-6154", "gpu-t4"]]),
}
prices = st.fixed_dictionaries({}, optional=dict(PRICES))


@settings(max_examples=examples(25), deadline=None)
@given(systems(), st.lists(prices, min_size=2, max_size=4))
def test_a_point_is_the_same_whatever_came_before_it(system: dict[str, Any], given: list[dict[str, Any]]) -> None:
    kept = Kept()
    for more in given:
        config = load_config(SHIPPED, {"baselines": [], **system, **more})
        row = evaluate_point(config, kept)
        assert row == evaluate_point(config)
        figures = dict(single_values(pimsim.run(config).summary))  # simulated with its prices
        assert {key: row[key] for key in figures} == figures


@settings(max_examples=examples(8), deadline=None)
@given(st.lists(st.tuples(prices, st.booleans()), min_size=2, max_size=4))
def test_a_point_on_aim_is_the_same_whatever_came_before_it(given: list[tuple[dict[str, Any], bool]]) -> None:
    kept = Kept()
    for more, lm_head in given:
        work = {"workload.model": "gpt2-small", "workload.output_tokens": 1, "workload.lm_head": lm_head}
        config = load_config(AIM, {**work, **more})
        assert evaluate_point(config, kept) == evaluate_point(config)


AXES: Mapping[str, list[Any]] = {
    "asic.power_mW": [100, 304.59, 500],
    "dram.power.VDD_V": [1.1, 1.25],
    "energy.table": ["v1", "v2"],
    "baselines": [[], ["gpu-t4"]],
    "name": ["a", "b"],
    "dram.timing.tRCDRD_ns": [10, 10.2, 14],
    "dram.channels": [1, 2],
    "dram.rows": [4, 16384],
    "pim.lanes": [12, 16],
    "schedule": ["paper", "overlap"],
    "workload.output_tokens": [1, 2],
    "workload.lm_head": [False, True],
    "workload.trace": [None, "t.jsonl"],
}


@pytest.mark.parametrize("seed", range(6))
def test_a_sweep_is_the_same_to_the_byte_with_and_without_what_is_kept(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = random.Random(seed)
    keys = draw.sample(sorted(AXES), 4)
    monkeypatch.chdir(tmp_path)
    if "workload.trace" in keys:
        trace = Path(__file__).parents[2] / "traces" / "gpt2-small.jsonl"
        (tmp_path / "t.jsonl").write_bytes(trace.read_bytes())
        keys = ["workload.trace", *(key for key in keys if key != "workload.trace")][:3]
    given = {key: value for key, value in TINY.items() if key not in keys}
    sweep = sweep_of({key: AXES[key] for key in keys}, set=given)
    asked: list[str] = []
    found = []
    for most in (64, 0):

        class Watched(Kept):
            def __call__(self, kind: str, key: Any, make: Any) -> Any:
                def made() -> Any:
                    asked.append(f"{kind} {self._most}")
                    return make()

                return super().__call__(kind, key, made)

        monkeypatch.setattr(backends, "Evaluate", partial(Evaluate, kept=Watched(most)))
        folder = tmp_path / str(most)
        pimsim.sweep.run(sweep, out=str(folder), workers=0, kind="csv")
        found.append(contents(folder))
    assert found[0] == found[1]
    assert asked.count("workload 64") < asked.count("workload 0")
    assert asked.count("run 64") <= asked.count("run 0")


# ---- points of one run --------------------------------------------------------------------


def test_points_that_differ_in_prices_alone_are_of_one_run_and_follow_each_other() -> None:
    both = {"random": {"samples": 12, "seed": 1, "axes": {"pim.lanes": [8, 16], "dram.power.VDD_V": [1.1, 1.2, 1.3]}}}
    axes = {"asic.power_mW": [1, 2, 3], "dram.channels": [1, 2], **both, "schedule": ["paper", "overlap"]}
    space = pimsim.sweep.load_sweep(sweep_of(axes)).space
    order = space.by_runs(range(len(space)))
    assert sorted(order) == list(range(len(space)))

    def simulated_part(index: int) -> list[tuple[str, Any]]:
        return [(key, value) for key, value in space.point(index).items() if not is_priced(key)]

    for run_of in (space.run_of, lambda index: repr(simulated_part(index))):
        assert len([run for run, _ in groupby(order, run_of)]) == len({run_of(index) for index in order}) == 8
    only = pimsim.sweep.load_sweep(sweep_of({"dram.channels": [1, 2], "schedule": ["paper", "overlap"]})).space
    assert only.by_runs(range(4)) == range(4)
    assert [only.run_of(index) for index in range(4)] == list(range(4))


# ---- what is kept -------------------------------------------------------------------------


class Ledger:
    nbytes = 100


def test_the_latest_are_kept_and_runs_only_while_there_is_room() -> None:
    tally = replace(run({})[1], tokens=TokenTallies())
    kept = Kept(most=2, room=250)
    made: list[int] = []

    def make(number: int) -> int:
        made.append(number)
        return number

    for number in (1, 2, 1, 3, 1, 2):
        assert kept("plan", number, lambda number=number: make(number)) == number
    assert made == [1, 2, 3, 2]
    assert [kept("plan", None, lambda: make(9)) for _ in range(2)] == [9, 9] and made[-2:] == [9, 9]
    kept = Kept(most=9, room=250)
    runs = [kept("run", number, lambda: (tally, Ledger())) for number in range(3)]
    assert kept("run", 2, lambda: pytest.fail("made again")) is runs[2]
    again = tally, Ledger()
    assert kept("run", 0, lambda: again) is again


def test_another_process_begins_with_nothing() -> None:
    kept = Kept(most=7, room=9)
    kept("plan", 1, lambda: 1)
    there = pickle.loads(pickle.dumps(kept))
    assert (there._most, there._room) == (7, 9)
    assert there("plan", 1, lambda: 2) == 2


def test_a_point_that_is_refused_is_refused_again() -> None:
    kept = Kept()
    config = load_config(SHIPPED, {**TINY, "dram.rows": 1})
    rows = [evaluate_point(config, kept) for _ in range(2)]
    assert rows[0] == rows[1] == evaluate_point(config)
    assert rows[0]["status"] == "infeasible"
