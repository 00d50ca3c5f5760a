"""Machines in a pipeline: against a second reading, closed forms, and by hand."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pimsim.sim.cluster import Pipeline, Transfer, simulate, steady_interval
from tests.cluster.second_pipeline import begun_and_done
from tests.examples import examples


@st.composite
def pipelines(draw: st.DrawFn) -> Pipeline:
    """Systems in which every step takes what it likes, so that arrivals overtake one another and meet."""
    stages, steps = draw(st.integers(1, 5)), draw(st.integers(1, 9))
    most = draw(st.sampled_from([1, 3, 12]))
    clocks = st.lists(st.integers(1, most), min_size=steps, max_size=steps)
    moves = st.one_of(st.integers(0, most), st.lists(st.integers(0, most), min_size=steps, max_size=steps))
    transfers = st.builds(Transfer, moves, moves)
    return Pipeline(
        draw(st.lists(clocks, min_size=stages, max_size=stages)),
        draw(st.integers(1, 6)),
        draw(st.integers(0, steps)),
        draw(st.lists(transfers, min_size=stages - 1, max_size=stages - 1)),
        draw(transfers),
    )


@settings(max_examples=examples(400))
@given(pipelines())
def test_a_pipeline_does_what_the_second_reading_says(pipeline: Pipeline) -> None:
    def each(clocks: object) -> list[int]:
        return list(np.broadcast_to(clocks, pipeline.steps))  # type: ignore[call-overload]

    schedule = simulate(pipeline)
    links = [(each(link.occupies), each(link.arrives)) for link in pipeline.links]
    start, done = begun_and_done(
        [list(each) for each in pipeline.stages], links, pipeline.micro_batches, pipeline.prefill_steps
    )
    assert dict(np.ndenumerate(schedule.start)) == start
    assert dict(np.ndenumerate(schedule.done)) == done


@settings(max_examples=examples(60))
@given(st.data())
def test_decoding_settles_at_the_slowest_stage_or_at_one_round(data: st.DataObject) -> None:
    short = st.integers(1, 9)
    stages = data.draw(st.lists(short, min_size=1, max_size=5))
    micro_batches = data.draw(st.integers(1, 7))
    moves = [data.draw(st.lists(st.integers(0, 9), min_size=len(stages), max_size=len(stages))) for _ in range(2)]
    steps = 160
    links = [Transfer(*each) for each in zip(*moves, strict=True)]
    decode = Pipeline([[clocks] * steps for clocks in stages], micro_batches, 0, links[:-1], links[-1])
    assert simulate(decode).interval == steady_interval(stages, micro_batches, *moves)


def test_with_more_micro_batches_than_a_round_holds_the_slowest_stage_is_always_busy() -> None:
    # 2 + 5 + 3 clocks of work and 2 of transfers: three micro-batches fill the slowest stage.
    for micro_batches, interval in ((1, 12), (2, 12), (3, 15), (4, 20)):
        decode = Pipeline([[2] * 40, [5] * 40, [3] * 40], micro_batches, 0, Transfer(1, 1))
        assert simulate(decode).interval == interval


def test_a_slow_link_limits_as_a_slow_stage_does() -> None:
    decode = Pipeline([[2] * 40, [2] * 40], 4, 0, Transfer(7, 9))
    assert simulate(decode).interval == steady_interval([2, 2], 4, [7], [9]) == 4 * 7


def test_one_stage_alone_has_no_bubbles() -> None:
    schedule = simulate(Pipeline([[3, 1, 4, 1, 5]], 1, 2))
    assert (schedule.end, schedule.idle.tolist(), schedule.busy.tolist()) == (14, [0], [14])
    assert schedule.ended.tolist() == [[[3, 4, 8, 9, 14]]]


def test_one_stage_serves_micro_batches_in_turn() -> None:
    schedule = simulate(Pipeline([[3, 4]], 2, 0))
    assert schedule.start.tolist() == [[[0, 6], [3, 10]]]


def test_prefill_steps_follow_one_another_through_the_pipeline() -> None:
    # Three steps of prefill fill both stages; the decode step waits for the token of the last one.
    schedule = simulate(Pipeline([[2] * 4, [2] * 4], 1, 3, Transfer(1, 1), Transfer(1, 6)))
    assert schedule.start[:, 0].tolist() == [[0, 2, 4, 15], [3, 5, 7, 18]]
    assert schedule.done[0].tolist() == [5, 7, 15, 26]
    assert (schedule.first_token, schedule.end, schedule.idle.tolist()) == (26, 26, [18, 18])
    assert schedule.latency[0].tolist() == [5, 7, 15, 11]


def test_a_stage_goes_on_while_its_output_is_sent() -> None:
    schedule = simulate(Pipeline([[2, 2], [2, 2]], 2, 1, Transfer(5, 5)))
    assert schedule.start[0, :, 0].tolist() == [0, 2]
    assert schedule.start[1, :, 0].tolist() == [7, 12]


def test_links_are_taken_for_what_they_carry() -> None:
    # Two steps of prefill: of them only the last comes back.
    schedule = simulate(Pipeline([[1] * 4, [1] * 4], 3, 2, Transfer([1, 2, 3, 4], 9), Transfer(5, 5)))
    assert schedule.link_busy.tolist() == [3 * 10, 3 * 15]


@settings(max_examples=examples(50))
@given(pipelines())
def test_no_stage_does_two_things_at_once(pipeline: Pipeline) -> None:
    schedule = simulate(pipeline)
    for begins, ends in zip(schedule.start, schedule.ended, strict=True):
        order = np.argsort(begins, axis=None)
        assert (begins.ravel()[order][1:] >= ends.ravel()[order][:-1]).all()
    assert (schedule.busy + schedule.idle == schedule.end).all() and (schedule.idle >= 0).all()


@given(pipelines())
def test_a_micro_batch_more_ends_no_earlier(pipeline: Pipeline) -> None:
    same = replace(pipeline, stages=[[int(np.max(each))] * pipeline.steps for each in pipeline.stages])
    same = replace(same, between=Transfer(1, 2), back=Transfer(1, 2))
    assert simulate(replace(same, micro_batches=same.micro_batches + 1)).end >= simulate(same).end


def test_interval_is_the_mean_over_the_second_half() -> None:
    schedule = simulate(Pipeline([[9, 1, 1, 2, 3]], 1, 1))
    assert schedule.interval == Fraction(5, 2)
    assert simulate(Pipeline([[9]], 1, 1)).interval is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"stages": []}, "at least one stage"),
        ({"stages": [[1, 2], [1]]}, "the same steps"),
        ({"stages": [[1, 0], [1, 1]]}, "at least one clock"),
        ({"micro_batches": 0}, "at least one micro-batch"),
        ({"prefill_steps": 3}, "of 2 steps, 3 cannot be prefill"),
        ({"between": [Transfer()] * 2}, "1 links between them, not 2"),
        ({"back": Transfer(-1)}, "no less than 0"),
        ({"back": Transfer([1, 2, 3])}, "one for each"),
    ],
)
def test_what_does_not_fit_together_is_refused(change: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        replace(Pipeline([[1, 2], [3, 4]]), **change)  # type: ignore[arg-type]


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(ValueError, match="one clock.*micro-batch.*prefill"):
        Pipeline([[0, 1]], 0, 5)
