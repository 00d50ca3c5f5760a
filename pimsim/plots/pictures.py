"""Pictures of what is no run (a sweep, a reproduction), as files: each in the formats and the look of an order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pimsim.plots import style
from pimsim.plots.looks import DATA, Order
from pimsim.results.csv_text import Record, to_csv

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Picture(NamedTuple):
    """draw: on axes, its title included; table: what is drawn, in numbers, if that is more than lines.

    height_in  of the figure, in a look; 0: as the look has it
    """

    draw: Callable[[Axes], object]
    table: Callable[[], Iterable[Record]] | None = None
    height_in: Callable[[], float] = lambda: 0.0


def save(pictures: Mapping[str, Picture], folder: Path, order: Order) -> list[str]:
    """Draw every picture into `folder`; the names of the files."""
    for name, picture in pictures.items():
        with style.drawing(order.look):
            ax = new_axes(picture)
            picture.draw(ax)
            records = [*(picture.table() if picture.table else lines(ax))] if order.data else []
            for kind in order.formats:
                (folder / f"{name}.{kind}").write_bytes(style.content(ax, kind))
        if order.data:
            (folder / f"{name}.{DATA}").write_text(to_csv(records), encoding="utf-8", newline="\n")
    return list(order.files(pictures))


def new_axes(picture: Picture) -> Axes:
    """Axes of a new figure, as high as the picture has to be."""
    return style.new_figure(picture.height_in() or None).add_subplot()


def lines(ax: Axes) -> list[Record]:
    """The points of every line that has a name, with the labels of the axes as headings."""
    x, y = ax.get_xlabel() or "x", ax.get_ylabel() or "y"
    return [
        {"line": str(line.get_label()), x: float(px), y: float(py)}
        for line in ax.lines
        if not str(line.get_label()).startswith("_")
        for px, py in zip(*_data(line), strict=True)
    ]


def _data(line: Any) -> tuple[list[float], list[float]]:
    return list(line.get_xdata()), list(line.get_ydata())


def rows_high(rows: int, each_in: float = 0.165, rim_in: float = 1.0) -> float:
    """Inches of a figure of so many rows; not less than the look has."""
    return max(style.look().height_in, rows * each_in * style.look().tick / 7.5 + rim_in)
