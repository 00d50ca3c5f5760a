"""K and V that sequences have in common: who reads a prefix that several share, reads it once.

Sequences that were forked, or that go on from another one's tokens, have part of their tokens in the
caches of others (`Stage.branches`).  A memory that only stores sends each of those tokens once a step,
if whoever asks for them keeps what several of his sequences need ("cascade attention" on a GPU).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from pimsim.workload.formats import cached_bits
from pimsim.workload.graph import Workload
from pimsim.workload.ops import Operator
from pimsim.workload.schedule import EVERY, Copied, Forked, Ints, Shared

_END = np.iinfo(np.int64).max  # of the tokens that are a sequence's own

Branches = tuple[tuple[Shared, ...], ...]


def seen(operator: Operator, contexts: Ints) -> Ints:
    """(n,): tokens that one sequence attends to at each of `contexts` (n,)."""
    count = operator.attended()
    result = count.constant + count.slope * contexts
    for window, slope in count.windows:
        result = result + slope * np.minimum(contexts, window)
    return result


def seen_together(operator: Operator, contexts: Ints, batch: int, branches: Branches = ()) -> Ints:
    """(n,): tokens whose K and V `batch` sequences read in a step at each of `contexts` (n,), each token once.

    Where nothing is appended (an encoder's K and V), sequences that share anything share all of it.
    """
    if not any(branches):
        return seen(operator, contexts) * batch
    if not operator.append:
        return seen(operator, contexts) * len({_first_owner(s, branches) for s in range(batch)})
    total = np.zeros_like(contexts)
    for first, end in _stretches(batch, branches):
        total = total + _within(operator, contexts, first, end)
    return total


def _first_owner(sequence: int, branches: Branches) -> int:
    """Who has the first tokens of a sequence."""
    return branches[sequence][0].owner if branches[sequence] else sequence


def _stretches(batch: int, branches: Branches) -> Iterable[tuple[int, int]]:
    """The slots that at least one sequence attends to, as (first, end) in one cache; no two overlap in their cache."""
    used: dict[int, list[tuple[int, int]]] = {}
    for sequence in range(batch):
        begin = 0
        for owner, end in branches[sequence]:
            used.setdefault(owner, []).append((begin, end))
            begin = end
        used.setdefault(sequence, []).append((begin, _END))
    for stretches in used.values():
        yield from _merged(sorted(stretches))


def _merged(stretches: Sequence[tuple[int, int]]) -> Iterable[tuple[int, int]]:
    """The same slots in stretches that do not overlap; they come in order."""
    first, end = stretches[0]
    for begin, stop in stretches[1:]:
        if begin > end:
            yield first, end
            first = begin
        end = max(end, stop)
    yield first, end


def _within(operator: Operator, contexts: Ints, first: int, end: int) -> Ints:
    """(n,): how many of the tokens that are attended to at each context are number `first` to `end` - 1."""
    if not operator.window:
        return _overlap(first, end, np.zeros_like(contexts), seen(operator, contexts))
    oldest = np.maximum(contexts - operator.window, operator.sinks)
    sinks = _overlap(first, end, np.zeros_like(contexts), np.minimum(contexts, operator.sinks))
    return sinks + _overlap(first, end, oldest, np.maximum(contexts, oldest))


def _overlap(first: int, end: int, begin: Ints, stop: Ints) -> Ints:
    many: Ints = np.maximum(np.minimum(stop, end) - np.maximum(begin, first), 0)
    return many


def copied_tokens(copies: Iterable[Copied | Forked], batch: int) -> tuple[int, int]:
    """Tokens whose K, and whose V, are read and written again by copies of a step of `batch` sequences; a fork shares
    what there is.
    """
    moved = (copy for copy in copies if isinstance(copy, Copied))
    tokens = sum(copy.tokens * (batch if copy.source == EVERY else 1) for copy in moved)
    return tokens, tokens


def appended_width(operator: Operator) -> tuple[int, int]:
    """Elements of K, and of V, of a token that an operator appends to its cache; copies move them."""
    if operator.op != "attention" or not operator.append:
        return 0, 0
    return operator.kv_heads * operator.head_dim, operator.kv_heads * operator.v_head_dim


def copied_bits(workload: Workload, copies: Iterable[Copied | Forked], batch: int) -> int:
    """Bits of K and V that copies of a step move, in all layers; each is read once and written once."""
    tokens = copied_tokens(copies, batch)
    return sum(
        workload.repeats(operator)
        * cached_bits(operator)
        * sum(many * width for many, width in zip(tokens, appended_width(operator), strict=True))
        for operator in workload.operators
    )


def ran(workload: Workload, head: bool) -> Workload:
    """What runs of a graph in a step: all of it, or not what stands behind the blocks."""
    if head or not workload.select("once_after"):
        return workload
    return replace(workload, operators=tuple(o for o in workload.operators if o.scope != "once_after"))
