"""What a report shows of a schedule: parts, stages, a line for each template; and pages without a figure per token."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

import pimsim
from pimsim.report import run_html
from pimsim.results import scheduled
from pimsim.results.headline import headline, percent
from pimsim.results.result import Result
from tests import schedule_kinds
from tests.report.test_report import SCRIPTS, Page


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Result]:
    folder = tmp_path_factory.mktemp("schedules")
    return {kind: schedule_kinds.run(folder, kind) for kind in schedule_kinds.KINDS}


@pytest.mark.parametrize("kind", schedule_kinds.KINDS)
def test_a_page_has_the_figures_and_the_stages(results: dict[str, Result], kind: str) -> None:
    result = results[kind]
    page = Page(run_html(result))
    for what, value, unit in headline(result.summary):
        assert f"{what} {value} {unit}" in page.text
    for text in result.summary["warnings"]:
        assert text in page.text
    assert "None" not in page.text
    head, *rows = page.tables["schedule"]
    stages = result.summary["schedule"]["stages"]
    assert [head[at] for at in (0, 3, 8)] == ["template", "part", "tokens run"]
    assert [row[0] for row in rows] == [stage["template"] for stage in stages]
    assert [row[head.index("cycles")] for row in rows] == [f"{stage['cycles']:,}" for stage in stages]
    assert scheduled.title(result.summary) in page.text


def test_parts_are_stacked_with_their_shares(results: dict[str, Result]) -> None:
    html = run_html(results["chain"])
    text = Page(html).text
    for figure in ("latency_ns", "energy_pJ"):
        shares = scheduled.shares(results["chain"].summary, figure)
        assert list(shares) == ["drafting", "verification", "rejected"]
        assert sum(shares.values()) == pytest.approx(1)
        for name, share in shares.items():
            assert f"{name} {percent(share)}" in text
            assert f"width:{100 * share:.2f}%" in html


@pytest.mark.parametrize("kind", ["fork", "encoder", "drafts"])
def test_one_part_is_no_stack(results: dict[str, Result], kind: str) -> None:
    assert "Parts of decoding" not in Page(run_html(results[kind])).text


def test_a_chart_has_a_line_for_each_template(results: dict[str, Result]) -> None:
    def names(kind: str) -> list[str]:
        charts = Page(run_html(results[kind])).charts
        traces = charts["tokens"]["traces"] if "tokens" in charts else []
        return [trace["name"] for trace in traces if "stackgroup" not in trace]  # which are operators

    assert names("chain") == ["guess (drafting)", "verify (verification)"]
    assert names("fork") == ["each step"]
    assert names("encoder") == []


def test_each_template_s_first_and_last_step_are_heard(results: dict[str, Result]) -> None:
    traces = Page(html := run_html(results["chain"])).charts["tokens"]["traces"]
    heard = re.search(r'aria-label="Latency over context: (the time [^"]*)"', html)
    assert heard
    for trace in traces:
        first, last = (trace["hovertext"][at].rpartition(": ")[2] for at in (0, -1))
        assert f"{trace['name']}: {first} at the first and {last} at the last" in heard[1]


def test_operators_have_their_part(results: dict[str, Result]) -> None:
    result = results["chain"]
    head, *rows = Page(run_html(result)).tables["operators"]
    assert head[:3] == ["operator", "phase", "part"]
    assert [tuple(row[:3]) for row in rows] == [(row.operator, row.phase, row.part) for row in result.tally.rows]


def test_the_name_of_a_template_stays_text(tmp_path: Path) -> None:
    evil = "</script><script>alert(1)</script>"
    lines = [
        schedule_kinds.header(),
        *schedule_kinds.template(evil),
        schedule_kinds.line("decode", 3, evil, "step+9", accept=0, cycle="c"),
    ]
    page = Page(run_html(pimsim.run(schedule_kinds.config_of(schedule_kinds.write_lines(tmp_path / "t.jsonl", lines)))))
    assert page.tables["schedule"][1][0] == evil
    assert len(page.scripts) == SCRIPTS


def test_the_same_run_is_the_same_page(results: dict[str, Result], tmp_path: Path) -> None:
    again = schedule_kinds.run(tmp_path, "two models", engine__fold=False)
    assert _without_config(again) == _without_config(results["two models"])


def _without_config(result: Result) -> str:
    """A page from its table of stages on, without where its inputs are from: overrides are numbered."""
    html = run_html(replace(result, provenance=None))
    return html[html.index('id="schedule"') : html.index("<footer>")]
