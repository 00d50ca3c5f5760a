"""Random schedules of small models: the same on every engine, legal, and each address as often as they say."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pimsim import api
from pimsim.logs.checker import check
from pimsim.logs.log import read_log
from pimsim.sim.run import simulate
from tests.configs import SCHEDULES
from tests.examples import examples
from tests.schedules.addresses import Addresses, wrong
from tests.schedules.traces import Line, attention, decode, group, loaded, mixing, model, prefill, template

Case = tuple[list[Line], Line, dict[str, Any]]


@st.composite
def trees(draw: st.DrawFn) -> tuple[list[int], int]:
    """A tree in any order, and tokens of its longest path."""
    size = draw(st.integers(1, 6), label="nodes")
    tree = [draw(st.integers(-1, node - 1), label=f"parent of {node}") for node in range(size)]
    depth: list[int] = []
    for parent in tree:
        depth.append(1 + (depth[parent] if parent >= 0 else 0))
    return tree, max(depth)


@st.composite
def attentions(draw: st.DrawFn, of: Line) -> dict[str, Any]:
    """Keys of an attention; most of them see all."""
    kind = draw(st.sampled_from(["", "", "window", "block", "length", "alone"]), label="attention")
    if kind == "window":
        return {"window": draw(st.integers(1, 20)), "sinks": draw(st.integers(0, 4))}
    if kind == "length":
        return {"head_groups": [group(of, draw(st.sampled_from(["T-3", "T+2", 7, 20])))]}
    return {"block": {"mask": "block"}, "alone": {"append": False}}.get(kind, {})


@st.composite
def accepted(draw: st.DrawFn, most: int) -> Any:
    """What a step keeps, of at most so many tokens."""
    kind = draw(st.sampled_from(["all", "number", "mean", "positions"]), label="accept")
    if kind == "mean":
        return {"mean": draw(st.integers(10, 10 * most)) / 10}
    if kind == "positions" and most > 1:
        return {"positions": sorted((draw(st.integers(0, 10)) / 10 for _ in range(most - 1)), reverse=True)}
    return most if kind == "all" else draw(st.integers(1, most))


@st.composite
def lines(draw: st.DrawFn, layers: int, causal: bool, prompt: bool, shareable: bool) -> list[Line]:
    """A prompt or none, and a few lines that decode behind it; each begins at a context of its own."""
    batch, at = draw(st.integers(1, 2), label="B"), 12
    made = []
    if prompt and draw(st.booleans(), label="prompt"):
        at = draw(st.integers(5, 20), label="prompt tokens")
        made.append(prefill(at, batch))
    for number in range(draw(st.integers(1, 3), label="lines")):
        steps = draw(st.integers(1, 4), label="steps")
        more: Line = {}
        if causal and draw(st.booleans(), label="tree"):
            tree, most = draw(trees())
            more, tokens = {"tree": tree}, len(tree)
        else:
            tokens = most = draw(st.integers(1, 4), label="Q")
        more["accept"] = draw(accepted(most))
        if layers > 1 and draw(st.booleans(), label="some layers"):
            more["layers"] = draw(st.sampled_from([1, [layers - 1], [0]]))
        if shareable and draw(st.integers(0, 2), label="fork") == 0:
            batch *= draw(st.integers(1, 2), label="times")
            more |= {"fork": batch, "reorder": draw(st.integers(0, 5), label="reorder") / 2}
        if draw(st.booleans(), label="cycle"):
            more["cycle"] = f"c{number}"
            made.append(decode(steps, f"kept+{at + tokens}", tokens, batch, **more))
        else:
            made.append(decode(steps, f"{most}*step+{at + tokens}", tokens, batch, **more))
        at += steps * most
    return made


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A model, its schedule, and keys of the configuration."""
    kv_heads = draw(st.integers(1, 2), label="kv_heads")
    sizes = {
        "layers": draw(st.integers(1, 2), label="layers"),
        "d_model": draw(st.integers(1, 40), label="d_model"),
        "heads": kv_heads * draw(st.integers(1, 2), label="heads for each"),
        "kv_heads": kv_heads,
        "head_dim": draw(st.integers(1, 40), label="head_dim"),
        "d_ff": draw(st.integers(1, 60), label="d_ff"),
    }
    of = model("random", **sizes)
    own = draw(attentions(of))
    graph = template(mixer=mixing(of, attention(of, **own)), of=of)
    graph = [{key: value for key, value in each.items() if key != "model"} for each in graph]
    schedule = draw(lines(sizes["layers"], "mask" not in own, "head_groups" not in own, not own))
    keys = {
        "schedule": draw(st.sampled_from(SCHEDULES), label="schedule"),
        "dram.channels": draw(st.sampled_from([1, 3, 8]), label="channels"),
        "dram.refresh": draw(st.sampled_from(["all_bank", "per_bank", "none"]), label="refresh"),
        "dram.timing.tREFI_ns": draw(st.sampled_from([1900, 9000]), label="tREFI"),
        "mapping.value_append": draw(st.sampled_from(["single_bank", "all_bank"]), label="value_append"),
        "mapping.attention": draw(st.sampled_from(["whole", "per_head"]), label="attention"),
        "pim.global_buffer_bytes": draw(st.sampled_from([64, 2048]), label="buffer"),
        "workload.prefill_chunk": draw(st.sampled_from([1, 3, 8]), label="chunk"),
        "workload.acceptance": draw(st.sampled_from(["expected", "sampled"]), label="acceptance"),
        "workload.acceptance_seed": draw(st.integers(0, 3), label="seed"),
        "asic.streaming": draw(st.booleans(), label="streaming"),
    }
    if keys["dram.refresh"] == "per_bank":
        keys["dram.timing.tREFI_ns"] = 9000
    return [*graph, *schedule], of, keys


def plan_of(case: Case, **keys: Any) -> Any:
    trace, of, own = case
    return api.prepare(loaded(trace, {**own, **{k.replace("__", "."): v for k, v in keys.items()}}, of=of)).plan


@settings(max_examples=examples(20), deadline=None, suppress_health_check=list(HealthCheck))
@given(cases())
def test_any_schedule_is_the_same_on_every_engine(case: Case) -> None:
    first, *others = [
        simulate(plan_of(case, engine__mode=mode, engine__fold=fold))
        for mode in ("fast", "stepped")
        for fold in (True, False)
    ]
    assert all(other == first for other in others)
    assert sum(row.cycles for row in first.rows) == first.cycles == sum(token.cycles for token in first.tokens)


@settings(max_examples=examples(25), deadline=None, suppress_health_check=list(HealthCheck))
@given(cases())
def test_any_schedule_does_what_it_says_at_every_address(case: Case) -> None:
    plan = plan_of(case)
    with TemporaryDirectory() as folder:
        tally = simulate(plan, log=Path(folder) / "log.csv")
        log = read_log(Path(folder) / "log.csv", plan.device.standard)
    assert check(log, plan.device) == []
    wanted, (_, of, _) = Addresses(plan), case
    assert wrong(wanted, log)[:5] == []
    for name in ("scores", "values"):
        macs = sum(row.macs for row in tally.rows if row.operator == name)
        assert macs == sum(wanted.scored.values()) * of["head_dim"]
