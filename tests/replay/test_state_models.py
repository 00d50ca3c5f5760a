"""Models that keep a state run, from their committed traces: what is counted, against sums over their operators."""

from __future__ import annotations

from pathlib import Path

import pytest

from pimsim import load_config, run
from pimsim.workload.graph import Workload
from pimsim.workload.trace.bind import workload_of
from pimsim.workload.trace.reader import load_trace
from tests.conftest import SHIPPED
from tests.export.families import STATES

FOLDER = Path(__file__).parents[1] / "golden" / "traces"
PROMPT, TOKENS = 6, 4  # of the committed exports


def _blocks(family: str) -> Workload:
    return workload_of(load_trace(FOLDER / f"{family}.jsonl")).blocks_only()


@pytest.mark.parametrize("family", STATES)
def test_a_model_that_keeps_a_state_runs(family: str) -> None:
    """Each token reads, updates and writes the state and the columns of every mixer; products are the graph's."""
    step = _blocks(family)
    result = run(load_config(SHIPPED, {"workload.trace": str(FOLDER / f"{family}.jsonl"), "baselines": []}))
    rows = {(row["phase"], row["operator"]): row for row in result.records("operators")}
    for phase, tokens, first in (("prefill", PROMPT, 1), ("decode", TOKENS, PROMPT + 1)):
        mixers = tokens * sum(step.repeats(o) for o in step.operators if o.op == "ssm_update")
        assert mixers
        assert rows[phase, "ssm_update"]["count"] == rows[phase, "conv"]["count"] == mixers
        assert rows[phase, "state_read"]["count"] == rows[phase, "state_write"]["count"] == 2 * mixers
        macs = sum(row["macs"] for (of, _), row in rows.items() if of == phase)
        assert macs == step.total_macs(first, first + tokens - 1)


def test_weights_that_are_shared_take_their_room_once() -> None:
    """Zamba2: the third hybrid layer runs the first one's matrices, and reads them where they lie."""
    path = FOLDER / "zamba2.jsonl"
    shared = load_trace(path)
    memory = _memory(path)
    tied = {op.id: op.weight.tied for op in shared.template("decode").ops if op.weight.tied and op.scope == "block"}
    assert len(tied) == 8
    for name, owner in tied.items():
        if name in memory.matrices:
            assert memory.regions[name] == memory.regions[owner]
    bases = [base for name in memory.matrices if name not in tied for base in memory.regions[name].bases]
    assert len(bases) == len(set(bases))


def _memory(path: Path):  # type: ignore[no-untyped-def]
    return run(load_config(SHIPPED, {"workload.trace": str(path), "baselines": []})).plan.memory
