"""The tables of a comparison as texts: what terminal, notebook and figures show, from the summary alone.

A table has a title, headings and rows; the first column is what a row is about, the others are right-aligned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pimsim.comparison import units
from pimsim.comparison.inputs import DECIDES, FOLLOWS, NAMES
from pimsim.comparison.names import apart
from pimsim.comparison.scope import LONG, SHORT
from pimsim.results.written import readable
from pimsim.text import one_line

Summary = Mapping[str, Any]
SIDE_BY_SIDE = 4  # runs that have a column each

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_SHORT = {2: 12, 3: 8}  # characters of names that head columns, by the number of runs; else figures lack room
_VALUE = 22  # characters of a value of an input


@dataclass
class Table:
    """title: what it is about; notes: lines beneath it."""

    title: str
    headings: list[str]
    rows: list[list[str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def labels(summary: Summary) -> list[str]:
    """What heads the column of each run: its name if all are short, else a letter or a number."""
    names = [run["name"] for run in summary["runs"]]
    if max(map(len, names)) <= _SHORT.get(len(names), 0):
        return names
    return [_LETTERS[at] if len(names) <= len(_LETTERS) else str(at + 1) for at in range(len(names))]


def others(summary: Summary) -> list[int]:
    """The runs that are compared with the base."""
    return [at for at in range(len(summary["runs"])) if at != summary["base"]]


def deltas(summary: Summary, sign: str) -> list[str]:
    """Headings of differences (-) or ratios (/)."""
    found, base = labels(summary), labels(summary)[summary["base"]]
    if len(found) == 2:
        return ["difference" if sign == "-" else "ratio"]
    return [f"{found[at]} {sign} {base}" for at in others(summary)]


def of_inputs(summary: Summary, most: int) -> Table:
    """What was given and differs, as many keys as asked for; how many others there are."""
    by_role = {role: [each for each in summary["inputs"] if each["role"] == role] for role in (DECIDES, FOLLOWS, NAMES)}
    shown = by_role[DECIDES][:most]
    table = Table("Inputs that differ", labels(summary))
    table.rows = [[each["key"], *_values(each["present"], each["values"])] for each in shown]
    table.notes = list(_counts(by_role, len(shown), len(summary["known_differently"])))
    return table


def _values(present: Sequence[bool], values: Sequence[Any]) -> list[str]:
    """Of an input in each run."""
    from pimsim.config.loader import as_text

    found = [one_line(as_text(value)) if there else "-" for value, there in zip(values, present, strict=True)]
    return apart(found, _VALUE)


def _counts(by_role: Mapping[str, Sequence[Any]], shown: int, known: int) -> Iterator[str]:
    if left := len(by_role[DECIDES]) - shown:
        yield f"and {_keys(left)} more: --json and --out FILE.html have all of them"
    if follow := by_role[FOLLOWS]:
        yield f"{_keys(len(follow))} left to a default that differs: {_listed(each['key'] for each in follow)}"
    if names := by_role[NAMES]:
        yield f"without effect on the system's figures: {_listed(each['key'] for each in names)}"
    if known:
        yield f"{_keys(known)} with equal values from another source"


def _keys(count: int) -> str:
    return f"{count} key{'s' if count > 1 else ''}"


def _listed(names: Iterable[str], most: int = 4) -> str:
    found = list(names)
    more = f" and {len(found) - most} more" if len(found) > most else ""
    return ", ".join(found[:most]) + more


def of_results(summary: Summary) -> Table:
    """Headline figures, each row in one unit; of two runs with the difference, of more with ratios alone."""
    two = len(summary["runs"]) == 2
    headings = [*labels(summary), *(deltas(summary, "-") if two else []), *deltas(summary, "/")]
    table = Table("Results", headings)
    for row in summary["results"]:
        unit = units.of_row(row["figure"], row["unit"], row["values"])
        cells = [f"{row['what']} ({unit.name})", *map(unit.value, row["values"])]
        cells += [unit.difference(row["differences"][at]) for at in others(summary)] if two else []
        ratios = ["-" if unit.name == "%" else units.ratio(row["ratios"][at]) for at in others(summary)]
        table.rows.append([*cells, *ratios])
    if not all(row["comparable"] for row in summary["results"]):
        table.notes = [_NO_DIFFERENCE]
    return table


_NO_DIFFERENCE = "Of whole runs of different sizes there is no difference and no ratio."


def _incomparable(summary: Summary) -> Iterator[str]:
    if not summary["scope"]["comparable"]:
        yield _NO_DIFFERENCE


def in_steps(summary: Summary) -> bool:
    """Whether the difference of two runs can be shown part by part: there are two, and there is one."""
    return len(summary["runs"]) == 2 and bool(summary["scope"]["comparable"])


def which_operators(summary: Summary) -> str:
    """What the operators are that are shown first."""
    return "Operators that differ most" if summary["scope"]["comparable"] else "Operators that take most"


def moves(row: Summary) -> list[float]:
    """By what a row is ranked: its differences, its values where there are none."""
    return [each for each in row["differences"] if each is not None] or list(row["values"])


def of_parts(summary: Summary, key: str, most: int) -> Table:
    """Latency by cause or energy by component: the largest differences first, then all others, then their sum."""
    parts, name = summary[key], key[:-1]
    total = parts["total"]
    unit = units.of_table(parts["unit"], [*total["values"], *moves(total)])
    what = "Latency by cause" if name == "cause" else "Energy by component"
    table = Table(f"{what} ({unit.name}{LONG[summary['scope']['per']]})", [*labels(summary), *deltas(summary, "-")])
    table.notes = list(_incomparable(summary))
    first, rest = ranked(parts["rows"], most, moves)
    lines = [(readable(row[name]), row) for row in first]
    lines += [(f"{len(rest)} others", _sum(rest))] if rest else []
    for said, row in [*lines, ("total", total)]:
        differences = (unit.difference(row["differences"][at]) for at in others(summary))
        table.rows.append([said, *map(unit.value, row["values"]), *differences])
    return table


def ranked(
    rows: Sequence[Any], most: int, differences: Callable[[Any], Sequence[float]]
) -> tuple[list[Any], list[Any]]:
    """As many rows as asked for, largest difference first, and the others."""
    order = sorted(rows, key=lambda row: -max(map(abs, differences(row))))
    return (order, []) if len(order) <= most else (order[: most - 1], order[most - 1 :])


def _sum(rows: Sequence[Summary]) -> dict[str, list[float | None]]:
    found: dict[str, list[Any]] = {
        key: list(zip(*(row[key] for row in rows), strict=True)) for key in ("values", "differences")
    }
    return {key: [None if None in each else sum(each) for each in columns] for key, columns in found.items()}


def of_operators(summary: Summary, most: int) -> Table:
    """Operators that differ most in latency, with what they differ in energy."""
    rows = summary["operators"]
    times = [value for row in rows for value in row["latency"]["values"]]
    energies = [value for row in rows for value in moves(row["energy"])]
    time, energy = units.of_table("ns", times), units.of_table("pJ", energies)
    per, two = SHORT[summary["scope"]["per"]], len(summary["runs"]) == 2
    more = [f"energy ({energy.name}{per})"] if two else []
    table = Table(f"Operators ({time.name}{per})", [*labels(summary), *deltas(summary, "-"), *more])
    phases = several_phases(summary)
    first, rest = ranked(rows, most, lambda row: moves(row["latency"]))
    for row in first:
        cells = [operator_name(row, phases)]
        cells += [
            time.value(value) if there else "-"
            for value, there in zip(row["latency"]["values"], row["present"], strict=True)
        ]
        cells += [time.difference(row["latency"]["differences"][at]) for at in others(summary)]
        table.rows.append(
            cells + ([energy.difference(row["energy"]["differences"][others(summary)[0]])] if two else [])
        )
    table.notes = [*_incomparable(summary), *_left_out(rest, time), *_lonely(summary)]
    return table


def several_phases(summary: Summary) -> bool:
    """Whether operators of more than one phase are there."""
    return len({row["phase"] for row in summary["operators"]}) > 1


def own_warnings(summary: Summary) -> dict[str, list[str]]:
    """What is to be known of each run, once, and the names of the runs that it is of."""
    said: dict[str, list[str]] = {}
    for run in summary["runs"]:
        for text in run["warnings"]:
            said.setdefault(text, []).append(run["name"])
    return said


def operator_name(row: Summary, phases: bool) -> str:
    """Part or phase where there are several, and the name."""
    before = row["part"] or (row["phase"] if phases else "")
    return f"{before} {row['operator']}" if before else str(row["operator"])


def _left_out(rest: Sequence[Summary], unit: units.Unit) -> Iterator[str]:
    if rest:
        largest = max(abs(value) for row in rest for value in moves(row["latency"]))
        said = "differ by" if rest[0]["latency"]["differences"][0] is not None else "take"
        yield f"{len(rest)} more {said} at most {unit.value(largest)} {unit.name}"


def _lonely(summary: Summary) -> Iterator[str]:
    """Operators that not all runs have."""
    phases = several_phases(summary)
    for at, label in enumerate(labels(summary)):
        lacking = [operator_name(row, phases) for row in summary["operators"] if not row["present"][at]]
        if lacking:
            yield f"not in {label}: {_listed(lacking, 8)}"


def of_commands(summary: Summary) -> Table:
    """Counts of commands; of two runs with ratios."""
    two = len(summary["runs"]) == 2
    table = Table("Commands", [*labels(summary), *(deltas(summary, "/") if two else [])])
    for row in summary["commands"]:
        counts = ["-" if value is None else f"{value:,}" for value in row["values"]]
        table.rows.append([row["command"], *counts, *([units.ratio(row["ratios"][others(summary)[0]])] if two else [])])
    return table


def of_baselines(summary: Summary) -> Table:
    """What each run gains over other machines; the difference is the run's, the machine is the same."""
    table = Table("Over other machines", labels(summary))
    for row in summary["baselines"]:
        table.rows.append([f"{row['baseline']}, {row['model']}: {row['what']}", *map(units.ratio, row["values"])])
    return table
