"""Two ways to say the same thing give the same result."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pimsim.devices.pim_gpt.table import STANDARD
from pimsim.devices.plan import compile_plan
from pimsim.sim.run import simulate, simulate_contexts
from pimsim.sim.tally import Tally
from pimsim.workload.graph import Workload
from pimsim.workload.ops import INPUT
from pimsim.workload.source import requested_workload
from tests.configs import config_of, systems
from tests.examples import examples

Overrides = dict[str, Any]
STILL = {"dram.refresh": "none"}


def with_model(overrides: Overrides, **changes: Any) -> Overrides:
    return {**overrides, "workload.model_config": overrides["workload.model_config"] | changes}


def run_of(overrides: Overrides) -> Tally:
    return simulate(config_of(overrides))


@settings(max_examples=examples(40))
@given(systems())
def test_a_window_over_all_tokens_is_none(overrides: Overrides) -> None:
    free = with_model(overrides, window=None)
    config = config_of(free)
    last = config.workload.prompt_tokens + config.workload.output_tokens
    assert run_of(with_model(overrides, window=last)) == run_of(free)
    assert run_of(with_model(overrides, window=last + 1)) == run_of(free)


@settings(max_examples=examples(40))
@given(systems())
def test_what_a_model_leaves_out_is_what_its_defaults_say(overrides: Overrides) -> None:
    """As many K heads as heads, one expert, a head of d_model / heads: said or not."""
    model = overrides["workload.model_config"]
    heads = model["heads"]
    width = 2 * heads * (model["d_model"] // (2 * heads) + 1)  # rotary positions turn pairs of elements
    bare = {name: model[name] for name in ("name", "layers", "heads", "vocabulary", "max_positions")}
    bare |= {"family": model.get("family", "gpt2"), "d_model": width}
    said = {"kv_heads": heads, "head_dim": width // heads, "d_ff": 4 * width, "experts": 1, "active_experts": 1}
    bare_run = run_of({**overrides, "workload.model_config": bare})
    assert run_of({**overrides, "workload.model_config": bare | said | {"window": None}}) == bare_run


@settings(max_examples=examples(40))
@given(systems(), st.integers(2, 5))
def test_a_batch_is_as_much_work_as_its_sequences(overrides: Overrides, batch: int) -> None:
    one, many = run_of({**overrides, "workload.batch": 1}), run_of({**overrides, "workload.batch": batch})
    assert many.total("macs") == batch * one.total("macs")
    for name in ("key_append", "value_append", "scores", "values"):
        few = sum(row.payload_bytes for row in one.rows if row.operator == name)
        assert sum(row.payload_bytes for row in many.rows if row.operator == name) == batch * few


@settings(max_examples=examples(40))
@given(systems(), st.integers(1, 3), st.integers(1, 3))
def test_tokens_one_by_one_are_the_tokens_together(overrides: Overrides, first: int, count: int) -> None:
    """N steps are N single steps, each from rest, but for the banks that still close when the next one begins."""
    model = overrides["workload.model_config"] | {"max_positions": first + count}
    alone = {**overrides, **STILL, "workload.prompt_tokens": 0, "workload.query_tokens": 1, "schedule": "paper"}
    alone |= {"workload.output_tokens": first + count, "workload.model_config": model}
    config = config_of(alone)
    contexts = range(first, first + count)
    together = simulate_contexts(config, list(contexts))
    single = [simulate_contexts(config, [context]) for context in contexts]
    assert together.commands == {name: sum(one.commands[name] for one in single) for name in together.commands}
    assert together.total("macs") == sum(one.total("macs") for one in single)
    device = compile_plan(config).device
    closing = max(device.latency(constraint) for constraint in STANDARD.constraints)
    assert 0 <= together.cycles - sum(one.cycles for one in single) <= (count - 1) * closing


def unrolled(workload: Workload) -> Workload:
    """The same step with the copies of its block written one after another."""
    from dataclasses import replace

    block, parts = workload.select("block"), []
    before = INPUT
    for copy in range(workload.blocks):
        names = {operator.name: f"{operator.name}.copy{copy}" for operator in block} | {INPUT: before}
        parts += [replace(o, name=names[o.name], deps=tuple(names[dep] for dep in o.deps or (INPUT,))) for o in block]
        before = names[block[-1].name]
    return replace(workload, operators=tuple(parts), blocks=1)


@settings(max_examples=examples(40))
@given(systems())
def test_layers_may_be_written_out(overrides: Overrides) -> None:
    """A block of L copies is L blocks of one; only which rows hold what differs."""
    plain = {"workload.lm_head": False, "workload.routing": "expected"}
    config = config_of(with_model({**overrides, **plain}, experts=1, active_experts=1))
    from pimsim.dram.engine import Engine
    from pimsim.sim.system import System

    workload = requested_workload(config)
    tallies = []
    for graph in (workload, unrolled(workload)):
        plan = compile_plan(config, graph)
        tallies.append(System(plan, Engine(plan.device)).run())
    folded, written = tallies
    assert written.commands == folded.commands
    assert written.cycles == folded.cycles
    assert written.causes() == folded.causes()


@settings(max_examples=examples(40))
@given(systems(), st.sampled_from([2, 3]))
def test_a_slower_clock_stretches_time_and_nothing_else(overrides: Overrides, factor: int) -> None:
    """Every time k times as long and every rate k times as low: as many clocks, and each of them k times as long."""
    slow: Overrides = {"dram.tCK_ps": factor * overrides["dram.tCK_ps"]}
    config = config_of(overrides)
    for key, value in config.dram.timing.model_dump().items():
        if value is not None:
            slow[f"dram.timing.{key}"] = factor * value
    if any(value > 1000 for key, value in slow.items() if key not in ("dram.tCK_ps",) and "tREF" not in key):
        return
    slow["dram.io.data_rate_Gbps"] = config.dram.io.data_rate_Gbps / factor
    if slow["dram.io.data_rate_Gbps"] * factor != config.dram.io.data_rate_Gbps:
        return
    fast, times = config.model_dump(), {"pim.clock_GHz": config.pim.clock_GHz, "asic.clock_GHz": config.asic.clock_GHz}
    assert fast
    for key, value in times.items():
        slow[key] = value / factor
        if slow[key] * factor != value:
            return
    assert simulate(config_of({**overrides, **slow})).commands == simulate(config).commands
    assert simulate(config_of({**overrides, **slow})).cycles == simulate(config).cycles
