"""Trace files, a record at a time: memory does not grow with the file."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from pimsim.errors import InputError, Problem, did_you_mean
from pimsim.workload.trace.decode import record_of
from pimsim.workload.trace.fields import Sink
from pimsim.workload.trace.jsonline import Columns, DocumentPath, LineError, open_binary, parse_line
from pimsim.workload.trace.records import FORMAT, MAJOR, MINOR, Header, OpRecord, Record, Schedule, Template, Trace
from pimsim.workload.trace.rules import Memory, Rules
from pimsim.workload.trace.schema import RECORDS

LONGEST_LINE = 1 << 20  # bytes; an operator has a few hundred
MOST_PROBLEMS = 100  # that are listed of one file


class Findings:
    """What is wrong with a file, and what was not known: the first `MOST_PROBLEMS` of each."""

    def __init__(self, file: str) -> None:
        self.file = file
        self._problems: list[Problem] = []
        self._warnings: list[Problem] = []

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is wrong, in the order of lines."""
        return tuple(sorted(self._problems, key=_place))

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """What is odd, in the order of lines."""
        return tuple(sorted(self._warnings, key=_place))

    def problem(self, line: int, column: int, key: str, message: str) -> None:
        """Note what is wrong."""
        _note(self._problems, Problem(self.file, line, column, key, message))

    def warn(self, line: int, column: int, key: str, message: str) -> None:
        """Note what is odd, but no error."""
        _note(self._warnings, Problem(self.file, line, column, key, message))


def _place(problem: Problem) -> tuple[int, int]:
    return problem.line, problem.column


def _note(found: list[Problem], problem: Problem) -> None:
    if len(found) < MOST_PROBLEMS:
        found.append(problem)
    elif len(found) == MOST_PROBLEMS:
        message = f"more than {MOST_PROBLEMS} problems; from here on they are not listed"
        found.append(replace(problem, key="", message=message))


class Line:
    """One line of a file, where problems of its keys can be noted."""

    def __init__(self, number: int, text: str, findings: Findings) -> None:
        self.number = number
        self.text = text
        self.findings = findings
        self.wrong = False
        self.unknown = False
        self._columns: Columns | None = None

    @property
    def columns(self) -> Columns:
        """Where its keys and values are."""
        if self._columns is None:
            self._columns = Columns(self.text)
        return self._columns

    def problem(self, path: DocumentPath | str, message: str, offset: int = 0) -> None:
        """Note what is wrong with the value of a key (dots between keys), `offset` characters into it."""
        path = _path(path)
        self.wrong = True
        self.findings.problem(self.number, self.columns.value(path, offset), ".".join(path), message)

    def unknown_key(self, path: DocumentPath, known: Iterable[str]) -> None:
        """Note a key that this version does not know."""
        self.unknown = True
        hint = did_you_mean(path[-1][:40], known)
        self.findings.warn(self.number, self.columns.key(path), ".".join(path), f"unknown key, kept{hint}")


def _path(path: DocumentPath | str) -> DocumentPath:
    if isinstance(path, str):
        return tuple(path.split(".")) if path else ()
    return path


def read_records(path: str | Path, findings: Findings) -> Iterator[tuple[Record, Line]]:
    """Every good record of a file with its line; what is wrong goes to `findings`.

    Ends at once if the first line is not a header of a version that can be read.
    InputError if the file cannot be opened.
    """
    header: Header | None = None
    for line in _lines(Path(path), findings):
        record = _record(line, header)
        if header is None:
            if not isinstance(record, Header):
                return
            header = record
        elif isinstance(record, Header):
            line.problem("type", "a second header; the first line is the only one")
            continue
        if record is not None:
            yield record, line
    if header is None and not findings.problems:
        findings.problem(1, 1, "", f"is empty; the first line must be the header of a {FORMAT}")


def _lines(path: Path, findings: Findings) -> Iterator[Line]:
    """The lines that are text; blank ones are passed over."""
    number = 0
    try:
        with open_binary(path) as stream:
            while data := stream.readline(LONGEST_LINE + 1):
                number += 1
                if len(data) > LONGEST_LINE:
                    findings.problem(number, 1, "", f"a line of more than {LONGEST_LINE} bytes")
                    return
                if text := _text(data, number, findings):
                    yield Line(number, text, findings)
    except (EOFError, zlib.error) as error:
        what = "the file is cut off" if isinstance(error, EOFError) else str(error)
        findings.problem(number + 1, 1, "", f"truncated or damaged gzip: {what}")
    except OSError as error:  # BadGzipFile is one
        if number == 0 and error.strerror:
            raise InputError(Problem(str(path), 1, 1, "", f"cannot be read: {error.strerror}")) from None
        findings.problem(number + 1, 1, "", f"damaged gzip: {error}")


def _text(data: bytes, number: int, findings: Findings) -> str:
    """The line as text, "" if it is blank or has a problem, which is noted."""
    try:
        return data.decode("utf-8").strip("\r\n") if data.strip() else ""
    except UnicodeDecodeError as error:
        column = len(data[: error.start].decode("utf-8")) + 1
        findings.problem(number, column, "", f"not UTF-8: byte 0x{data[error.start]:02x}")
        return ""


def _record(line: Line, header: Header | None) -> Record | None:
    """The record of a line, None if something is wrong with it."""
    try:
        value = parse_line(line.text)
    except LineError as error:
        line.wrong = True
        for problem in error.problems:
            line.findings.problem(line.number, problem.column, ".".join(problem.path), problem.message)
        return None
    if not _known_type(value, line, header):
        return None
    RECORDS[value["type"]].check(value, (), Sink(line.problem, line.unknown_key))
    if line.wrong:
        return None
    return record_of(value, line.number, header.weights if header else "", line.unknown)


def _known_type(value: Any, line: Line, header: Header | None) -> bool:
    """True if the line is an object of a known type, and the header of a known version."""
    type_ = value.get("type") if isinstance(value, dict) else None
    if header is None and (type_ != "header" or value.get("format") != FORMAT):
        line.problem("", f'the first line must be the header of a {FORMAT}: {{"type":"header","format":"{FORMAT}",...')
        return False
    if not isinstance(type_, str) or type_ not in RECORDS:
        hint = did_you_mean(type_[:40], RECORDS) if isinstance(type_, str) else ""
        line.problem("type", f"must be one of {', '.join(RECORDS)}{hint}")
        return False
    return type_ != "header" or _known_version(value.get("version"), line)


def _known_version(version: Any, line: Line) -> bool:
    major, dot, minor = version.partition(".") if isinstance(version, str) else ("", "", "")
    if not (dot and _is_number(major) and _is_number(minor)):
        line.problem("version", f"must be text such as {MAJOR}.{MINOR}")
        return False
    if int(major) != MAJOR:
        line.problem("version", f"{version} is not supported: this program reads {FORMAT} {MAJOR}.x")
        return False
    if int(minor) > MINOR:
        message = f"{version} is newer than {MAJOR}.{MINOR}: keys that are not known are kept and have no effect"
        line.findings.warn(line.number, line.columns.value(("version",)), "version", message)
    return True


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 6


def checked_records(path: str | Path, findings: Findings, memory: Memory | None = None) -> Iterator[Record]:
    """As `read_records`, and what records say of each other is checked as well; `findings` is complete at the end.

    memory: into which the weights must fit.
    """
    rules: Rules | None = None
    for record, line in read_records(path, findings):
        if isinstance(record, Header):
            rules = Rules(record, line, memory)
        elif rules is not None:
            rules.check(record, line)
        yield record
    if rules is not None:
        rules.finish()


def load_trace(path: str | Path) -> Trace:
    """A whole trace, checked; InputError with every problem of the file."""
    findings = Findings(str(path))
    header: Header | None = None
    templates: list[Template] = []
    ops: dict[str, list[OpRecord]] = {}
    schedule: list[Schedule] = []
    for record in checked_records(path, findings):
        match record:
            case Header():
                header = record
            case Template():
                templates.append(record)
                ops[record.id] = []
            case OpRecord():
                ops.setdefault(record.template, []).append(record)
            case Schedule():
                schedule.append(record)
    if findings.problems or header is None:
        raise InputError(findings.problems)
    whole = tuple(replace(template, ops=tuple(ops[template.id])) for template in templates)
    return Trace(header, whole, tuple(schedule), str(path), findings.warnings)
