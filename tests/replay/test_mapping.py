"""Where the parts of models since 2023 go on the device, and what they cost, by hand.

Shipped device: 8 channels of 16 banks, columns of 16 elements, 64 columns a row and a buffer.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pimsim.devices.plan import compile_plan
from pimsim.mapping.instructions import START
from pimsim.mapping.plan import Plan
from pimsim.sim.run import simulate
from pimsim.sim.tally import OperatorTally, Tally
from pimsim.workload.models import MODELS
from tests.configs import config_of

STILL = {"dram.refresh": "none"}


def tally_of(**keys: Any) -> Tally:
    return simulate(config_of({**STILL, **{key.replace("__", "."): value for key, value in keys.items()}}))


def model(tokens: int = 1, first: int = 0, **sizes: Any) -> dict[str, Any]:
    """Keys for a model of Llama's kind with one block, and so many decode steps."""
    sizes = {"name": "m", "layers": 1, "d_model": 256, "heads": 4, "d_ff": 512, "family": "llama", **sizes}
    return {"workload__model_config": sizes, "workload__output_tokens": tokens, "workload__prompt_tokens": first}


def row(tally: Tally, operator: str) -> OperatorTally:
    return next(r for r in tally.rows if r.operator == operator and r.phase == "decode")


def plan_of(**keys: Any) -> Plan:
    return compile_plan(config_of({key.replace("__", "."): value for key, value in keys.items()}))


def test_a_block_of_llama_3_2_1b_by_hand() -> None:
    """d 2048 is 128 columns: two buffers; 8192 is 512 columns: eight."""
    tally = tally_of(workload__model="llama-3.2-1b", workload__output_tokens=1)
    slots = {"q": 16, "k": 4, "v": 4, "attn_out": 16, "ffn_gate": 64, "ffn_up": 64}  # outputs / 128 banks
    for name, outputs in slots.items():
        one = row(tally, name)
        assert one.count == 16
        assert one.commands["MACAB"] == 16 * 8 * outputs * 128  # blocks, channels, slots, columns
        assert one.commands["RDMAC"] == 16 * 8 * outputs * 2
        assert one.commands["WRGB"] == 16 * 8 * 128
    assert row(tally, "ffn_down").commands["MACAB"] == 16 * 8 * 16 * 512
    # K of 8 heads of 4 columns for one token, read for 4 query heads each
    assert row(tally, "key_append").commands["WR"] == 16 * 8 * 4
    assert row(tally, "scores").commands["MACAB"] == 16 * 8 * 4 * 4
    assert row(tally, "scores").macs == 16 * 32 * 64
    # V: 8 heads of 64 dimensions in 4 units of 16 banks, one column of tokens, 4 query heads each
    assert row(tally, "value_append").commands["WR"] == 16 * 8 * 64
    assert row(tally, "values").commands["MACAB"] == 16 * 8 * 4 * 4
    assert tally.total("macs") == MODELS["llama-3.2-1b"].layers * (2048 * (2 * 2048 + 2 * 512) + 3 * 2048 * 8192 + 4096)


@pytest.mark.parametrize("kv_heads", [1, 2, 4])
def test_query_heads_of_a_group_share_keys_and_values(kv_heads: int) -> None:
    """What is kept and written shrinks with the K heads; what is multiplied does not."""
    tally = tally_of(**model(tokens=1, first=39, kv_heads=kv_heads))
    assert row(tally, "key_append").commands["WR"] == kv_heads * 4
    assert row(tally, "value_append").commands["WR"] == kv_heads * 64
    assert row(tally, "scores").macs == row(tally, "values").macs == 4 * 64 * 40
    # 40 tokens are 3 sets of 16: 3 channels, a slot in each; a head's keys are 4 columns for each of 4 query heads
    assert row(tally, "scores").commands["MACAB"] == 3 * 4 * 4
    # 40 tokens are 3 columns; 4 units a K head, each read for every query head that shares it
    assert row(tally, "values").commands["MACAB"] == 4 * 4 * 3


def test_a_window_bounds_time_and_memory() -> None:
    """Once the window is full a step costs the same for ever, and K and V take no more rows."""
    long = simulate(config_of({**STILL, **_dotted(model(tokens=40, window=16))}))
    steps = [token.cycles for token in long.tokens]
    assert len(set(steps[16:])) == 1 and steps[0] < steps[16]
    assert row(long, "scores").macs == 256 * (sum(range(1, 17)) + 16 * 24)
    whole = simulate(config_of({**STILL, **_dotted(model(tokens=40))}))
    assert all(token.cycles > step for token, step in zip(whole.tokens, steps, strict=True))  # V is less dense
    assert whole.tokens[-1].cycles > whole.tokens[16].cycles
    rows = {tokens: plan_of(**model(tokens=tokens, window=16)).memory.rows for tokens in (17, 5000)}
    assert rows[17] == rows[5000] < plan_of(**model(tokens=5000)).memory.rows


def _dotted(keys: dict[str, Any]) -> dict[str, Any]:
    return {key.replace("__", "."): value for key, value in keys.items()}


@pytest.mark.parametrize("window", [5, 16])
def test_a_token_takes_the_place_of_the_one_that_leaves_the_window(window: int) -> None:
    plan = plan_of(**model(tokens=40, window=window))

    def appends(context: int) -> list[Any]:
        step = plan.step(context, head=False)
        return [i.work.program.tolist() for i in step.block if i.work and i.operator.endswith("_append")]

    for context in (1, 3, window):
        assert appends(context) == appends(context + window) == appends(context + 2 * window)
    assert appends(1) != appends(2)


def test_several_query_tokens_are_as_many_products_each_with_its_own_context() -> None:
    one, three = tally_of(**model(tokens=6)), tally_of(**model(tokens=6), workload__query_tokens=3)
    assert [token.context for token in three.tokens] == [3, 6]
    assert three.total("macs") == one.total("macs")
    for name in ("q", "ffn_down", "scores", "values", "key_append", "value_append"):
        assert row(three, name).commands == row(one, name).commands
    assert row(three, "attn_norm").count == 2 and row(three, "attn_norm").adds == row(one, "attn_norm").adds
    assert three.cycles < one.cycles  # fewer pipelines to fill in the ASIC
    shared = tally_of(**model(tokens=6), workload__query_tokens=3, workload__biases=True)
    assert (
        3 * row(shared, "vectors").commands["RD"]
        == row(tally_of(**model(tokens=6), workload__biases=True), "vectors").commands["RD"]
    )


# ---- experts --------------------------------------------------------------------------------


def test_every_expert_is_kept_and_the_active_ones_run() -> None:
    dense = plan_of(**model()).memory
    sparse = plan_of(**model(experts=8, active_experts=2)).memory
    for name, rows in (("ffn_up", 2), ("ffn_down", 1)):  # up has gate in it
        assert len(sparse.regions[name].bases) == 8 * len(dense.regions[name].bases) == 8
        assert sparse.regions[name].rows == rows * dense.regions[name].rows
    one, two = tally_of(**model()), tally_of(**model(experts=8, active_experts=2))
    for name, factor in (("ffn_up", 4), ("ffn_down", 2)):
        assert row(two, name).count == 2 * row(one, name).count
        assert row(two, name).commands["MACAB"] == factor * row(one, name).commands["MACAB"]
    assert row(two, "ffn_act").adds == 2 * row(one, "ffn_act").adds
    assert row(two, "router").macs == 256 * 8
    assert row(two, "expert_sum").multiplies == 2 * 256 and row(two, "expert_sum").adds == 256


def test_partial_sums_of_every_active_expert_are_added_up() -> None:
    """A buffer of 128 elements cuts inputs of 256 in two and of 512 in four."""
    tally = tally_of(**model(experts=8, active_experts=2), pim__global_buffer_bytes=256)
    attention, router = 4 * 256, 8
    up, down = 2 * (2 * 512), 2 * (3 * 256)
    assert row(tally, "sum").adds == attention + router + up + down


def test_the_router_decides_only_where_commands_go() -> None:
    """Experts are alike: `expected` and every seed take the same time."""
    keys = model(tokens=4, layers=3, experts=4, active_experts=2)
    tallies = [tally_of(**keys)]
    tallies += [tally_of(**keys, workload__routing="sampled", workload__routing_seed=seed) for seed in (0, 1)]
    assert tallies[0] == tallies[1] == tallies[2]


def test_vectors_and_blocks_have_experts_of_their_own_and_up_and_down_agree() -> None:
    keys = model(layers=6, experts=5, active_experts=2)
    plan = plan_of(**keys, workload__batch=8, workload__routing="sampled")
    block = plan.step(7, head=False).block
    chosen = {}
    for name in ("ffn_up", "ffn_down"):
        bases = plan.memory.regions[name].bases
        used = [[bases.index(base) for base in i.bases] for i in block if i.operator == name]
        assert [[expert // 5 for expert in one] for one in used] == [list(range(6))] * 16  # each block's own copies
        chosen[name] = [[expert % 5 for expert in one] for one in used]
    assert chosen["ffn_up"] == chosen["ffn_down"]
    pairs = list(zip(chosen["ffn_up"][::2], chosen["ffn_up"][1::2], strict=True))  # two experts of each vector
    assert all(a < b for one, two in pairs for a, b in zip(one, two, strict=True))
    assert len({tuple(map(tuple, pair)) for pair in pairs}) > 1
    assert len({tuple(expert) for one, two in pairs for expert in zip(one, two, strict=True)}) > 5


def test_a_token_has_the_same_experts_however_many_are_decoded_at_once() -> None:
    plan = plan_of(**model(experts=8, active_experts=2), workload__batch=3, workload__routing="sampled")

    def bases(context: int, tokens: int) -> list[tuple[int, ...]]:
        step = plan.step(context, head=False, tokens=tokens)
        return [i.bases for i in step.block if i.operator == "ffn_up"]

    assert bases(2, tokens=2) == bases(1, tokens=1) + bases(2, tokens=1)
    assert bases(1, tokens=1) != bases(2, tokens=1)


def test_all_rows_of_a_token_go_through_its_experts() -> None:
    """Two vectors a token are two products with each of its experts, those that one vector would have."""
    plan = plan_of(**model(experts=8, active_experts=2), workload__batch=3, workload__routing="sampled")
    whole = plan.workload
    halves = [replace(o, rows=2, inputs=o.inputs // 2) if o.name == "ffn_up" else o for o in whole.operators]
    split = compile_plan(plan.config, replace(whole, operators=tuple(halves)))

    def experts(plan: Plan) -> list[int]:
        bases = plan.memory.regions["ffn_up"].bases
        step = plan.step(4, head=False, tokens=2).block
        return [bases.index(i.bases[0]) for i in step if i.operator == "ffn_up"]

    one, two = experts(plan), experts(split)
    pairs = [one[i : i + 2] for i in range(0, len(one), 2)]
    assert two == [expert for pair in pairs for expert in pair * 2]


# ---- what waits for what ----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["gpt2-small", "llama-3.2-1b"])
def test_an_instruction_waits_for_what_its_operator_depends_on(name: str) -> None:
    plan = plan_of(workload__model=name, workload__output_tokens=1, workload__lm_head=True)
    step = plan.step(1, head=True)
    after = {i.key: set(i.after) for i in step.block}
    assert after["attn_norm"] == {START}
    assert after["attn_residual"] == {START, "attn_out.sum"} if name != "gpt2-small" else {START, "attn_out"}
    if name != "gpt2-small":
        assert after["q"] == after["k"] == after["v"] == {"attn_norm"}
        assert after["rope"] == {"q.sum", "k.sum"}
        assert after["key_append"] == {"rope", "v.sum"}
        assert after["ffn_mul"] == {"ffn_act", "ffn_up.sum"}
    for part in (step.before, step.block, step.after):
        known = {START}
        for instruction in part:
            assert set(instruction.after) <= known
            known.add(instruction.key)


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_with_overlap_and_an_lm_head_each_block_waits_for_the_block_before(family: str) -> None:
    """A further block adds as much time with what is around the blocks as without it."""

    def cycles(layers: int, head: bool) -> int:
        keys = model(layers=layers, family=family, vocabulary=500)
        return tally_of(**keys, workload__lm_head=head, schedule="overlap").cycles

    for head in (False, True):
        assert cycles(3, head) - cycles(2, head) == cycles(2, False) - cycles(1, False)


def test_what_arrives_whole_is_not_streamed() -> None:
    """RoPE works on q and k as they arrive, the second norm's users do not exist; a router's softmax waits."""
    plan = plan_of(**model(experts=4, active_experts=2))
    tails = {i.key: i.tail for i in plan.step(1, head=False).block if i.work is None}
    streamed = {key for key, tail in tails.items() if tail is not None}
    assert streamed == {"rope", "attn_residual", "ffn_act", "ffn_mul", "expert_sum", "ffn_residual"}


# ---- ends -------------------------------------------------------------------------------------


@pytest.mark.parametrize("tied", [True, False])
def test_an_untied_table_has_rows_of_its_own(tied: bool) -> None:
    keys = model(tied=tied, vocabulary=2000)
    memory = plan_of(**keys, workload__lm_head=True).memory
    assert ("embed.table0" in memory.tables) is not tied
    tally = tally_of(**keys, workload__lm_head=True)
    assert row(tally, "embed").commands["RD"] == 16  # 256 elements; no positions, no sum
    assert row(tally, "embed").adds == 0
