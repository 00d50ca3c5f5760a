"""Schedules that come to the same are the same run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from pimsim import api
from pimsim.sim.run import simulate
from pimsim.sim.tally import Tally
from tests.conftest import SHIPPED
from tests.schedules.traces import (
    AIM,
    DRAFT,
    HALVES,
    SPECULATIVE,
    TINY,
    D,
    Line,
    apart,
    attention,
    cycle,
    decode,
    group,
    loaded,
    mixing,
    model,
    prefill,
    template,
)

BOTH = pytest.mark.parametrize("path", [SHIPPED, AIM], ids=["pim-gpt", "aim"])
STILL = {"dram.channels": 4, "dram.refresh": "none"}  # refreshes open rows again


def run(lines: Sequence[Line], path: Path = SHIPPED, of: Line = TINY, **keys: Any) -> Tally:
    """The counts of a trace."""
    given = {**STILL, **{key.replace("__", "."): value for key, value in keys.items()}}
    return simulate(api.prepare(loaded(lines, given, path, of)).plan)


def of_part(tally: Tally, part: str) -> Counter[str]:
    """The commands of a part of decoding."""
    return sum((Counter(dict(row.commands)) for row in tally.rows if row.part == part), Counter())


def working(found: Mapping[str, int]) -> dict[str, int]:
    """Commands without AiM's changes of mode, which depend on what comes before and after."""
    return {name: n for name, n in found.items() if n and name not in ("TMOD", "PREA")}


def of_attention(**keys: Any) -> list[Line]:
    """The template with another attention."""
    return template(mixer=mixing(TINY, attention(**keys)))


LAST = [*D, decode(3, "step+31")]
# name: lines, and lines that are the same run to the last count
SAME: dict[str, tuple[list[Line], list[Line]]] = {
    "keeping Q of Q is a chunk": ([*D, decode(4, "3*step+31", 3, accept=3)], [*D, decode(4, "3*step+31", 3)]),
    "a tree that is a chain is the chain": (
        [*D, decode(4, "2*step+31", 3, 2, accept=2, tree=[-1, 0, 1])], [*D, decode(4, "2*step+31", 3, 2, accept=2)],
    ),
    "a tree of one token is a token that is kept": (
        [*D, decode(4, "step+31", 1, accept=1, tree=[-1])], [*D, decode(4, "step+31", 1, accept={"mean": 1})],
    ),
    "all layers are the model": ([*D, decode(3, "step+31", layers=2)], LAST),
    "all layers, listed, are the model": ([*D, decode(3, "step+31", layers=[0, 1])], LAST),
    "one hypothesis is none": ([*D, decode(3, "step+31", fork=1)], LAST),
    "no hypothesis that moves is none": ([*D, decode(3, "step+31", B=3, reorder=0)], [*D, decode(3, "step+31", B=3)]),
    "a window longer than T is none": ([*of_attention(window=35), decode(5, "step+31")], [*D, decode(5, "step+31")]),
    "sinks and a window longer than T are none": (
        [*of_attention(window=38, sinks=4), decode(5, "step+31")], [*D, decode(5, "step+31")],
    ),
    "sequences that are forked where there is nothing are sequences": (
        [*D, decode(5, "step+1", B=3, fork=3)], [*D, decode(5, "step+1", B=3)],
    ),
    "a cycle of one line is the line": (
        [*D, decode(5, "kept+31", 3, accept=2, cycle="alone")], [*D, decode(5, "2*step+31", 3, accept=2)],
    ),
    "a mean that is whole is a number": (
        [*D, decode(4, "2*step+31", 3, accept={"mean": 2})], [*D, decode(4, "2*step+31", 3, accept=2)],
    ),
    "a length of T is the context": ([*of_attention(head_groups=[group(kv_len="1*T+0")]), decode(3, "step+31")], LAST),
    "a mask that is causal is none": ([*of_attention(mask="causal"), decode(3, "2*step+31", 2)],
                                      [*D, decode(3, "2*step+31", 2)]),
    "lines that follow each other are one": ([*D, decode(2, "step+31"), decode(3, "step+33")],
                                             [*D, decode(5, "step+31")]),
}  # fmt: skip


@BOTH
@pytest.mark.parametrize("name", SAME)
def test_it_is_the_same_run(name: str, path: Path) -> None:
    ours, others = (run(lines, path, schedule="overlap") for lines in SAME[name])
    assert ours == others
    assert ours.cycles


# name: lines, and lines that take the same commands
ALIKE: dict[str, tuple[list[Line], list[Line]]] = {
    "an encoder of one token is a decode step": ([*of_attention(mask="block"), prefill(1)], [*D, decode(1, 1)]),
    "an encoder of one token that keeps nothing is a decode step that keeps nothing": (
        [*of_attention(mask="block", append=False), prefill(1)], [*of_attention(append=False), decode(1, 1)],
    ),
    "two attentions apart are one with two head groups": (
        [*template(mixer=apart()), decode(5, "step+31")], [*of_attention(head_groups=HALVES), decode(5, "step+31")],
    ),
    "two halves that see the same are the whole": (
        [*of_attention(head_groups=[group(heads=2, kv_heads=1)] * 2), decode(5, "step+31")],
        [*D, decode(5, "step+31")],
    ),
}  # fmt: skip


@BOTH
@pytest.mark.parametrize("name", list(ALIKE)[:3])
def test_it_takes_the_same_commands(name: str, path: Path) -> None:
    ours, others = (run(lines, path) for lines in ALIKE[name])
    assert working(ours.commands) == working(others.commands)
    assert sum(row.payload_bytes for row in ours.rows) == sum(row.payload_bytes for row in others.rows)
    assert sum(row.macs for row in ours.rows) == sum(row.macs for row in others.rows)
    if "head groups" in name:
        assert ours.cycles == others.cycles


def test_halves_that_see_the_same_multiply_what_the_whole_does() -> None:
    ours, others = (run(lines) for lines in ALIKE["two halves that see the same are the whole"])
    for name in ("MACAB", "WR"):
        assert ours.commands[name] == others.commands[name] > 0
    assert sum(row.macs for row in ours.rows) == sum(row.macs for row in others.rows)


@BOTH
@pytest.mark.parametrize("layers", [1, [1], [0]])
def test_some_layers_of_a_model_are_a_model_of_as_many(layers: Any, path: Path) -> None:
    some = run([*D, decode(4, "step+31", layers=layers)], path)
    less = model(layers=1)
    whole = run([*template(of=less), decode(4, "step+31")], path, less)
    assert some.commands == whole.commands
    assert some.cycles == whole.cycles


@BOTH
@pytest.mark.parametrize("positions", [[1.0, 1.0], [1.0, 0.0], [0.0, 0.0]])
def test_chances_that_are_certain_are_kept_alike(positions: list[float], path: Path) -> None:
    kept = 1 + sum(map(int, positions))
    lines = [*D, decode(4, f"{kept}*step+31", 3, accept={"positions": positions})]
    number = run([*D, decode(4, f"{kept}*step+31", 3, accept={"mean": kept})], path)
    for acceptance in ("expected", "sampled"):
        assert run(lines, path, workload__acceptance=acceptance) == number


@BOTH
def test_each_model_takes_the_commands_that_it_takes_alone(path: Path) -> None:
    """Two drafts and a target in one memory, beside each of them with a memory of its own."""
    together = run([*SPECULATIVE, *cycle(accept=2)], path)
    draft = run([*template(of=DRAFT), decode(4, "2*step+31"), decode(4, "2*step+32")], path, DRAFT)
    target = run([*D, decode(4, "2*step+33", 3)], path)
    assert working(of_part(together, "drafting")) == working(draft.commands)
    assert working(of_part(together, "verification")) == working(target.commands)
    assert {row.part for row in together.rows} == {"drafting", "verification"}


@BOTH
def test_sequences_beside_each_other_take_what_each_takes(path: Path) -> None:
    one, three = (run([*D, decode(4, "2*step+31", 3, B, accept=2, tree=[-1, 0, 0])], path) for B in (1, 3))
    for name in ("WR", "RD"):
        assert three.commands[name] == 3 * one.commands[name]
    for what in ("payload_bytes", "macs"):
        assert sum(getattr(row, what) for row in three.rows) == 3 * sum(getattr(row, what) for row in one.rows)
