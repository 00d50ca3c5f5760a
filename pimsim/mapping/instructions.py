"""Instructions: what the controller issues for one step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from pimsim.asic.units import Cost
from pimsim.mapping.wires import Wires
from pimsim.mapping.work import Work

START = "start"  # the step's input is there
LANE = "@"  # a key with it is one of a sub-batch, whose number follows


class Feed(NamedTuple):
    """PIM instructions of the part, by place, whose results ASIC work can begin with as they arrive.

    complete: the work is on complete results; else it adds up partial sums.
    parts: equal parts in which the results of each come (see `work.Work`).
    """

    places: tuple[int, ...]
    complete: bool = True
    parts: int = 1


NO_FEED = Feed(())


class Part(NamedTuple):
    """Elements of a value: of each run of `every`, `size` from `first` on.

    runs: where each of its equal runs of the whole value begins, if it is no such run itself; `first` is the first.
    """

    value: str
    first: int
    size: int
    every: int
    runs: tuple[int, ...] = ()

    @property
    def whole(self) -> Part:
        """All of the value that this is made of."""
        return Part(self.value, 0, self.every, self.every)

    @property
    def stands(self) -> tuple[tuple[int, int], ...]:
        """(first, size) of each run of what is made."""
        return tuple((first, self.size // len(self.runs)) for first in self.runs) or ((self.first, self.size),)


class Operands(NamedTuple):
    """What an instruction reads and what it makes: for those who carry it out on values.

    A value is made by one or several instructions of a part of a step, and is known there by its name; INPUT
    is what enters the part.

    of     the operator, by its name in the graph
    takes  parts of values, one behind the other
    makes  a part of a value, in which the results stand one behind the other (no elements: none)
    shape  of ASIC work: how its operands are read, see `values.machine.functions`
    wires  of PIM work: what its commands move.  key: equal for wires that are equal
    told   what planning assumed of the result: the experts of each vector, in each copy of the block
    """

    of: str
    takes: tuple[Part, ...]
    makes: Part
    shape: tuple[int, ...] = ()
    wires: Callable[[], Wires] | None = None
    key: tuple[object, ...] = ()
    told: Callable[[int], Sequence[tuple[int, ...]]] | None = None


class Instruction(NamedTuple):
    """One instruction of a step.

    operator  row of the results it counts in
    key       its name for others to wait on; after: the names it waits for
    work      PIM work, with the linear column at which each block's copy starts (bases)
    ports     DRAM clocks for which the SRAM's read port and write port are needed
    cause     what ASIC clocks are charged to ("" for PIM work)
    clocks    DRAM clocks of the ASIC's units, on the whole operand
    tail      DRAM clocks of them that the last results need, if the work streams (None: it
              starts when all that it waits for is done)
    feed      the results that it streams with, and the portions in which it takes those of a part
    operands  what it reads and makes, if that was asked for
    place     where it is done, if it is work of neither the channels nor the ASIC's units: "link" or "machine"; clocks
              are then those of that, and one of them is done at a time
    moved     bytes on the links of all devices that hold the same layers, a byte once for each link that it crosses
    """

    operator: str
    key: str
    after: tuple[str, ...]
    work: Work | None = None
    bases: tuple[int, ...] = ()
    ports: tuple[int, int] = (0, 0)
    cause: str = ""
    cost: Cost = Cost()
    clocks: int = 0
    tail: int | None = None
    feed: Feed = NO_FEED
    portions: int = 1
    operands: Operands | None = None
    place: str = ""
    moved: int = 0

    @property
    def operations(self) -> tuple[int, int, int]:
        """Additions, multiplications and bytes of the SRAM on the ASIC."""
        return (self.work or self.cost).operations


class Step(NamedTuple):
    """The instructions of one token: once, then each copy of the block, then once."""

    before: tuple[Instruction, ...]
    block: tuple[Instruction, ...]
    after: tuple[Instruction, ...]
