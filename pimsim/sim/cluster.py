"""A pipeline of machines: each holds some layers, and several micro-batches are under way.

Every micro-batch makes the same steps.  A step goes through the stages in their order:

- a stage serves one step of one micro-batch at a time, in the order in which they arrive; of
  those that arrive at the same clock, the lower micro-batch goes first, then the earlier step;
- what comes out is sent to the next stage while the stage goes on with something else.  A
  link serves in the order in which it is asked, and is taken for `occupies` clocks;
- prefill steps are all there at clock 0.  A decode step needs the token of the step before
  it, which comes back from the last stage over a link of its own, `back`; the first one
  waits for the last prefill step (where there is none, it is there at clock 0).

A step is done when its token is back, and an earlier prefill step when the last stage is
done with it.  All times are integers, in clocks of any one kind.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from pimsim.sim.cluster_machines import run_machines

Clocks = NDArray[np.int64]
PerStep = int | Sequence[int] | Clocks


@dataclass(frozen=True, eq=False)
class Transfer:
    """From one stage to the next one: clocks from its start, for each step or one for all.

    occupies: until the link may take the next one.  arrives: until the next stage may begin.
    """

    occupies: PerStep = 0
    arrives: PerStep = 0


FREE = Transfer()


@dataclass(frozen=True, eq=False)
class Pipeline:
    """Stages, what is under way in them, and the links between them.

    stages: clocks of each step, for each stage (steps,), at least 1; the same for each
    micro-batch.  prefill_steps: how many of the steps are prefill.  between: from each stage
    to the next one, one fewer than stages, or one for all.  back: from the last to the first.
    ValueError where that does not fit together; all that is wrong at once.
    """

    stages: Sequence[Sequence[int] | Clocks]
    micro_batches: int = 1
    prefill_steps: int = 0
    between: Transfer | Sequence[Transfer] = FREE
    back: Transfer = FREE

    def __post_init__(self) -> None:
        if wrong := list(_wrong(self)):
            raise ValueError("; ".join(wrong))

    @property
    def steps(self) -> int:
        return len(self.stages[0])

    @property
    def links(self) -> tuple[Transfer, ...]:
        """After each stage; the last one leads back."""
        hops = len(self.stages) - 1
        return (*((self.between,) * hops if isinstance(self.between, Transfer) else self.between), self.back)


def _wrong(pipeline: Pipeline) -> Iterator[str]:
    stages, steps = pipeline.stages, {len(clocks) for clocks in pipeline.stages}
    if len(steps) != 1 or 0 in steps:
        yield "a pipeline has at least one stage, and all stages the same steps, at least one"
    if any(int(min(clocks, default=1)) < 1 for clocks in stages):
        yield "each step takes at least one clock in each stage"
    if pipeline.micro_batches < 1:
        yield "at least one micro-batch is under way"
    if not 0 <= pipeline.prefill_steps <= min(steps, default=0):
        yield f"of {min(steps, default=0)} steps, {pipeline.prefill_steps} cannot be prefill"
    if len(pipeline.links) != len(stages):
        yield f"{len(stages)} stages have {len(stages) - 1} links between them, not {len(pipeline.links) - 1}"
    for each in (clocks for link in pipeline.links for clocks in (link.occupies, link.arrives)):
        if np.size(each) not in {1, *steps} or np.min(each) < 0:
            yield "a transfer takes no less than 0 clocks, one number for all steps or one for each"


@dataclass(frozen=True, eq=False)
class Schedule:
    """What happened when; P stages, M micro-batches, K steps.

    start (P, M, K): when a stage began a step.  done (M, K): when a step was done.
    busy (P,): clocks in which a stage worked.  link_busy (P,): clocks for which the link
    after each stage was taken; the last one leads back.  end: when all was done.
    """

    pipeline: Pipeline
    start: Clocks
    done: Clocks
    busy: Clocks
    link_busy: Clocks
    end: int

    @property
    def ended(self) -> Clocks:
        """When a stage was done with a step (P, M, K)."""
        return self.start + np.asarray(self.pipeline.stages, dtype=np.int64)[:, None, :]

    @property
    def idle(self) -> Clocks:
        """Clocks until the end in which a stage did nothing (P,): its bubbles."""
        return self.end - self.busy

    @property
    def asked(self) -> Clocks:
        """When each step could have begun, had the first stage been free (M, K)."""
        asked = np.zeros_like(self.done)
        first = max(self.pipeline.prefill_steps, 1)
        asked[:, first:] = self.done[:, first - 1 : -1]
        return asked

    @property
    def latency(self) -> Clocks:
        """Of each step (M, K), from when it could have begun until it was done."""
        return self.done - self.asked

    @property
    def first_token(self) -> int:
        """When the first decode step of the first micro-batch was done; without one, its last prefill step."""
        return int(self.done[0, min(self.pipeline.prefill_steps, self.pipeline.steps - 1)])

    @property
    def interval(self) -> Fraction | None:
        """Clocks in which each micro-batch makes one decode step: the mean over the second half of them.

        None where there are too few steps.
        """
        last = self.pipeline.steps - 1
        half = (max(self.pipeline.prefill_steps - 1, 0) + last) // 2
        passed = self.done[:, last] - self.done[:, half]
        return Fraction(int(passed.sum()), len(passed) * (last - half)) if half < last else None


def steady_interval(
    stages: Sequence[int], micro_batches: int, occupies: Sequence[int] = (), arrives: Sequence[int] = ()
) -> int:
    """Clocks in which each of M micro-batches makes one decode step, where all steps take the same.

    max(M max(S), M max(O), sum(S) + sum(A)) of the clocks S of the stages, and of those O
    for which a transfer takes its link and A until it arrives (of all links, `back` too).
    Either the slowest stage or link is always busy, or every micro-batch never waits.
    """
    return max(micro_batches * max(*stages, *occupies, 0), sum(stages) + sum(arrives))


def simulate(pipeline: Pipeline) -> Schedule:
    """Run all steps of all micro-batches."""
    steps, links = pipeline.steps, pipeline.links
    occupies = [each_step(link.occupies, steps) for link in links]
    start, done = run_machines(
        [each_step(clocks, steps) for clocks in pipeline.stages],
        [(taken, each_step(link.arrives, steps)) for taken, link in zip(occupies, links, strict=True)],
        pipeline.micro_batches,
        pipeline.prefill_steps,
    )
    occupies[-1][: max(pipeline.prefill_steps - 1, 0)] = []  # nothing comes back of these
    stages = [sum(map(int, clocks)) for clocks in pipeline.stages]
    shape = (-1, pipeline.micro_batches, steps)
    return Schedule(
        pipeline,
        np.array(start, dtype=np.int64).reshape(shape),
        np.array(done, dtype=np.int64).reshape(shape[1:]),
        pipeline.micro_batches * np.array(stages, dtype=np.int64),
        pipeline.micro_batches * np.array([sum(each) for each in occupies], dtype=np.int64),
        end=max(done),
    )


def each_step(clocks: PerStep | Sequence[int], steps: int) -> list[int]:
    """One for each step, as Python's integers: NumPy's are slower one by one."""
    return [int(each) for each in np.broadcast_to(np.asarray(clocks, dtype=np.int64), steps)]
