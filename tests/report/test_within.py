"""How busy banks and buses are while a step runs: what the log of every command says, and what the page says of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pimsim import api
from pimsim.config.schema import Config
from pimsim.report.charts import Chart
from pimsim.report.run import run_html
from pimsim.report.run_charts import linked_charts
from pimsim.report.run_operators import Operators
from pimsim.results import within as module
from pimsim.results.result import Result
from pimsim.results.use import counters
from pimsim.results.within import Within, within
from pimsim.sim import run
from pimsim.sim.run import simulate_contexts, simulate_step
from pimsim.sim.watched_step import watched_step
from pimsim.timeline import activity
from pimsim.timeline.recorder import Recorder
from tests import schedule_kinds
from tests.configs import config_of
from tests.timeline.runs import CASES, SMALL

TRACKS = {
    "MAC units": "MAC units", "command bus": "command bus", "data bus": "data bus", "open rows": "any bank open",
    "refresh": "refresh",
}  # fmt: skip
DEVICES = ("pim-gpt", "aim", "hbm2-pim", "lpddr5x-pim")
MANY = 10**9
# How far off shares are on average, of what they are: rows open and close within an instruction, and a refresh that
# falls due while the channels rest is one of what comes next.
OFF = {"open rows": 0.006, "command bus": 0.002, "refresh": 0.16}


def ran(config: Config) -> Result:
    return api.run(config)


def shipped(name: str, *sets: str) -> Result:
    return ran(api.load(name, ["workload.model=gpt2-small", "workload.output_tokens=2", "baselines=[]", *sets]).config)


def shown_of(result: Result) -> Within:
    found = within(result)
    assert isinstance(found, Within)
    return found


def within_of(operators: Operators) -> Chart:
    return next(each.chart for each in linked_charts(operators) if each.chart.name == "within")


def clocks_of(result: Result, context: int, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Busy clocks of each track before each clock of the step, from the log of every command."""
    monkeypatch.setattr(activity, "BUCKET_NS", result.tally.tCK_ps / 1000)
    device = result.prices.device
    recorder = Recorder(device)
    simulate_step(result.plan or result.config, context, [recorder])
    recorder.close()
    assert recorder.activity.width == 1
    busy = {
        name: sum(recorder.activity.clocks(c, track) for c in range(device.channels)) for name, track in TRACKS.items()
    }
    return {name: np.concatenate([[0], np.cumsum(clocks)]) for name, clocks in busy.items()}


@pytest.mark.parametrize("name", DEVICES)
def test_shares_are_those_of_the_log(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    result = shipped(name)
    shown, device = shown_of(result), result.prices.device
    begins, ends = shown.begins, shown.begins + np.diff(shown.edges)
    known = clocks_of(result, 2, monkeypatch)
    for track, most in ((name, most) for name, (_, most) in counters(device).items() if name in known):
        before = known[track]
        at = [before[np.minimum(clk, len(before) - 1)] for clk in (begins, ends)]
        wanted, weights = (at[1] - at[0]) / (most * (ends - begins)), ends - begins
        off = np.average(np.abs(shown.shares[track] - wanted), weights=weights)
        assert off <= OFF.get(track, 1e-12) * np.average(wanted, weights=weights), track


@pytest.mark.parametrize("case", CASES)
def test_a_step_counts_what_a_run_of_it_counts(case: dict[str, Any]) -> None:
    result = ran(config_of({**SMALL, **case}))
    assert result.plan is not None
    took = watched_step(result.plan, len(result.tally.tokens) - 1, MANY, MANY, every=True)
    whole = simulate_contexts(result.plan, [result.config.workload.last_context])
    charged = [one.charged for one in took]
    assert [begin for begin, _ in charged[1:]] == [end for _, end in charged[:-1]]
    assert charged[0][0] == 0 and charged[-1][1] == whole.cycles
    for row in whole.rows:
        mine = [one.counted for one in took if one.counted.operator == row.operator]
        assert len(mine) == row.count
        assert sum(one.asic_busy_cycles for one in mine) == row.asic_busy_cycles
        assert sum(one.cycles for one in mine) == row.cycles
        counted = {name: sum(one.commands[name] for one in mine) for name in row.commands}
        assert {k: v for k, v in counted.items() if not k.startswith("REF")} == {
            k: v for k, v in row.commands.items() if not k.startswith("REF")
        }
    assert sum(one.counted.open_cycles for one in took) == whole.total("open_cycles")


def test_nothing_is_busier_than_it_can_be_and_the_means_are_of_the_step() -> None:
    result = ran(config_of({**SMALL, **CASES[1]}))
    shown = shown_of(result)
    assert all(np.all((shares >= 0) & (shares <= 1)) for shares in shown.shares.values())
    assert result.plan is not None
    whole = simulate_contexts(result.plan, [result.config.workload.last_context])
    counted, most = counters(result.prices.device)["MAC units"]
    assert shown.means["MAC units"] == pytest.approx(sum(map(counted, whole.rows)) / (most * whole.cycles))


def test_one_block_stands_for_all_of_them() -> None:
    shown = shown_of(shipped("pim-gpt", "workload.lm_head=true"))
    assert (shown.block, shown.blocks) == (6, 12)
    first, end = shown.blocks_at
    assert "lm_head" in {operator for rows in shown.operators[end:] for _, _, operator in rows}
    assert {"qkv", "scores", "ffn_down"} <= {operator for rows in shown.operators[first:end] for _, _, operator in rows}
    gaps = shown.begins[1:] - (shown.begins + np.diff(shown.edges))[:-1]
    assert {at + 1 for at in np.flatnonzero(gaps).tolist()} <= {first, end}


def test_short_pieces_are_joined_where_there_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    result = shipped("pim-gpt")
    before = shown_of(result)
    monkeypatch.setattr(module, "MOST", 5)
    shown = shown_of(result)
    assert len(shown.begins) < len(before.begins) and shown.edges[-1] == before.edges[-1]
    assert shown.means == pytest.approx(before.means)


@pytest.mark.parametrize("sets", [["workload.batch=36"], ["schedule=overlap", "dram.refresh=none"]])
def test_each_operator_is_found_in_the_chart_and_in_its_table(sets: list[str]) -> None:
    """Where pieces are joined, and where some operators add no time."""
    operators = Operators(shipped("pim-gpt", "workload.lm_head=true", *sets))
    chart = within_of(operators)
    ran = {operator.key for operator in operators.all}
    for trace in chart.traces:
        assert {key for keys in trace["customdata"] for key in keys} == ran
        for keys, hover in zip(trace["customdata"], trace["hovertext"], strict=True):
            assert (f"and {len(keys) - 1} more</b>" in hover) == (len(keys) > 1)
    assert {said for row in chart.rows for said in row[0].split("; ")} == {operator.said for operator in operators.all}
    joined = any(len(keys) > 1 for keys in chart.traces[0]["customdata"])
    assert ("A bar may hold several operators" in chart.note) == joined


def test_a_bar_of_several_operators_is_named_by_the_longest(monkeypatch: pytest.MonkeyPatch) -> None:
    result = shipped("pim-gpt")
    before = shown_of(result)
    monkeypatch.setattr(module, "MOST", 5)
    ends, shown = np.cumsum(np.diff(before.edges)), shown_of(result)
    for low, high, rows in zip(shown.edges[:-1], shown.edges[1:], shown.operators, strict=True):
        clocks = dict.fromkeys(rows, 0)
        for at in np.flatnonzero((ends > low) & (ends <= high)).tolist():
            clocks[before.operators[at][0]] += int(np.diff(before.edges)[at])
        assert list(clocks) == sorted(clocks, key=lambda row: -clocks[row])


@pytest.mark.parametrize("limit", ["_INSTRUCTIONS", "_TOLD"])
def test_of_a_step_of_too_many_instructions_the_page_says_so(limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    result = shipped("pim-gpt")
    assert "within" in [each.chart.name for each in linked_charts(Operators(result))]
    assert "too many instructions" not in run_html(result)
    monkeypatch.setattr(module, limit, 10)
    assert "within" not in [each.chart.name for each in linked_charts(Operators(result))]
    said = "Banks and buses over time: the last decode step, context 2, has too many instructions to be shown here."
    assert said in run_html(result) and "result.plot.utilisation()" in run_html(result)
    page = run_html(shipped("pim-gpt", "workload.prompt_tokens=5", "workload.output_tokens=0"))
    assert "too many instructions" in page and "result.plot.utilisation()" not in page  # which draws a decoded token


@pytest.mark.parametrize(
    ("sets", "title", "note"),
    [
        ([], "last decode step, context 2", "The 12 layers are alike, so layer 7 stands"),
        (["workload.prompt_tokens=5", "workload.output_tokens=0"], "last prompt step, context 5", "from rest"),
        (["system.devices=2", "system.tensor=2"], "last decode step, context 2", "It is a step of the first device."),
        (
            ["system.devices=2", "system.pipeline=2"],
            "last decode step, context 2",
            "The 6 layers are alike",
        ),
        (["placement.linear=gpu-h100"], "last decode step, context 2", "The 12 layers are alike"),
    ],
)
def test_the_page_says_which_step_it_is(sets: list[str], title: str, note: str) -> None:
    operators = Operators(shipped("pim-gpt", *sets))
    chart = within_of(operators)
    assert title in chart.title and note in chart.note and chart.title in run_html(operators.of_run)
    assert {key for trace in chart.traces for keys in trace["customdata"] for key in keys} <= {
        o.key for o in operators.all
    }
    for trace, column in zip(chart.traces, range(4, len(chart.columns)), strict=True):
        assert list(trace["y"]) == [row[column] for row in chart.rows]


@pytest.mark.parametrize(
    "sets", [["dram.refresh=per_bank", "dram.timing.tRFC_ns=2000"], ["dram.refresh=none"]], ids=["paper", "overlap"]
)
def test_the_step_is_of_the_schedule_that_the_run_took(sets: list[str], request: pytest.FixtureRequest) -> None:
    """The first is faster one instruction at a time."""
    result = shipped("pim-gpt", "workload.output_tokens=1", "schedule=overlap", *sets)
    plan, cycles = result.plan, result.tally.cycles
    assert plan is not None and plan.config.schedule in request.node.callspec.id
    assert watched_step(plan, 0, MANY, MANY)[-1].charged[1] == cycles
    assert simulate_step(plan, 1, [Recorder(plan.device)]) == cycles
    assert simulate_step(result.config, 1, [Recorder(plan.device)]) == cycles


def test_what_a_run_chose_for_itself_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    result = shipped("pim-gpt", "mapping.attention=auto", "system.devices=2", "system.pipeline=2")
    chosen = result.summary["mapping"]["attention"]
    assert result.plan is not None and result.plan.attentions == (chosen,)
    others = [shipped("pim-gpt", f"schedule={schedule}", "mapping.attention=auto") for schedule in ("paper", "overlap")]
    monkeypatch.setattr(run, "_run", None)  # nothing is simulated to choose it again
    for each in (result, *others):
        shown_of(each)


@pytest.mark.parametrize("kind", ["chain", "reorder", "prefill"])
def test_the_page_of_a_schedule_shows_its_main_template(kind: str, tmp_path: Path) -> None:
    result = schedule_kinds.run(tmp_path, kind)
    operators = Operators(result)
    chart = within_of(operators)
    assert result.schedule is not None
    assert f"last step of template {result.schedule.main.name}, context" in chart.title
    assert chart.title in run_html(result)
    shown = {key for keys in chart.traces[0]["customdata"] for key in keys}
    assert {o.row.part for o in operators.all if o.key in shown} == {result.schedule.main.part}
