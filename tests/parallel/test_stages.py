"""Pipelines: every block is in one stage, in order and as evenly as can be; the fewest devices that have room."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pimsim.errors import InputError
from pimsim.workload.graph import Workload
from pimsim.workload.parallel.numbers import Group, holdings, smallest, split
from pimsim.workload.parallel.stages import Stage, stages
from pimsim.workload.parallel.tensor import tensor_cut
from tests.parallel.graphs import graph

NAMES = ("gpt2-small", "llama-3-8b", "gpt3-175b")


def each(found: list[Stage]) -> list[Stage]:
    """Every stage by itself."""
    return [stage for stage in found for _ in range(stage.count)]


CASES = st.sampled_from(NAMES).flatmap(lambda name: st.tuples(st.just(name), st.integers(1, graph(name).blocks)))


@given(CASES)
def test_blocks_follow_each_other_and_differ_by_one_at_most(case: tuple[str, int]) -> None:
    name, pipeline = case
    found = stages(graph(name), pipeline)
    shares = [stage.blocks for stage in each(found)]
    assert len(shares) == pipeline
    assert sum(shares) == graph(name).blocks
    assert max(shares) - min(shares) <= 1
    first = 0
    for stage in found:
        assert (stage.first_block, stage.workload.blocks) == (first, stage.blocks)
        first += stage.count * stage.blocks


@given(CASES)
def test_the_last_stage_has_the_fewest_blocks_and_then_the_first(case: tuple[str, int]) -> None:
    shares = [stage.blocks for stage in each(stages(graph(case[0]), case[1]))]
    assert shares[-1] == min(shares)
    if shares[0] > min(shares):
        assert set(shares[1:-1]) <= {max(shares)}


@given(CASES)
def test_stages_together_run_what_the_model_runs(case: tuple[str, int]) -> None:
    name, pipeline = case
    whole, found = graph(name), each(stages(graph(name), pipeline))
    head = next(o for o in whole.operators if o.role == "lm_head")
    copied = head.matrix if head.tied and pipeline > 1 else 0
    assert sum(s.workload.matrix_macs(100) for s in found) == whole.matrix_macs(100)
    assert sum(s.workload.parameters for s in found) == whole.parameters + copied
    assert sum(holdings(s.workload).kv_token for s in found) == holdings(whole).kv_token


def test_only_the_first_stage_embeds_and_only_the_last_makes_logits() -> None:
    found = each(stages(graph("gpt2-small"), 4))
    assert [bool(s.workload.select("once_before")) for s in found] == [True, False, False, False]
    assert [s.workload.lm_head for s in found] == [False, False, False, True]


def test_one_stage_is_the_graph_itself_and_equal_ones_are_folded() -> None:
    (one,) = stages(graph("llama-3-8b"), 1)
    assert one.workload is graph("llama-3-8b")
    assert [(s.count, s.blocks) for s in stages(graph("llama-3-8b"), 5)] == [(1, 6), (2, 7), (1, 6), (1, 6)]
    (alike,) = stages(graph("llama-3-8b").blocks_only(), 8)
    assert (alike.count, alike.blocks) == (8, 4)


@pytest.mark.parametrize(
    ("pipeline", "what"), [(40, "a pipeline of 40 stages is longer than the 32 blocks"), (0, "a pipeline of 0 stages")]
)
def test_a_pipeline_that_is_too_long_is_told(pipeline: int, what: str) -> None:
    with pytest.raises(InputError) as raised:
        stages(graph("llama-3-8b"), pipeline)
    assert str(raised.value) == f"system.pipeline: {what}"


def test_a_device_holds_its_weights_and_its_heads() -> None:
    whole = graph("llama-3-8b")
    assert holdings(whole) == (8_030_261_248, 2 * 32 * 8 * 128, 0)
    cut = holdings(tensor_cut(whole, 8))
    assert cut.kv_token * 8 == holdings(whole).kv_token
    assert holdings(graph("mamba")).state == sum(o.state_elements * 2 for o in graph("mamba").operators)


def test_all_that_is_wrong_with_a_split_is_told_at_once() -> None:
    with pytest.raises(InputError) as raised:
        split(graph("llama-3-8b"), tensor=3, pipeline=40, expert=2, batch=3)
    keys = [problem.key for problem in raised.value.problems]
    assert keys == ["system.tensor"] * 3 + ["system.pipeline"] + ["system.expert"] * 2


def devices_of(parts: list[Group], tensor: int) -> int:
    return sum(part.role.count * stage.count * tensor for part in parts for stage in part.stages)


@pytest.mark.parametrize(("tensor", "pipeline", "expert", "batch"), [(1, 1, 1, 3), (4, 5, 8, 16), (2, 4, 4, 3)])
def test_a_split_in_three_ways_runs_what_the_model_runs(tensor: int, pipeline: int, expert: int, batch: int) -> None:
    whole = graph("mixtral-8x7b")
    parts = split(whole, tensor, pipeline, expert, batch)
    assert devices_of(parts, tensor) == tensor * pipeline * expert
    macs = sum(
        part.role.count * stage.count * tensor * max(part.role.batch, 1) * _macs(stage.workload)
        for part in parts for stage in part.stages
    )  # fmt: skip
    assert macs == batch * (_macs(whole) + (tensor - 1) * _macs(whole, "router"))


def _macs(workload: Workload, role: str = "") -> int:
    return sum(o.matrix_macs(50) * workload.repeats(o) for o in workload.operators if not role or o.role == role)


def test_a_split_in_no_way_is_the_graph_itself() -> None:
    ((role, (stage,)),) = split(graph("mixtral-8x7b"), batch=5)
    assert stage.workload is role.workload is graph("mixtral-8x7b")


@pytest.mark.parametrize("room", [2**34, 2**32, 2**31, 2**30])
def test_the_smallest_split_has_room_and_none_of_fewer_devices_has(room: int) -> None:
    def fits(found: list[Stage]) -> bool:
        return all(2 * holdings(stage.workload).weights <= room for stage in found)

    whole = graph("gpt3-6.7b")
    found = smallest(whole, fits)
    assert found is not None and fits(found.stages)
    assert found.stages == split(whole, found.tensor, found.pipeline)[0].stages
    for tensor in (1, 2, 4, 8, 16, 32):
        for pipeline in range(1, min(33, -(-found.devices // tensor))):
            assert tensor * pipeline >= found.devices or not fits(stages(tensor_cut(whole, tensor), pipeline))


def test_a_model_that_fits_nowhere_has_no_smallest_split() -> None:
    assert smallest(graph("gpt2-small"), lambda found: False) is None
    assert smallest(graph("gpt2-small"), lambda found: len(found) > 3, most=3) is None
