"""Attention by heads: what of it can be done by itself, so that the ASIC's softmax runs beside the channels.

A layout has parts (`layouts.Parts`): query heads that it multiplies with by themselves without repeating work.  Of K
that is a filling of the buffer: a chunk of heads, for one of the query heads that share each.  Of V it is what keeps
all channels at work: where they have different heads, one of each.  The two seldom agree.

The scores of all parts come first: the channels keep their order, and nothing but scores waits for no softmax.  Then V,
part by part: each waits for the softmax of its own heads alone.  What the first part of V takes goes through the
softmax as its scores come, a part of K after another.  By then all scores are there, so that what a later part takes
goes at once: each softmax fills the ASIC's pipeline anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, NamedTuple, TypeVar

from pimsim.mapping.layouts import Keys, Values
from pimsim.mapping.memory import Memory
from pimsim.workload.ops import Operator

T = TypeVar("T")


class Piece(NamedTuple):
    """Query heads whose softmax is one instruction; scored: the parts of K that make their scores."""

    scored: tuple[int, ...]
    heads: tuple[int, ...]


class Heads(NamedTuple):
    """An attention by heads.

    keys, values  parts of its K and V
    pieces        what each part of V takes, in the order in which scores are made
    """

    keys: Sequence[Keys]
    values: Sequence[Values]
    pieces: tuple[tuple[Piece, ...], ...]


def heads_of(how: str, memory: Memory, operator: Operator) -> Heads | None:
    """The parts of an attention as `mapping.attention` says it; None if it goes as a whole.

    So does one with a single part, one whose softmax the banks scale (they lay the vectors of all heads side by side),
    and one whose sequences have caches with other parts.
    """
    if how != "per_head" or memory.products is not None:
        return None
    keys, values = memory.keys[operator.name], memory.values[operator.name]
    if not _alike(keys, memory.branch_keys.get(operator.name)):
        return None
    if not _alike(values, memory.branch_values.get(operator.name)):
        return None
    scored, weighed, every = parts_of(keys), parts_of(values), operator.heads
    if len(scored) == len(weighed) == 1:
        return None
    makes = [query_heads(part, every) for part in scored]
    first, *others = ([*_pieces(makes, query_heads(part, every))] for part in weighed)
    return Heads(scored, weighed, (tuple(first), *((_joined(pieces),) for pieces in others)))


def parts_of(layout: T) -> Sequence[T]:
    """The parts of a layout; itself if it knows of none."""
    parts: Sequence[T] = getattr(layout, "parts", ())
    return parts if len(parts) > 1 else (layout,)


def query_heads(layout: Any, heads: int) -> tuple[int, ...]:
    """The query heads of a part; of a layout that does not say, all of so many."""
    found: tuple[int, ...] = getattr(layout, "query_heads", tuple(range(heads)))
    return found


def _pieces(makes: Sequence[Sequence[int]], takes: Sequence[int]) -> Iterator[Piece]:
    """What each part of K makes of what a part of V takes."""
    wanted = set(takes)
    for number, made in enumerate(makes):
        if heads := tuple(head for head in made if head in wanted):
            yield Piece((number,), heads)


def _joined(pieces: Sequence[Piece]) -> Piece:
    """All of them as one."""
    return Piece(*(tuple(chain.from_iterable(each)) for each in zip(*pieces, strict=True)))


def _alike(layout: Any, branch: Any) -> bool:
    """Whether the caches of all sequences have the same parts."""
    if branch is None:
        return True
    return [query_heads(part, 0) for part in parts_of(layout)] == [query_heads(part, 0) for part in parts_of(branch)]
