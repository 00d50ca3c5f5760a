"""What another machine beside the memory does in a step: how long that takes, who says so, and what crosses the link.

Who plans a step knows the sizes; how long a machine takes for an operator is `baselines.beside`'s to say, above this
room.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

from pimsim.config.schema import LinkConfig
from pimsim.dram.timing import ELEMENT_BYTES
from pimsim.mapping.fabric import Exchange
from pimsim.mapping.grid import ceil_div
from pimsim.workload.graph import Workload


class Machine(Protocol):
    """Another machine, with the sequences that it is given at once."""

    def takes_ps(self, operator: str, context: int, tokens: int, head: int) -> int:
        """Picoseconds of one execution of an operator, or of a launch, in a step of `tokens` tokens up to `context`.

        head: tokens for which the operators after the blocks run, the last ones.
        """

    def varies(self, operator: str) -> bool:
        """Whether that depends on the context."""


@dataclass(frozen=True)
class Beside:
    """How a run is divided between the memory and another machine.

    graph        a step: of what the machine does there are only names (`workload.beside`)
    machine      who says how long that takes, for the sequences of a sub-batch
    sub_batches  equal parts of the batch whose operators alternate
    prompt       where the machine takes the prompt: the graphs of the first step of it and of each other one, whose
                 attentions append K and V and do no more; without others, K and V are not written here
    """

    graph: Workload
    machine: Machine
    sub_batches: int = 1
    prompt: Sequence[Workload] = ()


def message(link: LinkConfig, elements: int) -> Exchange:
    """So many elements over one link: whole flits at its bandwidth, and its latency; rounded up to picoseconds."""
    moved = ceil_div(elements * ELEMENT_BYTES, link.flit_bytes) * link.flit_bytes
    ps = 1000 * (moved / Fraction(link.bandwidth_GBps) + Fraction(link.latency_ns))
    return Exchange(-(-ps.numerator // ps.denominator), moved)
