"""What each stage of a pipeline does when, for its timeline: passes of parts of the batch, and what is sent on."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pimsim.sim.cluster import Schedule, each_step
from pimsim.sim.tally import TokenTallies
from pimsim.systems.shares import Share
from pimsim.systems.together import Run, Together
from pimsim.timeline.devices import Process, Slice


def processes(whole: Together) -> Iterator[Process]:
    """A process for each stage and share, stage by stage; of the share that leads, with what it sends."""
    assert whole.schedule is not None
    stages = sum(run.share.stages for run in whole.runs if run.share.leads)
    for stage in range(stages):
        for run in whole.runs:
            if run.share.stage <= stage < run.share.stage + run.share.stages:
                yield _process(whole.schedule, stage, run)


def _process(schedule: Schedule, stage: int, run: Run) -> Process:
    share = run.share
    tracks = {"passes": list(_passes(schedule, stage, run))}
    if share.leads:
        last = stage == len(schedule.start) - 1
        to = "back to stage 1" if last else f"to stage {stage + 2}"
        tracks[to] = list(_sent(schedule, stage, run, to))
    return Process(f"stage {stage + 1}: {_devices(share)}", tracks)


def _devices(share: Share) -> str:
    count = share.devices // share.stages
    alike = f"{count} devices that do the same" if count > 1 else "1 device"
    return alike + (", without work" if share.idle else "" if share.leads else ", with experts for others")


def _passes(schedule: Schedule, stage: int, run: Run) -> Iterator[Slice]:
    """They begin with those of the share that leads, and may end earlier."""
    if run.tally is None:
        return
    tokens, starts = run.tally.tokens, schedule.start[stage]
    clocks = tokens.column("cycles").tolist()
    for part, begins in enumerate(starts.tolist()):
        for step, begin in enumerate(begins):
            about = {"part": part + 1, "sequences": run.share.batch, **_of_step(tokens, step)}
            yield Slice(begin, begin + clocks[step], f"part {part + 1}: {_said(tokens, step)}", about)


def _of_step(tokens: TokenTallies, step: int) -> dict[str, object]:
    each = tokens[step]
    return {"phase": each.phase, "step": each.step, "context": each.context}


def _said(tokens: TokenTallies, step: int) -> str:
    each = tokens[step]
    return f"{each.phase} at context {each.context}"


def _sent(schedule: Schedule, stage: int, run: Run, to: str) -> Iterator[Slice]:
    """A link serves in the order in which it is asked; nothing comes back of a prompt but of its last step."""
    assert run.tally is not None
    for part, step, begin, end in sent(schedule, stage):
        about = {"part": part + 1, **_of_step(run.tally.tokens, step)}
        yield Slice(begin, end, f"part {part + 1} {to}", about)


def sent(schedule: Schedule, stage: int) -> Iterator[tuple[int, int, int, int]]:
    """Part, step, and the clocks for which the link behind a stage is taken by it."""
    ended, transfer = schedule.ended[stage], schedule.pipeline.links[stage]
    first = max(schedule.pipeline.prefill_steps - 1, 0) if stage == len(schedule.start) - 1 else 0
    order = sorted((int(at), part, step) for (part, step), at in np.ndenumerate(ended) if step >= first)
    occupies, free = each_step(transfer.occupies, schedule.pipeline.steps), 0
    for at, part, step in order:
        begin = max(at, free)
        free = begin + occupies[step]
        yield part, step, begin, free
