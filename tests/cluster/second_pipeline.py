"""A second reading of a pipeline, without SimPy: what begins next, again and again.

Each stage could begin, with what it knows of, at the clock at which it is free and the first
of these has arrived.  The stage that could begin first does: whatever becomes known later
arrives later, as each step takes a clock or more.
"""

from __future__ import annotations

from collections.abc import Sequence

Task = tuple[int, int]
Link = tuple[Sequence[int], Sequence[int]]


def begun_and_done(
    stages: Sequence[Sequence[int]], links: Sequence[Link], batches: int, prefill: int
) -> tuple[dict[tuple[int, int, int], int], dict[Task, int]]:
    """Start of (stage, micro-batch, step), and the end of (micro-batch, step)."""
    steps, last = len(stages[0]), len(stages) - 1
    waiting: list[list[tuple[int, int, int]]] = [[] for _ in stages]
    waiting[0] = [(0, batch, step) for batch in range(batches) for step in range(steps) if step < max(prefill, 1)]
    free, taken = [0] * len(stages), [0] * len(stages)
    start: dict[tuple[int, int, int], int] = {}
    done: dict[Task, int] = {}
    while any(waiting):
        now, stage = min((max(free[s], min(waiting[s])[0]), s) for s in range(len(stages)) if waiting[s])
        _, batch, step = task = min(waiting[stage])
        waiting[stage].remove(task)
        start[stage, batch, step] = now
        end = free[stage] = now + stages[stage][step]
        if stage == last and step < prefill - 1:
            done[batch, step] = end
            continue
        occupies, arrives = links[stage]
        sent = max(end, taken[stage])
        taken[stage] = sent + occupies[step]
        there = sent + arrives[step]
        if stage < last:
            waiting[stage + 1].append((there, batch, step))
            continue
        done[batch, step] = there
        if step + 1 < steps:
            waiting[0].append((there, batch, step + 1))
    return start, done
