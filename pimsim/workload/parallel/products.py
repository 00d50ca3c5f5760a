"""How a product with a matrix is cut, and what is sent for it.

    reads                a device has                    makes
    a cut value          the rows of its elements        a summand: an all-reduce is needed (bias: one device adds it)
    a whole value        some of the columns, and bias   its part of the result
    a whole value, and   some of the columns; the most   all of the result: an all-gather follows at once
      nobody takes parts   that one has, if uneven
    the same, and it     the whole matrix                all of the result: nothing is sent
      makes fewer than
      d_model elements

The last is that of a router, and of the first of two products with a narrow value, or its norm, between them.
"""

from __future__ import annotations

from pimsim.workload.ops import INPUT, Operator
from pimsim.workload.parallel.pieces import CUT, PARTIAL, WHOLE, Pieces, Taken


def cut_linear(pieces: Pieces, operator: Operator) -> None:
    """Put in what a device runs of a product."""
    inputs = pieces.needs.inputs(operator)
    cut = all(pieces.state(dep) == CUT for dep in inputs)
    if operator.blocks > 1 or operator.rows > 1:
        _several(pieces, operator, inputs, cut)
    elif cut:
        _rows(pieces, operator, [pieces.part(operator, dep) for dep in inputs])
    else:
        _columns(pieces, operator, [pieces.whole(operator, dep) for dep in inputs])


def _rows(pieces: Pieces, operator: Operator, taken: list[Taken]) -> None:
    here = sum(each.size for each in taken)
    if here * pieces.devices != operator.inputs and not pieces.problems:  # else it follows from what is told
        pieces.wrong(f"heads that several devices have are no rows of {operator.name!r}")
    pieces.add(operator, taken, PARTIAL, operator.outputs, operator.outputs, inputs=here)


def _columns(pieces: Pieces, operator: Operator, taken: list[Taken]) -> None:
    made, needs = operator.outputs, pieces.needs
    if operator.name in needs.parts:
        here = needs.local.get(operator.name) or _outputs(pieces, operator)
        state = WHOLE if here == made else CUT  # of a lone head of K and V every device has all
        pieces.add(operator, taken, state, made, here, outputs=here)
    elif made < pieces.values[INPUT].width or operator.experts > 1:
        pieces.add(operator, taken, WHOLE, made, made)
    else:
        here = -(-made // pieces.devices)  # rounded up
        pieces.add(operator, taken, CUT, made, here, outputs=here)
        pieces.complete(operator.name)


def _outputs(pieces: Pieces, operator: Operator) -> int:
    """Columns of a device; of those of an attention its heads are told."""
    if pieces.needs.behind(operator.name, "attention") is not None:
        return max(operator.outputs // pieces.devices, 1)
    return pieces.divide(operator.outputs, f"{operator.outputs} outputs of {operator.name!r}")


def _several(pieces: Pieces, operator: Operator, inputs: tuple[str, ...], cut: bool) -> None:
    """Matrices on a diagonal, or one that several vectors of a token go through: a device has some of them."""
    made, blocks, rows = operator.outputs * operator.rows, operator.blocks, operator.rows
    several = blocks if blocks > 1 else rows
    if several % pieces.devices or not (cut or (blocks > 1 and operator.name in pieces.needs.parts)):
        pieces.add(operator, [pieces.whole(operator, dep) for dep in inputs], WHOLE, made, made)
        return
    taken = [pieces.part(operator, dep) for dep in inputs]
    here = several // pieces.devices
    if blocks > 1:
        sizes = {
            "blocks": here,
            "inputs": operator.inputs // blocks * here,
            "outputs": operator.outputs // blocks * here,
        }
    else:
        sizes = {"rows": here}
    pieces.add(operator, taken, CUT, made, made // pieces.devices, **sizes)
