"""Lines of a screen, beside what rich makes of the same: columns, tables, paragraphs."""

from __future__ import annotations

import io
import random

import pytest
from rich.columns import Columns
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from pimsim.results.layout import Line, beside, columns, cropped, table, width_of, wrapped

WORDS = ("roofline", "speedup", "eager", "of", "a", "machine-of-thirty-characters-xy", "größe", "中文机器", "9.14x")


def texts(rng: random.Random, count: int, most: int = 3) -> list[str]:
    return [" ".join(rng.choices(WORDS, k=rng.randint(1, most))) for _ in range(count)]


def by_rich(shown: RenderableType, width: int) -> list[str]:
    """The lines of rich, without what is blank at their ends."""
    file = io.StringIO()
    Console(file=file, width=width, highlight=False, markup=False).print(shown)
    return [line.rstrip() for line in file.getvalue().splitlines()]


def plain(lines: list[Line]) -> list[str]:
    return ["".join(text for text, _ in line).rstrip() for line in lines]


@pytest.mark.parametrize("seed", range(40))
def test_a_table_is_the_one_that_rich_makes(seed: int) -> None:
    rng = random.Random(seed)
    headings, width = texts(rng, rng.randint(2, 5), most=2), rng.randint(60, 120)
    rows = [[*texts(rng, 1), *rng.choices(["9.14x", "1,118x", "does not fit"], k=len(headings) - 1)] for _ in range(4)]
    made = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    made.add_column(headings[0], max_width=24, overflow="fold")
    for heading in headings[1:]:
        made.add_column(heading, justify="right", overflow="fold")
    for row in rows:
        made.add_row(*map(Text, row))
    assert plain(list(table(headings, rows, gap=2, width=width, widest_first=24))) == by_rich(made, width)


@pytest.mark.parametrize("seed", range(20))
def test_paragraphs_break_where_rich_breaks_them(seed: int) -> None:
    rng = random.Random(seed)
    text, width = texts(rng, 1, most=30)[0], rng.randint(30, 80)
    assert plain(list(wrapped(text, width))) == by_rich(Text(text), width)


@pytest.mark.parametrize("seed", range(20))
def test_columns_side_by_side_or_beneath_each_other_are_those_of_rich(seed: int) -> None:
    rng = random.Random(seed)
    blocks, grids, width = [], [], rng.randint(40, 120)
    for _ in range(2):
        rows = [[*texts(rng, 1, most=1), *texts(rng, 1, most=1)] for _ in range(rng.randint(1, 5))]
        blocks.append(list(columns([[(text, "") for text in row] for row in rows], ["left", "right"], gap=1)))
        grid = Table.grid(padding=(0, 1))
        grid.add_column(no_wrap=True)
        grid.add_column(no_wrap=True, justify="right")
        for row in rows:
            grid.add_row(*map(Text, row))
        grids.append(grid)
    if max(width_of(line) for block in blocks for line in plain(block)) <= width:
        assert plain(beside(*blocks, gap=3, width=width)) == by_rich(Columns(grids, padding=(0, 3)), width)


@pytest.mark.parametrize("width", range(1, 40))
def test_nothing_is_wider_than_the_screen(width: int) -> None:
    rng = random.Random(width)
    lines = list(table(texts(rng, 3), [texts(rng, 3) for _ in range(3)], gap=2, width=width, widest_first=24))
    lines += wrapped(" ".join(texts(rng, 4)), width)
    assert max(width_of(line) for line in plain([cropped(line, width) for line in lines])) <= width


def test_an_escape_in_a_name_moves_nothing() -> None:
    assert plain(list(wrapped("a\x1b[2Jb", 80))) == [r"a\x1b[2Jb"]
    assert plain(list(table(["name", "x"], [["a\x1bb", "1"]], gap=2, width=80, widest_first=24)))[1] == r"a\x1bb  1"
