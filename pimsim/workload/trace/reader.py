"""Trace files, a record at a time: memory does not grow with the file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pimsim.errors import InputError, Problem, did_you_mean
from pimsim.kinds import TRACE, expecting
from pimsim.workload.trace.decode import record_of
from pimsim.workload.trace.fields import Sink
from pimsim.workload.trace.files import FileDamage, lines_of_file
from pimsim.workload.trace.jsonline import Columns, DocumentPath, LineError, parse_line
from pimsim.workload.trace.records import (
    FORMAT,
    MAJOR,
    MINOR,
    VERSION,
    Header,
    OpRecord,
    Record,
    Schedule,
    Template,
    Trace,
    with_appended,
)
from pimsim.workload.trace.rules import MemorySize, Rules
from pimsim.workload.trace.schema import RECORDS

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

    def __init__(self, number: int, text: str, findings: Findings, wrong: bool = False) -> None:
        self.number = number
        self.text = text
        self.findings = findings
        self.wrong = wrong
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


@dataclass(frozen=True)
class Broken:
    """A line that is wrong: its type and names, "" if not even they can be read."""

    type: str = ""
    id: str = ""
    template: str = ""


def read_records(path: str | Path, findings: Findings) -> Iterator[tuple[Record | Broken, Line]]:
    """Every record of a file with its line; what is wrong goes to `findings`.

    Ends at once if the first line is not a header of a version that can be read.
    InputError if the file cannot be opened.
    """
    header: Header | Broken | None = None
    ops: dict[str, OpRecord] = {}  # of the open template, if any of them takes other vectors than the step's tokens
    for line in _lines(Path(path), findings):
        value = None if line.wrong else _value(line)
        if header is None:
            if not _is_header(value, line):
                return
        elif value is not None and value["type"] == "header":
            line.problem("type", "a second header; the first line is the only one")
            continue
        record = _record(value, line, header)
        if header is None:
            header = record if isinstance(record, Header) else Broken()
        elif isinstance(record, OpRecord):
            record = _in_template(record, ops)
        elif isinstance(record, Template):
            ops.clear()
        yield record, line
    if header is None and not findings.problems:
        findings.problem(1, 1, "", f"is empty; the first line must be the header of a {FORMAT}")


def _lines(path: Path, findings: Findings) -> Iterator[Line]:
    """The lines of a file but blank ones; one that is no text is `wrong` from the start."""
    try:
        for number, data in enumerate(lines_of_file(path), 1):
            if data.strip():
                yield _line(number, data, findings)
    except FileDamage as error:
        findings.problem(error.line, error.column, "", str(error))
        yield Line(error.line, "", findings, wrong=True)
    except OSError as error:
        raise InputError(Problem(str(path), 1, 1, "", f"cannot be read: {error.strerror}")) from None


def _line(number: int, data: bytes, findings: Findings) -> Line:
    try:
        return Line(number, data.decode("utf-8").strip("\r\n"), findings)
    except UnicodeDecodeError as error:
        column = len(data[: error.start].decode("utf-8")) + 1
        findings.problem(number, column, "", f"not UTF-8: byte 0x{data[error.start]:02x}")
        return Line(number, "", findings, wrong=True)


def _value(line: Line) -> dict[str, Any] | None:
    """The object of a line, None if it is none of a known type."""
    try:
        value = parse_line(line.text)
    except LineError as error:
        line.wrong = True
        for problem in error.problems:
            line.findings.problem(line.number, problem.column, ".".join(problem.path), problem.message)
        return None
    type_ = value.get("type") if isinstance(value, dict) else None
    if isinstance(type_, str) and type_ in RECORDS:
        return dict(value)
    hint = did_you_mean(type_[:40], RECORDS) if isinstance(type_, str) else ""
    line.problem("type", f"must be one of {', '.join(RECORDS)}{hint}")
    return None


def _is_header(value: dict[str, Any] | None, line: Line) -> bool:
    """True if the line is a header of a version that can be read."""
    if value is not None and value["type"] == "header" and value.get("format") == FORMAT:
        return _known_version(value.get("version"), line)
    if not line.wrong:
        line.problem("", f'the first line must be the header of a {FORMAT}: {{"type":"header","format":"{FORMAT}",...')
    return False


def _in_template(op: OpRecord, ops: dict[str, OpRecord]) -> OpRecord:
    """An operator as it is behind those of its template, which it joins if it takes other vectors than its tokens."""
    if op.tokens is not None:
        ops[op.id] = op
    return with_appended(op, ops)


def _record(value: dict[str, Any] | None, line: Line, header: Header | Broken | None) -> Record | Broken:
    """The record of a line that follows a header."""
    if value is None:
        return Broken()
    RECORDS[value["type"]].check(value, (), Sink(line.problem, line.unknown_key))
    if line.wrong:
        return Broken(value["type"], str(value.get("id", "")), str(value.get("template", "")))
    known = header if isinstance(header, Header) else None
    return record_of(
        value, line.number, known.weights if known else "bf16", line.unknown, known.model if known else None
    )


def _known_version(version: Any, line: Line) -> bool:
    major, dot, minor = version.partition(".") if isinstance(version, str) else ("", "", "")
    if not (dot and _is_number(major) and _is_number(minor)):
        line.problem("version", f"must be text such as {VERSION}")
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


def checked_records(path: str | Path, findings: Findings, memory: MemorySize | None = None) -> Iterator[Record]:
    """As `read_records`, and what records say of each other is checked as well; `findings` is complete at the end.

    memory: into which the weights must fit.
    """
    rules: Rules | None = None
    for record, line in read_records(path, findings):
        if isinstance(record, Broken):
            if rules is not None:
                rules.broken(record.type, record.id, record.template)
            continue
        if isinstance(record, Header):
            rules = Rules(record, line, memory)
        elif rules is not None:
            rules.check(record, line)
        yield record
    if rules is not None:
        rules.finish()


def load_trace(path: str | Path) -> Trace:
    """A whole trace, checked; InputError with every problem of the file."""
    with expecting(TRACE, path):
        return _load_trace(path)


def _load_trace(path: str | Path) -> Trace:
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
