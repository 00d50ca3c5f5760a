"""The tables of a result: `operators.csv` and `tokens.csv`, and the same as data frames."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

from pimsim.energy.model import EnergyBreakdown
from pimsim.results import metrics
from pimsim.results.metrics import nanoseconds
from pimsim.sim.tally import OperatorTally, Tally
from pimsim.text import csv_cell

Record = dict[str, Any]

_COUNTS = ("open_cycles", "asic_busy_cycles", "adds", "multiplies", "pin_bytes", "payload_bytes", "macs")


def operator_records(tally: Tally, energy: EnergyBreakdown) -> list[Record]:
    """A record per operator kind and phase, the same columns in each.

    cycles and latency_ns by cause, energy by component, commands by name; a column
    for every cause and command that occurs anywhere in the tally.
    """
    causes = list(metrics.in_order(tally.causes()))
    commands = [name for name, count in sorted(tally.commands.items()) if count]
    records = []
    for row, price in zip(tally.rows, energy.rows, strict=True):
        record: Record = {"phase": row.phase, "operator": row.operator, "count": row.count, "cycles": row.cycles}
        record["latency_ns"] = nanoseconds(row.cycles, tally.tCK_ps)
        record["energy_pJ"] = price.total_pJ
        record |= {f"{cause}_cycles": row.causes.get(cause, 0) for cause in causes}
        record |= {f"{component}_pJ": float(value) for component, value in price.components.items()}
        record |= {name: row.commands.get(name, 0) for name in commands}
        record |= _counts(row)
        records.append(record)
    return records


def _counts(row: OperatorTally) -> Record:
    return {name: getattr(row, name) for name in _COUNTS}


def token_records(tally: Tally) -> list[Record]:
    """A record per decode step; start_ns counts from the start of the simulation."""
    return [
        {
            "step": token.step,
            "context": token.context,
            "start_cycle": token.start_cycle,
            "cycles": token.cycles,
            "start_ns": nanoseconds(token.start_cycle, tally.tCK_ps),
            "latency_ns": nanoseconds(token.cycles, tally.tCK_ps),
        }
        for token in tally.tokens
        if token.phase == "decode"
    ]


def to_csv(records: Sequence[Record]) -> str:
    """Records with the same keys as CSV text, `\\n` at the end of each line; no cell is a formula."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(records[0]) if records else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: csv_cell(value) for key, value in record.items()} for record in records)
    return text.getvalue()
