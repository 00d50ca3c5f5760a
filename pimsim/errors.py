"""What pimsim raises when the user's input is wrong, and how it is printed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from pimsim.text import one_line

Locate = Callable[[str], tuple[str, int, int]]


@dataclass(frozen=True, order=True)
class Problem:
    """One thing that is wrong, and where: lines and columns count from 1."""

    file: str
    line: int
    column: int
    key: str
    message: str

    def __str__(self) -> str:
        """`FILE:LINE:COLUMN: key.path: message` on one line, without the parts that are not known."""
        return self._line(self.message)

    def as_warning(self) -> str:
        """The line of something that is odd but no error: `FILE:LINE:COLUMN: key.path: warning: message`."""
        return self._line(f"warning: {self.message}")

    def located(self, locate: Locate) -> Problem:
        """The same problem, put where `locate` finds its key if it has no place yet."""
        if self.file:
            return self
        file, line, column = locate(self.key)
        return replace(self, file=file, line=line, column=column)

    def _line(self, message: str) -> str:
        where = f"{self.file}:{self.line}:{self.column}" if self.file else ""
        return one_line(": ".join(part for part in (where, self.key, message) if part))


class InputError(Exception):
    """The user's input is wrong.

    Code that knows the key at fault but not its place in a file raises
    `InputError("does not fit", key="dram.rows")`; `located` adds the place later.
    """

    def __init__(self, what: str | Problem | Iterable[Problem], key: str = "") -> None:
        if isinstance(what, str):
            what = Problem("", 0, 0, key, what)
        problems = (what,) if isinstance(what, Problem) else what
        self.problems: tuple[Problem, ...] = tuple(dict.fromkeys(problems))  # several checks may meet the same one
        super().__init__(self.problems)

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)

    def located(self, locate: Locate) -> InputError:
        """The same problems, each that has no place yet put where `locate` finds its key."""
        return InputError(problem.located(locate) for problem in self.problems)


@contextmanager
def collected(problems: list[Problem]) -> Iterator[None]:
    """Go on after an InputError, and keep its problems."""
    try:
        yield
    except InputError as error:
        problems += error.problems


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?` for the nearest of `known`, or nothing if none is near."""
    near = nearest(name, known)
    return f"; did you mean {near!r}?" if near is not None else ""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The nearest of `known` to a name that is none of them, None if none is near."""
    from difflib import get_close_matches  # not for those who make no mistake

    options = list(known)
    lowered = {option.lower(): option for option in options}
    near = get_close_matches(name.lower(), lowered, n=1, cutoff=0.6)
    return lowered[near[0]] if near else None
