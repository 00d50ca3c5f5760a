"""The reproduction in pictures, in the paper's form: bars per model, curves per key, stacked limits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pimsim.plots import style
from pimsim.reproduce.curves import CURVES
from pimsim.reproduce.reproduction import Figure, Reproduction
from pimsim.reproduce.values import T4, XEON

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


def speedups(found: Reproduction, ax: Axes) -> None:
    """Speedup over both baselines, roofline and eager, per model; the paper's range of the eager ones."""
    _bars(found, ax, "speedup", "speedup (x)", lambda run, pick: run.speedup(*pick))


def energy_ratios(found: Reproduction, ax: Axes) -> None:
    """Energy ratio with table v2, as above."""
    _bars(found, ax, "energy", "energy ratio, table v2 (x)", lambda run, pick: run.energy_ratio(pick[0], "v2", pick[1]))


def _bars(found: Reproduction, ax: Axes, kind: str, label: str, value: Callable[..., float]) -> None:
    picks = [(T4, "roofline", style.SKY), (XEON, "roofline", style.ORANGE), (T4, "eager", style.BLUE),
             (XEON, "eager", style.VERMILION)]  # fmt: skip
    names = {T4: "T4", XEON: "Xeon"}
    width = 0.8 / len(picks)
    for k, (baseline, model, colour) in enumerate(picks):
        at = [i + (k - 1.5) * width for i in range(len(found.models))]
        heights = [value(run, (baseline, model)) for run in found.models.values()]
        ax.bar(at, heights, width, color=colour, label=f"{names[baseline]}, {model}")
    for baseline, colour in ((T4, style.BLUE), (XEON, style.VERMILION)):
        low, high = _paper(found, f"{kind}_{'t4' if baseline == T4 else 'xeon'}{'_v2' if kind == 'energy' else ''}")
        ax.axhspan(low, high, color=colour, alpha=0.12, linewidth=0)
        ax.annotate(f"paper, {names[baseline]}", (len(found.models) - 0.45, low), (0, 2), textcoords="offset points",
                    fontsize=7, color=colour, ha="right")  # fmt: skip
    ax.set_yscale("log")
    style.log_ticks(ax.yaxis)
    ax.set_ylabel(label)
    ax.set_xticks(range(len(found.models)), list(found.models), rotation=20)
    ax.legend(ncols=4, loc="upper center", bbox_to_anchor=(0.5, -0.16))
    ax.grid(axis="y")


def _paper(found: Reproduction, name: str) -> tuple[float, float]:
    by_name = {figure.name: figure for figure in found.figures}
    ends = [by_name[f"{name}.{end}"].published for end in ("lowest", "highest")]
    low, high = (end.meant[0] for end in ends if end is not None)
    return low, high


def intervals(found: Reproduction, ax: Axes) -> None:
    """Each published figure: the simulated one and its interval over the paper's."""
    draw_intervals(
        [figure for figure in found.figures if figure.published is not None], ax, (1 / 16, 1 / 4, 1, 4, 16, 64)
    )


def draw_intervals(figures: Sequence[Figure], ax: Axes, ticks: Sequence[float]) -> None:
    """Figures and their intervals over what was published, at ticks of a logarithmic axis."""
    for k, figure in enumerate(figures):
        middle = _middle(figure)
        colour = style.GREY if figure.circular else style.BLUE if figure.explained else style.VERMILION
        ax.plot([figure.low / middle, figure.high / middle], [k, k], color=colour, linewidth=2.5, alpha=0.5)
        ax.plot([figure.simulated / middle], [k], "o", color=colour, markersize=4)
    ax.axvline(1, color=style.BLACK, linewidth=0.8)
    ax.set_xscale("log")
    ax.set_xticks(ticks, [f"{tick:g}" if tick >= 1 else f"1/{1 / tick:g}" for tick in ticks])
    ax.set_yticks(range(len(figures)), [figure.name for figure in figures], fontsize=7)
    ax.invert_yaxis()
    ax.set_xlabel("simulated / paper; bar: what the inputs allow; red: the paper's is outside; grey: circular")
    ax.grid(axis="x")


def _middle(figure: Figure) -> float:
    """The paper's figure; of a range the point nearest to the simulated one."""
    assert figure.published is not None
    paper = figure.published.paper
    return min(max(figure.simulated, paper[0]), paper[1]) if isinstance(paper, tuple) else paper


def limits(found: Reproduction, ax: Axes) -> None:
    """What limits each model: stacked shares of the time per token."""
    models = list(found.limits)
    bottom = [0.0] * len(models)
    for name, colour in _LIMITS.items():
        shares = [100 * found.limits[m][name] / sum(found.limits[m].values()) for m in models]
        ax.bar(models, shares, 0.7, bottom=bottom, color=colour, label=name)
        bottom = [b + share for b, share in zip(bottom, shares, strict=True)]
    ax.set_ylabel("share of the time per token (%)")
    ax.tick_params(axis="x", rotation=20)
    ax.legend(ncols=5, loc="upper center", bbox_to_anchor=(0.5, -0.16))


def curve(name: str) -> Callable[[Reproduction, Axes], None]:
    """Time per token over a key's values, relative to the shipped value."""
    chosen = next(c for c in CURVES if c.name == name)

    def draw(found: Reproduction, ax: Axes) -> None:
        for model, colour in zip(found.varied, _COLOURS, strict=False):
            points = {p.x: p.token_ns for p in found.curves if p.curve == name and p.model == model}
            base = points[chosen.shipped]
            drawn = {x: ns / base for x, ns in points.items() if ns is not None and base is not None}
            ax.plot(list(drawn), list(drawn.values()), "o-", color=colour, label=model, markersize=4)
        if name == "channels":
            ax.plot(
                list(chosen.points), [chosen.shipped / x for x in chosen.points], ":", color=style.GREY, label="linear"
            )
        ax.set_xscale("log", base=2)
        if name == "channels":
            ax.set_yscale("log", base=2)
        else:
            ax.set_ylim(bottom=0)
        ax.set_xticks(list(chosen.points), [f"{x:g}" for x in chosen.points])
        ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}" if value >= 1 else f"{value:.3g}")
        ax.set_xlabel(f"{chosen.title} ({chosen.unit})" if chosen.unit else chosen.title)
        ax.set_ylabel(f"time per token (1 at {chosen.shipped:g} {chosen.unit})".replace(" )", ")"))
        ax.legend()
        ax.grid()

    return draw


def context(found: Reproduction, ax: Axes) -> None:
    """Time of a decode step against the context, to the longest that fits."""
    for model, colour in zip(found.varied, _COLOURS, strict=False):
        points = [p for p in found.curves if p.curve == "context" and p.model == model and p.token_ns is not None]
        ax.plot([p.x for p in points], [(p.token_ns or 0) / 1e6 for p in points], "o-", color=colour, label=model,
                markersize=4)  # fmt: skip
    ax.set_xscale("log", base=2)
    ax.set_yscale("log")
    style.log_ticks(ax.yaxis)
    ax.set_xticks([2**k for k in range(7, 18, 2)], [f"{2**k:,}" for k in range(7, 18, 2)])
    ax.set_xlabel("context (tokens)")
    ax.set_ylabel("decode step (ms)")
    ax.legend()
    ax.grid()


PICTURES: Mapping[str, tuple[str, Callable[[Reproduction, Axes], None]]] = {
    "intervals": ("The paper's figures and what the inputs allow", intervals),
    "speedup": ("Speedup over GPU and CPU", speedups),
    "energy_ratio": ("Energy ratio over GPU and CPU", energy_ratios),
    "limits": ("What limits each model", limits),
    "context": ("Context up to what the memory holds", context),
    **{c.name: (f"Varied: {c.title}", curve(c.name)) for c in CURVES},
}


def save(found: Reproduction, folder: Path) -> list[str]:
    """Draw every picture into `folder`; the names of the files."""
    names = []
    for name, (title, draw) in PICTURES.items():
        with style.drawing():
            figure = style.new_figure()
            figure.set_size_inches(7.2, 5.2 if name == "intervals" else 3.9)
            ax = figure.add_subplot()
            draw(found, ax)
            ax.set_title(title)
            style.write_png(ax, folder / f"{name}.png")
        names.append(f"{name}.png")
    return names
