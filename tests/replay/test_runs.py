"""Models since 2023 on the device: the same on every engine, with legal commands, and nothing dropped."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pimsim import InputError
from pimsim.config.schema import Config
from pimsim.devices.plan import compile_plan
from pimsim.devices.registry import resolve
from pimsim.dram.engine import Engine
from pimsim.logs.checker import check
from pimsim.logs.log import read_log
from pimsim.results.metrics import bytes_without_pim
from pimsim.sim.run import simulate
from pimsim.sim.system import System
from pimsim.sim.tally import OperatorTally, Tally
from pimsim.workload.graph import Workload
from pimsim.workload.models import build
from pimsim.workload.ops import Operator
from pimsim.workload.shapes import llama
from pimsim.workload.source import requested_workload
from tests.configs import config_of

# A fortieth of the real ones in each direction, with every part that they have.
SMALL: dict[str, dict[str, Any]] = {
    "llama": {"family": "llama", "d_model": 512, "heads": 8, "kv_heads": 2, "d_ff": 1376},
    "qwen": {"family": "qwen2", "d_model": 224, "heads": 7, "kv_heads": 1, "head_dim": 64, "d_ff": 1216},
    "mistral": {"family": "llama", "d_model": 256, "heads": 8, "kv_heads": 2, "d_ff": 896, "window": 3, "tied": False},
    "mixtral": {"family": "llama", "d_model": 256, "heads": 4, "d_ff": 448, "experts": 4, "active_experts": 2},
}


def small(name: str, **keys: Any) -> dict[str, Any]:
    return {
        "workload.model_config": {"name": name, "layers": 2, "vocabulary": 1000, **SMALL[name]},
        "workload.prompt_tokens": 1,
        "workload.output_tokens": 4,
        "workload.lm_head": True,
        "workload.biases": True,
        "workload.routing": "sampled",
        "dram.channels": 4,
        **{key.replace("__", "."): value for key, value in keys.items()},
    }


@pytest.mark.parametrize("schedule", ["paper", "overlap"])
@pytest.mark.parametrize("name", SMALL)
def test_every_engine_counts_the_same(name: str, schedule: str) -> None:
    tallies = [
        simulate(config_of(small(name, schedule=schedule, engine__mode=mode, engine__fold=fold)))
        for mode in ("fast", "stepped")
        for fold in (True, False)
    ]
    assert tallies[0] == tallies[1] == tallies[2] == tallies[3]


@pytest.mark.parametrize("refresh", ["all_bank", "per_bank"])
@pytest.mark.parametrize("name", SMALL)
def test_commands_are_legal_and_all_in_the_log(name: str, refresh: str, tmp_path: Path) -> None:
    config = config_of(small(name, dram__refresh=refresh, workload__query_tokens=2))
    device = resolve(config.dram, config.pim)
    tally = simulate(config, log=tmp_path / "log.csv")
    log = read_log(tmp_path / "log.csv", device.standard)
    names = device.command_names
    assert dict(zip(names, np.bincount(log.command, minlength=len(names)).tolist(), strict=True)) == tally.commands
    assert check(log, device) == []


def test_what_memory_without_pim_would_move_by_hand() -> None:
    """Two steps of two tokens after one: weights of the experts that ten tokens choose once a step, K and V of the
    window."""
    sizes = {"name": "m", "layers": 3, "d_model": 64, "heads": 4, "kv_heads": 2, "d_ff": 96, "family": "llama"}
    sizes |= {"window": 4, "experts": 4, "active_experts": 2}
    keys = {"workload.prompt_tokens": 1, "workload.output_tokens": 4, "workload.query_tokens": 2, "workload.batch": 5}
    config = config_of({"workload.model_config": sizes, **keys})
    chosen = 4 * (1 - Fraction(1, 2) ** 10)
    weights = 64 * (64 + 32 + 32) + 64 * 64 + 64 * 4 + chosen * 3 * 64 * 96
    cache = 5 * 2 * 32 * (3 + 4)  # contexts 3 and 5
    assert bytes_without_pim(config, requested_workload(config)) == 2 * 3 * (2 * weights + cache)


# ---- graphs that no built-in model is --------------------------------------------------------

SHAPE = llama("m", 2, 64, 4, 2, 96, 100, 64)
DENSE = build(SHAPE, lm_head=True)


def with_operators(operators: Iterable[Operator], **changes: Any) -> Workload:
    return replace(DENSE, operators=tuple(operators), **changes)


def changed(name: str, **changes: Any) -> Workload:
    """The dense graph with one operator changed."""
    return with_operators(replace(o, **changes) if o.name == name else o for o in DENSE.operators)


def inserted(after: str, operator: Operator, reader: str) -> Workload:
    """The dense graph with `operator` between `after` and `reader`."""
    operators = []
    for o in DENSE.operators:
        deps = tuple(operator.name if dep == after else dep for dep in o.deps)
        operators += [replace(o, deps=deps) if o.name == reader else o]
        operators += [operator] if o.name == after else []
    return with_operators(operators)


def run(workload: Workload, **keys: Any) -> Tally:
    config = config_of({"workload.model": "gpt2-small", "workload.output_tokens": 2, "workload.lm_head": True, **keys})
    plan = compile_plan(config, workload)
    return System(plan, Engine(plan.device)).run()


def row(tally: Tally, name: str) -> OperatorTally:
    return next(r for r in tally.rows if r.operator == name)


def test_two_layers_as_one_block_are_the_same_run() -> None:
    blocks = DENSE.blocks_only()

    def second(o: Operator) -> Operator:
        return replace(o, name=f"{o.name}2", deps=tuple("ffn_residual" if d == "input" else f"{d}2" for d in o.deps))

    pair = replace(blocks, operators=(*blocks.operators, *map(second, blocks.operators)), blocks=1)
    for schedule in ("paper", "overlap"):
        one, two = (run(w, schedule=schedule, **{"workload.lm_head": False}) for w in (blocks, pair))
        assert (one.cycles, one.commands) == (two.cycles, two.commands)
    assert compile_plan(CONFIG, pair).memory.rows == compile_plan(CONFIG, blocks).memory.rows


CONFIG = config_of({"workload.model": "gpt2-small", "workload.output_tokens": 2})


def test_a_norm_over_heads_is_as_many_vectors() -> None:
    norm = Operator("q_norm", "norm", "rmsnorm", "block", 16, 16, rows=4, deps=("q",))
    tally = run(inserted("q", norm, "rope"))
    units = compile_plan(CONFIG, DENSE).units
    assert row(tally, "q_norm").adds == 2 * 2 * units.cost("rmsnorm", 16, 4).adds


def test_what_reads_a_norm_is_not_streamed() -> None:
    norm = Operator("q_norm", "norm", "rmsnorm", "block", 16, 16, rows=4, deps=("k",))
    for graph, streamed in ((DENSE, True), (inserted("k", norm, "rope"), False)):
        block = compile_plan(CONFIG, graph).step(1, head=False).block
        assert next(i.tail is not None for i in block if i.key == "rope") is streamed


@pytest.mark.parametrize(
    ("op", "role", "kind"), [("tanh", "scale", "tanh"), ("scale", "scale", "scale"), ("relu", "activation", "relu")]
)
def test_other_arithmetic_is_timed_and_counted(op: str, role: str, kind: str) -> None:
    extra = Operator("extra", role, op, "block", 64, 64, deps=("attn_out",))
    base, tally = run(DENSE), run(inserted("attn_out", extra, "attn_residual"))
    cost = compile_plan(CONFIG, DENSE).units.cost(kind, 64)
    assert (row(tally, "extra").adds, row(tally, "extra").multiplies) == (4 * cost.adds, 4 * cost.multiplies)
    assert tally.cycles > base.cycles


def test_a_soft_cap_on_scores_is_timed() -> None:
    tally = run(changed("attention", softcap=True))
    cost = compile_plan(CONFIG, DENSE).units
    assert row(tally, "softcap").adds == 2 * (cost.cost("tanh", 4).adds + cost.cost("tanh", 8).adds)
    assert tally.cycles > run(DENSE).cycles


def test_what_runs_once_a_sequence_runs_for_the_last_query_token() -> None:
    keys = {"workload.query_tokens": 2, "workload.batch": 3}
    for_all, for_last = run(DENSE, **keys), run(changed("lm_head", per="sequence"), **keys)
    assert row(for_all, "lm_head").count == 6 and row(for_last, "lm_head").count == 3
    assert row(for_last, "q").count == row(for_all, "q").count == 2 * 6


def test_routing_with_a_stated_distribution_goes_to_the_frequent_experts() -> None:
    sparse = build(replace(SHAPE, experts=4, active=2), lm_head=False)
    plan = compile_plan(CONFIG, replace(sparse, routing=(0.1, 0.2, 0.3, 0.4)))
    bases = plan.memory.regions["ffn_up"].bases
    used = [i.bases for i in plan.step(1, head=False).block if i.operator == "ffn_up"]
    assert used == [(bases[2], bases[6]), (bases[3], bases[7])]


def test_each_router_of_a_block_chooses_for_itself() -> None:
    blocks = build(replace(SHAPE, experts=8, active=2), lm_head=False)

    def second(o: Operator) -> Operator:
        return replace(o, name=f"{o.name}2", deps=tuple("ffn_residual" if d == "input" else f"{d}2" for d in o.deps))

    pair = replace(blocks, operators=(*blocks.operators, *map(second, blocks.operators)), blocks=1)
    plan = compile_plan(config_of({"workload.model": "gpt2-small", "workload.routing": "sampled"}), pair)
    chosen: dict[str, list[list[int]]] = {"ffn_up": [], "ffn_up2": []}
    for context in range(1, 9):
        block = plan.step(context, head=False).block
        for name, found in chosen.items():
            bases = plan.memory.regions[name].bases
            found.append([bases.index(i.bases[0]) for i in block if i.operator == name])
    assert chosen["ffn_up"] != chosen["ffn_up2"]


# ---- what cannot be run ----------------------------------------------------------------------


def refused(workload: Workload, config: Config = CONFIG) -> list[str]:
    with pytest.raises(InputError) as caught:
        compile_plan(config, workload)
    return str(caught.value).split("\n")


def test_what_the_hardware_cannot_run_is_named_with_its_place() -> None:
    state = Operator("mixer", "ssm", "ssm_update", "block", 640, 64, deps=("input",), per="sequence", line=7)
    quantised = {"q": 8, "ffn_up": 4}
    operators = [replace(o, bits=quantised.get(o.name, 16), line=20 + i) for i, o in enumerate(DENSE.operators)]
    wrong = with_operators([state, *operators], source="mine.jsonl")
    assert refused(wrong) == [
        "mine.jsonl:7:1: mixer: a state that is updated once a sequence (mixer): every token updates it",
        "mine.jsonl:22:1: q: weights of int8 times bf16 (q): the MAC units multiply bf16xbf16",
        "mine.jsonl:32:1: ffn_up: weights of int4 times bf16 (ffn_up): the MAC units multiply bf16xbf16",
    ]


def test_a_built_in_graph_is_refused_at_the_configuration_s_key() -> None:
    assert refused(changed("q", bits=8)) == [
        "workload: weights of int8 times bf16 (q): the MAC units multiply bf16xbf16"
    ]


def test_an_embedding_inside_the_blocks_is_refused() -> None:
    embed = replace(DENSE.operators[0], name="again", scope="block")
    (problem,) = refused(with_operators([*DENSE.operators, embed]))
    assert "an embedding inside the blocks (again)" in problem


def test_an_attention_once_a_sequence_is_refused() -> None:
    (problem,) = refused(changed("attention", per="sequence"))
    assert "an attention once a sequence (attention)" in problem


@pytest.mark.parametrize("changes", [{"tied": "q"}, {"outputs": 99}])
def test_a_matrix_that_is_no_embedding_s_table_is_refused(changes: dict[str, Any]) -> None:
    tied = with_operators(replace(o, tied="embed") if o.name == "lm_head" else o for o in DENSE.operators)
    operators = (replace(o, **changes) if o.name == "lm_head" else o for o in tied.operators)
    (problem,) = refused(with_operators(operators))
    assert "is not the first table of" in problem and "(lm_head)" in problem
