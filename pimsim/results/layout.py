"""Lines of a screen: columns, a table, blocks side by side.

rich can do that and much more, but loading it and laying out with it takes a sixth of a short run.

A line is its spans, texts with their styles; a style is a word that rich knows (bold, dim, blue), "" for none.
Widths are in columns of a screen, of which some characters take two.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

from pimsim.text import one_line

Span = tuple[str, str]
Line = list[Span]


class Screen(Protocol):
    """What lines are printed on: a `Plain` one, or rich's console."""

    @property
    def width(self) -> int: ...
    @property
    def encoding(self) -> str: ...


class Plain:
    """A screen without styles.

    write  gets each line
    """

    def __init__(self, write: Callable[[str], object], width: int, encoding: str) -> None:
        self.write, self.width, self.encoding = write, width, encoding


def ascii_only(encoding: str | None) -> bool:
    """Whether a screen has ASCII alone: it need not have more, unless its encoding is a Unicode one."""
    return not (encoding or "ascii").lower().startswith("utf")


def print_lines(screen: Any, lines: Iterable[Line]) -> None:
    """Print lines on a `Screen`."""
    if isinstance(screen, Plain):
        for line in lines:
            screen.write("".join(text for text, _ in line))
        return
    from rich.text import Text

    for line in lines:
        screen.print(Text.assemble(*line), soft_wrap=True, highlight=False)


def width_of(text: str) -> int:
    """Columns that a text takes."""
    if text.isascii():
        return len(text)
    return sum(map(_columns, text))


def _columns(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def line_width(line: Line) -> int:
    """Columns that a line takes."""
    return sum(width_of(text) for text, _ in line)


def padded(text: str, width: int, justify: str) -> str:
    """A text with blanks to the right of it (justify "left") or to the left."""
    blanks = " " * (width - width_of(text))
    return blanks + text if justify == "right" else text + blanks


def cropped(line: Line, width: int) -> Line:
    """As much of a line as fits."""
    found: Line = []
    for text, style in line:
        fitting = text if width_of(text) <= width else _pieces(text, width)[0]
        width -= width_of(fitting)
        found.append((fitting, style))
    return found


def _pieces(text: str, width: int) -> list[str]:
    """A text cut into pieces that fit, at least one."""
    pieces, room = [""], max(width, 0)
    for character in text:
        if width_of(character) > room and (pieces[-1] or width < 2):
            if width < 1:
                break
            pieces.append("")
            room = width
        pieces[-1] += character
        room -= width_of(character)
    return pieces


def broken(text: str, width: int) -> list[str]:
    """A text in lines that fit, broken between words, and within those that are longer than a line."""
    lines = [""]
    for word in text.split(" "):
        joined = f"{lines[-1]} {word}" if lines[-1] else word
        if width_of(joined) <= width:
            lines[-1] = joined
        else:
            lines += _pieces(word, width)
    return [line for line in lines if line] or [""]


def wrapped(text: str, width: int, style: str = "") -> Iterator[Line]:
    """The lines of a paragraph."""
    yield from ([(line, style)] for line in broken(one_line(text), width))


def columns(rows: Sequence[Sequence[Span]], justify: Sequence[str], gap: int) -> Iterator[Line]:
    """Rows of cells, each column as wide as its widest cell, `gap` blanks between them."""
    widths = [max(width_of(text) for text, _ in column) for column in zip(*rows, strict=True)]
    for row in rows:
        line: Line = []
        for at, ((text, style), width, side) in enumerate(zip(row, widths, justify, strict=True)):
            line += [(" " * gap, "")] if at else []
            line.append((padded(text, width, side), style))
        yield line


def beside(left: Sequence[Line], right: Sequence[Line], gap: int, width: int) -> list[Line]:
    """Two blocks beside each other, or one beneath the other where there is no room."""
    wide, other = (max(map(line_width, block)) for block in (left, right))
    if wide + gap + other > width:
        return [*left, *right]
    height = max(len(left), len(right))
    return [[*_filled(left, at, wide), (" " * gap, ""), *_filled(right, at, other)] for at in range(height)]


def _filled(block: Sequence[Line], at: int, width: int) -> Line:
    line = block[at] if at < len(block) else []
    return [*line, (" " * (width - line_width(line)), "")]


def _narrowed(widths: list[int], width: int) -> list[int]:
    """Widths whose sum is `width` at most: the widest ones give first, all of them as much, down to the next."""
    while (excess := sum(widths) - width) > 0:
        widest = max(widths)
        least = max((each for each in widths if each < widest), default=0)
        ties = [at for at, each in enumerate(widths) if each == widest]
        for left, at in zip(range(len(ties), 0, -1), ties, strict=True):
            given = min(widest - least, round(excess / left))
            widths[at] -= given
            excess -= given
    return widths


def table(
    headings: Sequence[str], rows: Iterable[Sequence[str]], gap: int, width: int, widest_first: int
) -> Iterator[Line]:
    """Headings and rows of texts: the first column to the left, at most `widest_first` wide, the others to the right.

    Where all do not fit, the widest columns become narrower, and headings and texts take several lines.
    """
    cells = [list(headings), *([one_line(text) for text in row] for row in rows)]
    widths = [max(map(width_of, column)) for column in zip(*cells, strict=True)]
    widths[0] = min(widths[0], widest_first)
    *others, last = widths
    *others, last = _narrowed([*(width + gap for width in others), last], width)  # each with the gap behind it
    widths = [*(width - gap for width in others), last]
    for at, row in enumerate(cells):
        lines = [broken(text, room) for text, room in zip(row, widths, strict=True)]
        height = max(map(len, lines))
        for number in range(height):
            line: Line = []
            for column, (texts, room) in enumerate(zip(lines, widths, strict=True)):
                own = number - (height - len(texts) if at == 0 else 0)  # headings stand on the rows
                text = texts[own] if 0 <= own < len(texts) else ""
                line += [(" " * gap, "")] if column else []
                line.append((padded(text, room, "right" if column else "left"), "bold" if at == 0 else ""))
            yield line
