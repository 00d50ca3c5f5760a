"""The caches of K and V: which there are, how large they get, and which parts of them one token attends to.

A cache is that of an attention's place in the stack of its model, or has a name: graphs of one model share it.

A sequence that another one was forked from has whole columns of the prefix in the other's cache; its own
cache begins with the column that was only partly filled, of which it has a copy of V.  K of every token has
columns of its own, so that those of the prefix stay where they are.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import NamedTuple

from pimsim.config.schema import Config
from pimsim.errors import InputError
from pimsim.mapping.formats import grids
from pimsim.mapping.grid import Grid, ceil_div
from pimsim.mapping.layouts import Keys, Layouts, Values
from pimsim.mapping.regions import Use, Wanted
from pimsim.mapping.split import Asked, Splits
from pimsim.workload.ops import Operator
from pimsim.workload.schedule import Shared

Branches = Sequence[tuple[Shared, ...]]
Laid = tuple[dict[str, Keys], dict[str, Values]]  # K and V, by operator


class Segment(NamedTuple):
    """Tokens of one cache.

    owner         the sequence in whose cache they lie
    keys, values  slots of K and of V that are gone through, from the first of the cache on
    scored, weighed  of them those that are attended to, in K and in V
    """

    owner: int
    keys: int
    values: int
    scored: int
    weighed: int


def begins(branches: Branches, sequence: int, operator: Operator, width: int) -> int:
    """The slot with which the cache of a sequence begins; width: tokens of a column of V."""
    if not branches or not branches[sequence]:
        return 0
    return _whole(operator, branches[sequence][-1].end, width)


def _slots(operator: Operator, end: int) -> int:
    """Slots that the tokens before token `end` take."""
    return operator.slot(end) + 1 if end else 0


def _whole(operator: Operator, end: int, width: int) -> int:
    slots = _slots(operator, end)
    return slots - slots % width


def segments(
    branches: Branches, sequence: int, operator: Operator, seen: int, attended: int, width: int
) -> Iterator[Segment]:
    """The caches that a token of a sequence attends to, the prefix first.

    seen: slots up to the token's own; attended: of them those that it attends to (fewer on a path of a tree,
    where the missing ones are all of its own step).
    """
    begin = keys_before = 0
    for owner, end in branches[sequence] if branches else ():
        slots, whole = _slots(operator, end), _whole(operator, end, width)
        if slots > keys_before:
            yield Segment(owner, slots - begin, whole - begin, slots - keys_before, whole - begin)
        begin, keys_before = whole, slots
    missing = seen - attended
    yield Segment(sequence, seen - begin, seen - begin, seen - keys_before - missing, seen - begin - missing)


# K and V of what is simulated, rounded up to so many tokens (source: assumed: a buffer of the shipped configuration)
_RESERVE_TOKENS = 1024


def reserve_tokens(config: Config, grid: Grid, tokens: int) -> int:
    """Tokens that K and V have room for: as configured, or `tokens` rounded up to a buffer of them, at most 1,024.

    (More than that would only keep the values of neighbouring dimensions in rows apart.)

    Raises InputError if the configured reserve is smaller than the tokens simulated.
    """
    reserve = config.mapping.reserve_tokens
    if reserve is None:
        together = min(grid.buffer_elements, _RESERVE_TOKENS)
        return ceil_div(tokens, together) * together
    if reserve < tokens:
        before = "context, " if config.workload.context else ""
        raise InputError(
            f"room for {reserve} tokens, but the workload has {tokens} ({before}prompt and output): "
            f"it takes {tokens} or more",
            key="mapping.reserve_tokens",
        )
    return reserve


def cache_name(what: str, operator: Operator, sequence: int, branch: bool = False) -> str:
    """The region of an attention's K ("keys") or V ("values") of one sequence of the batch.

    branch: the cache begins behind a prefix that lies in another one.
    """
    return f"{what}.{operator.name}.{sequence}{'.branch' * branch}"


class Caches:
    """The caches of all graphs that share a memory."""

    def __init__(self, config: Config, uses: Sequence[Use], grid: Grid, layouts: Layouts) -> None:
        self.grid, self._layouts = grid, layouts
        self._grid_of = grids(config, grid)
        self._named = {
            (use.workload.shape, name): (use, operator)
            for use in reversed(uses)
            for operator in use.attentions
            if operator.append
            for name in (operator.name, operator.cache)
            if name
        }
        last = max((use.context for use in uses), default=0)
        self._reserve = {last: reserve_tokens(config, grid, last)}
        self._config = config
        self._tokens: dict[tuple[Hashable, bool], int] = {}
        for use in uses:
            for operator in use.attentions:
                for branch in {bool(shared) for shared in use.branches} or {False}:
                    for copy in self._copies(use, operator)[0]:
                        key = (copy, branch)
                        self._tokens[key] = max(self._tokens.get(key, 0), self._room(use, operator, branch))
        self._splits = Splits(config, grid, layouts)
        for use in uses:
            for operator in use.attentions:
                copies = self._copies(use, operator)[0]
                room = max(self._tokens[copy, branch] for copy in copies for branch in (False, True)
                           if (copy, branch) in self._tokens)  # fmt: skip
                self._splits.add(copies, Asked(operator, use.context, room))

    def _room(self, use: Use, operator: Operator, branch: bool) -> int:
        """Slots of a cache that a graph needs."""
        begin = 0
        if branch:
            owners = range(len(use.branches))
            width = self._grid_of(operator).width
            begin = min(begins(use.branches, s, operator, width) for s in owners if use.branches[s])
        slots = operator.kv_slope * use.context + operator.kv_constant - begin
        if slots not in self._reserve:
            self._reserve[slots] = reserve_tokens(self._config, self.grid, slots)
        # a window over all tokens is none
        return operator.most_seen if 0 < operator.most_seen < slots else self._reserve[slots]

    def tokens(self, use: Use, operator: Operator, branch: bool = False) -> int:
        """Tokens that the caches of an attention have room for."""
        return max(self._tokens[copy, branch] for copy in self._copies(use, operator)[0])

    def _copies(self, use: Use, operator: Operator) -> tuple[list[Hashable], list[int] | None]:
        """Which cache every copy of an attention has, and which of them run."""
        sizes = (operator.kv_heads, operator.head_dim, operator.v_head_dim)
        owner = self._named.get((use.workload.shape, operator.cache)) if operator.cache else None
        if owner is not None and owner[1].cache != operator.cache:  # it names an operator: that one's own cache
            copies, _ = self._own(*owner, sizes)
            count = len(use.copies_of(operator, ())[0])
            return (copies if len(copies) == count else copies[:1] * count), use.copies_of(operator, ())[1]
        if owner is not None and owner[1].scope != operator.scope:  # one cache for all copies
            name, used = use.copies_of(operator, ())
            return [("cache", use.workload.shape, operator.cache, *sizes, 0)] * len(name), used
        if operator.cache:
            return use.copies_of(operator, ("cache", use.workload.shape, operator.cache, *sizes))
        return self._own(use, operator, sizes)

    @staticmethod
    def _own(use: Use, operator: Operator, sizes: tuple[int, ...]) -> tuple[list[Hashable], list[int] | None]:
        """The caches at an attention's place in the stack."""
        if operator.scope != "block":
            return use.copies_of(operator, ("own", use.workload.shape, operator.name, *sizes))
        in_block = [o.name for o in use.attentions if o.scope == "block"]
        count, place = len(in_block), in_block.index(operator.name)
        names, used = use.copies_of(operator, ())
        return [("place", use.workload.shape, *sizes, copy * count + place) for copy in range(len(names))], used

    def layouts_of(self, use: Use, branch: bool = False) -> Laid:
        """Of K and of V, by operator."""
        keys: dict[str, Keys] = {}
        values: dict[str, Values] = {}
        for o in use.attentions:
            tokens = self.tokens(use, o, branch)
            grid = self._grid_of(o)
            keys[o.name] = self._layouts.keys(grid, o.heads, o.kv_heads, o.head_dim, tokens)
            shape, split = (o.heads, o.kv_heads, o.v_head_dim, tokens), self._splits.of(self._copies(use, o)[0])
            given = () if split == "heads" else (split,)  # layouts of others may know no other way
            values[o.name] = self._layouts.values(grid, *shape, *given)
        return keys, values

    def branches_of(self, use: Use) -> Laid:
        """The same of caches that begin behind a prefix."""
        return self.layouts_of(use, branch=True) if any(use.branches) else ({}, {})

    def wanted(self, use: Use, own: Laid, behind: Laid) -> Iterator[Wanted]:
        """The regions of the caches of a graph, whose layouts `layouts_of` and `branches_of` made."""
        kinds = {False: own, True: behind}
        for sequence in range(use.batch):
            branch = bool(use.branches and use.branches[sequence])
            keys, values = kinds[branch]
            for operator in use.attentions:
                copies, used = self._copies(use, operator)
                for what, layout in (("keys", keys[operator.name]), ("values", values[operator.name])):
                    those = [(what, sequence, branch, copy) for copy in copies]
                    yield Wanted(cache_name(what, operator, sequence, branch), layout.rows, those, used)
