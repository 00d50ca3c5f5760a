"""Traces of memory accesses as other simulators read them, made into requests in chunks.

A block of lines is taken apart by one regular expression as a whole; if a line does not fit,
line by line, which also says what is wrong (`formats`).
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pimsim.dram.streams import Stream
from pimsim.dram.timing import Device
from pimsim.errors import InputError, Problem
from pimsim.files import is_gzip, open_input, pieces_of, reason
from pimsim.traffic.formats import FORMATS, Format, Words
from pimsim.traffic.mapping import Mapping
from pimsim.traffic.patterns import Chunk, arrivals

Ints = NDArray[np.int64]

MAX_PROBLEMS = 100
BLOCK_BYTES = 1 << 18
LONGEST_LINE = 1000  # bytes
CANNOT_READ = "cannot read the trace"
_IGNORED = re.compile(rb"[ \t]*(?:#.*)?\r?")


class Accesses(NamedTuple):
    """Accesses in order, an array (n,) each; places (n, 4): channel, bank of the channel, row, column."""

    write: NDArray[np.bool_]
    places: Ints
    cycle: Ints
    line: Ints


@dataclass(frozen=True)
class Trace:
    """The accesses of a trace as requests, a source that can be asked again.

    format: one of FORMATS, None: as the first line says; access_bytes: what an access moves if
    its line does not say (None: the column that its address is in); rate_GBps: of arrivals, in
    a format without cycles (None: all are there at clock 0).  A cycle is a clock of the memory.
    InputError with a problem for each wrong line, 100 at most.
    """

    path: Path
    device: Device
    mapping: Mapping
    format: str | None = None
    access_bytes: int | None = None
    rate_GBps: float | None = None

    def streams(self) -> tuple[int, dict[int, Stream]]:
        """None: nobody knows what comes next."""
        return 0, {}

    def chunks(self, first: int = 0) -> Iterator[Chunk]:
        """All requests."""
        problems: list[Problem] = []
        try:
            yield from self._chunks(problems)
        except InputError as error:  # what is wrong with the file itself
            problems += error.problems
        if problems:
            raise InputError(sorted(problems)[:MAX_PROBLEMS])

    def _chunks(self, problems: list[Problem]) -> Iterator[Chunk]:
        """The requests up to the first problem; all problems."""
        number, standard, reader = 0, self.device.standard, _Reader(self)
        for line, block in self._blocks():
            read = reader.accesses(line, block, problems)
            if len(problems) >= MAX_PROBLEMS:
                return
            if problems or not len(read.line):
                continue
            at = read.cycle
            if not reader.has_cycles:
                at = arrivals(np.arange(number, number + len(read.line)), self.device, self.rate_GBps)
            elif self.rate_GBps is not None:
                raise InputError("is for accesses without cycles, and the trace has some", key="--rate")
            command = np.where(read.write, standard.index(standard.roles.write), standard.index(standard.roles.read))
            channel, *rest = read.places.T
            yield Chunk(channel, np.stack([at, command, *rest], axis=1))
            number += len(read.line)
        if not number and not problems:
            problems.append(self.problem(1, 1, "has no accesses"))

    def problem(self, line: int, column: int, message: str) -> Problem:
        """What is wrong at a place."""
        return Problem(str(self.path), line, column, "", message)

    def _blocks(self) -> Iterator[tuple[int, bytes]]:
        """The file in blocks of whole lines, each ended by a line feed, and the number of the first line of each."""
        line = 1
        with open_input(self.path, CANNOT_READ) as file:
            try:
                for block in _whole_lines(pieces_of(file, is_gzip(file), BLOCK_BYTES)):
                    yield line, block
                    line += block.count(b"\n")
            except _LongLineError as error:
                line += error.before
                raise InputError(self.problem(line, 1, f"a line of more than {LONGEST_LINE} bytes")) from None
            except (EOFError, zlib.error) as error:
                what = f"the compressed data is damaged or cut off: {error}"
                raise InputError(self.problem(line, 1, what)) from None
            except OSError as error:
                raise InputError(self.problem(1, 1, f"{CANNOT_READ}: {reason(error)}")) from None


class _LongLineError(Exception):
    """A line that no trace has, `before` lines after those that were handed on."""

    def __init__(self, before: int) -> None:
        super().__init__(before)
        self.before = before


def _whole_lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    held = b""
    for piece in pieces:
        held += piece
        end = held.rfind(b"\n") + 1
        if len(held) - end > LONGEST_LINE:
            raise _LongLineError(held.count(b"\n"))
        if len(held) >= BLOCK_BYTES:
            yield held[:end]
            held = held[end:]
    if held:
        yield held if held.endswith(b"\n") else held + b"\n"


class _Reader:
    """Reads blocks of one trace, one after the other."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self._format = FORMATS[trace.format] if trace.format else None
        self._latest = 0  # cycle

    @property
    def has_cycles(self) -> bool:
        """Whether the trace says when accesses arrive."""
        return self._format is not None and self._format.index("cycle") >= 0

    def accesses(self, first: int, block: bytes, problems: list[Problem]) -> Accesses:
        """The accesses of a block whose first line has this number; what is wrong is added to the problems."""
        lines = block.split(b"\n")[:-1]
        if self._format is None:
            self._format = self._recognised(first, lines, problems)
        if self._format is None:
            return _NONE
        words: Sequence[Words] = self._format.line.findall(block)
        numbers = np.arange(first, first + len(lines))
        if len(words) != len(lines):
            words, numbers = self._line_by_line(self._format, first, lines, problems)
        if not words:
            return _NONE
        return self._meant(self._format, words, numbers, first, lines, problems)

    def _recognised(self, first: int, lines: Sequence[bytes], problems: list[Problem]) -> Format | None:
        """The format of the first line that is one; None if there is no line yet."""
        for number, line in enumerate(lines, first):
            if _IGNORED.fullmatch(line):
                continue
            for found in FORMATS.values():
                if found.line.fullmatch(line):
                    return found
            what = f"is a line of no known format ({', '.join(FORMATS)}); see --trace-format"
            raise InputError(self.trace.problem(number, 1, what))
        return None

    def _line_by_line(
        self, form: Format, first: int, lines: Sequence[bytes], problems: list[Problem]
    ) -> tuple[list[Words], Ints]:
        """The words of each line that has some, and the numbers of these lines."""
        found: list[Words] = []
        numbers: list[int] = []
        for number, line in enumerate(lines, first):
            match = form.line.fullmatch(line)
            if match:
                found.append(match.groups(b""))
                numbers.append(number)
            elif not _IGNORED.fullmatch(line):
                problems.append(self.trace.problem(number, *form.wrong(line)))
                if len(problems) >= MAX_PROBLEMS:
                    break
        return found, np.array(numbers, np.int64)

    def _meant(
        self, form: Format, words: Sequence[Words], numbers: Ints, first: int, lines: Sequence[bytes],
        problems: list[Problem],
    ) -> Accesses:  # fmt: skip
        """What lines mean, of which the words are these; and what they can not mean."""
        columns = dict(zip((word.name for word in form.words), zip(*words, strict=True), strict=True))

        def wrong(at: int, name: str, message: str) -> None:
            number = int(numbers[at])
            if len(problems) < MAX_PROBLEMS:
                problems.append(self.trace.problem(number, form.column(lines[number - first], name), message))

        write = np.array([word in form.writes for word in columns["operation"]])
        cycle = np.zeros(len(words), np.int64)
        if "cycle" in columns:
            cycle = np.array([int(word.rstrip(b":")) for word in columns["cycle"]], np.int64)
            before = np.maximum.accumulate(np.concatenate([[self._latest], cycle]))
            for at in np.flatnonzero(cycle < before[:-1]).tolist():
                wrong(at, "cycle", f"cycle {cycle[at]} comes after cycle {before[at]}")
            self._latest = int(before[-1])
        if "vector" in columns:
            vectors = [list(map(int, word.split(b","))) for word in columns["vector"]]
            for at, vector in enumerate(vectors):
                if message := self._misplaced(vector):
                    wrong(at, "vector", message)
            return _NONE if problems else Accesses(write, self._of_vectors(vectors), cycle, numbers)
        device = self.trace.device
        usual = self.trace.access_bytes or 1
        length = np.array([int(word[1:-1]) if word else usual for word in columns.get("bytes", [b""] * len(words))])
        address = np.array([form.number(word) for word in columns["address"]], np.int64)
        start = address // device.column_bytes
        many = (address + length - 1) // device.column_bytes - start + 1
        each = np.repeat(np.arange(len(words)), many)
        column = start[each] + np.arange(len(each)) - np.repeat(np.cumsum(many) - many, many)
        places = np.stack(self.trace.mapping.places(column * device.column_bytes), axis=1)
        return Accesses(write[each], places, cycle[each], numbers[each])

    def _misplaced(self, vector: Sequence[int]) -> str:
        """What is wrong with an address vector, "" if nothing is."""
        device = self.trace.device
        parts = device.data_buses
        names = ["channel", "bank group", "bank", "row", "column"]
        sizes = [device.channels, device.bank_groups, device.banks_per_group, device.rows, device.columns]
        if len(vector) == len(names) + 1:
            names.insert(1, "rank or pseudo-channel")
            sizes[1:2] = [parts, sizes[1] // parts]
        if len(vector) != len(names):
            return f"must be {', '.join(names)}, with rank or pseudo-channel after the channel or without"
        for name, size, number in zip(names, sizes, vector, strict=True):
            if number >= size:
                return f"has {name} {number}, of {size}"
        return ""

    def _of_vectors(self, vectors: Sequence[Sequence[int]]) -> Ints:
        """The places (n, 4) that address vectors name."""
        device = self.trace.device
        groups = device.bank_groups // device.data_buses  # of a rank or pseudo-channel
        rows = []
        for channel, *part, group, bank, row, column in vectors:
            group += part[0] * groups if part else 0
            rows.append((channel, group * device.banks_per_group + bank, row, column))
        return np.array(rows, np.int64)


_NONE = Accesses(np.empty(0, bool), np.empty((0, 4), np.int64), *np.empty((2, 0), np.int64))
