"""The charts of a run, in the order of its page."""

from __future__ import annotations

from pimsim.report.run_breakdowns import ENERGY, LATENCY, by_operator, by_part
from pimsim.report.run_hardware import commands, roofline, use
from pimsim.report.run_marks import Linked
from pimsim.report.run_operators import Operators
from pimsim.report.run_steps import over_context
from pimsim.report.run_within import over_time
from pimsim.results.drawn.rates import rates


def linked_charts(operators: Operators) -> list[Linked]:
    """Those that have something to show, and what takes their place while one operator is looked at."""
    system, each = operators.of_run.summary["system"], operators.all
    return [
        by_operator(LATENCY, each),
        by_operator(ENERGY, each),
        by_part(LATENCY, system["latency_breakdown_ns"], each),
        by_part(ENERGY, system["energy_breakdown_pJ"], each),
        *over_context(operators),
        commands(system["commands"], each),
        *use(operators),
        *over_time(operators),
        *roofline(rates(operators.result), each),
    ]
