"""A progress bar for a sweep: on a terminal, with rate and time left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Task


@contextmanager
def progress_bar(console: Console) -> Iterator[Callable[[int, int], None] | None]:
    """What a sweep calls with (points finished, points in all); None off a terminal."""
    if not console.is_terminal:
        yield None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn
    from rich.text import Text

    class RateColumn(ProgressColumn):
        """Points per second, of late."""

        def render(self, task: Task) -> Text:
            return Text(rate(task.finished_speed or task.speed))

    columns = (TextColumn("points"), BarColumn(), MofNCompleteColumn(), RateColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("points", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def rate(per_second: float | None) -> str:
    """A rate that can be read: of slow points, by the minute or the hour."""
    if not per_second:
        return ""
    for unit, seconds in (("s", 1), ("min", 60)):
        if per_second * seconds >= 1:
            return f"{per_second * seconds:.3g}/{unit}"
    return f"{per_second * 3600:.2g}/h"
