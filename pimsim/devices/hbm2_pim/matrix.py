"""Weights on HBM2-PIM: they lie as on PIM-GPT, and are multiplied with one set of registers after another.

The registers keep a sum through all of the input, a chunk of which is as much as they hold of a vector.  What comes
back of an output is a register: a partial sum for each lane.
"""

from __future__ import annotations

from dataclasses import dataclass

from pimsim.devices.hbm2_pim.products import Product, Registers, no_wires
from pimsim.devices.pim_gpt import matrix as pim_gpt
from pimsim.mapping.wires import Cuts, Wires
from pimsim.mapping.work import Requests, Work, assemble


@dataclass(frozen=True)
class MatrixLayout(pim_gpt.MatrixLayout):
    """Weights of y = W x, where PIM-GPT has them: output o in bank o % banks."""

    registers: Registers = Registers()

    @property
    def partial_sums(self) -> int:
        """A partial sum for each lane."""
        return min(self.grid.width, self.inputs)

    @property
    def sums(self) -> Cuts:
        """As `mapping.layouts.Matrix`: elements are dealt to the lanes, each of which adds up what it has."""
        return Cuts.dealt(self.inputs, self.inputs, True, self.grid.width, 1)

    def multiply(self, addend: bool = False, function: str = "") -> Work:
        """y = W x: for each set of registers chunk by chunk, then the sums."""
        assert not function  # of `functions`
        slots = [self.slots(channel) for channel in range(self.grid.channels)]
        made = {n: self._program(n) for n in set(slots)}
        fills = [self.registers.batches(n) for n in slots]
        sent, results = self.grid.given_words(self.inputs), self.grid.sum_words(self.outputs * self.partial_sums)
        return assemble(
            [made[n] for n in slots],
            payload=sent * sum(fills) + results,
            macs=self.inputs * self.outputs,
            sent=sent * fills[0],
            results=results,
            sums=fills[0],
            turns=fills[0],
        )

    def wires(self, addend: bool = False) -> Wires:
        """None: InputError."""
        no_wires()

    def _program(self, slots: int) -> Requests:
        product = Product(self.grid, self.registers)
        for some in product.batches(range(slots)):
            for chunk in self.stored.chunks:
                (part,) = chunk.sums  # nothing has groups here
                starts = [self.start(part, slot) for slot in some]
                product.fill(starts[0], chunk.columns, self.grid.broadcast_gap)
                product.add(starts, part.columns)
            product.read(len(some))
        return product.requests()
