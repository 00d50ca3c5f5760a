"""Which files a figure is written as, and how large it is printed.  Nothing here needs matplotlib."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pimsim.errors import InputError, Problem, did_you_mean

FORMATS = ("png", "pdf", "svg")
DATA = "csv"  # what is drawn, in numbers, beside the pictures of an order


@dataclass(frozen=True)
class Look:
    """Sizes of a figure, at which it is printed: inches, and points of type.

    name_chars  of a name that leave room for what it names
    line        width of lines over the usual one
    """

    width_in: float
    height_in: float
    dpi: int
    label: float
    title: float
    tick: float
    small: float
    name_chars: int
    line: float = 1.0

    @property
    def wide(self) -> bool:
        """Whether a key has room beside the plot."""
        return self.width_in > 5


SCREEN = "screen"
# Widths of columns: IEEE Author Center, "Resolution and size": 3.5 inches (21 picas), and 7.16 inches (43 picas).
# No type is smaller than 7 points, the least that readers of a printed page are asked to read.
LOOKS = {
    SCREEN: Look(6.4, 3.6, 150, label=9, title=10, tick=8.5, small=8, name_chars=28),
    "single-column": Look(3.5, 2.3, 300, label=7.5, title=8, tick=7, small=7, name_chars=20, line=0.8),
    "double-column": Look(7.16, 3.2, 300, label=8, title=9, tick=7.5, small=7.5, name_chars=28),
}


@dataclass(frozen=True)
class Order:
    """The files of each figure: its formats in one look; data: a CSV of what is drawn as well."""

    formats: tuple[str, ...] = FORMATS[:1]
    look: str = SCREEN
    data: bool = False

    @property
    def suffixes(self) -> tuple[str, ...]:
        """Of the files of a figure."""
        return (*self.formats, DATA) if self.data else self.formats

    def files(self, stems: Iterable[str]) -> tuple[str, ...]:
        """The names of the files of several figures."""
        return tuple(f"{stem}.{suffix}" for stem in stems for suffix in self.suffixes)


def owned(stems: Iterable[str]) -> tuple[str, ...]:
    """Every file that figures of these names may have been written as."""
    return Order(FORMATS, data=True).files(stems)


def order(formats: str | Iterable[str] | None = None, style: str | None = None) -> Order:
    """What is asked for: formats ("pdf,svg", or several of FORMATS) and one of LOOKS; with neither PNG for the screen.

    InputError with all that is unknown, for --figures and --style.
    """
    if formats is None and style is None:
        return Order()
    named = formats.split(",") if isinstance(formats, str) else FORMATS[:1] if formats is None else formats
    asked = tuple(dict.fromkeys(name.strip().lower() for name in named))
    problems = [_unknown("--figures", "format", name, FORMATS) for name in asked if name not in FORMATS]
    if not asked:
        problems = [Problem("", 0, 0, "--figures", f"names no format; there are {', '.join(FORMATS)}")]
    if style is not None and style not in LOOKS:
        problems.append(_unknown("--style", "style", style, LOOKS))
    if problems:
        raise InputError(problems)
    return Order(asked, style or SCREEN, data=True)


def _unknown(option: str, what: str, name: str, known: Iterable[str]) -> Problem:
    hint = did_you_mean(name, known) or f"; there are {', '.join(known)}"
    return Problem("", 0, 0, option, f"unknown {what} {name!r}{hint}")
