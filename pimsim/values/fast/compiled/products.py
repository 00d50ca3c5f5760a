"""y = W x of many vectors x, added up as the MAC units of the banks do.

A sum of products is cut into pieces, a piece into columns, a column into beats of as many products as a unit has
lanes.  The products of a beat go through a tree that adds neighbours, what comes out of it is added to the
accumulator, and what that has at the end of a piece is rounded to BF16.

Eight outputs are computed side by side, so W lies in tiles of eight: (groups, tiles, beats, lanes, 8) words of BF16,
and x as (groups, beats, vectors, lanes); a group is a head of K or V, or all of a matrix.  `lanes` is a power of two:
lanes that a unit has not, and what a last column lacks, are 0 in both.  Of memory that is written while it is used (K
and V) a vector sees the first places only; the columns that it sees nothing of are left out.  Vectors go in pairs,
for which weights are read once.
"""

from __future__ import annotations

import numpy as np

from pimsim.dram.compiler import carve, constant, flat, jit, octet, put, rounded, spread, unpacked, view, wide_entry

SIDE = 8  # outputs that are computed side by side
# How sums are added up: beats of a column, whether a sum goes on from the one before it, whether accumulators are BF16.
(H_COLUMN, H_IN_BANKS, H_ROUNDS, HOW_WIDTH) = range(4)
LEVELS = 32  # of sums of a tree, a pair on each level, at most
ZERO, ONE = 0, 1


@wide_entry
def multiply(w, x, seen, starts, addend, how, out, tiles, first, last, room):
    """The sums of every vector with places first..last - 1 of W: the first `tiles` of the first group, of the next ...

    What is returned means nothing.  seen (vectors,) places (beat * lanes + lane) that a vector sees, ascending; starts
    (pieces + 1,) the beats at which pieces start, and the end; addend (tiles, 8) what first sums start with;
    out (pieces, groups, vectors, tiles, 8) the rounded sums, (1, ...) the last ones alone if each goes on from the one
    before it; room: what to work in, rows of 8: one for each vector, then `lanes`, `lanes` and `LEVELS` of them.
    """
    return _multiply(
        constant(w), constant(x), constant(seen), constant(starts), constant(addend), constant(how), view(out),
        tiles, first, last, view(room),
    )  # fmt: skip


@jit
def _multiply(w, x, seen, starts, addend, how, out, tiles, first, last, room):
    sums, weights, some, levels = room
    vectors, pieces, lanes = len(seen), len(starts) - 1, len(weights)
    for place in range(first, last):
        group, tile = place // tiles, place % tiles
        for k in range(vectors):
            put(sums[k], octet(addend[tile]))
        begun, whole = ZERO, ZERO
        for piece in range(pieces):
            for beat in range(starts[piece], starts[piece + 1]):
                column = beat - beat % how[H_COLUMN]
                while begun < vectors and seen[begun] <= column * lanes:
                    begun += 1
                while whole < vectors and seen[whole] < (beat + 1) * lanes:
                    whole += 1
                for lane in range(lanes):
                    put(weights[lane], unpacked(w[group, tile, beat, lane]))
                k = begun
                while k < vectors:
                    used, other = weights, min(k + 1, vectors - 1)
                    if k < whole:
                        _mask(weights, some, seen[k] - beat * lanes)
                        used, other = some, k
                    _add(sums[k], sums[other], flat(used), (x[group, beat, k], x[group, beat, other]), levels, how)
                    k = other + 1
            _hand_over(sums, out, piece, group, tile, how)
    return ZERO


@jit
def _mask(weights, some, places):
    """The weights of the first places, and zeros."""
    for lane in range(len(weights)):
        put(some[lane], octet(weights[lane]) if lane < places else spread(np.float32(0)))


@jit
def _add(total, other, weights, x, levels, how):
    """Add the products of a beat to the accumulators of two vectors, or of one that is given twice."""
    found = _plus((octet(total), octet(other)), _tree(weights, x, levels))
    put(total, rounded(found[0]) if how[H_ROUNDS] else found[0])
    put(other, rounded(found[1]) if how[H_ROUNDS] else found[1])


@jit
def _plus(a, b):
    """Of pairs of eight numbers: of either vector."""
    return a[0] + b[0], a[1] + b[1]


@jit
def _hand_over(sums, out, piece, group, tile, how):
    """Round what a piece came to; the next goes on from it, or from zero."""
    for k in range(len(sums)):
        found = rounded(octet(sums[k]))
        put(out[ZERO if how[H_IN_BANKS] else piece, group, k, tile], found)
        put(sums[k], found if how[H_IN_BANKS] else spread(np.float32(0)))


@jit
def _tree(weights, x, levels):
    """The sums of all products of a beat, neighbours first, of a pair of vectors x."""
    lanes = len(weights) // SIDE
    if lanes == 16:
        return _sixteen(weights, x, ZERO)
    if lanes > 16:
        return _many(weights, x, levels)
    if lanes == 8:
        return _eight(weights, x, ZERO)
    if lanes == 4:
        return _four(weights, x, ZERO)
    if lanes == 2:
        return _pair(weights, x, ZERO)
    return _product(weights, x, ZERO)


@jit
def _many(weights, x, levels):
    """Sixteen after sixteen; two sums of a level are added as soon as both are there, as a one is carried."""
    found = spread(np.float32(0)), spread(np.float32(0))
    for sixteen in range(len(weights) // (16 * SIDE)):
        found = _sixteen(weights, x, 16 * sixteen)
        level, before = ZERO, sixteen
        while before % 2 == 1:
            found = _plus((octet(levels[2 * level]), octet(levels[2 * level + 1])), found)
            level, before = level + 1, before // 2
        put(levels[2 * level], found[0])
        put(levels[2 * level + 1], found[1])
    return found


@jit
def _product(weights, x, lane):
    (row,) = carve(weights, SIDE * lane, ((SIDE,),))
    weight = octet(row)
    return weight * spread(x[0][lane]), weight * spread(x[1][lane])


@jit
def _pair(weights, x, lane):
    return _plus(_product(weights, x, lane), _product(weights, x, lane + 1))


@jit
def _four(weights, x, lane):
    return _plus(_pair(weights, x, lane), _pair(weights, x, lane + 2))


@jit
def _eight(weights, x, lane):
    return _plus(_four(weights, x, lane), _four(weights, x, lane + 4))


@jit
def _sixteen(weights, x, lane):
    return _plus(_eight(weights, x, lane), _eight(weights, x, lane + 8))
