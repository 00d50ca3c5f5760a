"""The plots of one result, as methods and as PNG files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes

    from pimsim.plots.drawers import Drawers
    from pimsim.results.drawn.context import Steps
    from pimsim.results.drawn.rates import Rates
    from pimsim.results.result import Result

NAMES = (
    "latency_breakdown", "energy_breakdown", "latency_vs_context", "speedup", "energy_ratio", "roofline", "parts",
)  # fmt: skip
_COMPARISONS = ("speedup", "energy_ratio")
# To draw, the longest first.
_LONGEST = (
    "latency_breakdown",
    "energy_breakdown",
    "roofline",
    "latency_vs_context",
    "energy_ratio",
    "speedup",
    "parts",
)


@dataclass(frozen=True)
class Figures:
    """What the plots of a result show: all that a process has to know that draws them.

    summary  the summary of the run; rates: of the roofline; steps: over the context, if something is decoded
    """

    summary: Mapping[str, Any]
    rates: Rates
    steps: Steps | None

    @classmethod
    def of(cls, result: Result) -> Figures:
        """Those of a result."""
        from pimsim.results.drawn.context import steps
        from pimsim.results.drawn.rates import rates

        return cls(result.summary, rates(result), steps(result))


class Plots:
    """Each method draws on `ax`, or on a new figure without one, and returns the Axes.

    result   what is drawn, or its figures
    """

    files: ClassVar[tuple[str, ...]] = tuple(f"{name}.png" for name in NAMES)

    def __init__(self, result: Result | Figures) -> None:
        self._result = result

    @cached_property
    def _figures(self) -> Figures:
        return self._result if isinstance(self._result, Figures) else Figures.of(self._result)

    def latency_breakdown(self, ax: Axes | None = None) -> Axes:
        """Latency by cause, with shares."""
        from pimsim.plots import breakdown

        return breakdown.latency_breakdown(self._figures.summary, ax)

    def energy_breakdown(self, ax: Axes | None = None) -> Axes:
        """Energy by component, with shares."""
        from pimsim.plots import breakdown

        return breakdown.energy_breakdown(self._figures.summary, ax)

    def latency_vs_context(self, ax: Axes | None = None) -> Axes:
        """Time of a decode step against its context; ValueError where nothing is decoded."""
        from pimsim.plots import context

        figures = self._figures
        return context.latency_vs_context(figures.summary, figures.steps, ax)

    def speedup(self, ax: Axes | None = None) -> Axes:
        """Speedup over each baseline; ValueError without baselines."""
        from pimsim.plots import comparison

        return comparison.speedup(self._figures.summary, ax)

    def energy_ratio(self, ax: Axes | None = None) -> Axes:
        """Energy of each baseline over that of the simulated system; ValueError without baselines."""
        from pimsim.plots import comparison

        return comparison.energy_ratio(self._figures.summary, ax)

    def roofline(self, ax: Axes | None = None) -> Axes:
        """Arithmetic rate against operations per byte: the device, the baselines, and each operator."""
        from pimsim.plots import roofline

        return roofline.roofline(self._figures.summary, self._figures.rates, ax)

    def parts(self, ax: Axes | None = None) -> Axes:
        """What drafting, verification and rejected work take; ValueError where decoding has one part alone."""
        from pimsim.plots import parts

        return parts.parts(self._figures.summary, ax)

    def utilisation(self, ax: Axes | None = None, context: int | None = None) -> Axes:
        """Buses, banks and MAC units while the token, or the step of a schedule, at `context` (default: the last) runs.

        The step is simulated again, command by command, which `save` leaves out.
        """
        from pimsim.plots import utilisation

        if isinstance(self._result, Figures):
            raise TypeError("needs the result, not its figures alone")
        return utilisation.of_step(self._result, context, ax)

    def available(self) -> tuple[str, ...]:
        """The plots that this result has data for."""
        from pimsim.results.scheduled import shares

        summary = self._figures.summary
        without: list[str] = [] if summary["baselines"] else [*_COMPARISONS]
        without += [] if summary["system"]["latency_per_step_ns"] is not None else ["latency_vs_context"]
        without += [] if shares(summary, "latency_ns") else ["parts"]
        return tuple(name for name in NAMES if name not in without)

    def save(self, directory: Path) -> None:
        """Write every available plot as NAME.png; other processes draw some of them where that is safe."""
        _load()  # once for both
        with _drawers().hired(most=1) as drawers:
            _Drawn(self._result, drawers, here=True).save(directory)


class _Drawn(Plots):
    """Plots that drawers have been asked for; `here`: this process draws as well."""

    def __init__(self, result: Result | Figures, drawers: Drawers, here: bool) -> None:
        super().__init__(result)
        self._drawers, self._here = drawers, here
        available = self.available()
        drawers.ask(self._figures, [name for name in _LONGEST if name in available])

    def save(self, directory: Path) -> None:
        """As that of all plots."""
        for name, picture in self._drawers.pictures(self.available(), self._here).items():
            (directory / f"{name}.png").write_bytes(picture)


@contextmanager
def beside() -> Iterator[Callable[[Result], Plots]]:
    """Processes that get ready to draw while this one does something else, until the block ends.

    The value given makes the plots of a result, which these processes begin to draw.
    """
    with _drawers().hired() as drawers:
        yield lambda result: _Drawn(result, drawers, here=False)


def _drawers() -> Drawers:
    from pimsim.plots.drawers import Drawers

    return Drawers(NAMES, _picture, _load)


def _load() -> None:
    """All that drawing needs, and nothing of the simulation."""
    from pimsim.plots import breakdown, comparison, context, parts, roofline, style  # noqa: F401

    style.png(style.new_figure().add_subplot())


def _picture(figures: Figures, name: str) -> bytes:
    from pimsim.plots import style

    with style.drawing():
        return style.png(getattr(Plots(figures), name)(style.new_figure().add_subplot()))
