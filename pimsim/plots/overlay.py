"""Several runs on one axes: each draws all of them anew, in one unit, and leaves what else is there alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

from pimsim.plots import style

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

GONE = "a result that was read back has no simulation"
Records = list[dict[str, Any]]


class Run(NamedTuple):
    """What a plot shows of one run; label: which run it is; model: what ran."""

    label: str
    model: str
    data: Any


class Plot(NamedTuple):
    """A kind of picture.

    draw     on axes, all runs that they show
    table    what is drawn of one run, in numbers and in the units of the axes
    nothing  why a run may have nothing to show
    height   inches that a new figure of these runs has
    """

    name: str
    draw: Callable[[Axes, Sequence[Run]], None]
    table: Callable[[Run], Records]
    nothing: str = ""
    height: Callable[[Sequence[Run]], float] = lambda _: style.look().height_in


class _Shown:
    """What axes show of us, and what was there before."""

    def __init__(self, plot: Plot, ax: Axes) -> None:
        self.plot = plot
        self.runs: tuple[Run, ...] = ()
        self._before = set(ax.get_children())
        self._containers = len(ax.containers)
        self._limits = (ax.get_xlim(), ax.get_ylim()) if ax.has_data() else None
        self._handles = ax.get_legend_handles_labels()[0]
        self._own: list[Artist] = []

    def is_there(self, ax: Axes) -> bool:
        """Whether it still shows: the user may have cleared the axes."""
        return not set(self._own).isdisjoint(ax.get_children())

    def add(self, ax: Axes, run: Run) -> None:
        """One more run."""
        self._erase(ax)
        self.runs = (*self.runs, run._replace(label=self._distinct(run)))
        with style.beside(self._handles):
            self.plot.draw(ax, self.runs)
        self._keep_the_rest(ax)
        self._own = [artist for artist in ax.get_children() if artist not in self._before]

    def _erase(self, ax: Axes) -> None:
        for container in ax.containers[self._containers :]:
            container.remove()
        for artist in set(self._own).intersection(ax.get_children()):
            artist.remove()

    def _distinct(self, run: Run) -> str:
        """Its label, or with the model or a number where another run has that."""
        taken = {other.label for other in self.runs}
        names = [run.label, f"{run.label}, {run.model}", *(f"{run.label} ({n})" for n in range(2, len(taken) + 3))]
        return next(name for name in names if name not in taken)

    def _keep_the_rest(self, ax: Axes) -> None:
        """Limits that hold what was there before."""
        if self._limits is None:
            return
        ax.set_xlim(_holding(ax.get_xlim(), self._limits[0]))
        ax.set_ylim(_holding(ax.get_ylim(), self._limits[1]))


def _holding(own: tuple[float, float], others: tuple[float, float]) -> tuple[float, float]:
    """Limits that hold both, in the direction of our own."""
    low, high = min(*own, *others), max(*own, *others)
    return (low, high) if own[0] < own[1] else (high, low)


_shown: WeakKeyDictionary[Axes, _Shown] = WeakKeyDictionary()


def show(plot: Plot, run: Run, ax: Axes | None, visible: bool = True) -> Axes:
    """Draw a run on `ax`, beside the runs that it shows already, or on a new figure.

    visible: in a notebook, which shows a new figure.  ValueError if the axes show a plot of another kind.
    """
    known = _shown.get(ax) if ax is not None else None
    if known and not known.is_there(ax):  # type: ignore[arg-type]
        known = None
    if known and known.plot.name != plot.name:
        raise ValueError(
            f"these axes show {known.plot.name}; {plot.name} has other axes and units: draw it on axes of its own"
        )
    with style.drawing():
        runs = [*(known.runs if known else ()), run]
        ax = style.axes_or_new(ax, plot.height(runs), visible)
        if style.is_own(ax):
            style.figure_of(ax).set_figheight(plot.height(runs))
        if known is None:
            known = _shown[ax] = _Shown(plot, ax)
        known.add(ax, run)
    return ax
