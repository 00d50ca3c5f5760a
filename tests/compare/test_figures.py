"""Figures of a comparison: every label can be read, and bars are what the numbers say."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import Any

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

import pimsim
from pimsim.comparison import Comparison
from pimsim.comparison.draw import ComparisonPlots
from pimsim.comparison.room import axis
from tests.compare.conftest import run_of
from tests.conftest import SHIPPED

AIM = SHIPPED.with_name("aim.yaml")
NAMES = ("latency", "energy", "operators")


def comparison(count: int) -> Comparison:
    runs = [run_of(), run_of(AIM), run_of(dram__channels=4), run_of(schedule="overlap")]
    return pimsim.compare(runs[:count])


def texts(ax: Any) -> list[Any]:
    """The boxes of everything that is written, in pixels."""
    figure = ax.figure
    FigureCanvasAgg(figure).draw()  # type: ignore[no-untyped-call]
    renderer = figure.canvas.get_renderer()
    low, high = ax.get_xlim()
    ticks = [each for each in ax.get_xticklabels() if low <= each.get_position()[0] <= high]  # others are not drawn
    written = [*ax.texts, *ticks, *ax.get_yticklabels(), ax.title, ax._left_title, ax.xaxis.label]
    if ax.get_legend():
        written += ax.get_legend().get_texts()
    return [each.get_window_extent(renderer) for each in written if each.get_text()]


LONG = "a-configuration-with-a-name-that-takes-more-than-a-line"
PROMPT = {"workload__prompt_tokens": 3, "workload__output_tokens": 0}


def of_other_sizes(*changes: dict[str, Any]) -> Comparison:
    """Runs of long names that decode other numbers of tokens, or none."""
    runs = [run_of(), *(run_of(**each) for each in changes)]
    return pimsim.compare(runs, names=[f"{at}-{LONG}" for at in range(len(runs))])


COMPARED: dict[str, Callable[[], Comparison]] = {
    "two": lambda: comparison(2),
    "three": lambda: comparison(3),
    "four": lambda: comparison(4),
    "per token": lambda: of_other_sizes({"workload__output_tokens": 3}),
    "incomparable": lambda: of_other_sizes(PROMPT),
    "three of other sizes": lambda: of_other_sizes({"workload__output_tokens": 3}, {"workload__output_tokens": 1}),
}


@pytest.mark.parametrize("compared", COMPARED)
@pytest.mark.parametrize("name", NAMES)
def test_no_text_meets_another_or_leaves_the_figure(compared: str, name: str) -> None:
    ax = getattr(COMPARED[compared]().plot, name)()
    boxes = texts(ax)
    assert len(boxes) > 8
    for one, other in combinations(boxes, 2):
        assert not one.overlaps(other), (one, other)
    width, height = ax.figure.canvas.get_width_height()
    for box in boxes:
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width + 1 and box.y1 <= height + 1


def test_steps_lead_from_one_run_to_the_other() -> None:
    found = comparison(2)
    ax = found.plot.latency()
    first, *steps, last = ax.patches
    at = first.get_width()
    signs = {"#d55e00": 1, "#009e73": -1}
    from matplotlib.colors import to_hex

    for step in steps:
        at += signs[to_hex(step.get_facecolor())] * step.get_width()
    total = found.summary["causes"]["total"]["values"]
    assert at == pytest.approx(last.get_width())
    assert last.get_width() / first.get_width() == pytest.approx(total[1] / total[0])


def test_bars_of_several_runs_are_stacked_to_their_totals() -> None:
    found = comparison(3)
    ax = found.plot.energy()
    totals = [0.0, 0.0, 0.0]
    for container in ax.containers:
        for at, bar in enumerate(container):
            totals[at] += bar.get_width()
    wanted = found.summary["components"]["total"]["values"]
    assert [total / totals[0] for total in totals] == pytest.approx([value / wanted[0] for value in wanted])


@pytest.mark.parametrize(("count", "most"), [(4, 24), (7, 24), (12, 36)])
def test_a_figure_of_many_runs_fits_a_page(count: int, most: int) -> None:
    """Three operators at least, and of many runs fewer of them."""
    ax = pimsim.compare([run_of(), *[run_of(AIM)] * (count - 1)]).plot.operators()
    assert 3 * count <= len(ax.patches) <= most


def test_nothing_leads_from_one_run_to_another_where_no_difference_is_one() -> None:
    plots = of_other_sizes(PROMPT).plot
    titles = [getattr(plots, name)().get_title(loc="left") for name in NAMES]
    assert titles == ["Latency by cause", "Energy by component", "Operators that take most"]


def test_equal_runs_have_figures_too() -> None:
    plots = run_of().compare(run_of()).plot
    assert isinstance(plots, ComparisonPlots)
    assert plots.written("png").startswith(b"\x89PNG")


def test_it_draws_on_axes_that_are_given() -> None:
    from matplotlib.figure import Figure

    ax = Figure().add_subplot()
    assert comparison(2).plot.operators(ax) is ax and ax.has_data()


@pytest.mark.parametrize(
    ("marks", "least"),
    [
        ([(100.0, "x" * 10)], (0, 135)),
        ([(-100.0, "x" * 10), (50.0, "yy")], (-140, 70)),
        ([(-1e-9, "a long text beyond a short bar"), (1.0, "")], (-0.4, 1)),
        ([(0.0, "0")], (0, 1)),
        ([], (0, 1)),
    ],
)
def test_an_axis_has_room_for_the_texts_of_its_bars(marks: list[tuple[float, str]], least: tuple[float, float]) -> None:
    def share(text: str) -> float:
        return (5 * len(text) + 8) / 200

    low, high = axis(marks, share)
    assert low <= least[0] and high >= least[1]
    for end, text in marks:
        room = (high - end if end >= 0 else end - low) / (high - low)
        assert room >= min(share(text), 0.49) - 1e-6
