"""Cycles of products in closed form: a second reading, beside the replay, of what the table's simulator takes.

Exact for an operator that runs alone: the clock at which the host sees its end.  In a block
operators overlap a little, and host accesses have no closed form.
"""

from __future__ import annotations

from pimsim.reproduce.cent.models import ROW, Place, Shape, ceil_div

_COLUMN = 16  # values
_COLUMNS = 64  # of a row
_ROW_OVERHEAD = 158  # clocks of a row beside its columns: open, close, two changes of mode, bias and result
_SHARED = 55  # of them those that rows whose results are kept together share
_ACTIVATED, _ACTIVATED_ROUND = 68, 64  # clocks more of a row, and of rows together, with an activation function


def gemv(inputs: int, outputs: int, place: Place, activated: bool = False) -> int:
    """Clocks of a product with weights."""
    rows = ceil_div(outputs, place.all_banks)
    rounds = ceil_div(rows, 16 if activated else 32)
    each = [2 * size + _SHARED * rounds + rows * (_ROW_OVERHEAD - _SHARED + 2 * size) for size in _sizes(inputs)]
    return sum(each) + activated * (_ACTIVATED * rows + _ACTIVATED_ROUND * rounds)


def score(shape: Shape, place: Place, context: int) -> int:
    """Clocks of Q K^T."""
    rows = ceil_div(shape.keys, ROW) * ceil_div(context, place.all_banks)
    return rows * (904 + 816 * (shape.group - 1))


def sv(shape: Shape, place: Place, context: int) -> int:
    """Clocks of p V; beyond 4096 tokens, where regions overlap, a row may be open already and take less."""
    each = [2 * size + 8 * (_ROW_OVERHEAD + 2 * size) for size in _sizes(context)]
    return ceil_div(shape.kv_heads, place.channels) * shape.group * sum(each)


def products(shape: Shape, place: Place, context: int) -> dict[str, int]:
    """Clocks of each operator of a block that has a closed form; an EWADD behind it costs one."""
    dim, keys, ffn = shape.dim, shape.keys, shape.ffn
    return {
        "wq": gemv(dim, dim, place), "wk": gemv(dim, keys, place), "wv": gemv(dim, keys, place),
        "score": score(shape, place, context), "sv": sv(shape, place, context), "wo": gemv(dim, dim, place),
        "w1": gemv(dim, ffn, place, activated=True), "w3": gemv(dim, ffn, place), "w2": gemv(ffn, dim, place) + 1,
    }  # fmt: skip


def weights_only(shape: Shape, place: Place) -> int:
    """Clocks of the program of a block's other devices."""
    found = products(shape, place, 1)
    return sum(found[name] for name in ("wq", "wk", "wv", "wo", "w1", "w3", "w2")) - 1


def _sizes(values: int) -> list[int]:
    """Columns of each row that so many values take."""
    full, rest = divmod(ceil_div(values, _COLUMN), _COLUMNS)
    return [_COLUMNS] * full + ([rest] if rest else [])
