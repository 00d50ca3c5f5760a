"""One look for every plot: colours, fonts, sizes, and how a file is written.

Figures are made without pyplot, so no global state is touched and nothing needs a
display; only in a notebook does a new figure come from pyplot, which shows it there.
"""

from __future__ import annotations

import io
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from pimsim.plots.library import matplotlib
from pimsim.plots.looks import LOOKS, SCREEN, Look
from pimsim.results.drawn.colours import BLACK as BLACK
from pimsim.results.drawn.colours import BLUE as BLUE
from pimsim.results.drawn.colours import GREEN as GREEN
from pimsim.results.drawn.colours import ORANGE as ORANGE
from pimsim.results.drawn.colours import PURPLE as PURPLE
from pimsim.results.drawn.colours import SKY as SKY
from pimsim.results.drawn.colours import VERMILION as VERMILION
from pimsim.results.drawn.colours import YELLOW as YELLOW

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch
    from matplotlib.ticker import LogFormatterSciNotation

SERIES = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, BLACK)  # lines of one plot, in order
GREY = "#999999"  # not of the palette; for what is not the subject

WIDER = 2.4  # points of width that a line has over one that lies on it, so that both are seen

WIDTH_IN, HEIGHT_IN, DPI = LOOKS[SCREEN].width_in, LOOKS[SCREEN].height_in, LOOKS[SCREEN].dpi
_KEY_ROWS = 2  # of a legend that a figure has room for; more make it higher
_NARROW_IN = 5  # a figure that has no room beside its plot
_LAST_TICK_PT = 6  # of a number at the end of an axis that comes up once a layout has given others their room
_OF_HEIGHT = 0.7  # of a figure, that its axes have, about
_MARGIN_PT = 3  # between a figure and what is in it
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_look: ContextVar[Look | None] = ContextVar("look", default=None)
_also: ContextVar[tuple[Artist, ...]] = ContextVar("also", default=())
_own: WeakSet[Figure] = WeakSet()  # figures that this module made: their size and their rim are its own

_SETTINGS: Any = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so the same on every machine
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": False,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.6,
    "hatch.linewidth": 0.6,
    "legend.frameon": False,
    "legend.borderpad": 0.1,
    "legend.handlelength": 1.5,
    "legend.handletextpad": 0.6,
    "legend.columnspacing": 1.0,
    "pdf.fonttype": 42,  # TrueType, which journals ask for; 3 is what their checks refuse
    "svg.fonttype": "path",  # text as outlines: the same in every viewer, and no font has to be there
    "svg.hashsalt": "pimsim",
    "text.parse_math": False,  # names are text: a $ in one begins no formula
}


def _settings(look: Look) -> Any:
    return _SETTINGS | {
        "font.size": look.label,
        "axes.titlesize": look.title,
        "axes.labelsize": look.label,
        "legend.fontsize": look.small,
        "legend.title_fontsize": look.small,
        "xtick.labelsize": look.tick,
        "ytick.labelsize": look.tick,
        "lines.linewidth": 1.5 * look.line,
        "axes.linewidth": 0.8 * look.line,
    }


def look() -> Look:
    """How what is drawn now looks."""
    return _look.get() or LOOKS[SCREEN]


@contextmanager
def drawing(style: str = "") -> Iterator[None]:
    """The settings of every plot, for as long as the block lasts; style: one of LOOKS, or that of the block around.

    The first figure of a notebook loads its backend, which then shows figures by itself: that must outlast the
    block, or the notebook shows one plot and no other.
    """
    chosen = LOOKS[style] if style else look()
    before = _look.set(chosen)
    try:
        with matplotlib.rc_context(_settings(chosen)), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph .* missing from")  # a name may have characters that the font lacks
            yield
            interactive = matplotlib.is_interactive()
    finally:
        _look.reset(before)
    matplotlib.interactive(interactive)


def new_figure(height_in: float | None = None) -> Figure:
    """An empty figure as wide as the look has it, without pyplot."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(look().width_in, height_in or look().height_in), dpi=look().dpi, layout="constrained")
    _own.add(figure)
    return figure


def axes_or_new(ax: Axes | None, height_in: float | None = None, shown: bool = True) -> Axes:
    """`ax`, or the axes of a new figure; in a notebook one that the notebook shows, unless it is only to be saved."""
    if ax is not None:
        return ax
    if not (shown and _in_notebook()):
        return new_figure(height_in).add_subplot()
    from matplotlib import pyplot
    from matplotlib.patches import Rectangle

    figure = pyplot.figure(figsize=(look().width_in, height_in or look().height_in), layout="constrained")
    # A notebook crops a figure to what takes part in its layout, which a legend below the axes does not.
    figure.add_artist(Rectangle((0, 0), 1, 1, transform=figure.transFigure, fill=False, linewidth=0))
    _own.add(figure)
    return figure.add_subplot()


def is_own(ax: Axes) -> bool:
    """Whether the axes are all that is in a figure that was made here, so that its size and its rim are theirs."""
    figure = figure_of(ax)
    return figure in _own and figure.axes[:1] == [ax]


def short(name: str, most: int = 0) -> str:
    """A name that may be of any length, cut so that it leaves room for the plot."""
    most = most or look().name_chars
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


def png(ax: Axes) -> bytes:
    """The figure of `ax` as PNG."""
    return content(ax, "png")


def content(ax: Axes, kind: str) -> bytes:
    """The figure of `ax` as a file of one of FORMATS, the same bytes every time: without a date or a version in it.

    The figure is not needed afterwards but for other formats.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure = figure_of(ax)
    FigureCanvasAgg(figure)
    for each in figure.axes:
        for axis in (each.xaxis, each.yaxis):
            join_minor_ticks(axis)
    if layout := figure.get_layout_engine():
        layout.execute(figure)
        figure.set_layout_engine("none")
    # not savefig, which would draw all of it for the layout first
    file = io.BytesIO()
    dpi = figure.dpi
    _PRINTERS[kind](figure, file)
    figure.dpi = dpi
    figure.set_layout_engine(layout)
    return file.getvalue()


def _print_png(figure: Figure, file: io.BytesIO) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure).print_png(file, metadata={"Software": None})  # type: ignore[no-untyped-call]


def _print_pdf(figure: Figure, file: io.BytesIO) -> None:
    from matplotlib.backends.backend_pdf import FigureCanvasPdf

    none = dict.fromkeys(("CreationDate", "Creator", "Producer"))
    FigureCanvasPdf(figure).print_pdf(file, metadata=none)  # type: ignore[no-untyped-call]


def _print_svg(figure: Figure, file: io.BytesIO) -> None:
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    none = dict.fromkeys(("Date", "Creator"))
    FigureCanvasSVG(figure).print_svg(file, metadata=none)  # type: ignore[no-untyped-call]


_PRINTERS = {"png": _print_png, "pdf": _print_pdf, "svg": _print_svg}


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


def small() -> float:
    """Points of the smallest type of the look."""
    return look().small


def text_width(text: str, size: float = 0) -> float:
    """How wide a line of text is, in points; size: of its type, or the smallest of the look."""
    from matplotlib.font_manager import FontProperties

    properties = FontProperties(family=_SETTINGS["font.family"], size=size or small())
    return float(_renderer().get_text_width_height_descent(text, properties, ismath=False)[0])


@cache
def _renderer() -> Any:
    """Measures text at 72 dots an inch, so in points."""
    from matplotlib.backends.backend_agg import RendererAgg

    return RendererAgg(1, 1, 72)  # type: ignore[no-untyped-call]


def size_pt(ax: Axes) -> tuple[float, float]:
    """Width and height of axes in points, before a layout gives or takes some."""
    box = ax.get_window_extent()
    scale = 72 / figure_of(ax).dpi
    return box.width * scale, box.height * scale


def label_bars(ax: Axes, ends: Sequence[float], texts: Sequence[str], positions: Sequence[float] = ()) -> None:
    """Text just beyond the end of each horizontal bar; positions: of the bars, 0, 1, 2 ... if they are not given."""
    for position, end, text in zip(positions or range(len(ends)), ends, texts, strict=True):
        ax.annotate(text, (end, position), (4, 0), textcoords="offset points", va="center", fontsize=small())


def beyond(ax: Axes, ends: Sequence[float], texts: Sequence[str]) -> float:
    """Where an axis from 0 has to end so that a text beyond the end of each bar has room."""
    room = 0.8 * size_pt(ax)[0]  # names at the other axis take some
    widths = [min(text_width(text) + 8, 0.7 * room) for text in texts]
    return max((end * room / (room - width) for end, width in zip(ends, widths, strict=True)), default=1.0)


def rows_fit(ax: Axes, rows: int) -> bool:
    """Whether a line of the smallest type has room beside each of so many bars."""
    return size_pt(ax)[1] * 0.95 >= rows * 1.18 * small()


def title(ax: Axes, text: str, corner: float = 0) -> None:
    """The title, on several lines where one would leave the figure.

    corner: points that something takes above the right end of the axes, which a long title stays clear of.
    """
    over = corner and text_width(text, look().title) * 1.1 > size_pt(ax)[0]  # it is bold
    ax.set_title(text, wrap=True, pad=6 + corner if over else None)


@contextmanager
def beside(handles: Sequence[Artist]) -> Iterator[None]:
    """Entries that legends get as well, of what was on the axes before."""
    before = _also.set(tuple(handles))
    try:
        yield
    finally:
        _also.reset(before)


def key_below(ax: Axes, own: Sequence[Artist], heading: str = "") -> None:
    """A legend below the x axis, in as many columns as have room."""
    handles = list(dict.fromkeys((*own, *_also.get())))
    if not handles:
        return
    columns = _columns(ax, handles)
    rows = -(-len(handles) // columns) + bool(heading)
    how: dict[str, Any] = {"handles": handles, "ncols": columns, "title": heading or None}
    if is_own(ax):
        figure = figure_of(ax)
        figure.set_figheight(figure.get_figheight() + max(0, rows - _KEY_ROWS) * _row_pt() / 72)
        height = (rows * _row_pt() + 2 * _MARGIN_PT) / (72 * figure.get_figheight())
        ax.legend(loc="lower center", bbox_to_anchor=(0.5, 0.0), bbox_transform=figure.transFigure,
                  borderaxespad=_MARGIN_PT / small(), **how).set_in_layout(False)  # fmt: skip
        engine: Any = figure.get_layout_engine()
        if engine:
            narrow = figure.get_figwidth() <= _NARROW_IN
            engine.set(rect=(0, height, 1 - narrow * _LAST_TICK_PT / (72 * figure.get_figwidth()), 1 - height))
        return
    lines = -(-text_width(ax.get_xlabel(), look().label) // (1.1 * size_pt(ax)[0]))
    below = 3.5 + 3.5 + 1.3 * look().tick + 4 + 1.3 * look().label * lines
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, 0), borderaxespad=below / small(), **how)


def _row_pt() -> float:
    """Points of height that an entry of a legend takes."""
    return 1.5 * small()


def _columns(ax: Axes, handles: Sequence[Artist]) -> int:
    """How many columns of a legend have room below the axes."""
    room = look().width_in * 72 if is_own(ax) else 1.15 * size_pt(ax)[0]
    widest = max(text_width(str(handle.get_label())) for handle in handles)
    each = widest + (1.5 + 0.6 + 1.0) * small()  # the mark, the pad after it, and the space between columns
    return max(1, min(len(handles), int((room - 2 * _MARGIN_PT) / each)))


def key_beside(ax: Axes, own: Sequence[Artist], heading: str = "") -> None:
    """A legend to the right of the axes where that leaves them room, else below them."""
    if figure_of(ax).get_figwidth() <= _NARROW_IN:
        return key_below(ax, own, heading)
    handles = list(dict.fromkeys((*own, *_also.get())))
    rows = max(1, int(1.15 * size_pt(ax)[1] / _row_pt()))
    ax.legend(handles=handles, title=heading or None, loc="center left", bbox_to_anchor=(1.0, 0.5),
              ncols=-(-len(handles) // rows))  # fmt: skip


def label_x(ax: Axes, text: str) -> None:
    """The label of the x axis, on several lines where one would leave the figure."""
    ax.set_xlabel(text, wrap=True)


def label_y(ax: Axes, text: str) -> None:
    """The label of the y axis: its unit on a line of its own where both would be longer than the axis."""
    long = text_width(text, look().label) > _OF_HEIGHT * 72 * look().height_in
    ax.set_ylabel(text.replace(" (", "\n(") if long else text, wrap=True)


def series(at: int) -> str:
    """The colour of one of several runs or lines."""
    return SERIES[at % len(SERIES)]


def patch(colour: str, label: str, **more: Any) -> Patch:
    """An entry of a legend: an area."""
    from matplotlib.patches import Patch

    return Patch(facecolor=colour, label=label, **more)


def key_of_runs(labels: Sequence[str]) -> list[Patch]:
    """Entries of a legend: the runs of an overlay, by colour."""
    return [patch(series(at), short(label)) for at, label in enumerate(labels)]


def ascii_unit(unit: str) -> str:
    """A unit as part of a column's name."""
    return unit.replace("µ", "u")


def labelled(ax: Axes) -> list[Any]:
    """What of the axes belongs into a legend."""
    return list(ax.get_legend_handles_labels()[0])


def ticks_x(ax: Axes, values: Sequence[float], texts: Sequence[str]) -> None:
    """Ticks of an x axis whose limits are set, without those whose text would be on another one."""
    from matplotlib.ticker import NullLocator

    width = 0.85 * size_pt(ax)[0]
    to_axes = ax.transData + ax.transAxes.inverted()
    places = [float(to_axes.transform((value, ax.get_ylim()[0]))[0]) for value in values]
    ends, shown = -1e9, dict[float, str]()
    for place, value, text in sorted(zip(places, values, texts, strict=True)):
        half = text_width(text, look().tick) / 2 + 2
        if place * width - half >= ends:
            ends = place * width + half
            shown[value] = text
    ax.set_xticks(list(shown), list(shown.values()))
    ax.xaxis.set_minor_locator(NullLocator())


def mark(marker: str, colour: str, label: str, *, hollow: bool = False, line: bool = False) -> Line2D:
    """An entry of a legend: a mark, on a line where it has one."""
    from matplotlib.lines import Line2D

    return Line2D([], [], marker=marker, color=colour, label=label, linestyle="-" if line else "none", markersize=4.5,
                  markerfacecolor="#FFFFFF" if hollow else colour)  # fmt: skip


def ticks_y(ax: Axes, texts: Sequence[str]) -> None:
    """Ticks of rows 0, 1, 2 ..., as many as have room for their texts."""
    pitch = 0.9 * size_pt(ax)[1] / max(1, len(texts))
    every = max(1, -int(-1.2 * look().tick // pitch))
    ax.set_yticks(range(0, len(texts), every), texts[::every])
