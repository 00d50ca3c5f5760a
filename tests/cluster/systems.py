"""Random topologies, links and programs of messages."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import strategies as st

from pimsim.sim.link.link import Link
from pimsim.sim.link.program import Message, Program, Rotation, Round, Turn
from pimsim.sim.link.topology import KINDS, Topology


@st.composite
def topologies(draw: st.DrawFn, kinds: tuple[str, ...] = KINDS, most: int = 9) -> Topology:
    return Topology(draw(st.sampled_from(kinds)), draw(st.integers(1, most)), draw(st.integers(3, 6)))


@st.composite
def links(draw: st.DrawFn) -> Link:
    """Rates at which a byte takes part of a ps, some ps, or a broken number of them; sometimes none."""
    rates = st.builds(Fraction, st.integers(1, 5000), st.integers(1, 7))
    latencies = st.one_of(st.integers(0, 3), st.integers(0, 500))
    rate = draw(st.one_of(st.none(), rates, rates, rates))
    return Link(rate, draw(latencies), draw(st.sampled_from([1, 3, 16])), Fraction(draw(st.integers(0, 9)), 4))


@st.composite
def programs(draw: st.DrawFn, devices: int) -> Program:
    """Rounds of messages that need not suit each other; sizes are often the same, so that there are ties."""
    sizes = st.one_of(st.sampled_from([0, 8, 16]), st.integers(1, 60))
    pairs = st.tuples(st.integers(0, devices - 1), st.integers(0, devices - 1)).filter(lambda pair: pair[0] != pair[1])
    messages = st.lists(st.builds(lambda pair, size: Message(pair[0], pair[1], size), pairs, sizes), max_size=14)
    adds = st.one_of(st.just(()), st.lists(st.integers(0, 9), min_size=devices, max_size=devices).map(tuple))
    if devices == 1:
        messages = st.just([])
    rounds = draw(st.lists(st.tuples(messages, adds), max_size=4))
    return Program(devices, tuple(Round(tuple(sent), added) for sent, added in rounds))


@st.composite
def rotations(draw: st.DrawFn, devices: int) -> Rotation:
    """Rounds in which all devices send to any others, also twice to the same one."""
    offsets = st.integers(1, max(devices - 1, 1))
    most = 5 if devices > 1 else 0
    sends = st.lists(st.tuples(offsets, st.sampled_from([0, 8, 16, 17])), max_size=most).map(tuple)
    turns = draw(st.lists(st.builds(Turn, sends, st.integers(0, 3)), max_size=3))
    return Rotation(devices, tuple(turns))
