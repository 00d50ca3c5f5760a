"""Plots of a schedule: stacked parts, a line for each template, and what has nothing to show."""

from __future__ import annotations

from pathlib import Path

import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle

from pimsim.plots import NAMES, Plots, style
from pimsim.plots.callouts import Callouts
from pimsim.results import scheduled
from pimsim.results.drawn.rates import operator_points, rates
from pimsim.results.headline import number, time_text
from pimsim.results.result import Result
from tests import schedule_kinds
from tests.result_samples import small_result


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Result]:
    folder = tmp_path_factory.mktemp("schedules")
    return {kind: schedule_kinds.run(folder, kind) for kind in schedule_kinds.KINDS}


@pytest.mark.parametrize("kind", schedule_kinds.KINDS)
def test_every_plot_that_has_something_to_show_is_saved(results: dict[str, Result], kind: str, tmp_path: Path) -> None:
    result = results[kind]
    parts = len(scheduled.shares(result.summary, "latency_ns")) > 1
    missing = {"speedup", "energy_ratio"} | ({"parts"} if not parts else set())
    missing |= {"latency_vs_context"} if kind in ("encoder", "prefill") else set()
    assert set(NAMES) - set(Plots(result).available()) == missing
    result.plot.save(tmp_path)
    assert {path.stem for path in tmp_path.iterdir()} == set(NAMES) - missing


def test_parts_are_stacked_to_the_whole(results: dict[str, Result]) -> None:
    ax = results["chain"].plot.parts()
    bars = [patch for patch in ax.patches if isinstance(patch, Rectangle)]
    assert len(bars) == 6  # three parts of time, and of energy
    for position, figure in enumerate(("latency_ns", "energy_pJ")):
        own = [bar for bar in bars if round(bar.get_y() + bar.get_height() / 2) == position]
        widths = [100 * share for share in scheduled.shares(results["chain"].summary, figure).values()]
        assert [bar.get_width() for bar in own] == pytest.approx(widths)
        assert sum(bar.get_width() for bar in own) == pytest.approx(100)
        assert [bar.get_x() for bar in own] == pytest.approx([sum(widths[:at]) for at in range(3)])
    assert {to_hex(bar.get_facecolor()).upper() for bar in bars} == {style.SKY, style.ORANGE, style.VERMILION}
    legend = ax.get_legend()
    assert legend and [text.get_text() for text in legend.get_texts()] == ["drafting", "verification", "rejected"]
    assert "tiny" in ax.get_title(loc="left")


def test_where_there_is_one_part_a_stack_is_refused(results: dict[str, Result]) -> None:
    for result in (results["fork"], small_result(plots=Plots)):
        with pytest.raises(ValueError, match="one part"):
            result.plot.parts()


def test_a_speculative_schedule_is_no_zigzag(results: dict[str, Result]) -> None:
    ax = results["chain"].plot.latency_vs_context()
    columns = {
        name: [record[name] for record in results["chain"].records("tokens")]
        for name in ("context", "template", "cycles")
    }
    assert [line.get_label() for line in ax.lines] == ["guess (drafting)", "verify (verification)"]
    for line, template in zip(ax.lines, ("guess", "verify"), strict=True):
        places = [at for at, name in enumerate(columns["template"]) if name == template]
        assert sorted(line.get_xdata()) == list(line.get_xdata()) == sorted(columns["context"][at] for at in places)
        assert sorted(line.get_ydata()) == pytest.approx(sorted(columns["cycles"][at] / 1000 for at in places))


def test_one_template_is_a_line_with_its_mean(results: dict[str, Result]) -> None:
    ax = results["fork"].plot.latency_vs_context()
    assert [line.get_label() for line in ax.lines][0] == "each step"
    assert len(ax.lines) == 2


def test_without_a_decode_step_there_is_no_line(results: dict[str, Result]) -> None:
    with pytest.raises(ValueError, match="nothing is decoded"):
        results["encoder"].plot.latency_vs_context()


def test_the_roofline_tells_parts_apart(results: dict[str, Result]) -> None:
    ax = results["chain"].plot.roofline()
    colours = {str(line.get_label()): line.get_color() for line in ax.lines}
    assert colours["qkv (drafting)"] == colours["out (drafting)"] != colours["qkv (verification)"]
    (callouts,) = [artist for artist in ax.artists if isinstance(artist, Callouts)]
    legend = ax.get_legend()
    assert legend is not None
    entries = [text.get_text().partition(":")[0] for text in legend.get_texts()]
    numbers = {entry.partition("  ")[2]: entry.partition("  ")[0] for entry in entries if "  " in entry}
    assert numbers["qkv (drafting)"] == numbers["qkv (verification)"] != numbers["out (drafting)"]
    assert set(numbers.values()) <= {text.get_text() for text in callouts.texts}


def test_a_roofline_without_decoding_has_the_prefill_s_operators(results: dict[str, Result]) -> None:
    result = results["encoder"]
    points = operator_points(result, result.prices.device)
    assert {point.name for point in points} == {"qkv", "scores", "values", "out", "up", "down"}


@pytest.mark.parametrize("kind", ["chain", "encoder", "drafts"])
def test_baselines_stand_beside_a_schedule(tmp_path: Path, kind: str) -> None:
    """Whatever is null elsewhere: a machine takes a time for the same steps, or for the same prompt."""
    result = schedule_kinds.run(tmp_path, kind, baselines=["gpu-t4"])
    (found,) = result.summary["baselines"].values()
    assert found["speedup"] > 0
    assert {"speedup", "energy_ratio", "roofline"} <= set(Plots(result).available())
    result.save(tmp_path / "out")
    labels = [text.get_text() for text in result.plot.speedup().texts]
    assert f"{number(found['speedup'])}x" in labels
    page = (tmp_path / "out" / "report.html").read_text()
    assert f"{number(found['speedup'])}x" in page
    decoded = kind != "encoder"
    time = found["latency_ns"] if decoded else found["prefill_latency_ns"]
    assert f">{time_text(time)}</td>" in page
    points = [machine and machine[2] for machine in rates(result).baselines]
    assert all(bool(point) == decoded for point in points)


@pytest.mark.parametrize(
    ("kind", "ran"),
    [("chain", "tiny, 6 of 15 tokens kept"), ("encoder", "tiny, prompt of 20"), ("fork", "tiny, 4 tokens decoded")],
)
def test_breakdowns_say_what_ran(results: dict[str, Result], kind: str, ran: str) -> None:
    assert results[kind].plot.latency_breakdown().get_title(loc="left") == f"Latency by cause: {ran}"
