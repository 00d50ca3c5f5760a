"""The plots of one result, as methods and as files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pimsim.plots.looks import DATA, Order, order, owned

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes

    from pimsim.plots.drawers import Drawers
    from pimsim.results.base import AnyResult
    from pimsim.results.result import Result

NAMES = (
    "latency_breakdown", "energy_breakdown", "latency_vs_context", "speedup", "energy_ratio", "roofline", "parts",
)  # fmt: skip
# To draw, the longest first.
_LONGEST = (
    "roofline",
    "latency_breakdown",
    "energy_breakdown",
    "latency_vs_context",
    "energy_ratio",
    "speedup",
    "parts",
)


@dataclass(frozen=True)
class Figures:
    """What the plots of a result show: all that a process has to know that draws them.

    label  which run it is, where others are beside it; model: what ran
    drawn  of each of NAMES what it shows, None if there is nothing (`pimsim.results.drawn`)
    """

    label: str
    model: str
    drawn: Mapping[str, Any]

    @classmethod
    def of(cls, result: AnyResult) -> Figures:
        """Those of a result; one that was read back has no rates for a roofline."""
        from pimsim.results.drawn import breakdown, comparison, context, parts, rates
        from pimsim.results.result import Result

        summary = result.summary
        drawn = {
            "latency_breakdown": breakdown.latency(summary),
            "energy_breakdown": breakdown.energy(summary),
            "latency_vs_context": context.steps(result),
            "speedup": comparison.ratios(summary, "speedup") or None,
            "energy_ratio": comparison.ratios(summary, "energy_ratio") or None,
            "roofline": rates.rates(result) if isinstance(result, Result) else None,
            "parts": parts.parts(summary),
        }
        return cls(result.name, summary["workload"]["model"], drawn)


class Plots:
    """Each method draws on `ax`, or on a new figure without one, and returns the Axes.

    Where `ax` shows the same plot of other runs, all of them are there afterwards: in one unit, named by `label`
    (default: the name of the configuration).  ValueError if it shows another plot, or if there is nothing to show.

    result   what is drawn, or its figures
    """

    files: ClassVar[tuple[str, ...]] = owned(NAMES)

    def __init__(self, result: AnyResult | Figures, shown: bool = True) -> None:
        self._result, self._shown = result, shown

    @cached_property
    def _figures(self) -> Figures:
        return self._result if isinstance(self._result, Figures) else Figures.of(self._result)

    def latency_breakdown(self, ax: Axes | None = None, label: str | None = None) -> Axes:
        """Latency by cause, with shares."""
        return self._draw("latency_breakdown", ax, label)

    def energy_breakdown(self, ax: Axes | None = None, label: str | None = None) -> Axes:
        """Energy by component, with shares."""
        return self._draw("energy_breakdown", ax, label)

    def latency_vs_context(self, ax: Axes | None = None, label: str | None = None) -> Axes:
        """Time of a decode step against its context; ValueError where nothing is decoded."""
        return self._draw("latency_vs_context", ax, label)

    def speedup(self, ax: Axes | None = None, label: str | None = None) -> Axes:
        """Speedup over each baseline; ValueError without baselines."""
        return self._draw("speedup", ax, label)

    def energy_ratio(self, ax: Axes | None = None, label: str | None = None) -> Axes:
        """Energy of each baseline over that of the simulated system; ValueError without baselines."""
        return self._draw("energy_ratio", ax, label)

    def roofline(self, ax: Axes | None = None, label: str | None = None) -> Axes:
        """Arithmetic rate against operations per byte: the device, the baselines, and each operator."""
        return self._draw("roofline", ax, label)

    def parts(self, ax: Axes | None = None, label: str | None = None) -> Axes:
        """What drafting, verification and rejected work take; ValueError where decoding has one part alone."""
        return self._draw("parts", ax, label)

    def utilisation(self, ax: Axes | None = None, context: int | None = None, label: str | None = None) -> Axes:
        """Buses, banks and MAC units while the token, or the step of a schedule, at `context` (default: the last) runs.

        The step is simulated again, command by command, which `save` leaves out.
        """
        if isinstance(self._result, Figures):
            raise TypeError("needs the result, not its figures alone")
        from pimsim.plots.overlay import GONE
        from pimsim.results.result import Result
        from pimsim.timeline.shares import busy_in_step

        if not isinstance(self._result, Result):
            raise ValueError(f"{GONE}; run its configuration again for its utilisation")
        return self._show("utilisation", busy_in_step(self._result, context), ax, label)

    def _draw(self, name: str, ax: Axes | None, label: str | None) -> Axes:
        from pimsim.plots.every import EVERY

        data = self._figures.drawn[name]
        if data is None:
            raise ValueError(EVERY[name].nothing)
        return self._show(name, data, ax, label)

    def _show(self, name: str, data: Any, ax: Axes | None, label: str | None) -> Axes:
        from pimsim.plots.every import EVERY
        from pimsim.plots.overlay import Run, show

        run = Run(self._figures.label if label is None else label, self._figures.model, data)
        return show(EVERY[name], run, ax, self._shown)

    def available(self) -> tuple[str, ...]:
        """The plots that this result has data for."""
        return tuple(name for name in NAMES if self._figures.drawn[name] is not None)

    def save(self, directory: str | Path, formats: str | Iterable[str] | None = None, style: str | None = None) -> None:
        """Write every available plot as NAME.png, or as the formats and in the style that are named, with NAME.csv.

        formats  "pdf,svg", or several of `looks.FORMATS`; style: one of `looks.LOOKS`; InputError for others
        Other processes draw some of them where that is safe.
        """
        wanted = order(formats, style)
        _load()  # once for both
        with _drawers(wanted).hired(most=1) as drawers:
            _Drawn(self._result, drawers, wanted, here=True).save(directory)


class _Drawn(Plots):
    """Plots that drawers have been asked for, as they were ordered; `here`: this process draws as well."""

    def __init__(self, result: AnyResult | Figures, drawers: Drawers, wanted: Order, here: bool) -> None:
        super().__init__(result)
        self._drawers, self._wanted, self._here = drawers, wanted, here
        available = self.available()
        drawers.ask(self._figures, wanted.files(name for name in _LONGEST if name in available))

    def save(self, directory: str | Path, formats: str | Iterable[str] | None = None, style: str | None = None) -> None:
        """As that of all plots; the order was given before they were drawn."""
        for name, content in self._drawers.pictures(self._wanted.files(self.available()), self._here).items():
            (Path(directory) / name).write_bytes(content)


@contextmanager
def beside(wanted: Order | None = None) -> Iterator[Callable[[Result], Plots]]:
    """Processes that get ready to draw while this one does something else, until the block ends.

    The value given makes the plots of a result, which these processes begin to draw.
    """
    ordered = wanted or Order()
    with _drawers(ordered).hired() as drawers:
        yield lambda result: _Drawn(result, drawers, ordered, here=False)


def _drawers(wanted: Order) -> Drawers:
    from functools import partial

    from pimsim.plots.drawers import Drawers

    return Drawers(wanted.files(NAMES), partial(_file, wanted.look), _load)


def _load() -> None:
    """All that drawing needs, and nothing of the simulation."""
    from pimsim.plots import every, style  # noqa: F401

    style.png(style.new_figure().add_subplot())


def _file(look: str, figures: Figures, file: str) -> bytes:
    """The content of a file: a plot in one of the formats, or what it shows in numbers."""
    from pimsim.plots import style

    name, kind = file.rsplit(".", 1)
    if kind == DATA:
        return _numbers(figures, name)
    with style.drawing(look):
        return style.content(getattr(Plots(figures, shown=False), name)(), kind)


def _numbers(figures: Figures, name: str) -> bytes:
    from pimsim.plots.every import EVERY
    from pimsim.plots.overlay import Run
    from pimsim.results.csv_text import to_csv

    return to_csv(EVERY[name].table(Run(figures.label, figures.model, figures.drawn[name]))).encode()
