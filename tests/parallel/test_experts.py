"""Devices that share experts: every vector is multiplied once, as evenly as can be, and all else stays as it was."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pimsim.errors import InputError
from pimsim.workload.ops import Operator
from pimsim.workload.parallel.experts import Role, expert_roles, expert_share
from tests.parallel.graphs import graph

# Models with 4 to 8 experts, of which a token uses 2 or 3; layers with and without, shared experts, states.
NAMES = ("mixtral-8x7b", "mixtral", "jamba", "granitemoehybrid", "deepseek_v2", "deepseek_v3")


def products(role: Role, name: str) -> list[Operator]:
    """The products of experts of a model, as a role has them."""
    experts = {o.name for o in graph(name).operators if o.experts > 1 and o.op == "linear"}
    return [o for o in role.workload.operators if o.name in experts]


def vectors(operator: Operator) -> int:
    """Vectors that go through an expert's product, for each token of a sequence."""
    return operator.active * operator.rows


@st.composite
def shared(draw: st.DrawFn) -> tuple[str, int, int]:
    """A model, a batch, and how many devices share its experts."""
    name = draw(st.sampled_from(NAMES))
    most = next(o.experts for o in graph(name).operators if o.experts > 1)
    devices = draw(st.sampled_from([n for n in range(2, most + 1) if most % n == 0]))
    return name, draw(st.integers(1, devices - 1) | st.integers(1, 5).map(lambda n: n * devices)), devices


@given(shared())
def test_every_sequence_is_on_one_device_and_every_device_has_a_role(case: tuple[str, int, int]) -> None:
    name, batch, devices = case
    roles = expert_roles(graph(name), batch, devices)
    assert sum(role.count for role in roles) == devices
    assert sum(role.count * role.batch for role in roles) == batch
    assert all(role.count > 0 for role in roles)


@given(shared())
def test_every_vector_goes_through_an_expert_once_on_devices_that_have_it(case: tuple[str, int, int]) -> None:
    name, batch, devices = case
    roles = expert_roles(graph(name), batch, devices)
    for whole in (o for o in graph(name).operators if o.experts > 1 and o.op == "linear"):
        found = 0
        for role in roles:
            for one in products(role, name):
                if one.name == whole.name:
                    assert one.experts == whole.experts // devices
                    assert (one.inputs, one.outputs, one.bias) == (whole.inputs, whole.outputs, whole.bias)
                    found += role.count * max(role.batch, 1) * vectors(one)
        assert found == batch * whole.active


@given(shared())
def test_no_device_has_more_than_one_vector_more_than_another(case: tuple[str, int, int]) -> None:
    name, batch, devices = case
    roles = expert_roles(graph(name), batch, devices)
    loads = [max((vectors(o) for o in products(role, name)), default=0) for role in roles]
    assert max(loads) - min(loads) <= 1
    with_one, without = (
        [n for n, r in zip(loads, roles, strict=True) if (r.batch > 0) == own] for own in (True, False)
    )
    assert min(with_one) >= max(without, default=0)


@given(shared())
def test_what_is_no_expert_is_on_every_device_with_sequences_as_it_was(case: tuple[str, int, int]) -> None:
    name, batch, devices = case
    inside = {o.name for o in graph(name).operators if o.experts > 1 and o.op != "add"}
    for role in expert_roles(graph(name), batch, devices):
        others = [o for o in role.workload.operators if o.name not in inside and o.op != "all_to_all"]
        if role.batch:
            expected = [o for o in graph(name).operators if o.name not in inside]
            assert [replace(o, deps=(), take=()) for o in others] == [replace(o, deps=(), take=()) for o in expected]
        else:
            assert others == []


@given(shared())
def test_what_is_sent_is_every_vector_there_and_back(case: tuple[str, int, int]) -> None:
    """A device with a sequence sends its vectors and gets them back; one without gets and sends what it multiplies."""
    name, batch, devices = case
    for role in expert_roles(graph(name), batch, devices):
        sent = [o for o in role.workload.operators if o.op == "all_to_all"]
        for dispatch, combine in zip(sent[::2], sent[1::2], strict=True):
            assert dispatch.inputs == combine.inputs
            whole = next(o for o in graph(name).operators if o.experts > 1 and o.op == "linear")
            each = whole.active if role.batch else vectors(products(role, name)[0])
            assert dispatch.inputs == whole.inputs * each


@pytest.mark.parametrize("name", NAMES)
def test_devices_together_store_every_expert_once(name: str) -> None:
    whole, devices = graph(name), 2
    inside = {o.name for o in whole.operators if o.experts > 1}
    others = sum(o.parameters() * whole.repeats(o) for o in whole.operators if o.name not in inside)
    assert expert_share(whole, devices).parameters * devices == whole.parameters + others * (devices - 1)


def test_one_device_runs_the_graph_itself() -> None:
    (role,) = expert_roles(graph("mixtral"), 7, 1)
    assert (role.count, role.batch) == (1, 7)
    assert role.workload is graph("mixtral")


def test_a_lone_sequence_keeps_as_few_devices_busy_as_it_has_vectors() -> None:
    roles = expert_roles(graph("mixtral-8x7b"), 1, 8)
    assert [(r.count, r.batch, len(products(r, "mixtral-8x7b"))) for r in roles] == [(1, 1, 2), (1, 0, 2), (6, 0, 0)]
    assert roles[-1].workload.operators == ()


def told(name: str, batch: int, devices: int) -> list[str]:
    with pytest.raises(InputError) as raised:
        expert_roles(graph(name), batch, devices)
    return [problem.message for problem in raised.value.problems]


def test_what_cannot_be_shared_is_told_at_once() -> None:
    assert told("llama-3-8b", 12, 5) == [
        "5 devices are to share experts, but the model has none",
        "a batch of 12 does not divide over 5 devices: 10 or 15 would",
    ]
    assert told("mixtral-8x7b", 0, 3) == [
        "3 devices cannot share 8 experts: 2, 4 or 8 can",
        "a batch of 0 does not divide over 3 devices: 1 would",
    ]
    assert told("mixtral-8x7b", 4, 0) == ["0 devices cannot share experts"]


def test_experts_that_are_chosen_more_often_than_others_are_told() -> None:
    even, uneven = ((1.0,) * 8, (2.0,) + (1.0,) * 7)
    assert expert_roles(replace(graph("mixtral-8x7b"), routing=even), 8, 8)[0].workload.routing == ()
    with pytest.raises(InputError, match="not even"):
        expert_roles(replace(graph("mixtral-8x7b"), routing=uneven), 8, 8)
