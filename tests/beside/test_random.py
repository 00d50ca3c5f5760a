"""Random small systems with a machine beside them: what crosses, what is counted, and the twin of the schedule."""

from __future__ import annotations

from typing import Any

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import pimsim
from pimsim.api import prepare
from pimsim.mapping.plan import Plan
from pimsim.sim.run import simulate
from pimsim.workload.beside import FROM, TO
from pimsim.workload.graph import Workload
from tests.configs import config_of, systems
from tests.examples import examples

H100 = "gpu-h100"


@st.composite
def divided(draw: st.DrawFn) -> dict[str, Any]:
    """A system, and who does what."""
    changes = draw(systems())
    work = {part: draw(st.sampled_from(["pim", H100]), label=part) for part in ("prefill", "linear", "attention")}
    batch = changes["workload.batch"]
    parts = draw(st.sampled_from([n for n in (1, 2, 3) if batch % n == 0]), label="sub_batches")
    if work["linear"] == work["attention"] == "pim":
        parts = 1
    return {
        **changes,
        **{f"placement.{part}": who for part, who in work.items()},
        "placement.kv": draw(st.sampled_from(["copied", "shared"]), label="kv"),
        "placement.sub_batches": parts,
        "schedule": draw(st.sampled_from(["paper", "overlap"]), label="schedule"),
    }


def crossing(plan: Plan, graph: Workload, tokens: int, head: int) -> int:
    """Elements that cross the link in a step, of all sequences."""
    total = 0
    for operator in graph.operators:
        some = operator.tokens or (tokens if operator.per == "token" else 1)
        some = min(some, head) if operator.scope == "once_after" else some
        if operator.op in (TO, FROM):
            total += graph.repeats(operator) * operator.outputs * some * plan.batch
    return total


@given(divided())
@settings(max_examples=examples(40), phases=[Phase.generate])
def test_a_run_that_is_divided_counts_what_it_should(changes: dict[str, Any]) -> None:
    config = config_of(changes)
    result = pimsim.run(config)
    plan = prepare(config).plan
    tally = result.tally
    assert sum(row.cycles for row in tally.rows) == tally.cycles
    work = config.workload
    payload = len(work.decode_contexts) * crossing(plan, plan.workload, work.query_tokens, work.query_tokens)
    moved = sum(row.moved_bytes for row in tally.rows if row.phase == "decode")
    messages = sum(row.count for row in tally.rows if row.phase == "decode" and row.moved_bytes)
    assert 2 * payload <= moved <= 2 * payload + messages * 63
    assert all(row.outside_cycles <= tally.cycles for row in tally.rows)
    slow = simulate(prepare(config.with_({"engine.mode": "stepped", "engine.fold": False})).plan)
    assert slow.cycles == tally.cycles


@given(divided())
@settings(max_examples=examples(25), phases=[Phase.generate])
def test_overlap_is_no_slower_without_refresh(changes: dict[str, Any]) -> None:
    cycles = [
        pimsim.run(config_of({**changes, "dram.refresh": "none", "schedule": schedule})).tally.cycles
        for schedule in ("overlap", "paper")
    ]
    assert cycles[0] <= cycles[1]
