"""The machines of a pipeline as SimPy processes; `cluster` says what they do.

An event for each task of a machine that is never idle, and two where it has to wait: when an
output is handed on, it is known when it arrives, so it joins the queue at once, and a machine
is woken for it only if it has nothing to do before.
"""

from __future__ import annotations

import heapq
from array import array
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from typing import Any

import simpy

from pimsim.sim.link.instant import Choice

Process = Generator[simpy.Event, Any, None]
Clocks = list[int]

AWAKE, NEVER = -1, 1 << 62


def run_machines(
    stages: Sequence[Clocks], links: Sequence[tuple[Clocks, Clocks]], micro_batches: int, prefill_steps: int
) -> tuple[list[array[int]], array[int]]:
    """When each stage began each task, and when each was done, at [micro-batch * steps + step].

    stages: clocks for each step, at least 1.  links: after each stage, for each step the
    clocks for which it is taken, and those until the output arrives.
    """
    env, steps, there = simpy.Environment(), len(stages[0]), max(prefill_steps, 1)
    machines = [_Machine(env, clocks, micro_batches) for clocks in stages]
    lines = [_Line(*link) for link in links]
    for machine, line, following in zip(machines, lines, machines[1:], strict=False):
        machine.hand_on = _forward(env, line, following)
    done = array("q", bytes(8 * micro_batches * steps))
    machines[-1].hand_on = _back(env, lines[-1], machines[0], done, there)
    machines[0].queue += [(0, batch, step) for batch in range(micro_batches) for step in range(there)]
    env.run(env.all_of([machine.process for machine in machines]))
    return [machine.start for machine in machines], done


HandOn = Callable[[int, int], None]  # micro-batch, step


def _forward(env: simpy.Environment, line: _Line, following: _Machine) -> HandOn:
    return lambda batch, step: following.put(line.carry(int(env.now), step), batch, step)


def _back(env: simpy.Environment, line: _Line, first: _Machine, done: array[int], there: int) -> HandOn:
    """Say when a step was done; the token comes back from the last of those that were there from the start."""
    steps = len(first.clocks)

    def back(batch: int, step: int) -> None:
        end = int(env.now)
        if step >= there - 1:
            end = line.carry(end, step)
            if step + 1 < steps:
                first.put(end, batch, step + 1)
        done[batch * steps + step] = end

    return back


class _Line:
    """A link between two machines: it takes transfers in the order in which it is asked."""

    def __init__(self, occupies: Clocks, arrives: Clocks) -> None:
        self.occupies, self.arrives, self.free = occupies, arrives, 0

    def carry(self, now: int, step: int) -> int:
        """Ask now; when the transfer arrives.  None asks earlier after this, so it has its place."""
        start = max(now, self.free)
        self.free = start + self.occupies[step]
        return start + self.arrives[step]


class _Machine:
    """A stage.  queue: (arrival, micro-batch, step), also what has not arrived yet.

    due: the arrival for which it waits.  bell: what wakes it then.
    """

    hand_on: HandOn

    def __init__(self, env: simpy.Environment, clocks: Clocks, micro_batches: int) -> None:
        self.env, self.clocks = env, clocks
        self.queue: list[tuple[int, int, int]] = []
        self.start = array("q", bytes(8 * micro_batches * len(clocks)))
        self.due, self.bell = AWAKE, Choice(env)
        self.process = env.process(self._work())

    def put(self, arrival: int, batch: int, step: int) -> None:
        """Something will arrive, now or later."""
        heapq.heappush(self.queue, (arrival, batch, step))
        if self.due == NEVER:
            self._ring()
        elif arrival < self.due:
            self.process.interrupt()

    def _work(self) -> Process:
        env, queue, clocks, steps = self.env, self.queue, self.clocks, len(self.clocks)
        for _ in self.start:
            if not queue or queue[0][0] >= env.now:
                yield from self._wait()
            _, batch, step = heapq.heappop(queue)
            self.start[batch * steps + step] = int(env.now)
            yield env.timeout(clocks[step])
            self.hand_on(batch, step)

    def _wait(self) -> Process:
        """Until the first of the queue is there, and all else that arrives at that clock is known."""
        waiting = True
        while waiting:
            self.due, self.bell = NEVER, Choice(self.env)
            if self.queue:
                self._ring()
            with suppress(simpy.Interrupt):  # something arrives earlier
                yield self.bell
                waiting = False
        self.due = AWAKE

    def _ring(self) -> None:
        """Ring when the first of the queue arrives."""
        self.due = self.queue[0][0]
        self.bell.come(self.due - int(self.env.now))
