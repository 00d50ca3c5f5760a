"""K and V on HBM2-PIM: they lie as on PIM-GPT; the programs that multiply with them read a register for each sum."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from pimsim.devices.hbm2_pim.products import Product, Registers, no_wires
from pimsim.devices.pim_gpt import attention as pim_gpt
from pimsim.mapping.grid import at_most, ceil_div, share
from pimsim.mapping.wires import Cuts, Wires
from pimsim.mapping.work import Moved, N, Requests, Work, assemble


@dataclass(frozen=True)
class KeyLayout(pim_gpt.KeyLayout):
    """K, where PIM-GPT has it: a token's keys in one bank."""

    registers: Registers = Registers()

    @property
    def partial_sums(self) -> int:
        """A partial sum for each lane of each piece that a head is cut into."""
        return len(self.sums.elements)

    @property
    def sums(self) -> Cuts:
        """As `mapping.layouts.Keys`: elements are dealt to the lanes; a lane's are cut as the registers hold them."""
        return Cuts.dealt(self.head_dim, self.grid.buffer_columns, False, self.grid.width, 1)

    def score_groups(self, groups: int) -> Work:
        """The program of q K^T, which is the same for all contexts of as many groups of tokens."""
        slots = [share(groups, self.grid.channels, c) for c in range(self.grid.channels)]
        made = {n: self._program(n) for n in set(slots)}
        reads = sum(self.registers.batches(slots[0] * pieces) for pieces, _ in self.chunks) * self.sharing
        return assemble([made[n] for n in slots], sums=reads, turns=reads)

    def score_moves(self, context: N) -> Moved[N]:
        """As `mapping.layouts.Keys`."""
        results = self.grid.sum_words(self.heads * self.partial_sums * context)
        used = at_most(self.grid.channels, ceil_div(context, self.grid.banks))
        sent = self.grid.given_words(self.heads * self.head_dim)
        return Moved(
            payload=sent * used + results,
            macs=self.heads * self.head_dim * context,
            sent=0 * context + sent,
            results=results,
        )

    def score_wires(self, context: int) -> Wires:
        """None: InputError."""
        no_wires()

    def _program(self, slots: int) -> Requests:
        product = Product(self.grid, self.registers)
        for chunk, (pieces, columns) in enumerate(self.chunks if slots else ()):
            starts = [self.start(chunk, 0) + piece * columns for piece in range(slots * pieces)]
            for _ in range(self.sharing):  # query heads that share these keys
                product.fill(starts[0], pieces * columns, self.grid.broadcast_gap)
                for some in product.batches(starts):
                    product.add(some, columns)
                    product.read(len(some))
        return product.requests()


@dataclass(frozen=True)
class ValueLayout(pim_gpt.ValueLayout):
    """V, where PIM-GPT has it: a dimension's tokens in one bank."""

    registers: Registers = Registers()

    def partial_sums(self, context: N) -> N:
        """A partial sum for each lane that has a token."""
        return at_most(self.grid.width, context)

    def sums(self, context: int) -> Cuts:
        """As `mapping.layouts.Values`: tokens are dealt to the lanes, each of which adds up what it has."""
        return Cuts.dealt(context, context, True, self.grid.width, 1)

    def weigh_columns(self, columns: int) -> Work:
        """The program of p V, which is the same for all contexts of as many columns."""
        used = self.grid.buffers(columns)
        made = {parts: self._program(parts, used) for parts in set(self._heads)}
        reads = self.heads // self.kv_heads * max(self._reads)
        return assemble([made[parts] for parts in self._heads], sums=reads, turns=reads)

    def weigh_moves(self, context: N) -> Moved[N]:
        """As `mapping.layouts.Values`."""
        sent = self.grid.given_words(self.heads // self.kv_heads * context * sum(self._reads))
        results = self.grid.sum_words(self.heads * self.head_dim * self.partial_sums(context))
        macs = self.heads * self.head_dim * context
        return Moved(payload=sent + results, macs=macs, sent=sent, results=results)

    def weigh_wires(self, context: int) -> Wires:
        """None: InputError."""
        no_wires()

    @cached_property
    def _reads(self) -> list[int]:
        """How often each channel takes probabilities and reads sums, for a query head of each head that it has."""
        return [sum(self.registers.batches(units) for _, units in parts) for parts in self._heads]

    def _program(self, parts: pim_gpt.Heads, used: tuple[int, ...]) -> Requests:
        product = Product(self.grid, self.registers)
        for slot, units in parts:
            for _ in range(self.heads // self.kv_heads):  # query heads that share these values
                for some in product.batches(range(slot, slot + units)):
                    for chunk, columns in enumerate(used):
                        starts = [self._start(chunk) + unit * self.chunks[chunk] for unit in some]
                        product.fill(starts[0], columns, self.grid.private_gap)
                        product.add(starts, columns)
                    product.read(len(some))
        return product.requests()
