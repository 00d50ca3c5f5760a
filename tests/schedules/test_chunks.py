"""A prompt that goes several tokens at once multiplies, writes and attends to what it does token by token."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import pytest

from pimsim import api
from pimsim.sim.run import simulate
from pimsim.sim.tally import OperatorTally, Tally
from tests.conftest import SHIPPED
from tests.schedules.traces import (
    AIM,
    TINY,
    D,
    Line,
    attention,
    decode,
    hybrid,
    loaded,
    mixing,
    prefill,
    ssm,
    template,
    with_head,
)

STILL = {"dram.channels": 4, "dram.refresh": "none"}
PROMPTS: dict[str, list[Line]] = {
    "prompt": [*D, prefill(21, 2), decode(3, "step+22", B=2)],
    "prompt alone": [*D, prefill(21)],
    "window": [*template(mixer=mixing(TINY, attention(window=6, sinks=2))), prefill(21), decode(2, "step+22")],
    "states": [*template(mixer=ssm()), prefill(21, 2), decode(2, "step+22", B=2)],
    "hybrid": [*template(mixer=hybrid()), prefill(21), decode(2, "step+22")],
    "prompts": [*D, prefill(10), decode(3, "step+11"), prefill(11, T=24)],
    "forked": [*D, prefill(21), decode(3, "step+22", B=3, fork=3)],
}
# of AiM, which leaves rows open and has modes: by what comes before and after
BETWEEN = ("TMOD", "PREA", "PRE", "ACT", "ACT16", "ACT4")


def run(lines: Sequence[Line], path: Path, chunk: int, head: bool = False) -> Tally:
    """The counts of a trace whose prompts go `chunk` tokens at once."""
    given = {**STILL, "workload.prefill_chunk": chunk, "workload.lm_head": head}
    return simulate(api.prepare(loaded(lines, given, path)).plan)


def work_of(tally: Tally, without: Collection[str] = ()) -> dict[tuple[str, str], object]:
    """What each operator of each phase does, but for the time that it takes."""

    def counts(row: OperatorTally) -> object:
        commands = {name: n for name, n in row.commands.items() if name not in without}
        return row.count, commands, row.pin_bytes, row.payload_bytes, row.macs

    return {(row.phase, row.operator): counts(row) for row in tally.rows if row.macs or row.payload_bytes}


@pytest.mark.parametrize("path", [SHIPPED, AIM], ids=["pim-gpt", "aim"])
@pytest.mark.parametrize("name", PROMPTS)
def test_every_chunk_takes_the_same_commands(name: str, path: Path) -> None:
    one, *others = [run(PROMPTS[name], path, chunk) for chunk in (1, 3, 8, 64)]
    without = BETWEEN if path == AIM else ()
    assert work_of(one, without)
    for other in others:
        assert work_of(other, without) == work_of(one, without)


@pytest.mark.parametrize("chunk", [1, 3, 8, 64])
def test_the_head_runs_once_for_a_prompt(chunk: int) -> None:
    """Once for each of two sequences, and once for every token that is decoded."""
    lines = [*with_head(template()), prefill(21, 2), decode(3, "step+22", B=2)]
    tally = run(lines, SHIPPED, chunk, head=True)
    heads = {row.phase: row.count for row in tally.rows if row.operator == "lm_head"}
    assert heads == {"prefill": 2, "decode": 3 * 2}


def test_steps_are_as_many_as_chunks() -> None:
    for chunk in (1, 3, 8, 64):
        tally = run(PROMPTS["prompt"], SHIPPED, chunk)
        steps = [token.context for token in tally.tokens if token.phase == "prefill"]
        assert steps == [*range(chunk, 21, chunk), 21]
