"""Objectives: figures of a row that a sweep makes small, or large."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from pimsim.results.figures import is_part, unknown
from pimsim.sweep.accuracy import NAMES, unasked
from pimsim.sweep.proxy import PROXIES

DIRECTIONS = ("minimise", "maximise")


@dataclass(frozen=True)
class Objective:
    """A column of the results, and whether more of it is better."""

    name: str
    maximise: bool = False

    @property
    def direction(self) -> str:
        """ "minimise" or "maximise"."""
        return DIRECTIONS[self.maximise]

    def cost(self, row: Mapping[str, Any]) -> float | None:
        """The figure, less is better; None if the row has none, or null.

        A part of a breakdown that a row does not have (a cause that does not occur) is 0.
        """
        if row["status"] != "ok":
            return None
        value = row.get(self.name)
        if value is None or value != value:  # a data frame has NaN for nothing
            return 0.0 if is_part(self.name) else None
        return -float(value) if self.maximise else float(value)


def unknown_objective(name: str, baselines: Collection[str], speaks: bool) -> str | None:
    """What is said of a name that is no figure of a row; None if it is one.  speaks: points have weights."""
    message = unknown(name, baselines, [*NAMES, *(f"proxy.{key}" for key in PROXIES)])
    return message or (None if speaks else unasked(name))
