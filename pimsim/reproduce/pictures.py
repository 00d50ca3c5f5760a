"""The reproduction in pictures: the paper's ranges beside what is simulated, curves per key, stacked limits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from pimsim.plots import style
from pimsim.plots.pictures import Picture, rows_high
from pimsim.reproduce.curves import CURVES, Curve
from pimsim.reproduce.reproduction import Figure, Reproduction
from pimsim.reproduce.values import T4, XEON, Values
from pimsim.results.csv_text import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LIMITS = {
    "MAC": style.BLUE,
    "activation": style.ORANGE,
    "pins": style.SKY,
    "refresh": style.GREEN,
    "ASIC": style.VERMILION,
}
_COLOURS = (style.BLUE, style.ORANGE, style.GREEN)
_MACHINES = {T4: ("T4", "t4", style.BLUE), XEON: ("Xeon", "xeon", style.VERMILION)}
_APART = 0.14  # of a row, a machine's line from its middle
_JUDGED = {
    "within the interval": style.BLUE,
    "outside": style.VERMILION,
    "circular": style.GREY,
}
TICKS = (1 / 16, 1 / 4, 1, 4, 16, 64)


class _Ratio(NamedTuple):
    """A ratio over machines: what the paper's figures are called after, and its value of a model's runs."""

    title: str
    label: str
    figures: str
    value: Callable[[Values, str, str], float]


_SPEEDUP = _Ratio("Speedup over GPU and CPU", "speedup (x)", "speedup_{}", Values.speedup)
_ENERGY = _Ratio(
    "Energy ratio over GPU and CPU",
    "energy ratio, table v2 (x)",
    "energy_{}_v2",
    lambda run, machine, kind: run.energy_ratio(machine, "v2", kind),
)


def _ratios(found: Reproduction, of: _Ratio) -> list[Record]:
    """Of each machine the paper's range over all models, then each model's roofline and eager program."""
    rows: list[Record] = []
    for name, key, _ in _MACHINES.values():
        low, high = _paper(found, of.figures.format(key))
        rows.append({"model": "paper, all models", "baseline": name, "low": low, "high": high})
    for model, run in found.models.items():
        for baseline, (name, *_) in _MACHINES.items():
            roofline, eager = (of.value(run, baseline, kind) for kind in ("roofline", "eager"))
            rows.append({"model": model, "baseline": name, "low": roofline, "high": eager})
    return rows


def _draw_ratios(found: Reproduction, of: _Ratio, ax: Axes) -> None:
    """The paper's range of all models on top; below it a row per model, from the roofline to an eager program."""
    rows = _ratios(found, of)
    models = list(dict.fromkeys(row["model"] for row in rows))
    colours = {name: colour for name, _, colour in _MACHINES.values()}
    for row in rows:
        place = models.index(row["model"])
        shift = _APART * (2 * list(colours).index(row["baseline"]) - 1)
        colour, ends = colours[row["baseline"]], [row["low"], row["high"]]
        if place == 0:
            ax.axvspan(*ends, color=colour, alpha=0.09, linewidth=0)
            ax.plot(ends, [shift] * 2, "|-", color=colour, linewidth=2.5, markersize=7, solid_capstyle="butt")
            continue
        ax.plot(ends, [place + shift] * 2, color=colour, linewidth=1, alpha=0.5)
        ax.plot(ends[:1], [place + shift], "o", color=colour, markerfacecolor="#FFFFFF", markersize=4)
        ax.plot(ends[1:], [place + shift], "o", color=colour, markersize=4)
    ax.set_xscale("log")
    style.log_ticks(ax.xaxis)
    ax.set_yticks(range(len(models)), models)
    ax.set_ylim(len(models) - 0.5, -0.5)
    ax.axhline(0.5, color=style.GREY, linewidth=0.6)
    ax.tick_params(axis="y", length=0)
    style.label_x(ax, of.label)
    ax.grid(axis="x")
    style.title(ax, of.title)
    machines = [style.patch(colour, name) for name, colour in colours.items()]
    kinds = [style.mark("o", style.BLACK, "roofline", hollow=True), style.mark("o", style.BLACK, "eager")]
    style.key_below(ax, [*machines, *kinds, style.mark("|", style.BLACK, "the paper's range")])


def _table_of_ratios(found: Reproduction, of: _Ratio) -> list[Record]:
    """As drawn; the paper's ends are those of its models."""
    return [
        {
            "model": row["model"],
            "baseline": row["baseline"],
            "roofline_or_lowest_x": row["low"],
            "eager_or_highest_x": row["high"],
        }
        for row in _ratios(found, of)
    ]


def _paper(found: Reproduction, name: str) -> tuple[float, float]:
    by_name = {figure.name: figure for figure in found.figures}
    ends = [by_name[f"{name}.{end}"].published for end in ("lowest", "highest")]
    low, high = (end.meant[0] for end in ends if end is not None)
    return low, high


def intervals(figures: Sequence[Figure], title: str, label: str, ticks: Sequence[float] = TICKS) -> Picture:
    """Figures and their intervals over what was published, at ticks of a logarithmic axis."""

    def draw(ax: Axes) -> None:
        for k, figure in enumerate(figures):
            middle, colour = _middle(figure), _JUDGED[_judged(figure)]
            ax.plot([figure.low / middle, figure.high / middle], [k, k], color=colour, linewidth=2.5, alpha=0.5)
            ax.plot([figure.simulated / middle], [k], "o", color=colour, markersize=4)
        ax.axvline(1, color=style.BLACK, linewidth=0.8)
        ax.set_xscale("log")
        style.ticks_x(ax, ticks, [f"{tick:g}" if tick >= 1 else f"1/{1 / tick:g}" for tick in ticks])
        ax.set_yticks(range(len(figures)), [figure.name for figure in figures])
        ax.set_ylim(len(figures) - 0.5, -0.5)
        ax.tick_params(axis="y", length=0, labelsize=style.small())
        style.label_x(ax, label)
        ax.grid(axis="x")
        style.title(ax, title)
        seen = dict.fromkeys(map(_judged, figures))
        style.key_below(ax, [style.mark("o", _JUDGED[name], name, line=True) for name in _JUDGED if name in seen])

    return Picture(draw, lambda: map(_interval, figures), lambda: rows_high(len(figures)))


def _judged(figure: Figure) -> str:
    return "circular" if figure.circular else "within the interval" if figure.explained else "outside"


def _interval(figure: Figure) -> Record:
    middle = _middle(figure)
    ratios = {name: getattr(figure, name) / middle for name in ("simulated", "low", "high")}
    return {"figure": figure.name, "paper": middle, **{f"{k}_over_paper": v for k, v in ratios.items()},
            "judged": _judged(figure)}  # fmt: skip


def _middle(figure: Figure) -> float:
    """The paper's figure; of a range the point nearest to the simulated one."""
    assert figure.published is not None
    paper = figure.published.paper
    return min(max(figure.simulated, paper[0]), paper[1]) if isinstance(paper, tuple) else paper


def _shares(found: Reproduction) -> list[Record]:
    return [
        {"model": model} | {f"{name}_percent": 100 * own[name] / sum(own.values()) for name in _LIMITS}
        for model, own in found.limits.items()
    ]


def _draw_limits(found: Reproduction, ax: Axes) -> None:
    """What limits each model: stacked shares of the time per token."""
    rows = _shares(found)
    left = [0.0] * len(rows)
    for name, colour in _LIMITS.items():
        shares = [row[f"{name}_percent"] for row in rows]
        ax.barh(range(len(rows)), shares, 0.7, left=left, color=colour, label=name)
        left = [b + share for b, share in zip(left, shares, strict=True)]
    ax.set_yticks(range(len(rows)), [row["model"] for row in rows])
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.set_xlim(0, 100)
    ax.tick_params(axis="y", length=0)
    style.label_x(ax, "share of the time per token (%)")
    style.title(ax, "What limits each model")
    style.key_below(ax, [style.patch(colour, name) for name, colour in _LIMITS.items()])


def _draw_curve(found: Reproduction, chosen: Curve, ax: Axes) -> None:
    """Time per token over a key's values, relative to the shipped value."""
    for model, colour in zip(found.varied, _COLOURS, strict=False):
        points = {p.x: p.token_ns for p in found.curves if p.curve == chosen.name and p.model == model}
        base = points[chosen.shipped]
        drawn = {x: ns / base for x, ns in points.items() if ns is not None and base is not None}
        ax.plot(list(drawn), list(drawn.values()), "o-", color=colour, label=model, markersize=4)
    ax.set_xscale("log", base=2)
    if chosen.name == "channels":
        ideal = [chosen.shipped / x for x in chosen.points]
        ax.plot(list(chosen.points), ideal, ":", color=style.GREY, label="linear")
        ax.set_yscale("log", base=2)
    else:
        ax.set_ylim(bottom=0)
    style.ticks_x(ax, list(chosen.points), [f"{x:g}" for x in chosen.points])
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}" if value >= 1 else f"{value:.3g}")
    style.label_x(ax, f"{chosen.title} ({chosen.unit})" if chosen.unit else chosen.title)
    style.label_y(ax, f"time per token (1 at {chosen.shipped:g} {chosen.unit})".replace(" )", ")"))
    style.key_below(ax, style.labelled(ax))
    style.title(ax, f"Varied: {chosen.title}")
    ax.grid()


def _draw_context(found: Reproduction, ax: Axes) -> None:
    """Time of a decode step against the context, to the longest that fits."""
    for model, colour in zip(found.varied, _COLOURS, strict=False):
        points = [p for p in found.curves if p.curve == "context" and p.model == model and p.token_ns is not None]
        times = [(p.token_ns or 0) / 1e6 for p in points]
        ax.plot([p.x for p in points], times, "o-", color=colour, label=model, markersize=4)
    ax.set_xscale("log", base=2)
    ax.set_yscale("log")
    style.log_ticks(ax.yaxis)
    style.ticks_x(ax, [2**k for k in range(7, 18, 2)], [f"{2**k:,}" for k in range(7, 18, 2)])
    style.label_x(ax, "context (tokens)")
    style.label_y(ax, "decode step (ms)")
    style.key_below(ax, style.labelled(ax))
    style.title(ax, "Context up to what the memory holds")
    ax.grid()


def pictures(found: Reproduction) -> Mapping[str, Picture]:
    """Every picture, by the name of its files."""

    def of(draw: Callable[..., None], *more: Any, table: Callable[..., list[Record]] | None = None) -> Picture:
        return Picture(partial(draw, found, *more), table and partial(table, found, *more))

    published = [figure for figure in found.figures if figure.published is not None]
    return {
        "intervals": intervals(published, "The paper's figures and what the inputs allow", "simulated / paper"),
        "speedup": of(_draw_ratios, _SPEEDUP, table=_table_of_ratios),
        "energy_ratio": of(_draw_ratios, _ENERGY, table=_table_of_ratios),
        "limits": of(_draw_limits, table=_shares),
        "context": of(_draw_context),
        **{curve.name: of(_draw_curve, curve) for curve in CURVES},
    }
