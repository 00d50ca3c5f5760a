"""Instructions: what the controller issues for one step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from pimsim.asic.units import Cost
from pimsim.mapping.layout import Work

START = "start"  # the step's input is there


class Instruction(NamedTuple):
    """One instruction of a step.

    operator  row of the results it counts in
    key       its name for others to wait on; after: the names it waits for
    work      PIM work, with the linear column at which each block's copy starts (bases)
    cause     what ASIC clocks are charged to ("" for PIM work)
    clocks    DRAM clocks of ASIC work on the whole operand
    tail      DRAM clocks left once the last result has arrived, if the work streams with
              the results of the PIM instruction before it (None: it starts after them)
    """

    operator: str
    key: str
    after: tuple[str, ...]
    work: Work | None = None
    bases: tuple[int, ...] = ()
    landing: int = 0  # DRAM clocks that the SRAM's write port needs for the results
    cause: str = ""
    cost: Cost = Cost()
    clocks: int = 0
    tail: int | None = None

    @property
    def operations(self) -> tuple[int, int, int]:
        """Additions, multiplications and bytes of the SRAM on the ASIC."""
        return (self.work or self.cost).operations


@dataclass(frozen=True)
class Step:
    """The instructions of one token: once, then each copy of the block, then once."""

    before: tuple[Instruction, ...]
    block: tuple[Instruction, ...]
    after: tuple[Instruction, ...]
