"""One look for every plot: colours, fonts, sizes, and how a file is written.

Figures are made without pyplot, so no global state is touched and nothing needs a
display; only in a notebook does a new figure come from pyplot, which shows it there.
"""

from __future__ import annotations

import io
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pimsim.plots.library import matplotlib

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogFormatterSciNotation

# Okabe and Ito's palette, safe for colour-blind readers.
BLACK = "#000000"
ORANGE = "#E69F00"
SKY = "#56B4E9"
GREEN = "#009E73"
BLUE = "#0072B2"
VERMILION = "#D55E00"
PURPLE = "#CC79A7"
YELLOW = "#F0E442"
SERIES = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, BLACK)  # lines of one plot, in order
GREY = "#999999"  # not of the palette; for what is not the subject

WIDTH_IN, HEIGHT_IN, DPI = 6.4, 3.6, 150
_NAME = 28  # characters of a name that leave room for what it names
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

_SETTINGS: Any = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so the same on every machine
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": False,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "svg.hashsalt": "pimsim",
    "text.parse_math": False,  # names are text: a $ in one begins no formula
}


@contextmanager
def drawing() -> Iterator[None]:
    """The settings of every plot, for as long as the block lasts.

    The first figure of a notebook loads its backend, which then shows figures by itself: that must outlast the
    block, or the notebook shows one plot and no other.
    """
    with matplotlib.rc_context(_SETTINGS), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")  # a name may have characters that the font lacks
        yield
        interactive = matplotlib.is_interactive()
    matplotlib.interactive(interactive)


def new_figure(height_in: float = HEIGHT_IN) -> Figure:
    """An empty figure, without pyplot."""
    from matplotlib.figure import Figure

    return Figure(figsize=(WIDTH_IN, height_in), dpi=DPI, layout="constrained")


def axes_or_new(ax: Axes | None, height_in: float = HEIGHT_IN) -> Axes:
    """`ax`, or the axes of a new figure; in a notebook one that the notebook shows."""
    if ax is not None:
        return ax
    if not _in_notebook():
        return new_figure(height_in).add_subplot()
    from matplotlib import pyplot

    figure = pyplot.figure(figsize=(WIDTH_IN, height_in), layout="constrained")
    return figure.add_subplot()


def short(name: str, most: int = _NAME) -> str:
    """A name that may be of any length, cut so that it leaves room for the plot."""
    return name if len(name) <= most else f"{name[: most - 1].rstrip()}…"


def log_ticks(axis: Axis) -> None:
    """Numbers at the ticks of a logarithmic axis: matplotlib's own are formulas, which `drawing` does not read."""
    axis.set_major_formatter(_numbers()())
    axis.set_minor_formatter(_numbers()(labelOnlyBase=False))


@cache
def _numbers() -> type[LogFormatterSciNotation]:
    """matplotlib's choice of the ticks that have a label, with the number as text."""
    from matplotlib.ticker import LogFormatterSciNotation

    class Numbers(LogFormatterSciNotation):
        def __call__(self, x: float, pos: int | None = None) -> str:
            return _number(x) if super().__call__(x, pos) else ""

    return Numbers


def _number(value: float) -> str:
    """1,000 in full, 10⁶ and 2 x 10⁻⁵ where there would be many zeros."""
    if 1e-4 <= value < 1e6:
        return f"{value:,g}"
    mantissa, exponent = f"{value:e}".split("e")
    power = f"10{str(int(exponent)).translate(_SUPERSCRIPT)}"
    return power if float(mantissa) == 1 else f"{float(mantissa):g} x {power}"


def _in_notebook() -> bool:
    ipython = sys.modules.get("IPython")
    return ipython is not None and ipython.get_ipython() is not None


def figure_of(ax: Axes) -> Figure:
    """The figure that `ax` is in, whatever subfigures are between; ValueError if the axes were removed from theirs.

    matplotlib has a name for it (`get_figure(root=True)`) since 3.10 only.
    """
    figure: Any = ax.figure
    while figure is not None and figure.figure is not figure:
        figure = figure.figure
    if figure is None:
        raise ValueError("the axes belong to no figure")
    return figure  # type: ignore[no-any-return]


def write_png(ax: Axes, path: Path) -> None:
    """Write the figure of `ax` as PNG."""
    path.write_bytes(png(ax))


def png(ax: Axes) -> bytes:
    """The figure of `ax`, which is not needed afterwards, as PNG without a date or a version in it."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure = figure_of(ax)
    canvas = FigureCanvasAgg(figure)
    for each in figure.axes:
        for axis in (each.xaxis, each.yaxis):
            join_minor_ticks(axis)
    if layout := figure.get_layout_engine():
        layout.execute(figure)
        figure.set_layout_engine("none")
    # not savefig, which would draw all of it for the layout first
    file = io.BytesIO()
    canvas.print_png(file, metadata={"Software": None})  # type: ignore[no-untyped-call]
    figure.set_layout_engine(layout)
    return file.getvalue()


def join_minor_ticks(axis: Axis) -> None:
    """Make the minor ticks of a logarithmic axis one line of marks, the same to the pixel.

    matplotlib makes five artists of each tick, and of fifty ticks half the time that a roofline takes.
    Ticks that are more than a mark stay: those with labels, grid lines, or on both sides.
    """
    from matplotlib.lines import Line2D
    from matplotlib.ticker import NullLocator

    if axis.get_scale() != "log":
        return
    low, high = sorted(axis.get_view_interval())
    places = [place for place in axis.get_minorticklocs() if low <= place <= high]
    if not places or any(axis.get_minor_formatter().format_ticks(places)):
        return
    tick: Any = axis.get_minor_ticks(1)[0]
    if not tick.tick1line.get_visible() or tick.tick2line.get_visible() or tick.gridline.get_visible():
        return
    axes: Any = axis.axes
    along_x, edge = axis is axes.xaxis, [0] * len(places)
    marks = Line2D(
        *((places, edge) if along_x else (edge, places)),
        linestyle="none",
        marker=tick.tick1line.get_marker(),
        markersize=tick.tick1line.get_markersize(),
        markeredgewidth=tick.tick1line.get_markeredgewidth(),
        color=tick.tick1line.get_color(),
        transform=(axes.get_xaxis_transform if along_x else axes.get_yaxis_transform)(which="tick1"),
        clip_on=False,
        zorder=axis.get_zorder(),
    )
    marks.set_in_layout(False)
    axis.set_minor_locator(NullLocator())
    axes.add_artist(marks)


def label_bars(ax: Axes, ends: list[float], texts: list[str]) -> None:
    """Text just beyond the end of each horizontal bar, the first bar on top."""
    for position, (end, text) in enumerate(zip(ends, texts, strict=True)):
        ax.annotate(text, (end, position), (4, 0), textcoords="offset points", va="center", fontsize=8)
