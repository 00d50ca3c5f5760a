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
from pimsim.sim.alone import Took, alone

if TYPE_CHECKING:
    from pimsim.results.result import Result

Floats = NDArray[np.float64]
MOST = 240  # pieces
_INSTRUCTIONS = 8000  # of a step, about a second's work


class Within(NamedTuple):
    """A step in pieces that follow each other, of one of several copies of the block alone.

    number    of the step in the run; context: of its last token
    block     which of `blocks` is shown: of one that is the only one 0
    edges     (n + 1,) clocks at which pieces begin and the last one ends; of what is shown, as if nothing came between
    begins    (n,) when each piece begins, in clocks of the whole step
    blocks_at (from, to): the pieces of the block
    operators row of the results that takes most of each piece: (phase, part, operator)
    shares    (n,) of everything that is busy in the step, 0 to 1, over all channels; means: of the whole step
    """

    number: int
    context: int
    block: int
    blocks: int
    edges: NDArray[np.int64]
    begins: NDArray[np.int64]
    blocks_at: tuple[int, int]
    operators: list[tuple[str, str, str]]
    shares: dict[str, Floats]
    means: dict[str, float]


class _Piece(NamedTuple):
    begin: int
    end: int
    block: int
    operator: tuple[str, str, str]


def within(result: Result) -> Within | None:
    """The last step of a run (of a schedule of its main stage; of several devices, of the first); None where none ran,
    or one of too many instructions.
    """
    plan, number = result.plan, _last(result)
    if plan is None or number < 0:
        return None
    took = alone(plan, number, _INSTRUCTIONS)
    pieces = _pieces(took)
    if not pieces:
        return None
    shares = {name: each for name, each in _shares(took, pieces, result).items() if each.any()}
    blocks = max(piece.block for piece in pieces) + 1
    block = blocks // 2
    shown = [i for i, piece in enumerate(pieces) if piece.block in (-1, block)]
    lengths = np.array([pieces[i].end - pieces[i].begin for i in shown], np.int64)
    inside = [at for at, i in enumerate(shown) if pieces[i].block >= 0]
    return Within(
        number,
        int(result.tally.tokens.column("context")[number]),
        block,
        blocks,
        np.concatenate([[0], np.cumsum(lengths)]),
        np.array([pieces[i].begin for i in shown], np.int64),
        (inside[0], inside[-1] + 1) if inside else (0, 0),
        [pieces[i].operator for i in shown],
        {name: each[shown] for name, each in shares.items()},
        {name: float(np.average(each, weights=[p.end - p.begin for p in pieces])) for name, each in shares.items()},
    )


def _last(result: Result) -> int:
    """The number of the last step: of the main stage of a schedule."""
    schedule = result.schedule
    if schedule is None:
        return len(result.tally.tokens) - 1
    return int(np.flatnonzero(schedule.stage == schedule.stages.index(schedule.main))[-1])


def _pieces(took: Sequence[Took]) -> list[_Piece]:
    """The time of a step by what it is charged to; where that is too many, short ones are part of those beside them."""
    each = [
        _Piece(*one.charged, one.block, (one.counted.phase, one.counted.part, one.counted.operator))
        for one in took
        if one.charged[1] > one.charged[0]
    ]
    shown = [piece for piece in each if piece.block <= 0]
    least = sum(piece.end - piece.begin for piece in shown) / MOST if len(shown) > MOST else 0
    pieces: list[_Piece] = []
    for _, group in groupby(each, key=lambda piece: piece.block):
        waiting: list[_Piece] = []
        for piece in group:
            waiting.append(piece)
            if piece.end - waiting[0].begin >= least:
                pieces.append(_joined(waiting))
                waiting = []
        if waiting:
            pieces.append(_joined(waiting))
    return pieces


def _joined(pieces: Sequence[_Piece]) -> _Piece:
    longest = max(pieces, key=lambda piece: piece.end - piece.begin)
    return longest._replace(begin=pieces[0].begin, end=pieces[-1].end)


def _shares(took: Sequence[Took], pieces: Sequence[_Piece], result: Result) -> dict[str, Floats]:
    edges = np.array([pieces[0].begin, *(piece.end for piece in pieces)], np.int64)
    room = np.diff(edges).astype(np.float64)
    ran, charged = [_spread(one.ran, edges) for one in took], [_spread(one.charged, edges) for one in took]
    found = {}
    for name, (counted, most) in counters(result.prices.device).items():
        clocks = np.zeros(len(pieces))
        for one, (first, parts) in zip(took, charged if name == "open rows" else ran, strict=True):
            if spent := counted(one.counted):
                clocks[first : first + len(parts)] += spent * parts
        found[name] = _fitted(clocks, room * most) / (room * most)
    return found


def _spread(ran: tuple[int, int], edges: NDArray[np.int64]) -> tuple[int, Floats]:
    """The first piece in which something ran, and its shares in that and those that follow."""
    begin = min(max(ran[0], int(edges[0])), int(edges[-1]) - 1)
    end = min(max(ran[1], begin + 1), int(edges[-1]))
    first, last = int(np.searchsorted(edges, begin, "right")) - 1, int(np.searchsorted(edges, end, "left"))
    cut = np.clip(edges[first : last + 1], begin, end)
    return first, np.diff(cut) / (end - begin)


def _fitted(clocks: Floats, room: Floats) -> Floats:
    """Clocks that each piece has room for."""
    more = 0.0
    for at in reversed(range(len(clocks))):
        more += clocks[at]
        clocks[at] = min(max(more, 0.0), room[at])
        more -= clocks[at]
    return clocks
