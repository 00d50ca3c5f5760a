"""The Chrome trace says what the command log, the operator table and the summary say."""

from __future__ import annotations

import gzip
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from pimsim import api
from pimsim.devices.plan import compile_plan
from pimsim.energy.model import Prices
from pimsim.errors import InputError
from pimsim.timeline.files import timeline
from tests.configs import config_of
from tests.timeline.runs import CASES, SMALL, WINDOW, Run, Trace, clipped, open_rows, watched, window_of


@pytest.fixture(scope="module", params=CASES, ids=["all_bank", "overlap", "no refresh"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Trace]:
    return _traced(tmp_path_factory.mktemp("run") / "trace.json", request.param, None)


@pytest.fixture(scope="module", params=CASES, ids=["all_bank", "overlap", "no refresh"])
def window(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Trace]:
    return _traced(tmp_path_factory.mktemp("window") / "trace.json", request.param, WINDOW)


def _traced(path: Path, case: dict[str, Any], window_ns: tuple[float, float] | None) -> tuple[Run, Trace]:
    run = watched(path, case, window_ns)
    return run, Trace(path.read_text(), run.device.tCK_ps)


def test_the_command_buses_are_the_command_log_row_for_row(run: tuple[Run, Trace]) -> None:
    assert run[1].commands() == run[0].rows
    assert len(run[0].rows) > 1000


def test_a_window_has_the_commands_of_its_time_and_no_others(window: tuple[Run, Trace]) -> None:
    low, high = window_of(window[0], WINDOW)
    assert window[1].commands() == [row for row in window[0].rows if low <= row.clk < high]
    assert window[1].commands()


def test_the_banks_are_the_rows_that_the_log_opens_and_closes(run: tuple[Run, Trace]) -> None:
    rows = open_rows(run[0], run[0].result.tally.cycles)
    assert run[1].rows(run[0].device) == rows
    assert rows


def test_a_window_knows_the_rows_that_were_opened_before_it(window: tuple[Run, Trace]) -> None:
    low, high = window_of(window[0], WINDOW)
    rows = open_rows(window[0], window[0].result.tally.cycles)
    assert window[1].rows(window[0].device) == sorted(clipped(rows, low, high))
    assert any(row.begin < low < row.end for row in rows)


def test_data_crosses_the_pins_when_the_timing_table_says(run: tuple[Run, Trace]) -> None:
    n = run[0].device.cycles
    latency = {"RD": n["nCL"], "RDMAC": n["nCL"], "WR": n["nCWL"], "WRGB": n["nCWL"]}
    length = {"RD": n["nBL"], "RDMAC": n["nBLRES"], "WR": n["nBL"], "WRGB": n["nBL"]}
    for channel in range(run[0].device.channels):
        rows = [row for row in run[0].rows if row.channel == channel and row.command in latency]
        begins = [(row.clk + latency[row.command], row.command) for row in rows]
        bursts = sorted((begin, begin + length[name], name) for begin, name in begins)
        assert [each[:3] for each in run[1].slices(f"channel {channel}", "data bus")] == bursts


def test_mac_runs_hold_every_mac_of_the_log(run: tuple[Run, Trace]) -> None:
    gap = run[0].device.cycles["nMAC"]
    for channel in range(run[0].device.channels):
        macs = [row for row in run[0].rows if row.channel == channel and row.command == "MACAB"]
        found = []
        for begin, end, _, about in run[1].slices(f"channel {channel}", "MAC units"):
            assert end - begin == gap * about["columns"]  # no gap inside of a run
            found += [(begin + gap * i, about["row"]) for i in range(about["columns"])]
        assert found == [(row.clk, row.row) for row in macs]
    assert macs


def test_refreshes_keep_their_banks_busy(run: tuple[Run, Trace]) -> None:
    device = run[0].device
    shown = Counter(s[0] for c in range(device.channels) for s in run[1].slices(f"channel {c}") if s[2] == "refresh")
    wanted = Counter({row.clk: 0 for row in run[0].rows if row.command.startswith("REF")})
    for row in run[0].rows:
        wanted[row.clk] += {"REFAB": device.banks, "REFPB": 1}.get(row.command, 0)
    assert shown == +wanted
    assert bool(shown) == (device.refresh != "none")


def test_instructions_add_up_to_the_operator_table(run: tuple[Run, Trace]) -> None:
    shown: Counter[tuple[str, str]] = Counter()
    at = 0
    for begin, end, operator, about in run[1].slices("controller and ASIC", "instructions"):
        assert begin == at  # what one adds begins where the one before ended
        shown[about["phase"], operator] += end - begin
        at = end
    tally = run[0].result.tally
    assert at == tally.cycles
    assert shown == {(row.phase, row.operator): row.cycles for row in tally.rows if row.cycles}


def test_steps_are_the_tokens(run: tuple[Run, Trace]) -> None:
    steps = run[1].slices("controller and ASIC", "steps")
    tokens = run[0].result.tally.tokens
    assert [(begin, end, about["context"]) for begin, end, _, about in steps] == [
        (token.start_cycle, token.start_cycle + token.cycles, token.context) for token in tokens
    ]


def test_every_block_has_its_instructions(run: tuple[Run, Trace]) -> None:
    blocks = Counter(s[3]["block"] for s in run[1].slices("controller and ASIC", "instructions") if s[2] == "qkv")
    batch = run[0].config.workload.batch
    assert blocks == {0: 4 * batch, 1: 4 * batch}


def test_no_unit_does_two_things_at_once_in_whole_ns(run: tuple[Run, Trace], window: tuple[Run, Trace]) -> None:
    """Perfetto cuts times to whole ns and drops a slice that overlaps the one before it."""
    for _, trace in (run, window):
        for slices in trace.tracks().values():
            slices.sort(key=lambda event: event["ts"])
            ends = [int(s["ts"] * 1000) + int(s["dur"] * 1000) for s in slices]
            assert all(end <= int(s["ts"] * 1000) for end, s in zip(ends, slices[1:], strict=False))


@pytest.mark.parametrize("schedule", ["paper", "overlap"])
def test_the_asic_does_one_thing_at_a_time(tmp_path: Path, schedule: str) -> None:
    """Slow, and with partial sums, so that results arrive before it is free."""
    slow = {"schedule": schedule, "asic.adders": 1, "pim.global_buffer_bytes": 64}
    run, trace = _traced(tmp_path / "a.json", slow, None)
    units = [name for name in trace.threads.values() if name.startswith("ASIC")]
    busy = sorted(s[:2] for unit in units for s in trace.slices("controller and ASIC", unit))
    assert all(end <= begin for (_, end), (begin, _) in zip(busy, busy[1:], strict=False))
    softmax = sum(end - begin for begin, end, _, _ in trace.slices("controller and ASIC", "ASIC softmax"))
    assert softmax == sum(row.asic_busy_cycles for row in run.result.tally.rows if row.operator == "softmax") > 0


def test_power_over_time_is_the_energy(run: tuple[Run, Trace]) -> None:
    trace, tally = run[1], run[0].result.tally
    last = max(end for channel in range(run[0].device.channels) for _, end, _, _ in trace.slices(f"channel {channel}"))
    names = ["controller and ASIC"]
    energy_pJ = sum(_integral(trace.counters(name, "power (W)"), max(last, tally.cycles)) for name in names)
    assert energy_pJ * tally.tCK_ps == pytest.approx(run[0].result.summary["system"]["energy_pJ"], rel=2e-5)


def test_the_channels_power_and_the_asic_s_is_the_total(run: tuple[Run, Trace]) -> None:
    trace, tally = run[1], run[0].result.tally
    channels = [trace.counters(f"channel {c}", "power (W)") for c in range(run[0].device.channels)]
    for at in range(0, tally.cycles - 200, 177):
        asic_W = _value(trace.counters("controller and ASIC", "ASIC power (W)"), at)
        total = _value(trace.counters("controller and ASIC", "power (W)"), at)
        assert sum(_value(values, at) for values in channels) + asic_W == pytest.approx(total, rel=1e-4)


def _integral(values: list[tuple[int, float]], end: int) -> float:
    ends = [clk for clk, _ in values[1:]] + [end]
    return sum(value * (until - clk) for (clk, value), until in zip(values, ends, strict=True))


def _value(values: list[tuple[int, float]], clk: int) -> float:
    return [value for at, value in values if at <= clk][-1]


def test_a_compressed_trace_is_the_same_trace_and_the_same_bytes_each_time(tmp_path: Path) -> None:
    config = config_of(SMALL)
    for name in ("a.json.gz", "b.json.gz", "c.json"):
        api.run(config, timeline=tmp_path / name, window_ns=WINDOW)
    packed = (tmp_path / "a.json.gz").read_bytes()
    assert packed == (tmp_path / "b.json.gz").read_bytes()
    assert gzip.decompress(packed) == (tmp_path / "c.json").read_bytes()


@pytest.mark.parametrize("engine", [{"engine.mode": "stepped"}, {"engine.fold": False}])
def test_the_engine_s_options_change_no_byte(tmp_path: Path, engine: dict[str, Any]) -> None:
    api.run(config_of(SMALL), timeline=tmp_path / "a.json")
    api.run(config_of({**SMALL, **engine}), timeline=tmp_path / "b.json")
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_too_many_commands_are_refused_with_a_window_that_fits(tmp_path: Path) -> None:
    from pimsim.sim.run import simulate

    config = config_of(SMALL)
    plan, prices, path = compile_plan(config), Prices.of(config), tmp_path / "a.json"
    with pytest.raises(InputError) as error, timeline(path, plan, prices, most=500) as watcher:
        simulate(config, observers=[watcher])
    (problem,) = error.value.problems
    assert problem.key == "--timeline" and "more than 500 commands" in problem.message
    assert not list(tmp_path.iterdir())
    start, end = map(float, problem.message.split("--window ")[1].split(":"))
    with timeline(path, plan, prices, (start, end), most=500) as watcher:
        simulate(config, observers=[watcher])
    shown = len(Trace(path.read_text(), 570).commands())
    assert 490 < shown <= 500


def test_a_folder_that_cannot_be_written_is_refused_before_the_run(tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        api.run(config_of(SMALL), timeline=tmp_path / "missing" / "a.json")
    assert "cannot write" in error.value.problems[0].message
