"""A progress bar for people who wait: on a terminal, and only once a run takes long."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

Progress = Callable[[int, int], None]
PATIENCE_S = 1.0  # a run shorter than this shows nothing

COMPILES = "the first run after an installation compiles for about 10 s"
NOTICE = f"the first token is under way; {COMPILES}"


@contextmanager
def notice(
    say: Callable[[str], object], text: str = COMPILES, patience_s: float = PATIENCE_S
) -> Iterator[Callable[[], None]]:
    """Say `text` if the block takes longer than `patience_s` seconds; the value given calls it off."""
    timer = threading.Timer(patience_s, say, (text,))
    timer.daemon = True
    timer.start()
    try:
        yield timer.cancel
    finally:
        timer.cancel()


@contextmanager
def progress_bar(
    console: Console, patience_s: float = PATIENCE_S, clock: Callable[[], float] = time.monotonic
) -> Iterator[Progress | None]:
    """What `simulate(progress=...)` calls with (tokens done, tokens in all); None off a terminal.

    The bar appears after `patience_s` seconds and is gone when the block ends; a note appears if
    by then not even one token is done.
    """
    if not console.is_terminal:
        yield None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("tokens"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=console, transient=True)
    task, started = bar.add_task("tokens"), clock()

    with notice(partial(console.print, style="dim"), NOTICE, patience_s) as call_off:

        def report(done: int, total: int) -> None:
            call_off()
            bar.update(task, completed=done, total=total)
            if not bar.live.is_started and clock() - started >= patience_s:
                bar.start()

        try:
            yield report
        finally:
            if bar.live.is_started:
                bar.stop()
