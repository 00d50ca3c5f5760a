"""What is odd about running operators that keep a state, but no error."""

from __future__ import annotations

from collections.abc import Iterator

from pimsim.config.schema import Config
from pimsim.errors import Problem
from pimsim.workload.graph import Workload
from pimsim.workload.schedule import Schedule, Stage


def state_warnings(config: Config, workload: Workload, schedule: Schedule | None = None) -> Iterator[Problem]:
    """What a run leaves out: vectors as large as the states, and what it takes to put back a state."""
    for graph in dict.fromkeys(stage.workload for stage in schedule.stages) if schedule else [workload]:
        if not config.workload.biases and (what := _not_fetched(graph)):
            yield Problem("", 0, 0, "workload.biases", what)
    told = {stage.name: stage for stage in schedule.stages if stage.part and _keeps(stage)} if schedule else {}
    for stage in told.values():
        what = (
            f"template {stage.name!r} keeps states: tokens that are not kept have changed them as well, and what it "
            "takes to put them back is not simulated"
        )
        yield Problem(stage.workload.source, stage.line, 1 if stage.line else 0, "template", what)


def _keeps(stage: Stage) -> bool:
    return any(operator.state_elements for operator in stage.workload.operators)


def _not_fetched(workload: Workload) -> str:
    """That vectors which no other operators have are not simulated ("": there are none)."""
    keeping = [operator for operator in workload.operators if operator.keeps_state]
    vectors = sum(operator.vectors() * workload.repeats(operator) for operator in keeping)
    states = sum(operator.state_elements * workload.repeats(operator) for operator in keeping)
    if not vectors:
        return ""
    return (
        f"the {vectors:,} parameters of operators that keep a state ({states:,} elements) are not fetched: true "
        "simulates them, with biases and gains"
    )
