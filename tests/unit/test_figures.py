"""Figures for print: no text on another, in any style; embedded fonts, the same bytes, tables of what is drawn."""

from __future__ import annotations

import csv
import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from matplotlib.axes import Axes
from matplotlib.container import BarContainer
from matplotlib.figure import Figure

import pimsim
from pimsim.errors import InputError
from pimsim.plots import NAMES, Plots, style, sweep
from pimsim.plots.looks import LOOKS, Order, order
from pimsim.results.result import Result
from tests import schedule_kinds
from tests.configs import config_of
from tests.result_samples import small_result
from tests.systems_shown import runs as systems_shown
from tests.texts import wrong_texts
from tests.unit import test_plots_sweep as many

ROOT = Path(__file__).parents[2]
LONG = "a machine with a name of more words than anybody reads at an axis"


def _of_many_machines() -> Result:
    machine = small_result().baselines["gpu-t4"]
    bound = machine["roofline"] | {"bandwidth_GBps": 100.0, "peak_TFLOPs": 1.0}
    named = {f"{k} {LONG}": {**machine, "roofline": bound} for k in range(7)}
    return small_result(plots=Plots, baselines=named)


def _of_device(name: str, model: str = "gpt2-small") -> Result:
    changes = {"workload.model": model, "workload.output_tokens": 2}
    return pimsim.run(pimsim.load_config(ROOT / "configs" / f"{name}.yaml", changes))


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Result]:
    """Runs of all kinds: plain, tiny, many operators, long names, prompts, parts, other memories."""
    folder = tmp_path_factory.mktemp("runs")
    kinds = {
        kind: schedule_kinds.run(folder, kind, baselines=["gpu-t4"]) for kind in ("chain", "two models", "encoder")
    }
    return kinds | {
        "tiny": small_result(plots=Plots),
        "machines": _of_many_machines(),
        "plain": _of_device("pim-gpt"),
        "operators": _of_device("pim-gpt", "llama-3.2-1b"),
        "aim": _of_device("aim"),
        "lpddr5x-pim": _of_device("lpddr5x-pim"),
        "system": systems_shown.run("pipeline"),
    }


RUNS = ("tiny", "machines", "plain", "operators", "aim", "lpddr5x-pim", "system", "chain", "two models", "encoder")


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("run", RUNS)
def test_no_text_is_on_another_outside_or_small(results: dict[str, Result], run: str, look: str) -> None:
    plots = results[run].plot
    for name in Plots(results[run]).available():
        with style.drawing(look):
            assert (name, wrong_texts(getattr(plots, name)())) == (name, [])


@pytest.mark.parametrize("look", LOOKS)
def test_no_text_of_a_utilisation_is_on_another(results: dict[str, Result], look: str) -> None:
    with style.drawing(look):
        assert wrong_texts(results["chain"].plot.utilisation()) == []


SWEPT = [
    {"status": "ok", "dram.channels": n, "pim.clock_GHz": c, many.X: 8e6 / n + 1e5 / c, many.Y: 1e9 * c + n * 3e7}
    for n in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32) for c in (0.25, 0.5, 1, 2)
]  # fmt: skip
NEAR = [{"dram.channels": k, many.X: 1e6 * (1 + k / 1000), many.Y: 1e9 * (1 - k / 1000)} for k in range(14)]
CELLS = [{"a": a, "b": b, many.X: 1e6 + a * b} for a in range(30) for b in range(25)]
ENDS = [{**bar, "key": f"{bar['key']}.of_a_long_name_{k}", "low_at": LONG} for k in range(7) for bar in many.BARS]
DRAW = many.DRAW | {
    "pareto, many": lambda ax: sweep.pareto(SWEPT, many.X, many.Y, ax, label="dram.channels"),
    "pareto, near": lambda ax: sweep.pareto(NEAR, many.X, many.Y, ax, label="dram.channels"),
    "heatmap, numbers": lambda ax: sweep.heatmap(SWEPT, "dram.channels", "pim.clock_GHz", many.X, ax),
    "heatmap, many": lambda ax: sweep.heatmap(CELLS, "a", "b", many.X, ax),
    "scaling, groups": lambda ax: sweep.scaling(SWEPT, "dram.channels", many.X, ax, group="pim.clock_GHz"),
    "tornado, long": lambda ax: sweep.tornado(ENDS, ax),
}


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("name", DRAW)
def test_no_text_of_a_sweep_is_on_another(name: str, look: str) -> None:
    with style.drawing(look):
        assert wrong_texts(DRAW[name](None)) == []


def test_the_check_of_texts_finds_what_it_looks_for() -> None:
    ax = style.new_figure().add_subplot()
    for text, x, size in (("one", 0.5, 9), ("two", 0.51, 9), ("small", 0.1, 5), ("out", 1.4, 9)):
        ax.text(x, 0.5, text, fontsize=size).set_in_layout(False)
    found = wrong_texts(ax)
    assert [what for what in found if "'two' is on" in what or "on 'two'" in what]
    assert any("'small' has 5" in what for what in found)
    assert any("'out' leaves" in what for what in found)


# -- operators of a roofline


def test_every_operator_has_a_place_and_a_number_of_its_own(results: dict[str, Result]) -> None:
    """Places of the discs, in pixels; dots of operators may be the same, their discs never are."""
    from pimsim.plots.callouts import Callouts

    for run in ("plain", "operators", "chain"):
        ax = results[run].plot.roofline()
        style.png(ax)
        (callouts,) = [artist for artist in ax.artists if isinstance(artist, Callouts)]
        operators = len(Plots(results[run])._figures.drawn["roofline"].operators)
        texts = callouts.texts[:operators]
        assert all(text.get_visible() for text in texts)
        assert len({tuple(round(each) for each in text.get_position()) for text in texts}) == operators


def test_the_area_of_an_operator_is_its_share_of_the_time(results: dict[str, Result]) -> None:
    points = Plots(results["plain"])._figures.drawn["roofline"].operators
    taken = {row["operator"]: row["cycles"] for row in results["plain"].records("operators")}
    whole = results["plain"].summary["system"]["cycles"]
    assert {point.name: point.share for point in points} == pytest.approx(
        {point.name: taken[point.name] / whole for point in points}
    )


# -- files


def test_a_pdf_embeds_its_fonts_as_truetype(results: dict[str, Result]) -> None:
    with style.drawing("single-column"):
        pdf = style.content(results["plain"].plot.roofline(), "pdf")
    assert pdf.count(b"/FontDescriptor\n") + pdf.count(b"/Type /FontDescriptor") >= 1
    assert pdf.count(b"/FontFile2") == pdf.count(b"/Type /FontDescriptor") > 0
    assert b"/Type3" not in pdf and b"/CreationDate" not in pdf and b"Matplotlib" not in pdf


def test_an_svg_needs_no_font_and_is_as_wide_as_a_column(results: dict[str, Result]) -> None:
    with style.drawing("single-column"):
        svg = style.content(results["plain"].plot.speedup(), "svg").decode()
    assert '<svg height="' in svg or "<svg " in svg
    assert 'width="252pt"' in svg  # 3.5 inches
    assert "<text" not in svg and "<dc:date>" not in svg and "matplotlib.org" not in svg.partition("</metadata>")[0]


@pytest.mark.parametrize("look", ["single-column", "double-column"])
def test_the_figures_of_a_style_are_as_wide_as_it_says(results: dict[str, Result], look: str) -> None:
    for name in Plots(results["plain"]).available():
        with style.drawing(look):
            assert style.figure_of(getattr(results["plain"].plot, name)()).get_figwidth() == LOOKS[look].width_in
    assert LOOKS["single-column"].width_in == 3.5 and LOOKS["double-column"].width_in == 7.16


def test_all_formats_are_saved_with_a_table_each(results: dict[str, Result], tmp_path: Path) -> None:
    results["tiny"].plot.save(tmp_path, formats="pdf,svg,png", style="double-column")
    drawn = set(NAMES) - {"parts"}
    assert {path.name for path in tmp_path.iterdir()} == set(Order(("pdf", "svg", "png"), data=True).files(drawn))


SAVE = """
import sys
from pimsim.plots import Plots
from tests.result_samples import small_result
from tests.systems_shown import runs as systems_shown
small_result(plots=Plots).plot.save(sys.argv[1], formats=["pdf", "svg", "png"], style="single-column")
"""


def test_figures_are_the_same_bytes_in_every_process(tmp_path: Path) -> None:
    for name, seed in (("a", "1"), ("b", "2")):
        (tmp_path / name).mkdir()
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
        subprocess.run([sys.executable, "-c", SAVE, str(tmp_path / name)], check=True, cwd=ROOT, env=environment)
    first = {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir()}
    assert len(first) == 24
    assert {path.name: path.read_bytes() for path in (tmp_path / "b").iterdir()} == first


def table(result: Result, name: str) -> list[dict[str, str]]:
    from pimsim.plots.plotset import _file

    return list(csv.DictReader(io.StringIO(_file("screen", Plots(result)._figures, f"{name}.csv").decode())))


def widths(ax: Axes, at: int = 0) -> list[float]:
    container = ax.containers[at]
    assert isinstance(container, BarContainer)
    return [patch.get_width() for patch in container.patches]


def test_tables_have_the_numbers_that_are_drawn_in_their_unit(results: dict[str, Result]) -> None:
    for name, what in (("latency_breakdown", "latency"), ("energy_breakdown", "energy")):
        ax, rows = getattr(results["plain"].plot, name)(), table(results["plain"], name)
        unit = ax.get_xlabel().removeprefix(f"{what} (").removesuffix(")")
        column = f"{what}_{unit.replace('µ', 'u')}"
        assert [float(row[column]) for row in rows] == pytest.approx(widths(ax))
        assert [row[next(iter(row))] for row in rows] == [label.get_text() for label in ax.get_yticklabels()]


def test_the_table_of_ratios_has_both_ends_of_each_bar(results: dict[str, Result]) -> None:
    ax, rows = results["tiny"].plot.speedup(), table(results["tiny"], "speedup")
    assert [float(row["speedup_eager_x"]) - 1 for row in rows] == pytest.approx(widths(ax))
    assert [float(row["speedup_roofline_x"]) - 1 for row in rows] == pytest.approx(widths(ax, 1))


def test_the_table_of_steps_is_the_line_and_its_mean(results: dict[str, Result]) -> None:
    line, mean = results["plain"].plot.latency_vs_context().lines
    rows = table(results["plain"], "latency_vs_context")
    values = [float(row[list(row)[2]]) for row in rows]
    assert values == pytest.approx([*line.get_ydata(), mean.get_ydata()[0]])  # type: ignore[index]
    assert [row["line"] for row in rows] == ["each step", "each step", "mean"]


def test_the_table_of_a_roofline_has_each_dot_and_each_roof(results: dict[str, Result]) -> None:
    ax, rows = results["chain"].plot.roofline(), table(results["chain"], "roofline")
    dots = {
        (float(line.get_xdata()[0]), float(line.get_ydata()[0]))  # type: ignore[index]
        for line in ax.lines if line.get_marker() in ("o", "X")
    }  # fmt: skip
    columns = ("intensity_operations_per_byte", "rate_1e9_operations_per_s")
    assert {tuple(float(row[name]) for name in columns) for row in rows if row[columns[0]]} == dots
    assert [row["name"] for row in rows if row["what"] == "roof"] == ["PIM banks", "gpu-t4"]


# -- what is asked for


def test_formats_and_styles_that_are_unknown_are_all_named() -> None:
    with pytest.raises(InputError) as error:
        order("pfd,svg", "singlecolumn")
    assert str(error.value).splitlines() == [
        "--figures: unknown format 'pfd'; did you mean 'pdf'?",
        "--style: unknown style 'singlecolumn'; did you mean 'single-column'?",
    ]
    for nothing in ("", []):
        with pytest.raises(InputError, match="--figures"):
            order(nothing)


def test_without_formats_it_is_png_alone_and_a_style_has_tables() -> None:
    assert order() == Order(("png",), "screen", data=False)
    assert order(style="single-column") == Order(("png",), "single-column", data=True)
    assert order(["SVG", "pdf", "svg"]).suffixes == ("svg", "pdf", "csv")


# -- several runs on one axes


@pytest.fixture(scope="module")
def pair(results: dict[str, Result]) -> tuple[Result, Result]:
    """One of nanoseconds, one of tens of milliseconds."""
    return small_result(plots=Plots), results["operators"]


def entries(ax: Axes) -> list[str]:
    legend = ax.get_legend()
    return [text.get_text() for text in legend.get_texts()] if legend else []


@pytest.mark.parametrize("name", ["latency_breakdown", "energy_breakdown"])
def test_two_runs_are_bars_beside_each_other_in_one_unit(pair: tuple[Result, Result], name: str) -> None:
    ax = getattr(pair[0].plot, name)()
    getattr(pair[1].plot, name)(ax, label="the other")
    parts = [result.summary["system"][f"{name}_{'ns' if name[0] == 'l' else 'pJ'}"] for result in pair]
    factor = max(parts[1].values()) / max(widths(ax, 1))
    assert factor in (1e3, 1e6, 1e9)
    own = sorted(filter(None, parts[0].values()), reverse=True)
    assert sorted(widths(ax, 0), reverse=True) == pytest.approx([value / factor for value in own])
    assert entries(ax) == ["pim-gpt", "the other"]
    edges = [(bar.get_y(), bar.get_y() + bar.get_height()) for bar in ax.patches]  # type: ignore[attr-defined]
    assert all(a[1] <= b[0] + 1e-9 for a, b in zip(sorted(edges), sorted(edges)[1:], strict=False))
    assert ax.get_xlim()[1] > max(widths(ax, 1))
    assert wrong_texts(ax) == []


def test_lines_of_two_runs_have_limits_that_hold_both(pair: tuple[Result, Result], results: dict[str, Result]) -> None:
    longer = pimsim.run(config_of({"workload": {"model": "gpt2-small", "output_tokens": 9}, "baselines": []}))
    ax = longer.plot.latency_vs_context()
    results["plain"].plot.latency_vs_context(ax, label="two tokens")
    for line in ax.lines:
        if line.get_marker() == "o":
            assert ax.get_xlim()[0] < min(line.get_xdata()) and ax.get_xlim()[1] > max(line.get_xdata())
            assert ax.get_ylim()[1] > max(line.get_ydata())
    assert "two tokens" in entries(ax)


@pytest.mark.parametrize("look", ["screen", "single-column"])
@pytest.mark.parametrize("name", [name for name in NAMES if name != "parts"])
def test_three_runs_on_one_axes_are_all_named(results: dict[str, Result], name: str, look: str) -> None:
    with style.drawing(look):
        ax = None
        for run, label in (("plain", None), ("operators", None), ("aim", "AiM")):
            ax = getattr(results[run].plot, name)(ax, label=label)
        assert ax is not None
        named = {entry.partition(":")[0].removesuffix(" banks") for entry in entries(ax)}
        assert {"pim-gpt", style.short("pim-gpt, llama-3.2-1b"), "AiM"} <= named
        assert wrong_texts(ax) == []


def test_parts_of_two_runs_have_a_pair_of_bars_each(results: dict[str, Result]) -> None:
    ax = results["chain"].plot.parts()
    results["two models"].plot.parts(ax, label="batch")
    assert [label.get_text().split()[0] for label in ax.get_yticklabels()] == ["pim-gpt", "batch"] * 2
    assert len({label.get_text().split()[-1] for label in ax.get_yticklabels()[:2]}) == 1  # one unit


def test_utilisation_of_two_runs_is_over_one_time(results: dict[str, Result]) -> None:
    ax = results["chain"].plot.utilisation()
    short = ax.get_xlim()[1]
    results["plain"].plot.utilisation(ax, label="long")
    assert ax.get_xlim()[1] > short and entries(ax) == ["pim-gpt", "long"]


def test_runs_with_one_name_are_told_apart(results: dict[str, Result]) -> None:
    ax = results["plain"].plot.speedup()
    for _ in range(2):
        results["plain"].plot.speedup(ax)
    assert entries(ax)[:3] == ["pim-gpt", "pim-gpt, gpt2-small", "pim-gpt (2)"]


def test_another_plot_on_the_same_axes_is_refused_and_changes_nothing(results: dict[str, Result]) -> None:
    ax = results["plain"].plot.latency_breakdown()
    before = ax.get_children()
    with pytest.raises(ValueError, match="these axes show latency_breakdown; energy_breakdown has other axes"):
        results["plain"].plot.energy_breakdown(ax)
    assert ax.get_children() == before


def test_what_was_on_the_axes_stays_with_its_limits_and_its_entry(results: dict[str, Result]) -> None:
    ax = Figure(layout="constrained").add_subplot()
    (line,) = ax.plot([-5, 500], [2, 300], label="measured")
    for label in ("one", "two"):
        results["plain"].plot.latency_vs_context(ax, label=label)
    assert line in ax.lines and "measured" in entries(ax)
    assert ax.get_xlim()[0] <= -5 and ax.get_xlim()[1] >= 500 and ax.get_ylim()[1] >= 300
    assert len([entry for entry in entries(ax) if entry == "measured"]) == 1


def test_axes_that_were_cleared_begin_anew(results: dict[str, Result]) -> None:
    ax = results["plain"].plot.latency_breakdown()
    ax.clear()
    results["plain"].plot.energy_breakdown(ax)
    assert len(ax.containers) == 1


def test_many_runs_on_small_axes_keep_their_labels_apart(results: dict[str, Result]) -> None:
    """Where bars are thinner than text they have none."""
    ax: Any = Figure(figsize=(4, 3), layout="constrained").add_subplot()
    for number in range(5):
        results["plain"].plot.latency_breakdown(ax, label=f"run {number}")
    assert len(ax.containers) == 5 and not ax.texts
