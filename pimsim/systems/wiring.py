"""The links of a system, as its devices see them: what an exchange takes and moves.

The devices of a stage come one behind the other, and so do the stages: on a ring or in a line, those that share
matrices are neighbours, and the devices of a stage are a line of their own.  Each group of devices has its links to
itself while it exchanges; messages between stages have theirs.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from functools import cached_property
from math import ceil
from typing import NamedTuple

from pimsim.config.schema import Config
from pimsim.dram.timing import ELEMENT_BYTES
from pimsim.mapping.fabric import Exchange
from pimsim.sim.link import exchange as links
from pimsim.sim.link.collectives import ALGORITHMS
from pimsim.sim.link.link import Link
from pimsim.sim.link.program import Message, Program, Round
from pimsim.sim.link.topology import Topology

TOKEN_BYTES = 4  # of the id of a token, which goes back to the first stage


class Passage(NamedTuple):
    """From one stage to the next one: ps until its busiest wire is free, and until all has arrived; bytes on wires."""

    occupies: int
    arrives: int
    moved: int


class Wiring:
    """The links between the devices of a configuration.

    groups: of the devices of a stage that share experts, those that have sequences.  Exchanges of the others, and
    between them, are none; an all-to-all takes what it would take if all of them sent.
    """

    def __init__(self, config: Config, groups: int) -> None:
        self.system, self.asic, self.groups = config.system, config.asic, groups
        self._known: dict[tuple[str, int], links.Exchange] = {}

    @cached_property
    def link(self) -> Link:
        """What one link can do."""
        asked = self.system.link
        return Link(
            Fraction(asked.bandwidth_GBps),
            ceil(asked.latency_ns * 1000),
            asked.flit_bytes,
            Fraction(asked.energy_pJ_per_bit),
        )

    def exchange(self, kind: str, elements: int) -> Exchange:
        """As `mapping.fabric.Fabric.exchange`; what all groups of a stage move counts."""
        found = self.found(kind, elements)
        moved = self.groups * found.flit_bytes
        if kind == "all_to_all":  # there are as many as share matrices, each with all devices that share experts
            moved = moved * self.system.tensor // self.system.expert
        return Exchange(found.ps, moved, found.adds)

    def found(self, kind: str, elements: int) -> links.Exchange:
        """The exchange of one group, with the algorithm that was taken."""
        if (kind, elements) not in self._known:
            group, size = self._group(kind), elements * ELEMENT_BYTES
            asked = self.system.link.algorithm
            algorithm = asked if asked in ALGORITHMS[kind] else links.AUTO
            self._known[kind, elements] = links.exchange(
                kind, self._topology(group), self.link, size, elements, algorithm=algorithm, add_ps=self.add_ps
            )
        return self._known[kind, elements]

    def add_ps(self, elements: int) -> int:
        """How long the adders of the ASIC take for so many additions, ps."""
        clocks = -(-elements // self.asic.adders)
        return ceil(clocks * 1000 / Fraction(self.asic.clock_GHz))

    def between(self, stage: int, size_bytes: int) -> Passage:
        """Each device of a stage that has sequences sends so many bytes to its fellow of the next one."""
        width = self.system.tensor * self.system.expert
        senders = self.system.tensor * self.groups
        first = stage * width if self.system.link.topology == "tree" else 0
        return self._passage(Message(first + i, first + width + i, size_bytes) for i in range(senders))

    def back(self, tokens: int) -> Passage:
        """The ids of so many tokens go from the last device of the last stage to all of the first one."""
        if self.system.pipeline == 1:
            return Passage(0, 0, 0)  # it is there
        last = self.system.holders - 1
        width = self.system.tensor * self.system.expert
        return self._passage(Message(last, i, tokens * TOKEN_BYTES) for i in range(width))

    def _passage(self, messages: Iterable[Message]) -> Passage:
        program = Program(self.system.holders, (Round(tuple(messages)),), "direct")
        found = links.simulate(program, self._topology(self.system.holders), self.link)
        return Passage(found.busy_ps, found.ps, found.flit_bytes)

    def _group(self, kind: str) -> int:
        return self.system.expert if kind == "all_to_all" else self.system.tensor

    def _topology(self, devices: int) -> Topology:
        """Of devices that hold a model, or a group of them: a part of a ring is a line."""
        asked, whole = self.system.link, devices == self.system.holders
        return Topology("chain" if asked.topology == "ring" and not whole else asked.topology, devices, asked.radix)
