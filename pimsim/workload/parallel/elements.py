"""How what is neither a product nor attention is cut: by elements, by rows, by channels of a state, or not at all."""

from __future__ import annotations

from pimsim.workload.ops import Operator
from pimsim.workload.parallel.pieces import CUT, PARTIAL, WHOLE, Pieces, Taken

_LINEAR = ("mul", "scale")  # of a sum the sum of what they make of each summand


def cut_whole(pieces: Pieces, operator: Operator) -> None:
    """What every device runs, all of it: what it reads is sent first where it is not there."""
    made = operator.outputs * operator.rows
    taken = [pieces.whole(operator, dep) for dep in pieces.needs.inputs(operator)]
    pieces.add(operator, taken, WHOLE, made, made)


def cut_rows(pieces: Pieces, operator: Operator) -> None:
    """A norm, a softmax or a choice: of its own rows where it has several, else of the whole vector."""
    inputs = pieces.needs.inputs(operator)
    if operator.rows == 1 or len(inputs) != 1 or pieces.state(inputs[0]) != CUT:
        cut_whole(pieces, operator)
        return
    taken = pieces.part(operator, inputs[0])
    rows = _rows_of(pieces, operator, taken.size)
    made = operator.outputs * operator.rows
    pieces.add(operator, [taken], CUT, made, operator.outputs * rows, rows=rows)


def cut_elements(pieces: Pieces, operator: Operator) -> None:
    """An activation, a product with a number, or of two values, element by element.

    Of several values some may be one number for a token, or for a head: it is read as it is, or cut as the heads are.
    """
    inputs = pieces.needs.inputs(operator)
    states = [pieces.state(dep) for dep in inputs]
    if operator.op in _LINEAR and states.count(PARTIAL) == 1 and set(states) <= {PARTIAL, WHOLE}:
        _of_a_sum(pieces, operator, inputs)
    elif CUT in states and (operator.name in pieces.needs.parts or set(states) == {CUT}):
        _of_parts(pieces, operator, inputs)
    else:
        cut_whole(pieces, operator)


def _rows_of(pieces: Pieces, operator: Operator, elements: int) -> int:
    """Rows that so many elements are; where they are heads of an attention, those that do not divide are told there."""
    rows, rest = divmod(elements, operator.inputs)
    if rest and pieces.needs.behind(operator.name, "attention") is None:
        pieces.wrong(f"{operator.rows} rows of {operator.name!r} do not divide")
    return rows or 1


def _of_a_sum(pieces: Pieces, operator: Operator, inputs: tuple[str, ...]) -> None:
    made = operator.outputs * operator.rows
    taken = [Taken(pieces.values[dep].name, made, _slice(operator, dep)) for dep in inputs]
    pieces.add(operator, taken, PARTIAL, made, made)


def _slice(operator: Operator, dep: str) -> tuple[int, int] | None:
    return next(((first, size) for name, first, size in operator.take if name == dep), None)


def _of_parts(pieces: Pieces, operator: Operator, inputs: tuple[str, ...]) -> None:
    wanted = operator.outputs * operator.rows
    taken = [_factor(pieces, operator, dep, wanted) for dep in inputs]
    here = max(each.size for each in taken)
    if operator.rows > 1:
        pieces.add(operator, taken, CUT, wanted, here, rows=_rows_of(pieces, operator, here))
    else:
        pieces.add(operator, taken, CUT, wanted, here, inputs=here, outputs=here)


def _factor(pieces: Pieces, operator: Operator, dep: str, wanted: int) -> Taken:
    stated = _slice(operator, dep)
    one = (stated[1] if stated else pieces.values[dep].width) == 1
    return pieces.whole(operator, dep) if one else pieces.part(operator, dep, wanted)


def cut_add(pieces: Pieces, operator: Operator) -> None:
    """A sum: of summands a summand, of parts a part; else of whole values. Of experts, as their vectors are."""
    inputs = pieces.needs.inputs(operator)
    states = {pieces.state(dep) for dep in inputs}
    made = operator.outputs * operator.rows
    if states == {PARTIAL}:
        taken = [Taken(pieces.values[dep].name, made, _slice(operator, dep)) for dep in inputs]
        pieces.add(operator, taken, PARTIAL, made, made)
    elif states == {CUT} or (CUT in states and operator.name in pieces.needs.parts):
        taken = [pieces.part(operator, dep, made) for dep in inputs]
        sizes = _sizes_of_a_sum(pieces, operator, taken[0].size)
        pieces.add(operator, taken, CUT, made, taken[0].size, **sizes)
    else:
        cut_whole(pieces, operator)


def _sizes_of_a_sum(pieces: Pieces, operator: Operator, here: int) -> dict[str, int]:
    """As many outputs as the device has; inputs may be those of one summand, or of all."""
    made = operator.outputs * operator.rows
    if operator.rows > 1:
        return {"rows": here // operator.outputs or 1}
    return {"outputs": here, "inputs": max(operator.inputs * here // made, 1)}


def cut_state(pieces: Pieces, operator: Operator) -> None:
    """A convolution or a state update: a device's channels, where they and their groups divide, else all of them."""
    inputs = pieces.needs.inputs(operator)
    cut = [dep for dep in inputs if pieces.state(dep) == CUT]
    if not cut or not pieces.needs.states_cut[operator.name]:
        cut_whole(pieces, operator)
        return
    taken = [pieces.part(operator, dep) if dep in cut else pieces.whole(operator, dep) for dep in inputs]
    divided = {"inputs": operator.inputs, "outputs": operator.outputs}
    if operator.own_parameters:
        divided["own_parameters"] = operator.own_parameters
    sizes = {key: pieces.divide(size, f"{size} {key} of {operator.name!r}") for key, size in divided.items()}
    pieces.add(operator, taken, CUT, operator.outputs, sizes["outputs"], **sizes)
