"""The files of a result, read back and checked: what is wrong with them is found before anything is made of them.

Integers stay integers and floats are read to the bit.  A file that somebody has edited may contradict another one:
that is told by sums that a run checks before it writes.
"""

from __future__ import annotations

import csv
import io
import math
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pimsim.config.nodes import parse
from pimsim.config.readback import Given, read_back
from pimsim.config.tree import locate
from pimsim.errors import InputError, Problem, collected, did_you_mean, nearest
from pimsim.files import CANNOT_READ, decoded, read_bytes
from pimsim.results.metrics import nanoseconds, ratio
from pimsim.results.store import LAST, OPERATORS, RESOLVED, TOKENS
from pimsim.results.summary import SCHEMA
from pimsim.results.tables import STEP, TEXTS
from pimsim.workload.trace.jsonline import Columns, LineError, parse_line

Rows = list[dict[str, Any]]
Figure = float | None

_LARGEST = 1 << 29  # bytes of a table: ten million steps
_CLOSE = 1e-9  # relative, of sums of floats
_TOO_MANY = 1 << 63  # of a count: no array has room for it
_FLOATS = ("_ns", "_pJ")  # how columns of floats end; the others are counts
_FORMULA = re.compile("'(?=[=+@-])")  # what `csv_cell` put before a name
_MOST = 20  # problems of one file


@dataclass(frozen=True)
class Folder:
    """What a run wrote.  inputs: values by dotted key; the tables as `Result.records` has them."""

    path: Path
    summary: dict[str, Any]
    inputs: dict[str, Given]
    operators: Rows
    tokens: Rows


def is_result(path: str | os.PathLike[str]) -> bool:
    """Whether this is a folder in which a run has written something."""
    return any(os.path.lexists(os.path.join(path, name)) for name in (LAST, RESOLVED, OPERATORS))


def read_folder(path: str | os.PathLike[str]) -> Folder:
    """The files of a result; InputError with everything that is wrong with them."""
    folder = Path(path)
    _check_there(folder)
    problems: list[Problem] = []
    found: dict[str, Any] = {}
    readers: dict[str, Callable[[Path], Any]] = {
        LAST: _summary, RESOLVED: _inputs, OPERATORS: _operators, TOKENS: _tokens,
    }  # fmt: skip
    for name, reader in readers.items():
        with collected(problems):
            found[name] = reader(folder / name)
    if problems:
        raise InputError(problems)
    whole = Folder(folder, *found.values())
    problems += list(_contradictions(whole)) or _unfollowing(whole)
    if problems:
        raise InputError(problems)
    return whole


def _check_there(folder: Path) -> None:
    """InputError where there is no result, or half of one, in a folder."""
    if not os.path.lexists(folder):
        near = near_result(folder)
        hint = f"; did you mean {near!r}?" if near else ""
        raise _refused(folder, f"{CANNOT_READ}: No such file or directory{hint}")
    if not folder.is_dir():
        raise _refused(folder, "is a file; the folder that `pimsim run --out` wrote is needed")
    there = [name for name in (LAST, RESOLVED, OPERATORS, TOKENS) if (folder / name).is_file()]
    if LAST in there:
        return
    if there:
        raise _refused(folder, f"half a result: {LAST}, which is written last, is missing")
    if (folder / "sweep.json").is_file():
        raise _refused(folder, "is the folder of a sweep, not of one run; compare reports of its points")
    inside = sorted(entry.parent.name for entry in folder.glob(f"*/{LAST}"))
    hint = f"; did you mean {os.path.join(folder, inside[0])!r}?" if len(inside) == 1 else ""
    raise _refused(folder, f"no result is in it: `pimsim run --out` writes {LAST} and more{hint}")


def near_result(path: str | os.PathLike[str]) -> str | None:
    """A folder with a result whose name is near to one that is not there."""
    folder = Path(path)
    try:
        known = sorted(entry.name for entry in folder.absolute().parent.iterdir() if is_result(entry))
    except OSError:
        return None
    near = nearest(folder.name, known)
    return None if near is None else os.fspath(folder.parent / near)


def _refused(path: Path, message: str) -> InputError:
    return InputError(Problem(os.fspath(path), 1, 1, "", message))


# -- summary.json -----------------------------------------------------------------------


def _summary(path: Path) -> dict[str, Any]:
    text = decoded(read_bytes(path, _LARGEST), path)
    try:
        summary = parse_line(text)
    except LineError as error:
        raise InputError(_at(path, text, p.column, ".".join(p.path), p.message) for p in error.problems) from None
    wrong = list(_wrong(summary))
    if wrong:
        columns = Columns(text)
        raise InputError(_at(path, text, columns.key(key), ".".join(key), message) for key, message in wrong[:_MOST])
    return dict(summary)


def _at(path: Path, text: str, column: int, key: str, message: str) -> Problem:
    """A problem `column` characters into a text, as people count lines."""
    before = text[: column - 1]
    line = before.count("\n") + 1
    return Problem(os.fspath(path), line, column - 1 - before.rfind("\n"), key, message)


Key = tuple[str, ...]


def _wrong(summary: Any) -> Iterator[tuple[Key, str]]:
    """What is wrong with a summary, by key."""
    if not isinstance(summary, dict):
        yield (), "must be a mapping, the summary of a run"
        return
    schema = summary.get("schema")
    if schema != SCHEMA:
        said = "is missing" if schema is None else f"is {schema!r}"
        yield ("schema",), f"{said}; this version reads {SCHEMA!r}"
        return
    yield from _checked(summary, _SUMMARY, ())
    if "devices" in summary:
        yield from _checked(summary["devices"], _DEVICES, ("devices",))
        yield from _wrong_shares(summary["devices"])
    for name, baseline in _mapping(summary.get("baselines")).items():
        yield from _checked(baseline, _BASELINE, ("baselines", name))


def _wrong_shares(devices: Any) -> Iterator[tuple[Key, str]]:
    """What is wrong with the rows of devices; a place in a list has no key, so that of the list stands for it."""
    for name, wanted in _OF_DEVICES.items():
        rows = _mapping(devices).get(name)
        if not isinstance(rows, list) or (name == "shares" and not rows):
            yield ("devices", name), f"must be a list of mappings, not {_said(rows)}"
            continue
        for row in rows:
            for key, message in _checked(row, wanted, ()):
                yield ("devices", name), " ".join(filter(None, (".".join(key), message)))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _checked(value: Any, wanted: Any, key: Key) -> Iterator[tuple[Key, str]]:
    """What a value is that it may not be: a mapping of kinds wants its keys, a kind says what is wrong."""
    if callable(wanted):
        if message := wanted(value):
            yield key, message
        return
    if not isinstance(value, dict):
        yield key, f"must be a mapping of keys, not {_said(value)}"
        return
    for name, kind in wanted.items():
        if name in value:
            yield from _checked(value[name], kind, (*key, name))
        else:
            yield (*key, name), f"required key is missing{did_you_mean(name, set(value) - set(wanted))}"


def _said(value: Any) -> str:
    text = repr(value)
    if value is None or isinstance(value, bool):
        text = {None: "null", True: "true", False: "false"}[value]
    return "a mapping" if isinstance(value, dict) else "a list" if isinstance(value, list) else text[:60]


def _text(value: Any) -> str:
    return "" if isinstance(value, str) else f"must be text, not {_said(value)}"


def _flag(value: Any) -> str:
    return "" if isinstance(value, bool) else f"must be true or false, not {_said(value)}"


def _number(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"must be a number, not {_said(value)}"
    return "" if value >= 0 else f"must be at least 0, not {value}"


def _maybe(value: Any) -> str:
    return "" if value is None else _number(value)


def _count(value: Any) -> str:
    return _number(value) if type(value) is int else f"must be a whole number, not {_said(value)}"


def _numbers_of(kind: Callable[[Any], str]) -> Callable[[Any], str]:
    """A mapping of names to numbers of a kind."""

    def check(value: Any) -> str:
        if not isinstance(value, dict) or not value:
            return f"must be a mapping of names to numbers, not {_said(value)}"
        return next((f"{name} {wrong}" for name, each in value.items() if (wrong := kind(each))), "")

    return check


def _commands(value: Any) -> str:
    return "" if value == {} else _numbers_of(_count)(value)


def _texts(value: Any) -> str:
    is_list = isinstance(value, list) and all(isinstance(each, str) for each in value)
    return "" if is_list else f"must be a list of texts, not {_said(value)}"


_DEVICES: dict[str, Any] = {
    **dict.fromkeys(("count", "tensor", "pipeline", "expert", "replicas", "in_flight", "idle", "moved_bytes"), _count),
    **dict.fromkeys(("steady_step_ns", "steady_tokens_per_s", "sequence_step_ns"), _maybe),
}
_OF_DEVICES: dict[str, dict[str, Any]] = {
    "shares": {
        **dict.fromkeys(("first_stage", "stages", "devices", "sequences", "blocks", "memory_bytes"), _count),
        "leads": _flag,
        "capacity_bytes": _maybe,
        **dict.fromkeys(("busy_fraction", "link_fraction", "bubble_fraction"), _number),
    },
    "exchanges": {"kind": _text, "elements": _count, "algorithm": _text, "ns": _number, "link_bytes": _count},
}
_RATIOS = {"latency_ns": _number, "energy_pJ": _number, "speedup": _maybe, "energy_ratio": _maybe}
_BASELINE: dict[str, Any] = {**_RATIOS, "roofline": _RATIOS}
_SUMMARY: dict[str, Any] = {
    "pimsim_version": _text,
    "config_sha256": _text,
    "trace_sha256": _text,
    "workload": {
        "model": _text,
        **dict.fromkeys(("context", "prompt_tokens", "output_tokens", "batch"), _count),
        "lm_head": _flag,
        **dict.fromkeys(("tokens_run", "tokens_kept", "parameters"), _count),
    },
    "system": {
        "cycles": _count,
        **dict.fromkeys(("latency_ns", "prefill_latency_ns"), _number),
        **dict.fromkeys(("ttft_ns", "latency_per_step_ns", "latency_per_token_ns", "tpot_ns", "tokens_per_s"), _maybe),
        **dict.fromkeys(("energy_pJ", "prefill_energy_pJ"), _number),
        **dict.fromkeys(("energy_per_token_pJ", "data_movement_reduction"), _maybe),
        **dict.fromkeys(("average_power_mW", "peak_power_mW"), _number),
        **dict.fromkeys(("latency_breakdown_ns", "energy_breakdown_pJ"), _numbers_of(_number)),
        "commands": _commands,
        "row_hit_rate": _number,
        **dict.fromkeys(("external_bytes", "payload_bytes"), _count),
        **dict.fromkeys(("non_vmm_fraction", "mac_utilization", "asic_busy_fraction"), _number),
    },
    "baselines": lambda value: "" if isinstance(value, dict) else f"must be a mapping of keys, not {_said(value)}",
    "warnings": _texts,
    "simulation": {"engine": _text, "folded": _flag},
}


# -- the other files ----------------------------------------------------------------------


def _inputs(path: Path) -> dict[str, Given]:
    text = decoded(read_bytes(path, 1 << 20), path)
    given = read_back(text, os.fspath(path))
    wrong = {key: said for key, check in _NEEDED.items() if (said := check(given[key].value if key in given else None))}
    if wrong:
        tree = parse(text, os.fspath(path))
        places = ((key, locate(tree, key)) for key in wrong)
        raise InputError(Problem(place.file, place.line, place.column, key, wrong[key]) for key, place in places)
    return given


def _clock(value: Any) -> str:
    return "" if type(value) is int and value > 0 else f"must be a whole number of ps, not {_said(value)}"


_NEEDED: Mapping[str, Callable[[Any], str]] = {"name": _text, "dram.tCK_ps": _clock}


def _operators(path: Path) -> Rows:
    return _table(path, ("phase", "operator", "count", "cycles", "latency_ns", "energy_pJ"))


def _tokens(path: Path) -> Rows:
    return _table(path, STEP, empty=True)


def _table(path: Path, needed: Sequence[str], empty: bool = False) -> Rows:
    """The records of a CSV file; of one without rows none."""
    text = decoded(read_bytes(path, _LARGEST), path)
    lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    problems: list[Problem] = []

    def wrong(line: int, column: int, key: str, message: str) -> None:
        problems.append(Problem(os.fspath(path), line, column, key, message))

    rows: Rows = []
    header: list[str] = []
    try:
        header = next(lines, [])
        for name in needed:
            if name not in header and not (empty and not text):
                wrong(1, 1, name, f"no such column{did_you_mean(name, set(header) - set(needed))}")
        if not problems:
            rows = [_row(header, cells, lines.line_num, wrong) for cells in lines]
    except csv.Error as error:
        wrong(max(lines.line_num, 1), 1, "", f"not CSV: {error}")
    if not rows and not empty and not problems:
        wrong(1, 1, "", "has no rows")
    if problems:
        raise InputError(problems[:_MOST])
    return rows


def _row(header: list[str], cells: list[str], line: int, wrong: Callable[[int, int, str, str], None]) -> dict[str, Any]:
    if len(cells) != len(header):
        wrong(line, 1, "", f"has {len(cells)} cells, not {len(header)}")
        return {}
    row: dict[str, Any] = {}
    for at, (name, cell) in enumerate(zip(header, cells, strict=True)):
        try:
            row[name] = _cell(name, cell)
        except ValueError:
            kind = "a number" if name.endswith(_FLOATS) else "a whole number"
            column = sum(len(before) + 1 for before in cells[:at]) + 1
            wrong(line, column, name, f"must be {kind}, not {cell[:60]!r}")
    return row


def _cell(name: str, cell: str) -> Any:
    """A name, a float to the bit, or a count; ValueError if it is not what its column has."""
    if name in TEXTS:
        return _FORMULA.sub("", cell, count=1)
    if name.endswith(_FLOATS):
        value = float(cell)
        if not math.isfinite(value):
            raise ValueError
        return value
    if not re.fullmatch("[0-9]{1,19}", cell) or int(cell) >= _TOO_MANY:
        raise ValueError
    return int(cell)


# -- sums -----------------------------------------------------------------------------------


def _contradictions(found: Folder) -> Iterator[Problem]:
    """Sums that a run checks, and that do not hold any more."""
    system, operators = found.summary["system"], found.operators
    columns = set(operators[0])
    causes = [f"{cause}_cycles" for cause in system["latency_breakdown_ns"]]
    missing = [name for name in (*causes, *map("{}_pJ".format, system["energy_breakdown_pJ"]), *system["commands"])
               if name not in columns]  # fmt: skip
    for name in missing:
        yield Problem(os.fspath(found.path / OPERATORS), 1, 1, name, f"no such column, but {LAST} has it")
    if missing:
        return
    decode = sum(row["cycles"] for row in operators if row["phase"] == "decode")
    yield from _unequal(found, LAST, "system.cycles", system["cycles"], _total(operators, "cycles"))
    yield from _unequal(found, TOKENS, "cycles", sum(row["cycles"] for row in found.tokens), decode)
    for line, row in enumerate(operators, 2):
        yield from _unequal(found, OPERATORS, "cycles", row["cycles"], sum(row[name] for name in causes), line)
    tCK_ps = found.inputs["dram.tCK_ps"].value
    yield from _unequal(found, LAST, "system.latency_ns", system["latency_ns"], nanoseconds(system["cycles"], tCK_ps))
    for cause, spent_ns in system["latency_breakdown_ns"].items():
        rows_ns = nanoseconds(sum(row[f"{cause}_cycles"] for row in operators), tCK_ps)
        yield from _unequal(found, LAST, f"system.latency_breakdown_ns.{cause}", spent_ns, rows_ns)
    for name, count in system["commands"].items():
        yield from _unequal(found, LAST, f"system.commands.{name}", count, _total(operators, name))
    for what, parts in (("latency_ns", "latency_breakdown_ns"), ("energy_pJ", "energy_breakdown_pJ")):
        total = math.fsum(system[parts].values())
        yield from _unequal(found, LAST, f"system.{what}", system[what], total)
        yield from _unequal(found, LAST, f"system.{what}", system[what], _total(operators, what))
    for name, value in system["energy_breakdown_pJ"].items():
        yield from _unequal(found, LAST, f"system.energy_breakdown_pJ.{name}", value, _total(operators, f"{name}_pJ"))


def _unfollowing(found: Folder) -> Iterator[Problem]:
    """Figures that do not follow from rows which agree with each other."""
    for name, value in _following(found, found.inputs["dram.tCK_ps"].value).items():
        yield from _unequal(found, LAST, f"system.{name}", found.summary["system"][name], value)


def _following(found: Folder, tCK_ps: int) -> dict[str, Figure]:
    """Figures of the summary that follow from the rows and from how much was decoded."""
    work = found.summary["workload"]
    prefill, decode = ([row for row in found.operators if row["phase"] == phase] for phase in ("prefill", "decode"))
    decode_ns = nanoseconds(sum(row["cycles"] for row in decode), tCK_ps)
    kept = work["tokens_kept"]
    return {
        "prefill_latency_ns": nanoseconds(sum(row["cycles"] for row in prefill), tCK_ps),
        "prefill_energy_pJ": math.fsum(row["energy_pJ"] for row in prefill),
        "latency_per_step_ns": _over(decode_ns, len(found.tokens)),
        "tpot_ns": _over(decode_ns, work["output_tokens"]),
        "tokens_per_s": ratio(kept * 1e9, decode_ns) if kept else None,
        "energy_per_token_pJ": _over(math.fsum(row["energy_pJ"] for row in decode), kept),
    }


def _over(whole: float, count: int) -> float | None:
    return whole / count if count else None


def _total(rows: Iterable[Mapping[str, Any]], column: str) -> int | float:
    values = [row[column] for row in rows]
    return sum(values) if all(isinstance(value, int) for value in values) else math.fsum(values)


def _unequal(found: Folder, file: str, key: str, said: Figure, total: Figure, line: int = 1) -> Iterator[Problem]:
    """Counts have to be equal, sums of floats nearly."""
    if _same(said, total):
        return
    path = found.path / file
    place = (line, 1)
    if file == LAST:
        text = path.read_text("utf-8-sig")
        at = _at(path, text, Columns(text).key(tuple(key.split("."))), "", "")
        place = at.line, at.column
    is_, made = ("null" if each is None else f"{each:,}" for each in (said, total))
    message = f"is {is_}, but what it is made of gives {made}; was a file edited?"
    yield Problem(os.fspath(path), *place, key, message)


def _same(said: Figure, total: Figure) -> bool:
    if said is None or total is None or (isinstance(said, int) and isinstance(total, int)):
        return said == total
    return math.isclose(said, total, rel_tol=_CLOSE, abs_tol=_CLOSE)
