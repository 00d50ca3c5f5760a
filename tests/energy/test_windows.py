"""The engine's meter against every window of a curve, and peak power against every command of a log."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pimsim import run
from pimsim.devices.plan import compile_plan
from pimsim.devices.registry import resolve
from pimsim.dram.engine import Engine
from pimsim.dram.program import WIDTH
from pimsim.energy.model import Prices
from pimsim.energy.power import background_mW, spending
from pimsim.logs.log import read_log
from pimsim.sim import ledger
from pimsim.sim.run import simulate, simulate_noting
from pimsim.sim.schedule import meter
from pimsim.sim.schedule.block import ARITHMETIC, MOMENTS, Block, Timetable
from pimsim.sim.schedule.executor import Executor
from pimsim.sim.schedule.meter import WINDOW_BUCKETS
from tests.configs import config_of, systems
from tests.examples import examples
from tests.strategies import cycles_of, device_of

Spent = list[tuple[int, int, int]]  # (what, begin, length)


def metered(spent: Spent, window: int) -> Fraction:
    """What the engine finds for instructions of the ASIC alone."""
    engine = Engine(device_of(cycles_of(1), channels=1))
    executor = Executor(engine)
    executor.meter_windows(window, [0] * len(engine.device.standard.commands))
    for what, begin, length in spent:
        block = Block.of(
            np.zeros((0, WIDTH), np.int64),
            np.zeros((1, 1, 2), np.int64),
            np.zeros((1, 1), np.int64),
            np.zeros((1, 1), np.int64),
            np.array([[1]]),
            (ARITHMETIC, length),
            what,
        )
        executor.run_block(block, np.full((2, MOMENTS), begin, np.int64), Timetable(serial=False))
    executor.finish(0, engine.new_totals())
    return executor.largest_window


def brute_force(spent: Spent, window: int) -> Fraction:
    """The largest sum of any window of the curve that is even inside of each bucket."""
    bucket = 1
    while bucket * 2 <= window // WINDOW_BUCKETS:
        bucket *= 2
    end = max(begin + max(length, 1) for _, begin, length in spent) + 2 * window + bucket
    buckets = np.zeros(end // bucket + 2, np.int64)
    for what, begin, length in spent:
        length = max(length, 1)
        for clk in range(begin, begin + length):
            buckets[clk // bucket] += what // length
        buckets[begin // bucket] += what % length
    curve = np.repeat(buckets, bucket)  # in 1 / bucket
    sums = np.concatenate([[0], np.cumsum(np.concatenate([np.zeros(window, np.int64), curve]))])
    return Fraction(int((sums[window:] - sums[:-window]).max()), bucket)


@settings(max_examples=examples(60))
@given(
    st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 600), st.integers(0, 200)), min_size=1, max_size=12),
    st.integers(1, 300),
)
def test_the_meter_finds_the_largest_window(spent: Spent, window: int) -> None:
    assert metered(spent, window) == brute_force(spent, window)


def test_the_meter_passes_what_is_long_over() -> None:
    """More clocks than it has buckets for, and an instruction that is longer than that."""
    spent = [(10, 0, 5), (700, 900_000, 100), (3_000_000, 1_000_000, 1_500_000), (40, 4_000_000, 40)]
    assert metered(spent, 100) == brute_force(spent[:2], 100) > 600


@settings(max_examples=examples(25))
@given(systems())
def test_every_engine_finds_the_same_window(overrides: dict[str, object]) -> None:
    config = config_of(overrides)
    wanted = simulate(config, spending=spending(Prices.of(config))).busiest_window
    assert wanted > 0
    for mode, fold in (("fast", False), ("stepped", True), ("stepped", False)):
        other = config_of({**overrides, "engine.mode": mode, "engine.fold": fold})
        assert simulate(other, spending=spending(Prices.of(other))).busiest_window == wanted


@pytest.mark.parametrize("refresh", ["all_bank", "none"])
@pytest.mark.parametrize("schedule", ["paper", "overlap"])
def test_the_peak_is_that_of_the_commands_but_for_their_bursts(tmp_path: Path, refresh: str, schedule: str) -> None:
    config = config_of(
        {
            "workload.model": "gpt2-small",
            "workload.output_tokens": 2,
            "workload.prompt_tokens": 1,
            "dram.refresh": refresh,
            "schedule": schedule,
        }  # fmt: skip
    )
    peak = run(config, log=tmp_path / "log.csv").summary["system"]["peak_power_mW"]
    assert peak == run(config).summary["system"]["peak_power_mW"]
    device, prices = resolve(config.dram, config.pim), Prices.of(config).commands
    log = read_log(tmp_path / "log.csv", device.standard)
    each = np.array([0 if name.startswith("REF") else float(prices[name]) for name in device.command_names])
    window = device.cycles["nREFI"]
    energy = np.zeros(int(log.clk.max()) + 2)
    np.add.at(energy, log.clk, each[log.command])
    sums = np.cumsum(energy)
    busiest = float((sums[window:] - sums[:-window]).max()) / window
    assert peak == pytest.approx(busiest + float(background_mW(Prices.of(config))), rel=0.04)


def test_a_run_that_is_shorter_than_a_window_peaks_at_its_average() -> None:
    tiny = {"name": "tiny", "layers": 1, "d_model": 16, "heads": 1, "d_ff": 16}
    config = config_of({"workload.model": None, "workload.model_config": tiny, "workload.output_tokens": 1})
    system = run(config).summary["system"]
    assert system["cycles"] < 6825
    assert system["peak_power_mW"] == system["average_power_mW"]


def test_units_are_coarser_where_a_window_would_not_fit() -> None:
    small, large = config_of(), config_of({"dram.channels": 64, "dram.timing.tREFI_ns": 100_000, "dram.tCK_ps": 100})
    costs = Prices.of(small).commands
    assert spending(Prices.of(small)).commands[5 + 4] == round(1000 * costs["MACAB"])
    assert max(spending(Prices.of(large)).commands) * 64 * spending(Prices.of(large)).window ** 2 <= 1 << 57


@settings(max_examples=examples(25))
@given(systems(), st.lists(st.integers(1, 5000), min_size=4, max_size=4))
def test_a_ledger_finds_the_busiest_window_at_any_prices(overrides: dict[str, object], currents: list[int]) -> None:
    """It was noted in one run, which knew no price; each other run finds the window as it goes on."""
    plan = compile_plan(config_of(overrides))
    tally, noted = simulate_noting(plan)
    power, energy, read, tREFI = currents
    for more in (
        {},
        {"asic.power_mW": power},
        {"dram.io.energy_pJ_per_bit": energy / 100, "dram.power.IDD4R_mA": 1000 + min(read, 4000)},
    ):
        asked = spending(Prices.of(config_of({**overrides, **more})))
        for window in (asked.window, tREFI):
            spender = replace(asked, window=window)
            wanted = simulate(plan, spending=spender)
            assert noted.busiest(spender) == wanted.busiest_window
            assert replace(wanted, busiest_window=Fraction(0)) == tally


def test_a_ledger_of_many_notes_is_handed_on_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    config = config_of({"workload.model": "gpt2-small", "workload.output_tokens": 3})
    plan, asked = compile_plan(config), spending(Prices.of(config))
    whole = simulate_noting(plan)[1]
    monkeypatch.setattr(meter, "_FEWEST_NOTES", 1)
    monkeypatch.setattr(meter, "_MOST_NOTES", 200)
    monkeypatch.setattr(ledger, "_LOOSE", 20_000)
    parts = simulate_noting(plan)[1]
    assert len(parts._packed) > 1 and parts._loose and parts.nbytes < whole.nbytes
    wanted = simulate(plan, spending=asked).busiest_window
    assert [each.busiest(asked) for each in (parts, whole, parts, whole)] == [wanted] * 4
    assert not parts._loose and not whole._loose


def test_a_note_for_which_there_is_no_room_is_missed() -> None:
    notes = meter.Notes(1, lambda rows: None)
    notes._reg[meter.G_NOTED] = len(notes._rows) + 1
    with pytest.raises(meter.LostError):
        notes.flush()
