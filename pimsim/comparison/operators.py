"""Operators side by side: matched by phase, part and name; layers of one kind are one row where there are many."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from pimsim.comparison import parts
from pimsim.comparison.runs import OperatorKey, Run, in_order_of_all
from pimsim.comparison.scope import Scope

MANY = 24  # rows from which layers are folded
_NUMBER = re.compile(r"(?<![0-9A-Za-z])[0-9]+(?![0-9A-Za-z])")


def operators(runs: Sequence[Run], base: int, scope: Scope) -> list[dict[str, Any]]:
    """A row per operator: clocks and energy of each run; `present` says which runs have it, the others are 0.

    `of` says which operators a row of several layers holds; causes and components are what its figures are made of.
    """
    return [_row(runs, base, scope, key, members) for key, members in folded(_keys(runs, scope)).items()]


def _keys(runs: Sequence[Run], scope: Scope) -> list[OperatorKey]:
    """Those of every run in the order in which they run."""
    return in_order_of_all([key for key in run.operators if scope.phase in (None, key[0])] for run in runs)


def folded(keys: Sequence[OperatorKey]) -> dict[OperatorKey, list[OperatorKey]]:
    """Rows and the operators in each: one, or where there are many, all that differ in a number alone."""
    if len(keys) <= MANY:
        return {key: [key] for key in keys}
    kinds: dict[OperatorKey, list[OperatorKey]] = {}
    for phase, part, operator in keys:
        kinds.setdefault((phase, part, _NUMBER.sub("#", operator)), []).append((phase, part, operator))
    return {(*members[0][:2], _name([key[2] for key in members])): members for members in kinds.values()}


def _name(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} .. {names[-1]}"


def _row(
    runs: Sequence[Run], base: int, scope: Scope, key: OperatorKey, members: Sequence[OperatorKey]
) -> dict[str, Any]:
    found = [[run.operators[member] for member in members if member in run.operators] for run in runs]
    there = [bool(rows) for rows in found]
    clocks = [sum(row["cycles"] for row in rows) for rows in found]
    energy = [math.fsum(row["energy_pJ"] for row in rows) for rows in found]
    phase, part, operator = key
    row: dict[str, Any] = {"phase": phase, "part": part, "operator": operator}
    if len(members) > 1:
        row["of"] = [name for _, _, name in members]
    row |= {"present": there, "counts": [sum(each["count"] for each in rows) for rows in found]}
    row["latency"] = parts.latency(runs, base, scope, clocks)
    row["energy"] = parts.energy(base, scope, energy)
    row["causes"] = {
        name: [float(scope.part(at, sum(each.get(f"{name}_cycles", 0) for each in rows) * run.tCK_ps) / 1000)
               for at, (run, rows) in enumerate(zip(runs, found, strict=True))]
        for name in parts.in_order([run.causes for run in runs])
    }  # fmt: skip
    row["components"] = {
        name: [float(scope.part(at, math.fsum(each.get(f"{name}_pJ", 0.0) for each in rows)))
               for at, rows in enumerate(found)]
        for name in parts.in_order([run.components for run in runs])
    }  # fmt: skip
    for made_of in ("causes", "components"):
        row[made_of] = {name: values for name, values in row[made_of].items() if any(values)}
    return row
