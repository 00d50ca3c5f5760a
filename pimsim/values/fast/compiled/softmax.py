"""The softmax of scores, on the ASIC's numbers: its functions of one element come as tables.

Scores are as a product leaves them, (tiles, vectors, 8), and the probabilities as the next one takes them, (beats,
vectors, places).
"""

from __future__ import annotations

import numpy as np

from pimsim.dram.compiler import constant, entry, jit, number, rounded, view, word

PIECE = 256  # elements that go through the tree of adders together (`asic.units.TREE`)
SIDE = 8
ZERO, ONE = 0, 1


@entry
def softmax(scores, seen, exps, reciprocals, lanes, out, first, last, room):
    """Of vectors first..last - 1; what is returned means nothing.

    seen (vectors,) scores of each vector; exps, reciprocals: words (65,536,) by word, of x - maximum and of their sum;
    lanes: elements of a beat, at most as many as it has places; out: what is not seen of it has to be 0 already;
    room (PIECE,) to work in.
    """
    return _softmax(
        constant(scores), constant(seen), constant(exps), constant(reciprocals), lanes, view(out), first, last,
        view(room),
    )  # fmt: skip


@jit
def _softmax(scores, seen, exps, reciprocals, lanes, out, first, last, room):
    for k in range(first, last):
        n = seen[k]
        most = _largest(scores, k, n)
        total = np.float32(0)
        for begin in range(0, n, PIECE):
            end = min(n, begin + PIECE)
            width = ONE
            while width < end - begin:
                width *= 2
            for i in range(end - begin, width):
                room[i] = np.float32(0)
            beat, lane = begin // lanes, begin % lanes
            for i in range(begin, end):
                x = number(exps[word(rounded(scores[i // SIDE, k, i % SIDE] - most))])
                room[i - begin] = x
                out[beat, k, lane] = x
                lane += 1
                if lane == lanes:
                    beat, lane = beat + 1, ZERO
            total = rounded(total + _tree(room, width))
        share = number(reciprocals[word(total)])
        for beat in range((n + lanes - 1) // lanes):
            for lane in range(min(lanes, n - beat * lanes)):
                out[beat, k, lane] = rounded(out[beat, k, lane] * share)
    return ZERO


@jit
def _largest(scores, k, n):
    """The maximum of a vector, NaN if there is one in it."""
    most = scores[ZERO, k, ZERO]
    for i in range(ONE, n):
        x = scores[i // SIDE, k, i % SIDE]
        if most == most and not x <= most:
            most = x
    return most


@jit
def _tree(room, width):
    """The sum of the first numbers, a power of two of them: neighbours, then neighbours of those."""
    while width > 1:
        width //= 2
        for i in range(width):
            room[i] = rounded(room[2 * i] + room[2 * i + 1])
    return room[ZERO]
