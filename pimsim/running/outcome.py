"""What comes out of a run: a result, with what draws, writes and compares it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pimsim
from pimsim.config.loader import Origin

if TYPE_CHECKING:
    from pimsim.comparison import Comparison
    from pimsim.results.base import AnyResult
    from pimsim.results.result import Result
    from pimsim.running.prepared import Prepared
    from pimsim.sim.tally import Tally


def result_of(
    prepared: Prepared, tally: Tally, wall_s: float, provenance: Mapping[str, Origin] | None = None
) -> Result:
    """What was counted of a run, with its prices; provenance: where each value of its configuration came from."""
    from pimsim.plots import Plots
    from pimsim.results.result import Result

    plan = prepared.plan.under(schedule=tally.schedule) if tally.schedule else prepared.plan
    return Result(
        prepared.config,
        tally,
        prepared.arranged.workload if prepared.arranged else prepared.plan.workload,
        pimsim.__version__,
        wall_s,
        prepared.baselines,
        provenance,
        Plots,
        _report,
        prepared.odd,
        plan,
        prepared.prices,
        comparing=comparing,
        arranged=prepared.arranged,
    )


def _report(result: Result) -> str:
    from pimsim.report import run_html  # jinja2: not for those who do not save

    return run_html(result)


def comparing(results: Sequence[AnyResult]) -> Comparison:
    from pimsim.comparison import Comparison  # not for those who compare nothing

    return Comparison.of(results)
