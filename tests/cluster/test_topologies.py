"""Routes lead where they should, and no way is shorter."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pimsim.sim.link.topology import Topology
from tests.cluster.systems import topologies


def distance(topology: Topology, src: int, dst: int) -> int:
    """Fewest wires from one device to the other."""
    reached, hops = {src}, 0
    while dst not in reached:
        reached |= {head for tail, head in topology.wires() if tail in reached}
        hops += 1
    return hops


@given(topologies(most=20), st.data())
def test_a_route_follows_the_fewest_wires(topology: Topology, data: st.DataObject) -> None:
    src, dst = data.draw(st.integers(0, topology.devices - 1)), data.draw(st.integers(0, topology.devices - 1))
    if src == dst:
        return
    route = topology.route(src, dst)
    assert (route[0][0], route[-1][1]) == (src, dst)
    assert all(before[1] == after[0] for before, after in pairwise(route))
    assert set(route) <= set(topology.wires())
    assert len(route) == distance(topology, src, dst)


def test_half_way_round_a_ring_goes_up() -> None:
    assert Topology("ring", 6).route(4, 1) == ((4, 5), (5, 0), (0, 1))


def test_no_switch_of_a_tree_has_more_ports_than_it_may() -> None:
    for devices in range(1, 40):
        for radix in range(3, 8):
            ports = Counter(tail for tail, _ in Topology("tree", devices, radix).wires())
            assert max(ports[node] for node in ports if node >= devices) <= radix


def test_a_tree_that_one_switch_holds_is_a_switch() -> None:
    assert Topology("tree", 6, 6).wires() == Topology("switch", 6).wires()


@pytest.mark.parametrize(("kind", "links"), [("switch", 5), ("ring", 5), ("chain", 4), ("tree", 8)])
def test_links_of_five_devices(kind: str, links: int) -> None:
    # Tree of three ports: two, two and one device below three switches, and those below the highest.
    assert len(Topology(kind, 5, 3).wires()) == 2 * links


def test_all_that_is_wrong_with_a_topology_is_said_at_once() -> None:
    with pytest.raises(ValueError, match="not star; .* one device"):
        Topology("star", 0)
    with pytest.raises(ValueError, match="at least 3 ports"):
        Topology("tree", 4, 2)
