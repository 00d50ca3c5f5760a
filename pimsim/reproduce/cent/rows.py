"""What is asked: rows of a CSV file, each a split and a context; or those of the published table."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pimsim.errors import InputError, Problem, did_you_mean
from pimsim.files import read_text
from pimsim.reproduce.cent.models import CHANNELS, Split, problems_of, unknown
from pimsim.reproduce.cent.regions import LAID_OUT, ROWS, rows_reached

MODEL, CONTEXT = "model", "context_tokens"
SIZES = ("devices", "pipeline_stages", "tensor_parallel", "channels_per_block")
COLUMNS = (MODEL, *SIZES, CONTEXT)
MOST_TOKENS = 65536  # of a context: its program has millions of lines
_MOST_BYTES = 1 << 24
_MOST_PROBLEMS = 100
_NUMBER = re.compile("0*[1-9][0-9]{0,8}", re.ASCII)
_CELL = re.compile(r'\s*(?:"((?:[^"]|"")*)"\s*|([^,]*))(?:,|$)')


@dataclass(frozen=True)
class Asked:
    """A row: a split and the tokens of a context, the new one included.

    where: file, line and column of each cell by its column's name, if it was read from a file.
    """

    split: Split
    context: int
    where: Mapping[str, tuple[str, int, int]] = field(default_factory=dict, compare=False, repr=False)

    def problem(self, name: str, message: str) -> Problem:
        """A problem of a cell, where it stands."""
        return Problem(*self.where.get(name, ("", 0, 0)), name, message)

    def record(self) -> dict[str, str | int]:
        """The columns of the row."""
        split = self.split
        sizes = (split.devices, split.stages, split.tensor, split.channels)
        return {MODEL: split.model, **dict(zip(SIZES, sizes, strict=True)), CONTEXT: self.context}


def read_rows(path: str) -> list[Asked]:
    """The rows of a file, in its order; InputError has all that is wrong with them.

    The first line names the columns; COLUMNS are there, others are ignored.  Blank lines are skipped.
    """
    reader = _Reader(path)
    rows = list(reader.rows(read_text(path, _MOST_BYTES, "cannot read the rows")))
    if reader.problems:
        raise InputError(_shown(reader.problems))
    return rows


def warnings_of(rows: Iterable[Asked]) -> list[Problem]:
    """What a careful reader should know of what he asks; each where it is met first."""
    rows = list(rows)
    return [*_beyond([row for row in rows if row.context > LAID_OUT]), *_idle([row for row in rows if row.split.idles])]


def _beyond(rows: Sequence[Asked]) -> Iterator[Problem]:
    """Of rows whose context is longer than what it is laid out for."""
    if rows:
        longest = max(row.context for row in rows)
        what = f"K, V and scores have room for {LAID_OUT:,} tokens; with more, here up to {longest:,}, they overlap"
        yield rows[0].problem(CONTEXT, f"{what} others, as in the published table: cycles count, values are lost")


def _idle(rows: Sequence[Asked]) -> Iterator[Problem]:
    """Of rows in which a device runs more blocks than it holds."""
    for row in rows[:1]:
        runs, has = row.split.place.blocks, row.split.blocks_per_device
        what = f"a program with {row.split.channels} channels for a block runs {runs} blocks in lock step, as CENT's do"
        yield row.problem(SIZES[-1], f"{what}, where a device has {has}: time and energy are those of {runs}")


@dataclass(frozen=True)
class _Cell:
    """A cell of a line, and where it begins."""

    text: str
    line: int
    column: int


class _Reader:
    """Reads rows, and notes what is wrong with them."""

    def __init__(self, path: str) -> None:
        self.problems: list[Problem] = []
        self._path = path

    def rows(self, text: str) -> Iterator[Asked]:
        lines = [_cells(line, number) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
        if not lines:
            what = f"the file is empty; its first line names the columns: {', '.join(COLUMNS)}"
            self._wrong(_Cell("", 1, 1), "", what)
            return
        head, *body = lines
        where = self._header(head)
        if not body:
            self._wrong(_Cell("", head[0].line + 1, 1), "", "no row follows the line that names the columns")
        if len(where) == len(COLUMNS):
            yield from filter(None, (self._row(cells, where, len(head)) for cells in body))

    def _header(self, head: list[_Cell]) -> dict[str, int]:
        """The places of the columns."""
        names = [cell.text for cell in head]
        for number, cell in enumerate(head):
            if cell.text in COLUMNS and cell.text in names[:number]:
                self._wrong(cell, cell.text, "this column is there twice")
        for name in COLUMNS:
            if name not in names:
                hint = did_you_mean(name, [other for other in names if other not in COLUMNS])
                self._wrong(head[0], name, f"this column is missing{hint}")
        return {name: names.index(name) for name in COLUMNS if name in names}

    def _row(self, cells: list[_Cell], columns: Mapping[str, int], width: int) -> Asked | None:
        if len(cells) != width:
            self._wrong(cells[0], "", f"has {len(cells)} cells, where the first line has {width}")
            return None
        found = {name: cells[place] for name, place in columns.items()}
        before = len(self.problems)
        if why := unknown(found[MODEL].text):
            self._wrong(found[MODEL], MODEL, why)
        numbers = {name: self._number(name, found[name]) for name in (*SIZES, CONTEXT)}
        split = Split(found[MODEL].text, *(numbers[name] for name in SIZES))
        if len(self.problems) == before:
            for name, message in problems_of(split):
                self._wrong(found[name], name, message)
        if len(self.problems) == before:
            self._check_context(split, numbers[CONTEXT], found[CONTEXT])
        where = {name: (self._path, cell.line, cell.column) for name, cell in found.items()}
        return Asked(split, numbers[CONTEXT], where) if len(self.problems) == before else None

    def _number(self, name: str, cell: _Cell) -> int:
        if _NUMBER.fullmatch(cell.text):
            return int(cell.text)
        self._wrong(cell, name, f"must be a whole number from 1 on, not {cell.text[:60]!r}")
        return 0

    def _check_context(self, split: Split, context: int, cell: _Cell) -> None:
        if context > MOST_TOKENS:
            self._wrong(cell, CONTEXT, f"must be 1 to {MOST_TOKENS}, not {context}")
            return
        reached = rows_reached(split.shape, split.place, context)
        if reached > ROWS:
            what = f"a context of {context} tokens on {split.channels} of {CHANNELS} channels"
            self._wrong(cell, CONTEXT, f"{what} reaches row {reached - 1}, but a bank has {ROWS}")

    def _wrong(self, cell: _Cell, key: str, message: str) -> None:
        self.problems.append(Problem(self._path, cell.line, cell.column, key, message))


def _cells(line: str, number: int) -> list[_Cell]:
    """The cells of a line, without the blanks and the quotes around them."""
    cells, at = [], 0
    while at <= len(line):
        match = _CELL.match(line, at)
        assert match is not None  # it takes anything
        quoted, plain = match.groups()
        text = plain.strip() if quoted is None else quoted.replace('""', '"')
        first = match.start(1) - 1 if quoted is not None else match.start(2)
        cells.append(_Cell(text, number, first + 1))
        at = match.end() + (match.end() == len(line) and not match.group().endswith(","))
    return cells


def _shown(problems: list[Problem]) -> list[Problem]:
    """The first of them, and how many more there are."""
    if len(problems) <= _MOST_PROBLEMS:
        return problems
    first = problems[_MOST_PROBLEMS]
    more = len(problems) - _MOST_PROBLEMS
    what = f"{more} more problem{'s' * (more > 1)}, the first of them here"
    return [*problems[:_MOST_PROBLEMS], Problem(first.file, first.line, first.column, "", what)]
