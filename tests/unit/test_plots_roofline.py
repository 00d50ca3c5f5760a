"""The roofline: texts beside what they are of, in every look, and no mark for what nobody knows."""

from __future__ import annotations

from itertools import combinations, pairwise
from typing import Any

import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg

from pimsim.plots import Plots, style
from pimsim.plots.looks import LOOKS
from pimsim.plots.plotset import Figures
from pimsim.results.drawn.rates import Point, Rates
from tests.compare.conftest import run_of
from tests.conftest import SHIPPED
from tests.result_samples import small_result

AIM = SHIPPED.with_name("aim.yaml")
T4, XEON = ("gpu-t4", (240.0, 65000.0)), ("cpu-xeon-6154", (128.0, 2419.0))


def figures(pim: tuple[float, float], *operators: Point) -> Figures:
    point = Point("", 1.0, 20.0)
    rates = Rates(pim, list(operators), [(*T4, point), (*XEON, point)])
    return Figures("run", "model", {**Figures.of(small_result(plots=Plots)).drawn, "roofline": rates})


OPERATORS = [Point(f"operator_{n}", 1 - n / 50, 2000 + n, share=0.2) for n in range(5)]


def drawn(ax: Axes) -> Any:
    FigureCanvasAgg(style.figure_of(ax)).draw()
    return style.figure_of(ax).canvas.get_renderer()  # type: ignore[attr-defined]


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("pim", [(4096.0, 4096.0), (16384.0, 16384.0), (65536.0, 65536.0), (164.0, 16384.0)])
def test_the_peak_of_a_roof_stands_beside_it_and_off_it(look: str, pim: tuple[float, float]) -> None:
    with style.drawing(look):
        ax = Plots(figures(pim, *OPERATORS)).roofline()
        renderer = drawn(ax)
    found = {text.get_text(): text.get_window_extent(renderer) for text in ax.texts if text.get_visible()}
    pt = style.figure_of(ax).dpi / 72
    shown = 0
    for peak in (pim[1], T4[1][1], XEON[1][1]):
        if box := found.get(f"{peak:,.0f}"):
            roof = ax.transData.transform((1.0, peak))[1]
            assert not box.y0 < roof < box.y1
            assert min(abs(box.y0 - roof), abs(box.y1 - roof)) <= 16 * pt
            shown += 1
    assert shown >= 2


def test_a_ridge_is_named_beside_it_however_many_operators_are_around() -> None:
    with style.drawing("single-column"):
        ax = Plots(figures((4096.0, 4096.0), *OPERATORS)).roofline()
        renderer = drawn(ax)
    (box,) = (text.get_window_extent(renderer) for text in ax.texts if text.get_text() == "ridge 1.00")
    x, y = ax.transData.transform((1.0, 4096.0))
    away = max(box.x0 - x, x - box.x1, box.y0 - y, y - box.y1)
    assert away <= 12 * style.figure_of(ax).dpi / 72


@pytest.mark.parametrize("look", LOOKS)
def test_the_label_of_the_y_axis_is_no_longer_than_the_figure_has_room_for(look: str) -> None:
    with style.drawing(look):
        ax = Plots(figures((4096.0, 4096.0), *OPERATORS)).roofline()
        renderer = drawn(ax)
    label, figure = ax.yaxis.label.get_window_extent(renderer), style.figure_of(ax).bbox
    gap = 2 * style.figure_of(ax).dpi / 72
    assert label.y0 >= gap and label.y1 <= figure.y1 - gap


@pytest.mark.parametrize("look", LOOKS)
def test_texts_on_a_line_are_apart(look: str) -> None:
    """More than words of one text are."""
    with style.drawing(look):
        ax = Plots(figures((4096.0, 4096.0), *OPERATORS)).roofline()
        renderer = drawn(ax)
    boxes = [text.get_window_extent(renderer) for text in ax.texts if text.get_visible() and len(text.get_text()) > 2]
    assert len(boxes) > 3
    for one, other in combinations(boxes, 2):
        if min(one.y1, other.y1) - max(one.y0, other.y0) > 0.5 * one.height:
            assert max(other.x0 - one.x1, one.x0 - other.x1) > 3.5 * style.figure_of(ax).dpi / 72


def test_little_of_a_roof_is_not_nothing() -> None:
    ax = Plots(figures((4096.0, 4096.0), Point("slow", 1.0, 4.0, share=0.5))).roofline()
    legend = ax.get_legend()
    assert legend and "1  slow: 50.0 %, < 1 %" in [text.get_text() for text in legend.get_texts()]


def test_no_decode_of_a_baseline_is_shown_where_a_machine_has_some_of_the_work(
    recwarn: pytest.WarningsRecorder,
) -> None:
    """Its MACs are not in the memory's tally: the point would be those of attention over the bytes of all."""
    alone, beside = run_of(AIM), run_of(AIM, placement__linear="gpu-h100")
    all_there = run_of(AIM, placement__linear="gpu-h100", placement__attention="gpu-h100")
    points = [[each and each[2] for each in Figures.of(run).drawn["roofline"].baselines] for run in
              (alone, beside, all_there)]  # fmt: skip
    assert points[0][0] and points[1:] == [[None], [None]]
    assert style.content(Plots(all_there).roofline(), "png")
    assert not recwarn.list


@pytest.mark.parametrize("name", ["roofline", "latency_vs_context"])
def test_lines_of_runs_that_are_the_same_are_all_seen(name: str) -> None:
    """The first one is wider than what is drawn on it."""
    one = Plots(figures((4096.0, 4096.0), *OPERATORS))
    ax = getattr(one, name)(label="a")
    for label in "bc":
        ax = getattr(one, name)(ax, label)
    lines = [line for line in ax.lines if str(line.get_label()) in ("a", "b", "c") or "banks" in str(line.get_label())]
    widths = [line.get_linewidth() for line in lines]
    assert len(lines) == 3 and len({line.get_color() for line in lines}) == 3
    assert all(wide - narrow >= 2 for wide, narrow in pairwise(widths))


@pytest.mark.parametrize("runs", [1, 2, 3, 5])
def test_no_baseline_has_the_colour_of_a_run(runs: int) -> None:
    ax = None
    for at in range(runs):
        ax = Plots(figures((4096.0 + at, 4096.0), *OPERATORS)).roofline(ax, f"run {at}")
    assert ax is not None
    colours = {str(line.get_label()): line.get_color() for line in ax.lines}
    own = {colour for label, colour in colours.items() if "banks" in label}
    assert len(own) == runs
    assert not own & {colour for label, colour in colours.items() if label.startswith((T4[0], XEON[0]))}
