"""Plots of many results: what is drawn is what the rows say, with units, on the axes that are given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pimsim.plots import sweep

X, Y = "system.latency_per_token_ns", "system.energy_per_token_pJ"


def row(channels: int, clock: float, latency: float, energy: float, **more: Any) -> dict[str, Any]:
    return {"status": "ok", "dram.channels": channels, "pim.clock_GHz": clock, X: latency, Y: energy, **more}


ROWS = [
    row(1, 1, 8e6, 3e9),
    row(2, 1, 4e6, 2e9),
    row(4, 1, 2.5e6, 5e9),
    row(4, 1, 2.5e6, 6e9),  # as fast, but more energy
    row(8, 2, 5e6, 2.5e9),
    {"status": "failed", "error": "no", "dram.channels": 16, X: None, Y: None},
]
BARS = [
    {"objective": X, "key": "dram.rows", "base": 2e3, "low": 2e3, "high": 2.5e3, "low_at": None, "high_at": 64},
    {"objective": X, "key": "dram.channels", "base": 2e3, "low": 1e3, "high": 9e3, "low_at": 16, "high_at": 1},
]
DRAW: dict[str, Callable[[Axes | None], Axes]] = {
    "pareto": lambda ax: sweep.pareto(ROWS, X, Y, ax),
    "heatmap": lambda ax: sweep.heatmap(ROWS, "dram.channels", "pim.clock_GHz", X, ax),
    "tornado": lambda ax: sweep.tornado(BARS, ax),
    "scaling": lambda ax: sweep.scaling(ROWS, "dram.channels", X, ax),
}


@pytest.mark.parametrize("name", DRAW)
def test_the_axes_that_are_given_are_drawn_on(name: str) -> None:
    ax = Figure().add_subplot()
    assert DRAW[name](ax) is ax
    assert DRAW[name](None) is not ax


@pytest.mark.parametrize(
    ("name", "xlabel", "ylabel"),
    [
        ("pareto", "latency per token (ms)", "energy per token (mJ)"),
        ("heatmap", "dram.channels", "pim.clock (GHz)"),
        ("tornado", "latency per token (µs)", ""),
        ("scaling", "dram.channels", "speedup (over dram.channels = 1)"),
    ],
)
def test_axes_say_what_and_in_which_unit(name: str, xlabel: str, ylabel: str) -> None:
    ax = DRAW[name](None)
    assert (ax.get_xlabel(), ax.get_ylabel()) == (xlabel, ylabel)
    assert ax.get_title(loc="left")


def line(ax: Axes, at: int) -> list[tuple[float, float]]:
    drawn = ax.lines[at]
    return [(float(x), float(y)) for x, y in zip(drawn.get_xdata(), drawn.get_ydata(), strict=True)]


def test_the_front_has_the_points_that_no_other_beats() -> None:
    ax = sweep.pareto(ROWS, X, Y)
    assert len(line(ax, 0)) == 5
    np.testing.assert_allclose(line(ax, 1), [(2.5, 5), (4, 2)])


def test_a_figure_may_be_better_when_larger() -> None:
    rows = [{"rate": r, "cost": c} for r, c in ((1, 1), (2, 2), (3, 2), (3, 5), (2.5, 4))]
    assert line(sweep.pareto(rows, "rate", "cost", maximise=["rate"]), 1) == [(3, 2), (1, 1)]


@pytest.mark.parametrize("maximise", [[], ["x"], ["y"], ["x", "y"]])
def test_steps_of_a_front_promise_no_more_than_its_points(maximise: list[str]) -> None:
    """Every corner of them is as bad as some point in both, whichever way is better."""
    from matplotlib.cbook import STEP_LOOKUP_MAP

    signs = [-1 if name in maximise else 1 for name in "xy"]
    rows = [{"status": "ok", "x": signs[0] * x, "y": signs[1] * y} for x, y in [(1, 9), (3, 5), (6, 2), (7, 8)]]
    drawn = sweep.pareto(rows, "x", "y", maximise=maximise).lines[1]
    corners = zip(*STEP_LOOKUP_MAP[drawn.get_drawstyle()](*drawn.get_data()), strict=True)
    costs = [(signs[0] * x, signs[1] * y) for x, y in corners]
    assert len(costs) == 5
    assert all(any(p <= x and q <= y for p, q in [(1, 9), (3, 5), (6, 2)]) for x, y in costs)


def test_the_front_is_labelled_with_a_column() -> None:
    ax = sweep.pareto(ROWS, X, Y, label="dram.channels")
    assert [text.get_text() for text in ax.texts] == ["4", "2"]


def test_a_heat_map_has_the_mean_of_each_cell_and_none_where_no_point_is() -> None:
    ax = sweep.heatmap([*ROWS, row(1, 1, 10e6, 0)], "dram.channels", "pim.clock_GHz", X)
    cells = np.ma.filled(ax.images[0].get_array().astype(float), np.nan)
    np.testing.assert_allclose(cells, [[9, 4, 2.5, np.nan], [np.nan, np.nan, np.nan, 5]])
    assert [text.get_text() for text in ax.get_xticklabels()] == ["1", "2", "4", "8"]
    assert [text.get_text() for text in ax.texts] == ["9.00", "4.00", "2.50", "5.00"]


def test_a_tornado_has_the_widest_bar_on_top() -> None:
    ax = sweep.tornado(BARS)
    assert [text.get_text() for text in ax.get_yticklabels()] == ["dram.channels", "dram.rows"]
    assert ax.yaxis_inverted()
    low, high = ([patch.get_width() for patch in container.patches] for container in ax.containers)  # type: ignore[attr-defined]
    assert (low, high) == ([-1, 0], [7, 0.5])
    assert [text.get_text() for text in ax.texts] == ["16", "1", "64"]


def test_a_tornado_of_several_objectives_wants_one() -> None:
    bars = [*BARS, {**BARS[0], "objective": Y}]
    with pytest.raises(ValueError, match="exactly one objective"):
        sweep.tornado(bars)
    assert len(sweep.tornado(bars, objective=Y).get_yticks()) == 1


def test_the_table_of_a_tornado_has_the_bars_that_are_drawn() -> None:
    """Of twenty keys the fifteen that move most, in the unit of the picture."""
    bars = [{**BARS[0], "key": f"k{i}", "low": 2e3 - i, "high": 2e3 + i, "low_at": i} for i in range(1, 20)]
    bars.append({**BARS[0], "key": "k0", "low": 5e6, "high": 5e6, "low_at": 0})  # moves nothing, and would be ms
    table = sweep.table_of_bars(bars)
    ax = sweep.tornado(bars)
    assert [bar["key"] for bar in table] == [text.get_text() for text in ax.get_yticklabels()]
    assert [bar["key"] for bar in table] == [f"k{i}" for i in range(19, 4, -1)]
    assert ax.get_xlabel() == "latency per token (µs)" and table[0]["high_us"] == pytest.approx(2.019)


def test_scaling_is_the_speedup_over_the_smallest_beside_the_ideal() -> None:
    ax = sweep.scaling(ROWS[:3], "dram.channels", X)
    np.testing.assert_allclose(line(ax, 0), [(1, 1), (2, 2), (4, 3.2)])
    assert line(ax, 1) == [(1, 1), (4, 4)]


def test_scaling_of_a_rate_goes_up_and_groups_have_a_line_each() -> None:
    rows = [{"n": n, "rate": r, "kind": k} for n, r, k in ((1, 10, "a"), (2, 15, "a"), (1, 10, "b"), (2, 20, "b"))]
    ax = sweep.scaling(rows, "n", "rate", better="higher", group="kind")
    assert [line(ax, at)[-1] for at in (0, 1)] == [(2, 1.5), (2, 2)]
    with pytest.raises(ValueError, match="better"):
        sweep.scaling(rows, "n", "rate", better="more")


def test_a_data_frame_is_rows_too() -> None:
    frame = pandas.DataFrame(ROWS)
    assert line(sweep.pareto(frame, X, Y), 1) == line(sweep.pareto(ROWS, X, Y), 1)


def test_rows_without_the_figure_are_refused() -> None:
    with pytest.raises(ValueError, match="no row has missing"):
        sweep.pareto(ROWS, "missing", Y)
