"""The softmax of scores, on the ASIC's numbers: its functions of one element come as tables.

Scores are as a product leaves them, (heads, vectors, tiles, 8), and the probabilities as the next one takes them,
(heads, beats, vectors, places).
"""

from __future__ import annotations

import numpy as np

from pimsim.dram.compiler import constant, entry, flat, jit, number, rounded, view, word

PIECE = 256  # elements that go through the tree of adders together (`asic.units.TREE`)
ZERO, ONE = 0, 1


@entry
def softmax(scores, seen, exps, reciprocals, lanes, out, first, last, room):
    """Of vectors first..last - 1, those of the first head, of the next ...; what is returned means nothing.

    seen (vectors,) scores of each vector; exps, reciprocals: words (65,536,) by word, of x - maximum and of their sum;
    lanes: elements of a beat, at most as many as it has places; out: what is not seen of it has to be 0 already;
    room (PIECE + 1,) to work in.
    """
    return _softmax(
        constant(scores), constant(seen), constant(exps), constant(reciprocals), lanes, view(out), first, last,
        view(room),
    )  # fmt: skip


@jit
def _softmax(scores, seen, exps, reciprocals, lanes, out, first, last, room):
    for each in range(first, last):
        head, k = each // len(seen), each % len(seen)
        _one(flat(scores[head, k]), k, seen[k], exps, reciprocals, lanes, out[head], room)
    return ZERO


@jit
def _one(scores, k, n, exps, reciprocals, lanes, out, room):
    """Vector k, the first n of its scores."""
    most = _largest(scores, n)
    total = np.float32(0)
    for begin in range(0, n, PIECE):
        size = min(PIECE, n - begin)
        for i in range(size):
            room[i] = scores[begin + i] - most
        beat, lane = begin // lanes, begin % lanes
        for i in range(size):
            x = number(exps[word(rounded(room[i]))])
            room[i] = x
            out[beat, k, lane] = x
            lane += 1
            if lane == lanes:
                beat, lane = beat + 1, ZERO
        total = rounded(total + _tree(room, size))
    share = number(reciprocals[word(total)])
    for beat in range((n + lanes - 1) // lanes):
        for lane in range(min(lanes, n - beat * lanes)):
            out[beat, k, lane] = rounded(out[beat, k, lane] * share)


@jit
def _largest(scores, n):
    """The maximum, NaN if there is one."""
    most = scores[ZERO]
    for i in range(ONE, n):
        x = scores[i]
        if most == most and not x <= most:
            most = x
    return most


@jit
def _tree(room, size):
    """The sum of the first numbers: neighbours, then neighbours of those; where one is alone, 0 is added."""
    while size > 1:
        if size % 2 == 1:
            room[size] = np.float32(0)
        size = (size + 1) // 2
        for i in range(size):
            room[i] = rounded(room[2 * i] + room[2 * i + 1])
    return room[ZERO]
