"""How attention is cut: by heads, with the rotations before it.

Where there are fewer heads of K and V than devices, each device has one of them, and several have the same.
"""

from __future__ import annotations

from typing import NamedTuple

from pimsim.workload.ops import Operator
from pimsim.workload.parallel.pieces import CUT, WHOLE, Pieces, Taken


class Heads(NamedTuple):
    """Heads of an attention, and how many of them a device has."""

    queries: int
    kept: int
    here: int
    kept_here: int


def heads_of(pieces: Pieces, attention: Operator) -> Heads:
    """The heads of a device; what does not divide is noted."""
    queries, kept = attention.heads, attention.kv_heads
    here = pieces.divide(queries, f"{queries} heads")
    if pieces.needs.repeated(attention):
        return Heads(queries, kept, here, 1)
    what = f"{kept} heads of K and V" if queries % pieces.devices == 0 else f"{queries} heads"
    return Heads(queries, kept, here, pieces.divide(kept, what))


def cut_attention(pieces: Pieces, attention: Operator) -> None:
    """Put in a device's heads of an attention."""
    heads, dims = heads_of(pieces, attention), (attention.head_dim, attention.head_dim, attention.v_head_dim)
    if attention.name in pieces.needs.unclear and not pieces.problems:
        pieces.wrong(f"it is not clear which products make K and V of {attention.name!r}, whose heads are fewer")
    taken = [_part(pieces, attention, attention, heads, dep) for dep in pieces.needs.inputs(attention)]
    whole = [heads.queries * dims[0], heads.kept * dims[1], heads.kept * dims[2]]
    here = [heads.here * dims[0], heads.kept_here * dims[1], heads.kept_here * dims[2]]
    known = {sum(whole[:some]): sum(here[:some]) for some in (1, 2, 3)}
    if attention.inputs not in known:
        pieces.wrong(f"{attention.name!r} takes {attention.inputs} elements, which are not its queries, K and V")
    pieces.add(
        attention, taken, CUT, attention.outputs, heads.here * dims[2], heads=heads.here, kv_heads=heads.kept_here,
        inputs=known.get(attention.inputs, 1), outputs=heads.here * dims[2],
    )  # fmt: skip


def cut_rope(pieces: Pieces, rope: Operator) -> None:
    """Put in a device's heads of a rotation; one that all heads of a latent K share is on every device."""
    attention = pieces.needs.behind(rope.name, "attention")
    inputs = pieces.needs.inputs(rope)
    if attention is None:
        pieces.add(rope, [pieces.whole(rope, dep) for dep in inputs], WHOLE, rope.outputs, rope.outputs)
        return
    heads = heads_of(pieces, attention)
    taken = [_part(pieces, rope, attention, heads, dep) for dep in inputs]
    widths = [_asked(pieces, rope, dep) for dep in inputs]
    if all(each.size == width for each, width in zip(taken, widths, strict=True)):
        pieces.add(rope, taken, WHOLE, sum(widths), sum(widths))
        return
    width, here = sum(widths), sum(each.size for each in taken)
    both = (heads.queries + heads.kept) * attention.head_dim
    if width >= both:  # with V, where one product makes all three
        width, here = both, (heads.here + heads.kept_here) * attention.head_dim
    rotated, rest = divmod(rope.inputs * here, width)
    if rest and not pieces.problems:
        pieces.wrong(f"{rope.inputs} rotated elements of {rope.name!r} do not divide")
    pieces.add(rope, taken, CUT, width, here, inputs=rotated or 1, outputs=rotated or 1)


def _asked(pieces: Pieces, operator: Operator, dep: str) -> int:
    return next((size for name, _, size in operator.take if name == dep), pieces.values[dep].width)


def _part(pieces: Pieces, reader: Operator, attention: Operator, heads: Heads, dep: str) -> Taken:
    """What a device's heads need of a dependency: of a value that all devices have the heads of one kind, or all."""
    if pieces.state(dep) == CUT:
        return pieces.part(reader, dep)
    whole = pieces.whole(reader, dep)
    sizes = {heads.kept * attention.v_head_dim: heads.kept_here * attention.v_head_dim,
             heads.kept * attention.head_dim: heads.kept_here * attention.head_dim,
             heads.queries * attention.head_dim: heads.here * attention.head_dim}  # fmt: skip
    here = sizes.get(whole.size, whole.size)
    if whole.size in sizes and here != whole.size:
        return Taken(whole.name, here, (whole.take[0] if whole.take else 0, here))
    if whole.size > attention.head_dim + attention.v_head_dim:
        pieces.wrong(f"what {reader.name!r} reads of {dep!r} is whole and is of several kinds of heads: it is not cut")
    return whole
