"""What a step sends to other devices: how long that takes, who says so, and what it moves.

Who plans a step knows the sizes; what links do with them is `sim.link`'s to say, above this room.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from pimsim.dram.timing import ELEMENT_BYTES
from pimsim.workload.ops import Operator


class Exchange(NamedTuple):
    """An exchange among equal devices, as each of them sees it.

    ps      picoseconds from the moment at which all of them begin to that at which the last one has all
    moved   bytes on the links of all devices that hold the same layers, a byte once for each link that it crosses
    adds    additions that a device makes of what arrives, within that time
    """

    ps: int
    moved: int
    adds: int = 0


class Fabric(Protocol):
    """The links of a device to those that it shares a model with."""

    def exchange(self, kind: str, elements: int) -> Exchange:
        """One that the devices of a group begin together.

        kind      "all_reduce": each has a sum's part of all elements; "all_gather": each has its share of them;
                  "all_to_all": each has so many, and sends equal shares to all, itself included
        elements  of the results that a device then has, of `ELEMENT_BYTES` each
        """


def sizes(operator: Operator, vectors: int) -> tuple[int, int, int]:
    """Elements of all vectors of an exchange that a device has after it, and bytes that it gives and takes."""
    given, taken = operator.inputs * vectors, operator.outputs * vectors
    return taken, given * ELEMENT_BYTES, taken * ELEMENT_BYTES
