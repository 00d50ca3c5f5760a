"""What a result is for those who look at it, whether it was just simulated or read back from its folder."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from pimsim.errors import did_you_mean
from pimsim.results.brief import brief, title
from pimsim.results.headline import headline
from pimsim.results.layout import ascii_only
from pimsim.results.named import figure_records

if TYPE_CHECKING:
    from pathlib import Path

    import pandas
    from matplotlib.axes import Axes

    from pimsim.config.readback import Given
    from pimsim.results.lines import Line

_TABLES = ("operators", "tokens", "summary")


class PlotSet(Protocol):
    """The plots of one result; `pimsim.plots.Plots` is one."""

    def latency_breakdown(self, ax: Axes | None = None, label: str | None = None) -> Axes: ...
    def energy_breakdown(self, ax: Axes | None = None, label: str | None = None) -> Axes: ...
    def latency_vs_context(self, ax: Axes | None = None, label: str | None = None) -> Axes: ...
    def speedup(self, ax: Axes | None = None, label: str | None = None) -> Axes: ...
    def energy_ratio(self, ax: Axes | None = None, label: str | None = None) -> Axes: ...
    def roofline(self, ax: Axes | None = None, label: str | None = None) -> Axes: ...
    def parts(self, ax: Axes | None = None, label: str | None = None) -> Axes: ...
    def utilisation(self, ax: Axes | None = None, context: int | None = None, label: str | None = None) -> Axes: ...

    def save(self, directory: str | Path, formats: str | Iterable[str] | None = None, style: str | None = None) -> None:
        """Write every plot that has something to show: as PNG, or in the formats and the style that are named."""


class PlotFactory(Protocol):
    """Makes the plots of a result, and knows the file names that it may write."""

    files: tuple[str, ...]

    def __call__(self, result: Any) -> PlotSet: ...


class Comparing(Protocol):
    """Puts results side by side; `pimsim.comparison.Comparison.of` does."""

    def __call__(self, results: Sequence[AnyResult]) -> Any: ...


class AnyResult(ABC):
    """A run's figures and tables.

    plots, comparing  injected, so that results depend neither on matplotlib nor on what is made of them
    """

    plots: PlotFactory | None
    comparing: Comparing | None

    @property
    @abstractmethod
    def name(self) -> str:
        """That of the configuration."""

    @property
    @abstractmethod
    def summary(self) -> dict[str, Any]:
        """The content of `summary.json`."""

    @property
    @abstractmethod
    def inputs(self) -> Mapping[str, Given]:
        """Every value of the resolved configuration by dotted key, with where it came from."""

    @abstractmethod
    def lines(self) -> list[Line]:
        """Of a schedule, which decode steps make a line over the context."""

    @abstractmethod
    def token_columns(self) -> Mapping[str, Any]:
        """(steps,): a value per decode step in each column of `tokens.csv`."""

    @abstractmethod
    def _records(self, table: str) -> list[dict[str, Any]]:
        """The rows of `operators.csv` or `tokens.csv`."""

    def records(self, table: str) -> list[dict[str, Any]]:
        """The rows of `operators.csv` or `tokens.csv`, or one per figure of the summary; ValueError for other names."""
        if table not in _TABLES:
            hint = did_you_mean(table, _TABLES) or f"; there are {', '.join(map(repr, _TABLES))}"
            raise ValueError(f"no table {table!r}{hint}")
        return figure_records(self.summary) if table == "summary" else self._records(table)

    def to_frame(self, table: str = "operators") -> pandas.DataFrame:
        """A table as a pandas data frame.

        operators  a row per operator kind and phase, as `operators.csv` has them
        tokens     a row per decode step, as `tokens.csv` has them
        summary    a row per figure: `figure`, its dotted name, as sweeps have it; `value`, NaN where null; `unit`
        ValueError for an unknown table; ImportError, saying what to install, without pandas.
        """
        return data_frame(self.token_columns() if table == "tokens" else self.records(table))

    @property
    def plot(self) -> PlotSet:
        """The plots of this result: `result.plot.latency_breakdown()` and others."""
        if self.plots is None:
            raise RuntimeError("this result was made without plots; pimsim.run makes one with them")
        return self.plots(self)

    def compare(self, *others: AnyResult) -> Any:
        """A `Comparison` of this result, the one that others are compared with, and at least one other."""
        if self.comparing is None:
            raise RuntimeError("this result compares with nothing; pimsim.run makes one that does")
        return self.comparing((self, *others))

    def __str__(self) -> str:
        """What `print` shows: at most 15 lines of 80 columns, in ASCII where standard output has nothing else."""
        return brief(self.name, self.summary, ascii_only(getattr(sys.stdout, "encoding", None)))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {title(self.name, self.summary)}>"

    def _repr_html_(self) -> str:
        """A small table for notebooks; plain HTML, nothing from the network."""
        from html import escape

        caption = f"{escape(self.name)}: {escape(self.summary['workload']['model'])}"
        cell = "<tr><td>{}</td><td style='text-align:right'>{}</td><td style='text-align:left'>{}</td></tr>"
        rows = "".join(cell.format(*map(escape, figure)) for figure in headline(self.summary))
        warnings = "".join(f"<li>{escape(text)}</li>" for text in self.summary["warnings"])
        listed = f"<p>Before you quote a figure:</p><ul>{warnings}</ul>" if warnings else ""
        return f"<table><caption>{caption}</caption>{rows}</table>{listed}"


def data_frame(records: Any) -> pandas.DataFrame:
    """Records, or columns, as a pandas data frame; ImportError, saying what to install, without pandas."""
    try:
        import pandas
    except ImportError as error:
        raise ImportError("to_frame needs pandas: pip install 'pimsim[analysis]'") from error
    return pandas.DataFrame(records)
