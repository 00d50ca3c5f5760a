"""A comparison on a terminal: at most 80 columns; up to four runs side by side, more of them beneath each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pimsim.comparison import rows, units
from pimsim.comparison.rows import Table
from pimsim.results.layout import Line, ascii_only, cropped, print_lines, table, width_of, wrapped

Summary = Mapping[str, Any]
WIDTH = 80
_INPUTS, _PARTS, _OPERATORS = 24, 12, 10  # rows of each
_FIRST = 44  # columns of what a row is about
_FEW = 4  # causes in a row of a run


def print_comparison(summary: Summary, screen: Any) -> None:
    """Print on a `Screen`; in ASCII where it has no UTF-8."""
    width = min(WIDTH, screen.width)
    found = lines(summary, width, ascii_only(screen.encoding))
    print_lines(screen, found)


def lines(summary: Summary, width: int = WIDTH, ascii_only: bool = False) -> Iterator[Line]:
    """Every line, none wider than `width`."""
    for line in _lines(summary, width):
        shown = [(text.replace("µ", "u"), style) for text, style in line] if ascii_only else line
        yield cropped(shown, width)


def _lines(summary: Summary, width: int) -> Iterator[Line]:
    yield from _runs(summary, width)
    yield from (line for text in summary["warnings"] for line in wrapped(f"! {text}", width, "bold"))
    if summary["equal"]:
        yield from wrapped("Nothing differs: neither the inputs nor the results.", width, "bold")
        yield from _own_warnings(summary, width)
        return
    side_by_side = len(summary["runs"]) <= rows.SIDE_BY_SIDE
    for each in _side_by_side(summary) if side_by_side else _beneath(summary):
        if each.rows or each.notes:
            yield []
            yield from _table(each, width)
    yield from _own_warnings(summary, width)


def _runs(summary: Summary, width: int) -> Iterator[Line]:
    """What each run is, and what heads its column."""
    base = summary["runs"][summary["base"]]["name"]
    yield from wrapped(f"{len(summary['runs'])} runs; differences and ratios are to {base}", width, "bold")
    for label, run in zip(rows.labels(summary), summary["runs"], strict=True):
        made = f" [{run['made']}]" if run["made"] else ""
        name = run["name"] if label == run["name"] else f"{label}  {run['name']}"
        yield from wrapped(f"{name}: {run['ran']}{made}", width)


def _side_by_side(summary: Summary) -> Iterator[Table]:
    yield rows.of_inputs(summary, _INPUTS)
    yield rows.of_results(summary)
    yield rows.of_parts(summary, "causes", _PARTS)
    yield rows.of_parts(summary, "components", _PARTS)
    yield rows.of_operators(summary, _OPERATORS)
    yield rows.of_commands(summary)
    yield rows.of_baselines(summary)


def _beneath(summary: Summary) -> Iterator[Table]:
    """A row per run: inputs that differ, the headline, and the largest differences by cause and component."""
    yield _transposed(rows.of_inputs(summary, _FEW))
    yield _headline(summary)
    for key in ("causes", "components"):
        found = rows.of_parts(summary, key, _FEW)
        count = len(summary["runs"])
        differences = Table(f"{found.title}, differences", [row[0] for row in found.rows])
        for number, at in enumerate(rows.others(summary)):
            cells = [row[1 + count + number] for row in found.rows]
            differences.rows.append([rows.labels(summary)[at], *cells])
        yield differences


def _transposed(found: Table) -> Table:
    turned = Table(found.title, [row[0] for row in found.rows], notes=found.notes)
    turned.rows = [[label, *(row[1 + at] for row in found.rows)] for at, label in enumerate(found.headings)]
    return turned if found.rows else Table(found.title, [], notes=found.notes)


# Figure, what heads its column, and whether its ratio is beside it.
_HEADLINE = {
    "system.tpot_ns": ("latency", True),
    "system.tokens_per_s": ("", False),
    "system.energy_per_token_pJ": ("energy", True),
    "system.average_power_mW": ("power", False),
}


def _headline(summary: Summary) -> Table:
    """Four figures of each run, latency and energy of a token with their ratio."""
    found = Table("Results", [])
    cells: list[list[str]] = [[label] for label in rows.labels(summary)]
    for row in summary["results"]:
        if row["figure"] not in _HEADLINE:
            continue
        what, compared = _HEADLINE[row["figure"]]
        unit = units.of_row(row["figure"], row["unit"], row["values"])
        found.headings += [f"{what} ({unit.name})" if what else unit.name, *(["ratio"] if compared else [])]
        for at, own in enumerate(cells):
            own += [unit.value(row["values"][at]), *([units.ratio(row["ratios"][at])] if compared else [])]
    found.rows = cells
    return found


def _table(found: Table, width: int) -> Iterator[Line]:
    widest = max((width_of(row[0]) for row in found.rows), default=0)
    heading = found.title
    if width_of(heading) > 2 * widest:  # it would push the columns aside
        yield [(heading, "bold")]
        heading = ""
    if found.rows:
        first = min(_FIRST, max(widest, width_of(heading)))
        yield from table([heading, *found.headings], found.rows, gap=2, width=width, widest_first=first)
    for note in found.notes:
        yield from wrapped(note, width, "dim")


def _own_warnings(summary: Summary, width: int) -> Iterator[Line]:
    """What is to be known of each run; what holds for all is said once."""
    said = rows.own_warnings(summary)
    if said:
        yield []
        yield [("Before you quote a figure", "bold")]
    for text, names in said.items():
        who = "all" if len(names) == len(summary["runs"]) else ", ".join(names)
        yield from wrapped(f"{who}: {text}", width)
