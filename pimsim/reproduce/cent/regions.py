"""In which rows of its banks a block keeps what; the same rows in every bank."""

from __future__ import annotations

from itertools import accumulate

from pimsim.reproduce.cent.models import ROW, Place, Shape, ceil_div

LAID_OUT = 4096  # tokens that K, V and the scores have room for
ROWS = 16384  # of a bank


def sizes(shape: Shape, place: Place) -> dict[str, int]:
    """Rows of each region, in their order."""
    dim, keys, ffn = shape.dim, shape.keys, shape.ffn
    vector, spread, wide = (
        ceil_div(dim // 16, ROW),
        ceil_div(dim // place.banks, ROW),
        ceil_div(ffn // place.banks, ROW),
    )

    def matrix(outputs: int, inputs: int) -> int:
        return ceil_div(outputs, place.all_banks) * ceil_div(inputs, ROW)

    return {
        "x": vector, "x_copy": vector, "sa_norm": vector,
        "wq": matrix(dim, dim), "wk": matrix(keys, dim), "wv": matrix(keys, dim), "xq": 1, "xk": 1,
        "K": matrix(LAID_OUT, keys), "scores": 4 * ceil_div(shape.heads, 4 * place.channels),
        "V": 4 * 8 * ceil_div(shape.kv_heads, place.channels), "out": spread, "wo": matrix(dim, dim),
        "sa": spread, "sa_copy": spread, "ffn_norm": spread, "w1": matrix(ffn, dim), "w3": matrix(ffn, dim),
        "x1": wide, "x3": wide, "x1s": wide, "ffn_vec": ceil_div(ffn, 16384), "w2": matrix(dim, ffn),
    }  # fmt: skip


def first_rows(shape: Shape, place: Place) -> dict[str, int]:
    """The first row of each region."""
    counts = sizes(shape, place)
    return dict(zip(counts, accumulate(counts.values(), initial=0), strict=False))


def rows_reached(shape: Shape, place: Place, context: int) -> int:
    """Rows that a block with so many tokens names, from row 0 on: beyond LAID_OUT tokens regions overlap."""
    first, counts = first_rows(shape, place), sizes(shape, place)
    pages = ceil_div(context, ROW)
    keys = ceil_div(context, place.all_banks) * ceil_div(shape.keys, ROW)
    scores = ceil_div(shape.heads, 4 * place.channels) * pages
    values = 32 * (ceil_div(shape.kv_heads, place.channels) - 1) + 4 * 7 + pages
    ends = (first["w2"] + counts["w2"], first["K"] + keys, first["scores"] + scores, first["V"] + values)
    return max(ends)
