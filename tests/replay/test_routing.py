"""Which experts are chosen: repeatable, and as often as was stated."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pimsim.mapping.routing import Routing


@given(st.integers(1, 12), st.integers(0, 1000), st.booleans(), st.data())
def test_choices_are_different_experts_in_order(experts: int, seed: int, sampled: bool, data: st.DataObject) -> None:
    active = data.draw(st.integers(1, experts))
    chosen = Routing((), sampled, seed).choose(experts, active, 3, 4)
    assert len(chosen) == active and list(chosen) == sorted(set(chosen))
    assert chosen[0] >= 0 and chosen[-1] < experts
    assert chosen == Routing((), sampled, seed).choose(experts, active, 3, 4)


def test_expected_takes_the_most_frequent_every_time() -> None:
    routing = Routing((0.1, 0.3, 0.2, 0.3))
    assert {routing.choose(4, 2, token, 7) for token in range(50)} == {(1, 3)}
    assert routing.choose(4, 3, 0) == (1, 2, 3)
    assert Routing().choose(8, 2, 0) == (0, 1)


def test_a_draw_depends_on_the_seed_and_on_what_it_is_for() -> None:
    def draws(seed: int, *where: int) -> list[tuple[int, ...]]:
        return [Routing((), True, seed).choose(8, 2, token, *where) for token in range(20)]

    assert draws(0, 1) == draws(0, 1)
    assert len({tuple(draws(seed, place)) for seed in (0, 1) for place in (0, 1)}) == 4


def test_the_numbers_themselves() -> None:
    """They must not differ between machines or versions: a log would."""
    assert [Routing((), True, 7).choose(8, 2, token) for token in range(4)] == NUMBERS


NUMBERS = [(1, 7), (4, 7), (4, 7), (3, 6)]


@pytest.mark.parametrize("weights", [(1.0, 1.0, 1.0, 1.0), (4.0, 2.0, 1.0, 1.0), (0.0, 1.0, 0.0, 3.0)])
def test_draws_have_the_stated_frequencies(weights: tuple[float, ...]) -> None:
    count = Counter(Routing(weights, True, 0).choose(4, 1, token)[0] for token in range(4000))
    for expert, weight in enumerate(weights):
        assert count[expert] == pytest.approx(4000 * weight / sum(weights), abs=120 if weight else 0)


def test_a_second_expert_is_drawn_from_the_rest() -> None:
    """Weights 2, 1, 1: the pair without the first is 1/4 * 1/3 * 2 of all, and the others are alike."""
    count = Counter(Routing((2.0, 1.0, 1.0), True, 0).choose(3, 2, token) for token in range(4000))
    assert count[1, 2] == pytest.approx(4000 / 6, abs=100)
    assert count[0, 1] == pytest.approx(4000 * 5 / 12, abs=130)
