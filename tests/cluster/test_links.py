"""What a link takes, against formulas, and whole programs against a second reading."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pimsim.sim.link.exchange import Exchange, simulate
from pimsim.sim.link.link import Link
from pimsim.sim.link.program import Message, Program, Round, point_to_point
from pimsim.sim.link.topology import Topology
from tests.cluster.second_links import finished
from tests.cluster.systems import links, programs, topologies
from tests.examples import examples

LINK = Link(Fraction(3, 2), latency_ps=70, flit_bytes=16, energy_pJ_per_bit=Fraction(5, 4))
FLIT_PS = 10667  # 16 bytes at 1.5 bytes per ns, rounded up
MESSAGE_PS = 74667  # 100 bytes are 7 flits, 112 bytes


def run(topology: Topology, *messages: tuple[int, int, int], link: Link = LINK) -> Exchange:
    return simulate(point_to_point(topology.devices, messages), topology, link)


def test_a_message_is_rounded_up_to_flits_and_then_to_ps() -> None:
    assert (LINK.serialise_ps(100), LINK.flit_ps) == (MESSAGE_PS, FLIT_PS)


@pytest.mark.parametrize("hops", [1, 2, 5])
def test_a_message_alone_is_serialised_once_and_each_further_hop_costs_a_flit(hops: int) -> None:
    alone = run(Topology("chain", 6), (0, hops, 100))
    assert alone.ps == hops * 70 + MESSAGE_PS + (hops - 1) * FLIT_PS


def test_the_two_directions_of_a_link_do_not_disturb_each_other() -> None:
    chain = Topology("chain", 2)
    assert run(chain, (0, 1, 100), (1, 0, 100)).ps == run(chain, (0, 1, 100)).ps


def test_messages_into_one_port_follow_one_another() -> None:
    many = run(Topology("switch", 8), *((src, 0, 100) for src in range(1, 8)))
    assert many.ps == 7 * MESSAGE_PS + 2 * 70 + FLIT_PS


def test_messages_to_different_ports_do_not_wait() -> None:
    switch = Topology("switch", 8)
    assert run(switch, (0, 1, 100), (2, 3, 100), (4, 5, 100)).ps == run(switch, (0, 1, 100)).ps


def test_who_asks_first_is_served_first() -> None:
    # The short one comes from next door and holds the last wire when the long one is there.
    chain, short, long = Topology("chain", 3), (1, 2, 1600), (0, 2, 100)
    assert run(chain, short, long).ps == LINK.serialise_ps(1600) + MESSAGE_PS + 70


def test_in_a_tie_the_order_of_the_program_counts() -> None:
    both = (Message(0, 1, 1600), Message(0, 2, 100))
    answer = Round((Message(2, 0, 1600),))
    first = [
        simulate(Program(3, (Round(order), answer)), Topology("switch", 3), LINK).ps for order in (both, both[::-1])
    ]
    assert first[0] - first[1] == LINK.serialise_ps(1600)


def test_in_a_tie_between_devices_the_order_of_the_program_counts_too() -> None:
    # Both go up the same link at the same time, and device 2 answers when it has its own.
    both = (Message(1, 2, 100), Message(0, 3, 100))
    answer = Round((Message(2, 0, 1600),))
    first = [
        simulate(Program(4, (Round(order), answer)), Topology("tree", 4, 3), LINK).ps for order in (both, both[::-1])
    ]
    assert first[1] - first[0] == MESSAGE_PS


def test_a_device_goes_on_without_the_others() -> None:
    # Device 2 is done with the first round at once, so its message of the second need not wait.
    rounds = (Round((Message(0, 1, 1600),)), Round((Message(2, 3, 100),)))
    switch = Topology("switch", 4)
    assert simulate(Program(4, rounds), switch, LINK).ps == run(switch, (0, 1, 1600)).ps


def test_energy_counts_whole_flits_on_each_hop() -> None:
    assert run(Topology("chain", 4), (0, 3, 100)).energy_pJ == 112 * 8 * 3 * Fraction(5, 4)


def test_a_free_link_takes_no_time() -> None:
    free = run(Topology("switch", 4), (0, 1, 100), (2, 1, 7), link=Link(None))
    assert (free.ps, free.link_bytes, free.busy_ps) == (0, 214, 0)


def test_all_that_is_wrong_with_a_link_is_said_at_once() -> None:
    with pytest.raises(ValueError, match="above 0; .* 0 ps; .* one byte; .* 0 pJ"):
        Link(Fraction(0), -1, 0, Fraction(-1))


@settings(max_examples=examples(300))
@given(st.data())
def test_programs_take_what_the_second_reading_says(data: st.DataObject) -> None:
    topology, link = data.draw(topologies()), data.draw(links())
    program, add_ps = data.draw(programs(topology.devices)), lambda elements: 3 * elements + 1
    assert list(simulate(program, topology, link, add_ps).done_ps) == finished(program, topology, link, add_ps)


@settings(max_examples=examples(60))
@given(st.data())
def test_bytes_are_conserved(data: st.DataObject) -> None:
    topology, link = data.draw(topologies()), data.draw(links())
    program = data.draw(programs(topology.devices))
    sent = [message for each in program.rounds for message in each.messages]
    done = simulate(program, topology, link)
    assert sum(done.sent_bytes) == sum(message.size_bytes for message in sent)
    hops = {message: len(topology.route(message.src, message.dst)) for message in sent}
    assert done.link_bytes == sum(message.size_bytes * hops[message] for message in sent)
    assert done.total_busy_ps == sum(link.serialise_ps(each.size_bytes) * hops[each] for each in sent)
    assert done.busy_ps <= done.ps
