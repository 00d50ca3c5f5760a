"""How busy banks and buses are while a step runs: a band for each of them, over the time of the step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from pimsim.report import run_marks as marks
from pimsim.report.charts import Chart, Trace, plain
from pimsim.report.run_marks import Linked
from pimsim.report.run_operators import Operator, Operators
from pimsim.results.drawn.colours import BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILION
from pimsim.results.headline import percent, time_scale, time_text
from pimsim.results.metrics import nanoseconds
from pimsim.results.within import TooLong, Within

_COLOURS = {"MAC units": BLUE, "open rows": ORANGE, "command bus": GREEN, "data bus": SKY, "refresh": VERMILION,
            "ASIC": PURPLE}  # fmt: skip
_BAND, _NAME, _GAP = 80, 20, 6  # pixels of a band, of its name on top of it, and below it
_ABOVE, _BELOW = 24, 46  # pixels above the first band, where operators are named, and below the last one
_WIDE, _PHONE, _LETTER = 600, 300, 7  # pixels of the time on paper (a window has more) and on a phone; of a letter


class _Piece(NamedTuple):
    """A piece of the time: what runs, when (ns of the step), and where it is drawn (ns, without what is left out).

    operators: all that have something of it, the one that takes most of it first.
    """

    operators: Sequence[Operator]
    block: int | str
    begin: float
    lasts: float
    middle: float

    def said(self, more: str) -> str:
        """The first of them, and how many more there are, as `more` says it."""
        first, others = plain(self.operators[0].label), len(self.operators) - 1
        return first + more.format(others) if others else first


def absent(operators: Operators) -> str:
    """Why there is no chart of a step that ran, "" where there is one."""
    step = operators.within
    if not isinstance(step, TooLong):
        return ""
    return f"the {_step(operators, step)}, has too many instructions to be shown here"


def over_time(operators: Operators) -> Iterator[Linked]:
    """Bars without gaps, as wide as operators last; where one operator is looked at, the others fade."""
    shown = operators.within
    if not isinstance(shown, Within):
        return
    pieces = list(_pieces(operators, shown))
    whole = sum(piece.lasts for piece in pieces)
    factor, unit = time_scale(whole)
    names = [_name(number, name, shown) for number, name in enumerate(shown.shares)]
    layout = {
        "bargap": 0,
        "xaxis": {"title": {"text": f"time ({unit})"}, "range": [0, whole / factor],
                  "anchor": _axis(len(shown.shares) - 1), **marks.NUMBERS},
        **{f"yaxis{number + 1 if number else ''}": _band(number, len(shown.shares)) for number in range(len(names))},
        "annotations": [*names, *_labels(pieces, factor, _WIDE)],
        "shapes": [*_floors(len(shown.shares)), *_ends_of_block(shown, pieces, factor)],
        "margin": {"l": 52, "t": _ABOVE, "b": _BELOW},
    }  # fmt: skip
    narrow = {"margin": {"r": 8}, "annotations": [*names, *_labels(pieces, factor, _PHONE)]}
    busy = ", ".join(f"{name} {percent(mean)}" for name, mean in shown.means.items())
    chart = Chart(
        "within", f"Banks and buses over time ({_step(operators, shown)})",
        f"how busy each of them is while a step runs, bar by bar. On average {busy}",
        [_bars(number, name, shown, pieces, factor) for number, name in enumerate(shown.shares)], layout, narrow,
        _ABOVE + _BAND * len(shown.shares) + _BELOW,
        ("operators", "block", "from_ns", "to_ns", *(f"{name} %" for name in shown.shares)),
        [["; ".join(operator.said for operator in p.operators), p.block, p.begin, p.begin + p.lasts,
          *(_percent(each[at]) for each in shown.shares.values())]
         for at, p in enumerate(pieces)],
        _note(operators, shown, pieces),
    )  # fmt: skip
    yield Linked(chart)


def _pieces(operators: Operators, shown: Within) -> Iterator[_Piece]:
    tCK_ps, (first, end) = operators.of_run.tally.tCK_ps, shown.blocks_at
    edges = [nanoseconds(clocks, tCK_ps) for clocks in shown.edges.tolist()]
    begins = [nanoseconds(clocks, tCK_ps) for clocks in shown.begins.tolist()]
    for at, ((low, high), begin, rows) in enumerate(zip(pairwise(edges), begins, shown.operators, strict=True)):
        block = shown.block + 1 if first <= at < end else ""
        alike = {id(operator): operator for operator in (operators.of_row(*row) for row in rows)}  # layers of one kind
        yield _Piece(list(alike.values()), block, begin, high - low, (low + high) / 2)


def _bars(number: int, name: str, shown: Within, pieces: Sequence[_Piece], factor: float) -> Trace:
    shares = [float(share) for share in shown.shares[name]]
    hover = [
        f"<b>{piece.said(' and {} more')}</b><br>{name}: busy {percent(share)} of {time_text(piece.lasts)}<br>"
        f"from {time_text(piece.begin)} of the step on"
        for piece, share in zip(pieces, shares, strict=True)
    ]
    return {
        "type": "bar", "name": name, "x": [piece.middle / factor for piece in pieces], "y": list(map(_percent, shares)),
        "width": [piece.lasts / factor for piece in pieces], "yaxis": _axis(number), "showlegend": False,
        "marker": {"color": _COLOURS[name], "line": {"width": 0}},
        "customdata": [[operator.key for operator in piece.operators] for piece in pieces],
        "hoverinfo": "text", "hovertext": hover,
    }  # fmt: skip


def _percent(share: float) -> float:
    return round(100 * float(share), 4)


def _axis(number: int) -> str:
    return f"y{number + 1 if number else ''}"


def _band(number: int, bands: int) -> dict[str, Any]:
    """The axis of a band."""
    return {
        "domain": [_floor(number, bands), 1 - (number + _NAME / _BAND) / bands], "range": [0, 100],
        "tickvals": [0, 100], "ticktext": ["0", "100 %"], "tickfont": {"size": 12}, "automargin": False,
        "zeroline": False,
    }  # fmt: skip


def _name(number: int, name: str, shown: Within) -> dict[str, Any]:
    """What a band is of, on top of it, and the mean of the step."""
    text = f"{name}: {percent(shown.means[name])} of the step"
    return {"text": text, "x": 0, "xref": "paper", "xanchor": "left", "y": 1 - number / len(shown.shares),
            "yref": "paper", "yanchor": "top", "showarrow": False, "font": {"size": 12}}  # fmt: skip


def _labels(pieces: Iterable[_Piece], factor: float, pixels: float) -> Iterator[dict[str, Any]]:
    """What runs, above the first band, where there is room for its name."""
    pieces = list(pieces)
    whole = sum(piece.lasts for piece in pieces)
    for piece in pieces:
        said = piece.said(" + {}")
        if len(said) * _LETTER < pixels * piece.lasts / whole:
            yield {"text": said, "x": piece.middle / factor, "y": 1, "yref": "paper",
                   "yanchor": "bottom", "showarrow": False, "font": {"size": 12}}  # fmt: skip


def _floor(number: int, bands: int) -> float:
    return 1 - (number + 1 - _GAP / _BAND) / bands


def _floors(bands: int) -> Iterator[dict[str, Any]]:
    for number in range(bands):
        at = _floor(number, bands)
        yield {"type": "line", "xref": "paper", "yref": "paper", "x0": 0, "x1": 1, "y0": at, "y1": at,
               "line": {"color": "var(--line)", "width": 1}, "layer": "below"}  # fmt: skip


def _ends_of_block(shown: Within, pieces: Sequence[_Piece], factor: float) -> Iterator[dict[str, Any]]:
    """Lines where the one block begins and ends that is shown of several."""
    for at in shown.blocks_at if shown.blocks > 1 else ():
        if 0 < at < len(pieces):
            x = (pieces[at].middle - pieces[at].lasts / 2) / factor
            yield {"type": "line", "x0": x, "x1": x, "y0": 0, "y1": 1, "yref": "paper",
                   "line": {"color": "var(--soft)", "width": 1, "dash": "dot"}}  # fmt: skip


def _step(operators: Operators, shown: Within | TooLong) -> str:
    """Which step it is, in a few words."""
    tally, schedule = operators.of_run.tally, operators.of_run.schedule
    if schedule is not None:
        return f"last step of template {schedule.main.name}, context {shown.context:,}"
    prompt = bool(tally.tokens.of_phase("prefill")[shown.number])
    return f"last {'prompt' if prompt else 'decode'} step, context {shown.context:,}"


def _note(operators: Operators, shown: Within, pieces: Iterable[_Piece]) -> str:
    """What a reader has to know of it."""
    run, found = operators.of_run, []
    if shown.blocks > 1:
        layers = run.workload.shape.layers // run.workload.blocks
        what, one = ("layers", "layer") if layers == 1 else (f"blocks of {layers} layers", "block")
        found.append(f"The {shown.blocks:,} {what} are alike, so {one} {shown.block + 1:,} stands for all of them, "
                     "between what runs before the first and behind the last.")  # fmt: skip
    if run.devices is not None:
        found.append("It is a step of the first device.")
    if any(len(piece.operators) > 1 for piece in pieces):
        found.append("A bar may hold several operators: short ones are joined where there are many, and one that adds "
                     "no time shares the bar of one that does.")  # fmt: skip
    found.append("The step is simulated again, from rest. What an operator does is spread evenly over its time, and a "
                 "refresh that falls due while the channels rest counts for what they do next.")  # fmt: skip
    return " ".join(found)
