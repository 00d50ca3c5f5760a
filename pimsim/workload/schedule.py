"""What runs, step after step: how the steps of one or several graphs follow each other.

A step runs a graph for B sequences of Q tokens each.  Steps that differ in nothing but their context and in
what they keep are of one `Stage`.  What a step keeps of its tokens is known before anything is simulated: an
acceptance is a number of tokens on average, of which every step has its share.

    expected  after n steps of a line floor(n * mean) tokens are kept: fractions are spread evenly
    sampled   each step draws, from a hash of the seed, the line and the step.  With a chance for each
              draft the drafts are kept up to the first whose chance is not above the draw; with a mean
              alone a step keeps one of the two integers around it
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pimsim.workload.graph import Workload
from pimsim.workload.trees import depths_of, wrong_tree

Ints = NDArray[np.int64]

DRAFTING, VERIFICATION = "drafting", "verification"
PARTS = ("", DRAFTING, VERIFICATION)  # of decoding; a part without a name is plain decoding
EVERY = -1  # sequence


class Copied(NamedTuple):
    """K and V of tokens that come to lie elsewhere: of each copy one column is read and written.

    source, target: sequences (`EVERY`: each within itself).  first, to: tokens, from 0.  tokens: how many.
    """

    source: int
    target: int
    first: int
    to: int
    tokens: int


class Forked(NamedTuple):
    """Sequence `target` goes on from what `source` has before token `at`: whole columns are shared, one that is partly
    filled is copied.
    """

    source: int
    target: int
    at: int


class Shared(NamedTuple):
    """Tokens of a sequence that lie in the cache of another one: those of its slots up to `end`."""

    owner: int
    end: int


@dataclass(frozen=True)
class Stage:
    """Steps of one kind.

    name      of the template
    workload  the graph of a step, with as many copies of the block as run
    layers    the copies of the model's block that run (empty: all)
    batch     sequences; tokens: of each in a step
    part      one of PARTS
    tree      the token of the step that each one follows (-1: none); empty: each the one before it
    branches  of each sequence, the tokens that lie in caches of others, in order (empty: none of any); its own
              cache begins with the whole columns behind them
    whole     a prefill that is done at once, since its tokens see those behind them; its head runs for every token
    line      of the schedule, in its file: the first of those that are alike
    weights_of  name of the template whose weights the graph has ("": of the same model all that are alike are one)
    copies    of the block that the model has (0: those that run)
    """

    name: str
    phase: str
    workload: Workload
    batch: int
    tokens: int
    layers: tuple[int, ...] = ()
    part: str = ""
    tree: tuple[int, ...] = ()
    branches: tuple[tuple[Shared, ...], ...] = ()
    whole: bool = False
    line: int = field(default=0, compare=False)
    weights_of: str = ""
    copies: int = 0

    @cached_property
    def depths(self) -> tuple[int, ...]:
        """Tokens of the step that stand before each one on its path."""
        return depths(self.tree) if self.tree else tuple(range(self.tokens))


class Step(NamedTuple):
    """One step: of which stage, the context of its newest token, the tokens that it keeps of each sequence, and
    whether what stands behind the blocks runs.
    """

    stage: int
    context: int
    kept: int
    head: bool


@dataclass(frozen=True, eq=False)
class Schedule:
    """Steps in the order of time.

    stages   what they are of
    stage, context, kept, head  (n,) of each step, as `Step` has them
    before, after  what is copied before and after a step, by its number
    warnings  what a reader should know of it, in words
    sha256   of what decides the steps; graphs have a hash of their own
    """

    stages: tuple[Stage, ...]
    stage: Ints
    context: Ints
    kept: Ints
    head: NDArray[np.bool_]
    before: Mapping[int, tuple[Copied | Forked, ...]] = field(default_factory=dict)
    after: Mapping[int, tuple[Copied, ...]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    sha256: str = ""

    def __len__(self) -> int:
        return len(self.stage)

    def __iter__(self) -> Iterator[Step]:
        columns = (self.stage, self.context, self.kept, self.head)
        return map(Step, *(column.tolist() for column in columns))

    @property
    def main(self) -> Stage:
        """The stage that a run is said to be of: the first that decodes for itself, or else the first."""
        return min(self.stages, key=lambda stage: (stage.phase != "decode", stage.part == DRAFTING))

    def of_phase(self, phase: str) -> NDArray[np.bool_]:
        """(n,): which steps are of a phase."""
        return np.array([stage.phase == phase for stage in self.stages], bool)[self.stage]

    @cached_property
    def tokens(self) -> Ints:
        """(n,): query tokens of each step, of one sequence."""
        return np.array([stage.tokens for stage in self.stages], np.int64)[self.stage]

    @cached_property
    def batch(self) -> Ints:
        """(n,): sequences of each step."""
        return np.array([stage.batch for stage in self.stages], np.int64)[self.stage]


def depths(tree: tuple[int, ...]) -> tuple[int, ...]:
    """How many nodes stand above each one; ValueError for a tree that is none (`trees.wrong_tree`)."""
    for _, message in wrong_tree(tree):
        raise ValueError(message)
    return tuple(depths_of(tree))


def path_of(tree: tuple[int, ...], kept: int) -> tuple[int, ...]:
    """The nodes of the first path of so many nodes, from its root on; ValueError if no path has as many."""
    if not kept:
        return ()
    deep = depths(tree)
    if kept - 1 not in deep:
        raise ValueError(f"no path of {kept} tokens; the longest has {max(deep) + 1}")
    node, path = deep.index(kept - 1), []
    while node != -1:
        path.append(node)
        node = tree[node]
    return tuple(reversed(path))


def expected(mean: Fraction, steps: int) -> int:
    """Tokens that so many steps keep together."""
    return int(mean * steps)  # the floor: nothing is below 0


def drawn(mean: Fraction, positions: tuple[Fraction, ...], *where: int) -> int:
    """Tokens that one step keeps by a draw of its own; where: seed, line, step."""
    digest = hashlib.blake2b(",".join(map(str, where)).encode("ascii"), digest_size=8).digest()
    draw = Fraction(int.from_bytes(digest, "big"), 1 << 64)
    if not positions:
        least = int(mean)
        return least + (draw < mean - least)
    kept = 1
    for chance in positions:
        if draw >= chance:
            break
        kept += 1
    return kept
