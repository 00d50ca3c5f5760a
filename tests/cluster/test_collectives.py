"""What collectives move and take, and that one device stands for all."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pimsim.sim.link import exchange as exchanges
from pimsim.sim.link.carry import Flight, carry
from pimsim.sim.link.collectives import ALGORITHMS, collective
from pimsim.sim.link.exchange import exchange, simulate
from pimsim.sim.link.link import Link
from pimsim.sim.link.program import Program, Rotation
from pimsim.sim.link.topology import ROTATED, Topology
from tests.cluster.second_links import finished
from tests.cluster.systems import links, rotations, topologies
from tests.examples import examples

WAYS = [(kind, name) for kind, names in ALGORITHMS.items() for name in names]
LINK = Link(Fraction(32), latency_ps=50_000, flit_bytes=16, energy_pJ_per_bit=Fraction(2))
SWITCH = Topology("switch", 8)


def whole(program: Program | Rotation) -> Program:
    return program.program if isinstance(program, Rotation) else program


@settings(max_examples=examples(150))
@given(st.data())
def test_one_device_stands_for_all(data: st.DataObject) -> None:
    topology, link = data.draw(topologies(ROTATED, 12)), data.draw(links())
    kind, name = data.draw(st.sampled_from(WAYS))
    program = collective(kind, name, topology.devices, data.draw(st.integers(0, 500)), data.draw(st.integers(0, 90)))
    add_ps = data.draw(st.sampled_from([exchanges.at_once, lambda elements: 7 * elements + 2]))
    every = simulate(program, topology, link, add_ps, fold=False)
    assert simulate(program, topology, link, add_ps) == every
    assert list(every.done_ps) == finished(whole(program), topology, link, add_ps)


@settings(max_examples=examples(200))
@given(st.data())
def test_one_device_stands_for_all_whatever_they_send(data: st.DataObject) -> None:
    topology, link = data.draw(topologies(ROTATED)), data.draw(links())
    rotation = data.draw(rotations(topology.devices))
    every = simulate(rotation, topology, link, lambda elements: elements, fold=False)
    assert simulate(rotation, topology, link, lambda elements: elements) == every


@pytest.mark.parametrize("topology", [SWITCH, Topology("ring", 8)])
@pytest.mark.parametrize("size", [800, 8000])
def test_an_all_reduce_round_a_ring_takes_two_less_two_nths_of_its_bytes(topology: Topology, size: int) -> None:
    free = Link(Fraction(4))
    ring = exchange("all_reduce", topology, free, size, algorithm="ring")
    flits = 2 * 7 * 250 * (len(topology.route(0, 1)) - 1)  # the flit that cuts through a switch, each round
    assert ring.ps - flits == Fraction(2 * 7, 8) * size * 1000 / 4


def test_a_direct_exchange_keeps_every_port_of_a_switch_busy() -> None:
    direct = exchange("all_to_all", SWITCH, LINK, 8 * 1600, algorithm="direct")
    assert direct.ps == 7 * LINK.serialise_ps(1600) + 2 * 50_000 + LINK.flit_ps


@pytest.mark.parametrize("name", ["ring", "direct"])
def test_what_an_all_reduce_adds_is_on_the_way(name: str) -> None:
    plain = exchange("all_reduce", SWITCH, LINK, 1600, 800, algorithm=name)
    adding = exchange("all_reduce", SWITCH, LINK, 1600, 800, algorithm=name, add_ps=lambda elements: 3 * elements)
    assert (adding.adds, adding.ps - plain.ps) == (700, 2100)


@pytest.mark.parametrize(
    ("kind", "name", "slices"),
    [
        ("broadcast", "direct", 7 * 8),
        ("broadcast", "ring", 7 * 8),
        ("gather", "direct", 7),
        ("all_gather", "ring", 8 * 7),
        ("all_gather", "direct", 8 * 7),
        ("reduce_scatter", "ring", 8 * 7),
        ("reduce_scatter", "direct", 8 * 7),
        ("all_reduce", "ring", 2 * 8 * 7),
        ("all_reduce", "direct", 2 * 8 * 7),
        ("all_to_all", "direct", 8 * 7),
        ("all_to_all", "ring", 8 * (7 + 6 + 5 + 4 + 3 + 2 + 1)),
    ],
)
def test_slices_that_are_sent(kind: str, name: str, slices: int) -> None:
    done = exchange(kind, SWITCH, LINK, 8 * 100, algorithm=name)
    assert (sum(done.sent_bytes), done.link_bytes) == (slices * 100, 2 * slices * 100)


def received(program: Program, begins: list[set[int]]) -> list[set[int]]:
    """Devices from which something has come to each device, where each passes on all that it knows."""
    known = [set(each) for each in begins]
    for each in program.rounds:
        before = [set(one) for one in known]
        for message in each.messages:
            known[message.dst] |= before[message.src]
    return known


@pytest.mark.parametrize(("kind", "name"), WAYS)
@pytest.mark.parametrize("devices", [2, 5])
def test_news_of_all_reaches_who_needs_it(kind: str, name: str, devices: int) -> None:
    program = whole(collective(kind, name, devices, 100, 100, root=1))
    known = received(program, [{device} for device in range(devices)])
    if kind == "broadcast":
        assert all(1 in each for each in known)
    elif kind == "gather":
        assert known[1] == set(range(devices))
    else:
        assert known == [set(range(devices))] * devices


@pytest.mark.parametrize(("kind", "name"), WAYS)
def test_one_device_does_nothing(kind: str, name: str) -> None:
    alone = exchange(kind, Topology("switch", 1), LINK, 1000, 500, algorithm=name, add_ps=lambda elements: elements)
    assert tuple(alone) == (name, 0, (0,), 0, (0,), 0, 0, 0, 0, 0)


@pytest.mark.parametrize("topology", [SWITCH, Topology("chain", 8), Topology("tree", 8, 4)])
def test_auto_takes_the_fastest(topology: Topology) -> None:
    for size in (80, 8_000_000):
        each = [exchange("all_reduce", topology, LINK, size, algorithm=name) for name in ALGORITHMS["all_reduce"]]
        assert exchange("all_reduce", topology, LINK, size) == min(each, key=lambda one: one.ps)


def test_in_a_tie_auto_takes_the_first() -> None:
    assert exchange("all_gather", Topology("switch", 2), LINK, 100).algorithm == "ring"


def test_many_devices_need_no_more_messages_than_one_sends(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[int] = []

    def count(flights: list[Flight], adds_ps: list[list[int]], link: Link) -> tuple[int, ...]:
        sent.append(len(flights))
        return carry(flights, adds_ps, link)

    monkeypatch.setattr(exchanges, "carry", count)
    for devices in (8, 256):
        exchange("all_reduce", Topology("switch", devices), LINK, 8192 * 2, algorithm="ring")
    assert sent == [2 * 7, 2 * 255]


def test_equal_exchanges_are_simulated_once(monkeypatch: pytest.MonkeyPatch) -> None:
    first = exchange("all_reduce", SWITCH, LINK, 1234, 617, add_ps=lambda elements: 5 * elements)
    monkeypatch.setattr(exchanges, "carry", None)
    assert exchange("all_reduce", SWITCH, LINK, 1234, 617, add_ps=lambda elements: elements * 5) == first


def test_what_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match="no collective gather by the algorithm ring"):
        exchange("gather", SWITCH, LINK, 100, algorithm="ring")
    with pytest.raises(ValueError, match="no collective is called scan"):
        exchange("scan", SWITCH, LINK, 100)
    with pytest.raises(ValueError, match="8 devices does not run on 4"):
        simulate(collective("gather", "direct", 8, 100), Topology("switch", 4), LINK)
