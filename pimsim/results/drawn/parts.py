"""What drafting, verification and rejected work take of the decode phase."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from pimsim.results import scheduled

FIGURES = ("latency_ns", "energy_pJ")


class Parts(NamedTuple):
    """totals, shares: by figure (`latency_ns`, `energy_pJ`), those of the parts that occur; shares from 0 to 1."""

    totals: dict[str, float]
    shares: dict[str, dict[str, float]]


def parts(summary: Mapping[str, Any]) -> Parts | None:
    """Those of a run; None where all of its decoding is one part."""
    shares = {figure: scheduled.shares(summary, figure) for figure in FIGURES}
    if not shares["latency_ns"]:
        return None
    own = summary["system"]["parts"]
    return Parts({figure: sum(own[name][figure] for name in shares[figure]) for figure in FIGURES}, shares)
