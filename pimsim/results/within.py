"""How busy buses, banks and units are while a step runs: from what its instructions count, in pieces of its time.

What an instruction counts is spread evenly over the clocks in which it ran; what finds no room there came before.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pimsim.results.use import counters
from pimsim.sim.watched_step import Took, watched_step

if TYPE_CHECKING:
    from pimsim.results.result import Result

Floats = NDArray[np.float64]
Row = tuple[str, str, str]  # of the results: phase, part, operator
MOST = 240  # pieces, about: where there are more, short ones are joined
# Of a step, all and those that are told: what lasts half a second on a slow core.
_INSTRUCTIONS, _TOLD = 8000, 2000


class Within(NamedTuple):
    """A step in pieces that follow each other, of one of several copies of the block alone.

    number    of the step in the run; context: of its last token
    block     which of `blocks` is shown: of one that is the only one 0
    edges     (n + 1,) clocks at which pieces begin and the last one ends; of what is shown, as if nothing came between
    begins    (n,) when each piece begins, in clocks of the whole step
    blocks_at (from, to): the pieces of the block
    operators all rows of the results that each piece has something of, the one that takes most of it first
    shares    (n,) of everything that is busy in the step, 0 to 1, over all channels; means: of the whole step
    """

    number: int
    context: int
    block: int
    blocks: int
    edges: NDArray[np.int64]
    begins: NDArray[np.int64]
    blocks_at: tuple[int, int]
    operators: list[tuple[Row, ...]]
    shares: dict[str, Floats]
    means: dict[str, float]


class _Piece(NamedTuple):
    begin: int
    end: int
    block: int
    operators: tuple[Row, ...]  # none: of a block that is not shown

    @property
    def lasts(self) -> int:
        return self.end - self.begin


class TooLong(NamedTuple):
    """A step of more instructions than are shown; context: of its last token."""

    number: int
    context: int


def within(result: Result) -> Within | TooLong | None:
    """The last step of a run (of a schedule of its main stage; of several devices, of the first); None where none
    ran.
    """
    plan, number = result.plan, _last(result)
    if plan is None or number < 0:
        return None
    took = watched_step(plan, number, _INSTRUCTIONS, _TOLD)
    context = int(result.tally.tokens.column("context")[number])
    if not took:
        return TooLong(number, context)
    pieces = _pieces(took)
    shares = {name: each for name, each in _shares(took, pieces, result).items() if each.any()}
    blocks = max(piece.block for piece in pieces) + 1
    shown = [i for i, piece in enumerate(pieces) if piece.operators]
    lengths = np.array([pieces[i].lasts for i in shown], np.int64)
    inside = [at for at, i in enumerate(shown) if pieces[i].block >= 0]
    return Within(
        number,
        context,
        max(pieces[i].block for i in shown) if inside else 0,
        blocks,
        np.concatenate([[0], np.cumsum(lengths)]),
        np.array([pieces[i].begin for i in shown], np.int64),
        (inside[0], inside[-1] + 1) if inside else (0, 0),
        [pieces[i].operators for i in shown],
        {name: each[shown] for name, each in shares.items()},
        {name: float(np.average(each, weights=[p.lasts for p in pieces])) for name, each in shares.items()},
    )


def _last(result: Result) -> int:
    """The number of the last step: of the main stage of a schedule."""
    schedule = result.schedule
    if schedule is None:
        return len(result.tally.tokens) - 1
    return int(np.flatnonzero(schedule.stage == schedule.stages.index(schedule.main))[-1])


def _pieces(took: Sequence[Took]) -> list[_Piece]:
    """The time of a step by what it is charged to; where that is too many, short ones are joined.

    What is charged nothing is part of what comes next, or of the last one of its block.
    """
    each = [_piece(one) for one in took]
    shown = [piece.lasts for piece in each if piece.operators and piece.lasts]
    least = max(1.0, sum(shown) / MOST if len(shown) > MOST else 0)
    joined: list[list[_Piece]] = []
    waiting: list[_Piece] = []
    for _, group in groupby(each, key=lambda piece: piece.block):
        first = len(joined)
        for piece in group:
            waiting.append(piece)
            if piece.end - waiting[0].begin >= least:
                joined.append(waiting)
                waiting = []
        if len(joined) > first:
            joined[-1] += waiting
        elif waiting and waiting[-1].end > waiting[0].begin:
            joined.append(waiting)
        else:
            continue
        waiting = []
    if waiting and joined:
        joined[-1] += waiting
    return [_joined(pieces) for pieces in joined]


def _piece(one: Took) -> _Piece:
    row = one.counted
    return _Piece(*one.charged, one.block, ((row.phase, row.part, row.operator),) if row.operator else ())


def _joined(pieces: Sequence[_Piece]) -> _Piece:
    clocks: dict[Row, int] = {}
    for piece in pieces:
        for row in piece.operators:
            clocks[row] = clocks.get(row, 0) + piece.lasts
    block = max(pieces, key=lambda piece: piece.lasts).block
    return _Piece(pieces[0].begin, pieces[-1].end, block, tuple(sorted(clocks, key=lambda row: -clocks[row])))


def _shares(took: Sequence[Took], pieces: Sequence[_Piece], result: Result) -> dict[str, Floats]:
    edges = np.array([pieces[0].begin, *(piece.end for piece in pieces)], np.int64)
    room = np.diff(edges).astype(np.float64)
    ran, charged = _spread([one.ran for one in took], edges), _spread([one.charged for one in took], edges)
    found = {}
    for name, (counted, most) in counters(result.prices.device).items():
        spent = np.array([counted(one.counted) for one in took], np.float64)
        found[name] = _fitted(spent @ (charged if name == "open rows" else ran), room * most) / (room * most)
    return found


def _spread(spans: Sequence[tuple[int, int]], edges: NDArray[np.int64]) -> Floats:
    """(spans, pieces): the share of each span, from clock to clock, that is in each piece."""
    begins, ends = np.array(spans, np.int64).T
    begins = np.clip(begins, edges[0], edges[-1] - 1)
    ends = np.clip(ends, begins + 1, edges[-1])
    before = np.clip(edges, begins[:, np.newaxis], ends[:, np.newaxis])
    shares: Floats = np.diff(before, axis=1) / (ends - begins)[:, np.newaxis]
    return shares


def _fitted(clocks: Floats, room: Floats) -> Floats:
    """Clocks that each piece has room for."""
    more = 0.0
    for at in reversed(range(len(clocks))):
        more += clocks[at]
        clocks[at] = min(max(more, 0.0), room[at])
        more -= clocks[at]
    return clocks
