"""Which experts are chosen: repeatable, and as often as was stated."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pimsim.baselines.cost import decode_demands
from pimsim.config.schema import Config
from pimsim.devices.plan import compile_plan
from pimsim.mapping.routing import Routing, expected_experts, experts_read, routing_of
from pimsim.results.metrics import bytes_without_pim
from tests.configs import config_of


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


def experts_model(layers: int = 2, experts: int = 5, active: int = 2, **work: Any) -> Config:
    shape = {
        "name": "m", "layers": layers, "d_model": 32, "heads": 2, "d_ff": 48, "family": "llama", "experts": experts,
        "active_experts": active,
    }  # fmt: skip
    return config_of(
        {"workload.model": None, "workload.model_config": shape} | {f"workload.{k}": v for k, v in work.items()}
    )


@pytest.mark.parametrize(("batch", "tokens"), [(1, 1), (3, 1), (1, 4), (6, 2)])
def test_experts_of_a_step_are_those_that_its_instructions_multiply_with(batch: int, tokens: int) -> None:
    asked = experts_model(routing="sampled", routing_seed=3, batch=batch, query_tokens=tokens, output_tokens=8)
    plan = compile_plan(asked)
    up = next(operator for operator in plan.workload.operators if operator.name == "ffn_up")
    for context in (tokens, 8):
        made = [i for i in plan.step(context, head=False, tokens=tokens).block if i.operator == "ffn_up"]
        rows = zip(*(i.bases for i in made), strict=True)  # of one block, of each vector and way
        (read,) = experts_read(plan.workload, up, [context], tokens, batch, routing_of(asked, plan.workload))
        assert read == sum(len(set(block)) for block in rows)


@pytest.mark.parametrize("routing", ["expected", "sampled"])
def test_bus_without_pim_and_baselines_read_every_expert_that_a_step_chooses(routing: str) -> None:
    """Against a plain count: attention, router and K and V once, and each chosen expert's three matrices."""
    asked = experts_model(routing=routing, batch=7, output_tokens=3)
    plan = compile_plan(asked)
    chosen = [
        sum(len({e for s in range(7) for e in plan.routing.choose(5, 2, t, s, b, 1)}) for b in range(2))
        if routing == "sampled"
        else 2 * expected_experts(5, 2, 7)
        for t in (1, 2, 3)
    ]
    assert chosen[0] > 2 * 2  # more than one token's
    dense = 2 * (4 * 32 * 32 + 32 * 5)
    words = sum(dense + Fraction(n) * 3 * 32 * 48 + 7 * 2 * 2 * 32 * t for t, n in enumerate(chosen, 1))
    assert bytes_without_pim(asked, plan.workload) == 2 * words
    demands = decode_demands(plan.workload, np.array([1.0, 2.0, 3.0]), 7, routing=routing_of(asked, plan.workload))
    up, down = (next(d for d in demands if d.operator.name == name) for name in ("ffn_up", "ffn_down"))
    assert (up.elements + down.elements) * 2 == pytest.approx([n * 3 * 32 * 48 for n in chosen])


def test_one_token_reads_its_own_experts_and_many_read_all() -> None:
    one, many = (experts_model(batch=n, output_tokens=1) for n in (1, 512))
    dense, expert = 2 * (4 * 32 * 32 + 32 * 5), 2 * 3 * 32 * 48
    assert bytes_without_pim(one, compile_plan(one).workload) == 2 * (dense + 2 * expert + 2 * 2 * 32)
    read = float(bytes_without_pim(many, compile_plan(many).workload) / 2) - 512 * 2 * 2 * 32 - dense
    assert read == pytest.approx(5 * expert)
