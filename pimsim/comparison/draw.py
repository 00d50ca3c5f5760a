"""Figures of a comparison: what the difference of two runs is made of, step by step; of more, what each is made of.

Each row has a line of its own, so that no label meets another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pimsim.comparison import units
from pimsim.comparison.drawn import Step, layers, only, steps, text
from pimsim.comparison.room import axis
from pimsim.comparison.rows import in_steps, labels, moves, operator_name, ranked, several_phases, which_operators
from pimsim.comparison.scope import LONG
from pimsim.plots import style
from pimsim.plots.looks import LOOKS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Summary = Mapping[str, Any]
LESS, MORE, WHOLE = style.GREEN, style.VERMILION, style.GREY
_STEPS, _SERIES, _OPERATORS = 10, 6, 8  # rows of a waterfall, colours of a stack, operators
_BARS, _FEWEST = 24, 3  # bars of all operators together, and operators that are shown however many these have
_ROW_IN, _RIM_IN = 0.21, 0.75  # inches that a row, and all that is no row, takes
_WIDTH_IN = LOOKS["double-column"].width_in
_BESIDE_NAMES = 0.6  # of the width, that the plot beside the names of rows has at least
_SMALL, _GAP_PT = 8, 8  # points of the texts at bars, and around them
_ENTRY = 3.1  # heights of type that mark and gaps of an entry of a legend take
_NAME = 40  # characters of the name of a run
_BELOW_PT = 34  # what ticks and label of an axis take


class ComparisonPlots:
    """Each method draws on `ax`, or on a new figure without one, and returns the Axes.

    summary  of a `Comparison`
    """

    def __init__(self, summary: Summary) -> None:
        self._summary = summary

    def latency(self, ax: Axes | None = None) -> Axes:
        """Latency by cause: of two runs how one becomes the other, of more what each is made of."""
        return self._parts("causes", "Latency", ax)

    def energy(self, ax: Axes | None = None) -> Axes:
        """Energy by component, as `latency`."""
        return self._parts("components", "Energy", ax)

    def operators(self, ax: Axes | None = None) -> Axes:
        """The operators whose latency differs most: of two runs the difference, of more each run's own."""
        with style.drawing():
            rows = self._operators()
            ax = style.axes_or_new(ax, _height(self._rows("operators")))
            (_differences if self._two else _side_by_side)(ax, self._summary, rows)
        return ax

    def written(self, kind: str) -> bytes:
        """All of them in one figure, as png, pdf or svg: the same bytes every time."""
        with style.drawing():
            names = ("latency", "energy", "operators")
            heights = [_height(self._rows(name)) for name in names]
            figure = _figure(sum(heights))
            for name, ax in zip(names, _stacked(figure, heights), strict=True):
                getattr(self, name)(ax)
            return style.content(figure.axes[0], kind)

    @property
    def _two(self) -> bool:
        return in_steps(self._summary)

    def _rows(self, name: str) -> int:
        """Rows of a figure."""
        if name == "operators":
            runs = len(self._summary["runs"])
            key = 0 if self._two else -(-runs // _columns(_names(self._summary)))
            return len(self._operators()) * (1 if self._two else runs) + key
        if not self._two:
            return len(self._summary["runs"]) + 4
        return len(_steps(self._summary, "causes" if name == "latency" else "components"))

    def _operators(self) -> list[Summary]:
        rows = self._summary["operators"]
        differing = [row for row in rows if any(moves(row["latency"]))] or rows
        most = _OPERATORS if self._two else min(_OPERATORS, max(_FEWEST, _BARS // len(self._summary["runs"])))
        shown, _ = ranked(differing, most + 1, lambda row: moves(row["latency"]))
        return shown[:most]

    def _parts(self, key: str, what: str, ax: Axes | None) -> Axes:
        draw: Callable[..., None] = _waterfall if self._two else _stacks
        with style.drawing():
            ax = style.axes_or_new(ax, _height(self._rows(what.lower())))
            draw(ax, self._summary, key, what)
        return ax


def _height(rows: int) -> float:
    return _RIM_IN + _ROW_IN * rows


def _figure(height_in: float) -> Figure:
    figure = style.new_figure(height_in)
    figure.set_figwidth(_WIDTH_IN)
    return figure


def _stacked(figure: Figure, heights: Sequence[float]) -> list[Axes]:
    axes: Any = figure.subplots(len(heights), 1, gridspec_kw={"height_ratios": list(heights)})
    return list(axes)


def _names(summary: Summary) -> list[str]:
    """The runs as rows: with their letters, where titles and other texts have these alone."""
    said = zip(labels(summary), summary["runs"], strict=True)
    return [style.short(label if label == run["name"] else f"{label}: {run['name']}", _NAME) for label, run in said]


def _title(summary: Summary, what: str) -> str:
    """What is drawn; of two runs from which to which."""
    names, base = labels(summary), summary["base"]
    return f"{what}: {names[base]} to {names[1 - base]}" if in_steps(summary) else what


def _over(summary: Summary, unit: units.Unit) -> str:
    """A unit, and over what it is taken."""
    return f"({unit.name}{LONG[summary['scope']['per']]})"


def _values(rows: Sequence[Summary], key: str) -> dict[str, Sequence[float]]:
    """Parts by name, with the value of each in every run."""
    return {row[key[:-1]]: row["values"] for row in rows}


def _waterfall(ax: Axes, summary: Summary, key: str, what: str) -> None:
    """From the base down to the other run: each part moves the sum by its difference."""
    total = summary[key]["total"]
    unit = units.of_table(summary[key]["unit"], [*total["values"], *total["differences"]])
    bars = _steps(summary, key)
    colours = [WHOLE if bar.is_run else MORE if (bar.difference or 0) > 0 else LESS for bar in bars]
    lefts, widths, ends = ([each / unit.factor for each in column] for column in zip(*map(_extent, bars), strict=True))
    _bars(ax, [bar.name for bar in bars], lefts, widths, colours)
    _labels(ax, ends, [text(bar, unit) for bar in bars])
    ax.set_xlabel(f"{what.lower()} {_over(summary, unit)}")
    ax.set_title(_title(summary, f"{what} by {key[:-1]}"))


def _steps(summary: Summary, key: str) -> list[Step]:
    rows, total = summary[key]["rows"], summary[key]["total"]["values"]
    return steps(_names(summary), total, _values(rows, key), summary["base"], _STEPS)


def _extent(bar: Step) -> tuple[float, float, float]:
    return bar.left, bar.width, bar.end


def _bars(
    ax: Axes, names: Sequence[str], lefts: Sequence[float], widths: Sequence[float], colours: Sequence[str]
) -> None:
    """Horizontal bars, the first on top."""
    ax.barh(range(len(names)), widths, left=lefts, color=colours, height=0.7)
    ax.set_yticks(range(len(names)), list(names))
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.grid(axis="x")


def _labels(ax: Axes, ends: Sequence[float], texts: Sequence[str]) -> None:
    """A text beyond each bar, and an axis from 0 that has room for them."""
    style.label_bars(ax, list(ends), list(texts))
    ax.set_xlim(*axis(list(zip(ends, texts, strict=True)), _share(ax)))


def _share(ax: Axes) -> Callable[[str], float]:
    """Of the axes beside the names of their rows, about, that a text takes."""
    room: float = 0.75 * 72 * style.figure_of(ax).get_figwidth() * ax.get_position().width
    return lambda text: (style.text_width(text, _SMALL) + _GAP_PT) / room


def _differences(ax: Axes, summary: Summary, rows: Sequence[Summary]) -> None:
    """To the left what is less than in the base, to the right what is more."""
    other = 1 - summary["base"]
    values = [row["latency"]["differences"][other] for row in rows]
    unit = units.of_table("ns", values)
    bars = [value / unit.factor for value in values]
    phases = several_phases(summary)
    names = [style.short(operator_name(row, phases)) for row in rows]
    _bars(ax, names, [0.0] * len(bars), bars, [MORE if value > 0 else LESS for value in values])
    ax.axvline(0, color=style.BLACK, linewidth=0.8)
    texts = [
        unit.difference(value) + only(labels(summary), row["present"]) for value, row in zip(values, rows, strict=True)
    ]
    for at, (bar, said) in enumerate(zip(bars, texts, strict=True)):
        side, shift = ("left", 4) if bar >= 0 else ("right", -4)
        ax.annotate(said, (bar, at), (shift, 0), textcoords="offset points", va="center", ha=side, fontsize=_SMALL)
    ax.set_xlim(*axis(list(zip(bars, texts, strict=True)), _share(ax)))
    ax.set_xlabel(f"latency, difference {_over(summary, unit)}")
    ax.set_title(_title(summary, which_operators(summary)))


def _stacks(ax: Axes, summary: Summary, key: str, what: str) -> None:
    """A bar per run, cut into its parts; the total at its end."""
    total = summary[key]["total"]["values"]
    unit = units.of_table(summary[key]["unit"], total)
    lefts = [0.0] * len(total)
    found = layers(_values(summary[key]["rows"], key), _SERIES)
    for layer, colour in zip(found, (*style.SERIES[:_SERIES], style.GREY), strict=False):
        widths = [value / unit.factor for value in layer.values]
        ax.barh(range(len(widths)), widths, left=lefts, color=colour, height=0.7, label=layer.name)
        lefts = [left + width for left, width in zip(lefts, widths, strict=True)]
    _bars(ax, _names(summary), [0.0] * len(total), [0.0] * len(total), [WHOLE] * len(total))
    _labels(ax, [value / unit.factor for value in total], [unit.value(value) for value in total])
    ax.set_xlabel(f"{what.lower()} {_over(summary, unit)}")
    ax.set_title(_title(summary, f"{what} by {key[:-1]}"))
    _key(ax, 3)


def _key(ax: Axes, columns: int) -> None:
    """A legend beneath the label of the x axis."""
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, 0), borderaxespad=_BELOW_PT / _SMALL, ncols=columns)


def _columns(names: Sequence[str]) -> int:
    """Of a legend that has room beneath a plot: two at most."""
    widest = max(style.text_width(name, _SMALL) for name in names) + _ENTRY * _SMALL
    return 2 if 2 * widest <= 72 * _WIDTH_IN * _BESIDE_NAMES else 1


def _side_by_side(ax: Axes, summary: Summary, rows: Sequence[Summary]) -> None:
    """A bar per run for each operator."""
    count = len(summary["runs"])
    unit = units.of_table("ns", [value for row in rows for value in row["latency"]["values"]])
    phases = several_phases(summary)
    ends: list[float] = []
    texts: list[str] = []
    for at, name in enumerate(_names(summary)):
        values = [row["latency"]["values"][at] for row in rows]
        places = [place + 0.84 * ((at + 0.5) / count - 0.5) for place in range(len(rows))]
        ax.barh(places, [value / unit.factor for value in values], height=0.8 / count, color=_series(at), label=name)
        for place, value, row in zip(places, values, rows, strict=True):
            text = unit.value(value) if row["present"][at] else "-"
            ends.append(value / unit.factor)
            texts.append(text)
            ax.annotate(text, (ends[-1], place), (4, 0), textcoords="offset points", va="center", fontsize=_SMALL)
    ax.set_yticks(range(len(rows)), [style.short(operator_name(row, phases)) for row in rows])
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.set_xlim(*axis(list(zip(ends, texts, strict=True)), _share(ax)))
    ax.grid(axis="x")
    ax.set_xlabel(f"latency {_over(summary, unit)}")
    ax.set_title(_title(summary, which_operators(summary)))
    _key(ax, _columns(_names(summary)))


def _series(at: int) -> str:
    return style.SERIES[at % len(style.SERIES)]
