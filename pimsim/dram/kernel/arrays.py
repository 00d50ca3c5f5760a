"""Arrays as a whole."""

from __future__ import annotations

from pimsim.dram.compiler import jit


@jit
def clear(a):
    for k in range(len(a)):
        a[k] = 0


@jit
def copy(a, b):
    for k in range(len(a)):
        a[k] = b[k]
