"""The tables of a result: `operators.csv` and `tokens.csv`, and the same as data frames."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pimsim.energy.model import EnergyBreakdown
from pimsim.results import metrics
from pimsim.results.csv_text import TOGETHER, Record
from pimsim.results.metrics import nanoseconds
from pimsim.results.parts import rejected_cycles
from pimsim.sim.tally import OperatorTally, Tally
from pimsim.workload.schedule import Schedule

TEXTS = ("phase", "part", "operator", "template")  # columns of names; the others are numbers
STEP = ("step", "context", "start_cycle", "cycles", "start_ns", "latency_ns")  # columns of every decode step

_COUNTS = (
    "open_cycles", "asic_busy_cycles", "adds", "multiplies", "sram_bytes", "pin_bytes", "payload_bytes", "macs",
)  # fmt: skip


_OUTSIDE = ("outside_cycles", "moved_bytes")  # columns of runs that need more than one device


def operator_records(tally: Tally, energy: EnergyBreakdown, parts: bool = False) -> list[Record]:
    """A record per operator kind and phase, and of a schedule (`parts`) per part of it, the same columns in each.

    cycles and latency_ns by cause, energy by component, commands by name; a column
    for every cause and command that occurs anywhere in the tally.
    """
    causes = list(metrics.in_order(tally.causes()))
    commands = [name for name, count in sorted(tally.commands.items()) if count]
    components = list(energy.exact())
    counts = (*_COUNTS, *(name for name in _OUTSIDE if tally.total(name)))
    records = []
    for row, price in zip(tally.rows, energy.rows, strict=True):
        record: Record = {"phase": row.phase} | ({"part": row.part} if parts else {})
        record |= {"operator": row.operator, "count": row.count, "cycles": row.cycles}
        record["latency_ns"] = nanoseconds(row.cycles, tally.tCK_ps)
        record["energy_pJ"] = price.total_pJ
        record |= {f"{cause}_cycles": row.causes.get(cause, 0) for cause in causes}
        priced = price.components
        record |= {f"{component}_pJ": float(priced.get(component, 0)) for component in components}
        record |= {name: row.commands.get(name, 0) for name in commands}
        record |= _counts(row, counts)
        records.append(record)
    return records


def _counts(row: OperatorTally, names: Iterable[str]) -> Record:
    return {name: getattr(row, name) for name in names}


def token_columns(tally: Tally, schedule: Schedule | None = None) -> dict[str, NDArray[Any]]:
    """A value per decode step in each column; start_ns counts from the start of the simulation.

    schedule: what ran, where it was more than plain decoding; its columns come behind the others.
    """
    decode = tally.tokens.of_phase("decode")
    counts = {name: tally.tokens.column(name)[decode] for name in ("step", "context", "start_cycle", "cycles")}
    ns = {"start_ns": counts["start_cycle"], "latency_ns": counts["cycles"]}
    columns = counts | {name: cycles * tally.tCK_ps / 1000 for name, cycles in ns.items()}
    return columns if schedule is None else columns | _step_columns(schedule, tally, decode)


def _step_columns(schedule: Schedule, tally: Tally, chosen: NDArray[np.bool_]) -> dict[str, NDArray[Any]]:
    """What the chosen steps are: their template and part, the tokens of each sequence that they run and keep, their
    sequences, and their clocks for tokens that are verified and not kept.
    """
    names = {name: [getattr(stage, name) for stage in schedule.stages] for name in ("name", "part")}
    template, part = (np.array(texts, object)[schedule.stage][chosen] for texts in names.values())
    columns = {
        "tokens": schedule.tokens,
        "kept": schedule.kept,
        "batch": schedule.batch,
        "rejected_cycles": rejected_cycles(schedule, tally.tokens.column("cycles")),
    }
    return {"template": template, "part": part} | {name: column[chosen] for name, column in columns.items()}


def token_records(tally: Tally, schedule: Schedule | None = None) -> Iterator[Record]:
    """A record per decode step, with the columns of `token_columns`."""
    columns = token_columns(tally, schedule)
    steps = len(columns["step"])
    for first in range(0, steps, TOGETHER):
        part = [column[first : first + TOGETHER].tolist() for column in columns.values()]
        for values in zip(*part, strict=True):
            yield dict(zip(columns, values, strict=True))
