"""What must be held at once: the operands that share the ASIC's SRAM, and what of them it cannot hold.

An operand is a value that the blocks' products make and that later operators still read.
It shares the SRAM with the other values alive at that time, the residual vector first of all.
What does not fit is written to DRAM and read back.
"""

from __future__ import annotations

from dataclasses import dataclass

from pimsim.workload.beside import ELSEWHERE, FROM
from pimsim.workload.graph import Workload
from pimsim.workload.ops import INPUT, Affine, Operator

# Roles whose results may be too wide; what else a block makes is as wide as the model.
_WIDE = ("qkv", "ffn_up", "ffn_gate", "ssm")
_KEPT = (*_WIDE, "rope", "activation")


@dataclass(frozen=True)
class Operand:
    """Elements of one token's SRAM that are in use once operator `name` has made its result.

    alive counts that result and every other value that is still needed; before is the same
    without the result if another operand is among them, which has had its own share spilled.
    alone: it is made for one token of the step at a time.
    """

    name: str
    alive: Affine
    before: Affine | None
    alone: bool

    def spilled(self, context: int, batch: int, tokens: int, room: int) -> int:
        """Elements that do not fit into `room` because of this operand, in a step of `tokens` tokens a sequence."""
        vectors = batch * (1 if self.alone else tokens)
        over = max(0, vectors * self.alive.at(context) - room)
        return over - (max(0, vectors * self.before.at(context) - room) if self.before else 0)


def operands(workload: Workload) -> tuple[Operand, ...]:
    """The operands of a block, in the order in which they are made."""
    block = workload.select("block")
    found = []
    for i, operator in enumerate(block):
        if operator.op != "attention" and not (operator.op == "linear" and operator.role in _WIDE):
            continue
        others = _alive(workload, block, i)
        elements = sum((width for _, width in others), Affine(0))
        kept = any(role in _KEPT for role, _ in others)
        found.append(
            Operand(operator.name, elements + _own(operator), elements if kept else None, operator.op == "attention")
        )
    return tuple(found)


def beside(workload: Workload, operator: Operator) -> int:
    """Elements of one token's SRAM that other values, and the result, take while a state is updated.

    What the update itself takes is among them, whether or not anybody reads it later.
    """
    scope = workload.select(operator.scope)
    i = scope.index(operator)
    others = sum((width for _, width in _alive(workload, scope, i, i)), Affine(0))
    return (others + _own(operator)).at(1)


def _own(operator: Operator) -> Affine:
    """Elements of a result; of an attention the scores, which are more."""
    if operator.op == "attention":
        return operator.attended(operator.heads)
    copies = operator.rows * (1 if operator.op == "add" else operator.active)
    return Affine(operator.outputs * copies)


def _alive(
    workload: Workload, block: tuple[Operator, ...], i: int, since: int | None = None
) -> list[tuple[str, Affine]]:
    """(role, elements) of every value made before operator i that one after it (or from `since` on) reads; what another
    machine makes, and what it alone reads, is not here.
    """
    later = [o for o in block[i + 1 if since is None else since :] if o.op not in (ELSEWHERE, FROM)]
    needed = {dep for o in later for dep in o.deps}
    alive = [
        (o.role, Affine(o.outputs * o.rows) if o.op == "attention" else _own(o))
        for o in block[:i]
        if o.name in needed and o.op != ELSEWHERE
    ]
    if INPUT in needed:
        alive.append(("residual", Affine(workload.shape.d_model)))
    return alive
