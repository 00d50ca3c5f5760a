"""One of the runs that are compared: its figures as the comparison reads them, from summary and tables alone.

So a run that was just simulated and one that was read back from its folder say the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from pimsim.config.readback import Given
from pimsim.results import scheduled
from pimsim.results.base import AnyResult
from pimsim.results.brief import ran
from pimsim.text import one_line

DECODE, PREFILL = "decode", "prefill"
OperatorKey = tuple[str, str, str]


_Key = TypeVar("_Key")


def in_order_of_all(lists: Iterable[Iterable[_Key]]) -> list[_Key]:
    """Every key once, each beside its neighbours: where one list has more, behind what it has before."""
    order: list[_Key] = []
    for keys in lists:
        at = 0
        for key in keys:
            if key in order:
                at = order.index(key) + 1
            else:
                order.insert(at, key)
                at += 1
    return order


@dataclass(frozen=True)
class Run:
    """A run under the name that the comparison gives it.

    made  how to get it: a command, or the folder that it was read from; "" if nobody said
    """

    name: str
    result: AnyResult
    made: str = ""

    @property
    def config_name(self) -> str:
        """What the configuration calls itself, on one line."""
        return one_line(self.result.name)

    @property
    def summary(self) -> Mapping[str, Any]:
        """The content of `summary.json`."""
        return self.result.summary

    @property
    def system(self) -> Mapping[str, Any]:
        """The figures of the simulated system."""
        system: Mapping[str, Any] = self.summary["system"]
        return system

    @property
    def inputs(self) -> Mapping[str, Given]:
        """Every value of the configuration by dotted key."""
        return self.result.inputs

    @property
    def warnings(self) -> Sequence[str]:
        """What a careful reader would want to know before he quotes a figure."""
        warnings: Sequence[str] = self.summary["warnings"]
        return warnings

    @property
    def tCK_ps(self) -> int:
        """A DRAM clock."""
        return int(self.inputs["dram.tCK_ps"].value)

    @property
    def prompt_tokens(self) -> int:
        """Of one sequence; of a schedule those of its prompt."""
        if "schedule" in self.summary:
            return scheduled.prompt(self.summary)
        return int(self.summary["workload"]["prompt_tokens"])

    @property
    def ran(self) -> str:
        """What ran, in words."""
        return one_line(ran(self.summary))

    @cached_property
    def operators(self) -> dict[OperatorKey, Mapping[str, Any]]:
        """The rows of `operators.csv` by phase, part and operator."""
        rows = self.result.records("operators")
        return {(row["phase"], row.get("part", ""), one_line(row["operator"])): row for row in rows}

    def rows(self, phase: str | None) -> list[Mapping[str, Any]]:
        """Those of a phase, or all of them."""
        return [row for row in self.operators.values() if phase in (None, row["phase"])]

    @property
    def causes(self) -> list[str]:
        """To what clocks of this run are charged, in the order of the summary."""
        return list(self.system["latency_breakdown_ns"])

    @property
    def components(self) -> list[str]:
        """To what energy of this run goes, in the order of the summary."""
        return list(self.system["energy_breakdown_pJ"])

    def clocks(self, phase: str | None, cause: str = "") -> int:
        """Of a cause, or in all."""
        column = f"{cause}_cycles" if cause else "cycles"
        return sum(row.get(column, 0) for row in self.rows(phase))

    def energy_pJ(self, phase: str | None, component: str = "") -> float:
        """Of a component, or in all: as the summary has it, and of one phase from the operators."""
        if phase is None:
            found = self.system["energy_breakdown_pJ"].get(component, 0.0) if component else self.system["energy_pJ"]
            return float(found)
        column = f"{component}_pJ" if component else "energy_pJ"
        return math.fsum(row.get(column, 0.0) for row in self.rows(phase))
