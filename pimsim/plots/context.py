"""Time of a step as the context grows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pimsim.plots import style
from pimsim.plots.overlay import Plot, Records, Run
from pimsim.results.drawn.context import StepLine
from pimsim.results.headline import number, time_scale

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_FEW = 48  # steps up to which each one gets a marker
_DASHES = ("-", "--", "-.", ":")  # of the lines of a run, where there are several runs


def _draw(ax: Axes, runs: Sequence[Run]) -> None:
    """Latency of each decode step against its context, and the mean of all steps of plain decoding."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    factor, unit = _unit(runs)
    for at, run in enumerate(runs):
        for number_of_line, line in enumerate(run.data.lines):
            if len(runs) == 1:
                _line(ax, line, factor, line.name or "each step", style.series(number_of_line), "-")
            else:
                name = ": ".join(filter(None, (style.short(run.label), line.name)))
                dashes = _DASHES[number_of_line % len(_DASHES)]
                _line(ax, line, factor, name, style.series(at), dashes, _beneath(line, runs[at + 1 :]))
        if len(run.data.lines) == 1:
            mean = run.data.mean_ns / factor
            whose, colour = ("", style.ORANGE) if len(runs) == 1 else (f"{style.short(run.label)}: ", style.series(at))
            text = f"{whose}mean, {number(mean)} {unit}"
            ax.axhline(mean, color=colour, linewidth=0.8 * style.look().line, linestyle="--", label=text)
    ax.set_ylim(0, 1.15 * _top(runs) / factor)
    low, high = _span(runs)
    ax.set_xlim(low - max(0.04 * (high - low), 0.5), high + max(0.04 * (high - low), 0.5))
    ax.xaxis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    style.label_x(ax, "context (tokens)")
    style.label_y(ax, f"latency ({unit}/step)")
    ax.grid(axis="both")
    style.title(ax, "Latency of a step" + (f": {style.short(runs[0].model)}" if len(runs) == 1 else ""))
    style.key_below(ax, style.labelled(ax))


def _unit(runs: Sequence[Run]) -> tuple[float, str]:
    return time_scale(_top(runs))


def _top(runs: Sequence[Run]) -> float:
    return max(float(line.latencies_ns.max()) for run in runs for line in run.data.lines)


def _span(runs: Sequence[Run]) -> tuple[float, float]:
    contexts = [line.contexts for run in runs for line in run.data.lines]
    return min(float(each.min()) for each in contexts), max(float(each.max()) for each in contexts)


def _beneath(line: StepLine, later: Sequence[Run]) -> int:
    """How many lines of other runs lie on this one, since they are the same."""
    others = (other for run in later for other in run.data.lines)
    return sum(
        other.contexts.tolist() == line.contexts.tolist() and other.latencies_ns.tolist() == line.latencies_ns.tolist()
        for other in others
    )


def _line(ax: Axes, line: StepLine, factor: float, name: str, colour: str, dashes: str, beneath: int = 0) -> None:
    values: list[float] = (line.latencies_ns / factor).tolist()
    ax.plot(line.contexts.tolist(), values, color=colour, linestyle=dashes, label=name,
            linewidth=(1.4 + style.WIDER * beneath) * style.look().line,
            marker="o" if len(values) <= _FEW else "", markersize=3.5 + style.WIDER * beneath)  # fmt: skip


def _table(run: Run) -> Records:
    factor, unit = _unit([run])
    column = f"latency_{style.ascii_unit(unit)}_per_step"
    records = [
        {"line": line.name or "each step", "context_tokens": context, column: latency / factor}
        for line in run.data.lines
        for context, latency in zip(line.contexts.tolist(), line.latencies_ns.tolist(), strict=True)
    ]
    mean = {"line": "mean", "context_tokens": None, column: run.data.mean_ns / factor}
    return [*records, mean] if len(run.data.lines) == 1 else records


_NAME, _NOTHING = "latency_vs_context", "nothing is decoded: there is no step to show"
PLOTS = {_NAME: Plot(_NAME, _draw, _table, _NOTHING)}
