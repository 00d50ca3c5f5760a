"""What a sweep that is being run is: shared by those who take its points from a grid and from a search."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from pimsim.sweep.definition import Sweep
from pimsim.sweep.table import default_format

Progress = Callable[[int, int], None]
WHOLE = (1, 1)  # the shard that is all of it


@dataclass
class Job:
    """A sweep that is being run: where, which part of it, and what it needs to go on."""

    sweep: Sweep
    directory: Path
    shard: tuple[int, int] = WHOLE
    resume: bool = False
    kind: str = field(default_factory=default_format)
    progress: Progress | None = None
    total: int = 0
    dropped: int = 0  # by constraints, as far as that is known

    def report(self, done: int, total: int) -> None:
        """Tell how far it is."""
        self.total = total
        if self.progress is not None:
            self.progress(done, total)
