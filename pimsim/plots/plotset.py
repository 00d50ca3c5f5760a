"""The plots of one result, as methods and as PNG files."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pimsim.results.result import Result

NAMES = ("latency_breakdown", "energy_breakdown", "latency_vs_context", "speedup", "energy_ratio", "roofline")
_COMPARISONS = ("speedup", "energy_ratio")


class Plots:
    """Each method draws on `ax`, or on a new figure without one, and returns the Axes."""

    files: ClassVar[tuple[str, ...]] = tuple(f"{name}.png" for name in NAMES)

    def __init__(self, result: Result) -> None:
        self._result = result

    def latency_breakdown(self, ax: Axes | None = None) -> Axes:
        """Latency by cause, with shares."""
        from pimsim.plots import breakdown

        return breakdown.latency_breakdown(self._result.summary, ax)

    def energy_breakdown(self, ax: Axes | None = None) -> Axes:
        """Energy by component, with shares."""
        from pimsim.plots import breakdown

        return breakdown.energy_breakdown(self._result.summary, ax)

    def latency_vs_context(self, ax: Axes | None = None) -> Axes:
        """Time of a decode step against its context."""
        from pimsim.plots import context
        from pimsim.results.tables import token_columns

        return context.latency_vs_context(self._result.summary, token_columns(self._result.tally), ax)

    def speedup(self, ax: Axes | None = None) -> Axes:
        """Speedup over each baseline; ValueError without baselines."""
        from pimsim.plots import comparison

        return comparison.speedup(self._result.summary, ax)

    def energy_ratio(self, ax: Axes | None = None) -> Axes:
        """Energy of each baseline over that of the simulated system; ValueError without baselines."""
        from pimsim.plots import comparison

        return comparison.energy_ratio(self._result.summary, ax)

    def roofline(self, ax: Axes | None = None) -> Axes:
        """Arithmetic rate against operations per byte: the device, the baselines, and each operator."""
        from pimsim.plots import roofline

        return roofline.roofline(self._result, ax)

    def utilisation(self, ax: Axes | None = None, context: int | None = None) -> Axes:
        """Buses, banks and MAC units while the token at `context` (default: the last) is decoded.

        The step is simulated again, command by command, which `save` leaves out.
        """
        from pimsim.plots import utilisation

        return utilisation.of_step(self._result, context, ax)

    def available(self) -> tuple[str, ...]:
        """The plots that this result has data for."""
        return NAMES if self._result.summary["baselines"] else tuple(n for n in NAMES if n not in _COMPARISONS)

    def save(self, directory: Path) -> None:
        """Write every available plot as NAME.png; two processes draw where that is safe."""
        names = self.available()
        mine, others = names[: len(names) // 2], names[len(names) // 2 :]
        finish = _fork(lambda: self._write(directory, others))
        try:
            self._write(directory, mine if finish else names)
        finally:
            done = finish is None or finish()
        if not done:
            self._write(directory, others)  # what went wrong goes wrong here, where it is seen

    def _write(self, directory: Path, names: Sequence[str]) -> None:
        from pimsim.plots import style

        for name in names:
            with style.drawing():
                ax = getattr(self, name)(style.new_figure().add_subplot())
                style.write_png(ax, directory / f"{name}.png")


def _fork(work: Callable[[], None]) -> Callable[[], bool] | None:
    """Start `work` in a copy of this process: what waits for it, and says whether it was done.

    None where there is no second processor, where a copy is not safe (other systems than Linux),
    or where there is another thread, which the copy would lack.
    """
    if sys.platform != "linux" or len(os.sched_getaffinity(0)) < 2 or threading.active_count() > 1:
        return None
    from pimsim.plots import style

    style.new_figure()  # once for both

    child = os.fork()
    if child:
        return lambda: os.waitpid(child, 0)[1] == 0
    status = 1
    try:
        work()
        status = 0
    finally:
        os._exit(status)
