"""CENT's rows as tables, on a terminal and as Markdown, and as a folder."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pimsim.reproduce.cent.found import EQUAL, Found, Row
from pimsim.reproduce.cent.models import Split
from pimsim.reproduce.sheets import Sheet, number
from pimsim.results.store import staged, write_files

NAME, ROWS = "reproduction", "rows.csv"
_SHOWN = 40  # rows on a terminal; the folder and JSON have all


def sheets(found: Found) -> Iterator[Sheet]:
    """The tables: what was asked, or the published splits and how far each is off."""
    if not found.deviations:
        yield _asked(found)
        return
    yield _splits(found)
    yield _figures(found)


def _asked(found: Found) -> Sheet:
    head = ("model", "D", "PP", "TP", "ch", "tokens", "PIM cycles", "token ms", "tokens/s", "mJ", "as publ.")
    rows = tuple(_cells(row) for row in found.rows[:_SHOWN])
    more = len(found.rows) - len(rows)
    note = "D devices, PP stages, TP devices a stage, ch channels a block. as publ.: energy with one channel's standby."
    note += f" The first {_SHOWN} of {len(found.rows)} rows; --json and --out have all." if more else ""
    return Sheet("CENT, as asked", head, rows, " ".join((note, *(warning.message + "." for warning in found.warnings))))


def _cells(row: Row) -> tuple[str, ...]:
    values, split = row.values, row.asked.split
    sizes = (split.devices, split.stages, split.tensor, split.channels, row.asked.context)
    return (
        split.model,
        *map(str, sizes),
        f"{values['pim_cycles']:,}",
        *(number(values[name]) for name in _SHORT),
    )


_SHORT = ("token_ms", "tokens_per_s", "token_energy_mJ", "token_energy_as_published_mJ")
_COMPARED = ("pim_cycles", "embedding_ms", "tokens_per_s", "token_energy_as_published_mJ")


def _splits(found: Found) -> Sheet:
    """A line for each split: the deviations over its contexts."""
    groups: dict[Split, list[Row]] = {}
    for row in found.rows:
        groups.setdefault(row.asked.split, []).append(row)
    head = ("model", "PP", "TP", "ch", "rows", "PIM cycles, %", "embedding, %", "tokens/s, %", "mJ, %")
    return Sheet("CENT's table, by split", head, tuple(_split(*group) for group in groups.items()), _NOTE)


_NOTE = (
    "PP stages, TP devices a stage, ch channels a block. Deviation from the published figure over all contexts, "
    "the least and the most. Energy beside the published one has that one's standby of one channel."
)


def _split(split: Split, rows: Sequence[Row]) -> tuple[str, ...]:
    spans = ([row.deviations[name] for row in rows] for name in _COMPARED)
    sizes = (split.stages, split.tensor, split.channels, len(rows))
    return (split.model, *map(str, sizes), *(_span(min(span), max(span)) for span in spans))


def _span(low: float, high: float) -> str:
    ends = _percent(low), _percent(high)
    return ends[0] if ends[0] == ends[1] else " ".join(ends)


def _percent(share: float) -> str:
    """A deviation in per cent; what rounds to nothing has no sign."""
    shown = f"{100 * share:+.2f}"
    return "0.00" if float(shown) == 0 else shown


def _figures(found: Found) -> Sheet:
    """A line for each figure: how many rows have the published one."""
    given = found.given_cycles
    rows = tuple(
        (name, *(_percent(of[end]) for end in ("mean", "low", "high")), _equal(of), _equal(given.get(name)))
        for name, of in found.deviations.items()
    )
    note = f"equal: to {EQUAL:g}. given: from the published cycles, by formulas alone."
    head = ("figure", "mean, %", "least, %", "most, %", "equal", "given, equal")
    return Sheet("CENT's table, by figure", head, rows, note)


def _equal(of: Mapping[str, float] | None) -> str:
    return f"{int(of['equal'])} of {int(of['rows'])}" if of else ""


def markdown(found: Found) -> str:
    """All of it as Markdown."""
    return "\n\n".join(sheet.markdown() for sheet in sheets(found)) + "\n"


def table(found: Found) -> str:
    """Every row as CSV: what was asked, the figures and, of a row of the table, the published ones."""
    out = io.StringIO(newline="")
    records = [_flat(row) for row in found.rows]
    writer = csv.DictWriter(out, list(records[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return out.getvalue()


def _flat(row: Row) -> dict[str, object]:
    beside = {f"published_{name}": value for name, value in (row.published or {}).items()}
    off = {f"deviation_{name}": value for name, value in row.deviations.items()}
    return {**row.asked.record(), **row.values, **beside, **off}


def save(found: Found, directory: str | Path) -> Path:
    """Write reproduction.json, reproduction.md and rows.csv; InputError if the folder cannot be written."""
    target = Path(directory)
    names = (f"{NAME}.json", f"{NAME}.md", ROWS)
    with staged(target, names) as scratch:
        text = json.dumps(found.record(), indent=2, allow_nan=False) + "\n"
        write_files(scratch, dict(zip(names, (text, markdown(found), table(found)), strict=True)))
    return target
