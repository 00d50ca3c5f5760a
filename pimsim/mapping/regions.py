"""Regions of the memory: rows dealt out one after another, and what lies in them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

from pimsim.mapping.operands import Operand
from pimsim.workload.graph import Workload
from pimsim.workload.ops import Operator
from pimsim.workload.schedule import Shared
from pimsim.workload.shapes import ModelShape


@dataclass(frozen=True)
class Region:
    """The linear column at which each copy of a layout starts, and the rows that each takes in every bank."""

    bases: tuple[int, ...]
    rows: int


@dataclass(frozen=True)
class Wanted:
    """A region that is wanted: its name, rows of each copy, and what every copy is; what is the same is there once.

    used: the copies that are asked for, by place (None: all).
    """

    name: str
    rows: int
    copies: Sequence[Hashable]
    used: Sequence[int] | None = None


@dataclass
class Dealer:
    """Deals out rows one after another; columns: linear columns of a row."""

    columns: int
    rows: int = 0
    bases: dict[Hashable, int] = field(default_factory=dict)

    def region(self, wanted: Wanted) -> Region:
        """Where what is wanted lies: where it lies already, or in the next rows."""
        for copy in wanted.copies:
            if copy not in self.bases:
                self.bases[copy] = self.rows * self.columns
                self.rows += wanted.rows
        bases = [self.bases[copy] for copy in wanted.copies]
        used = range(len(bases)) if wanted.used is None else wanted.used
        return Region(tuple(bases[place] for place in used), wanted.rows)


@dataclass(frozen=True)
class Use:
    """A graph that runs, and how large its steps get: sequences, tokens of a step, the context of the last one.

    layers: the copies of the model's block that run (empty: all of them); copies: that it has (0: those that run).
    branches: see `workload.schedule.Stage`.
    lender: the graph whose weights those of its operators of the same name and size are.
    runs: the tokens of each kind of step, those for which what stands behind the blocks runs, and how many such steps
    there are (empty: that is not known).
    """

    workload: Workload
    operands: tuple[Operand, ...]
    batch: int
    tokens: int
    context: int
    layers: tuple[int, ...] = ()
    copies: int = 0
    branches: tuple[tuple[Shared, ...], ...] = ()
    lender: Workload | None = None
    runs: tuple[tuple[int, int, int], ...] = ()

    def owner(self, operator: Operator) -> ModelShape:
        """The model whose weights those of an operator are."""
        own = (operator.name, operator.inputs, operator.outputs)
        lent = self.lender.operators if self.lender else ()
        shape = self.lender.shape if self.lender else self.workload.shape
        return shape if own in ((o.name, o.inputs, o.outputs) for o in lent) else self.workload.shape

    def inputs_of(self, operator: Operator) -> Counter[int]:
        """Inputs that a matrix has at once, and in how many steps; of experts and on a diagonal each comes alone."""
        found = Counter[int]()
        for tokens, head, steps in self.runs or ((self.tokens, self.tokens, 1),):
            some = operator.tokens or (tokens if operator.per == "token" else 1)
            if operator.scope == "once_after":
                some = min(some, head)
            if some:
                alone = operator.experts > 1 or operator.blocks > 1
                found[1 if alone else self.batch * some * operator.rows] += steps
        return found

    @property
    def attentions(self) -> list[Operator]:
        """In order."""
        return [operator for operator in self.workload.operators if operator.op == "attention"]

    def copies_of(
        self, operator: Operator, what: tuple[Hashable, ...], each: int = 1
    ) -> tuple[list[Hashable], list[int] | None]:
        """What every copy of something of an operator is, `each` in a copy of the block, and which of them run."""
        if operator.scope != "block":
            return [(*what, 0, e) for e in range(each)], None
        blocks = range(self.copies or self.workload.blocks)
        used = [layer * each + e for layer in self.layers for e in range(each)] if self.layers else None
        return [(*what, block, e) for block in blocks for e in range(each)], used
