"""The steps of a run, in their order: those of a schedule, or plain decoding as the configuration says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

from pimsim.mapping.plan import Plan
from pimsim.sim.tally import PHASES
from pimsim.workload.schedule import Copied, Forked, Schedule

Copies = tuple[Copied | Forked, ...]


class Kind(NamedTuple):
    """Steps that differ in their context alone.

    stage: of the plan.  head: tokens, the last ones, for which what stands behind the blocks runs.
    """

    stage: int
    phase: str
    part: str
    tokens: int
    head: int


class Step(NamedTuple):
    """One step; before, after: K and V that are copied."""

    kind: Kind
    context: int
    before: Copies = ()
    after: Copies = ()


def steps_of(plan: Plan) -> Iterator[Step]:
    """All steps of a run."""
    return _plain(plan) if plan.schedule is None else _scheduled(plan.schedule)


def step_of(plan: Plan, number: int) -> Step:
    """Step `number` of a run."""
    return next(islice(steps_of(plan), number, None))


def tokens_of(plan: Plan) -> int:
    """Tokens that one sequence runs in all steps."""
    if plan.schedule is not None:
        return int(plan.schedule.tokens.sum())
    return plan.config.workload.prompt_tokens + plan.config.workload.output_tokens


def steps_by_phase(plan: Plan, steps: Sequence[Step] | None = None) -> dict[str, int]:
    """How many steps of each phase a run has: those of the plan, or `steps` instead of them."""
    if steps is not None:
        return dict(Counter(step.kind.phase for step in steps))
    if plan.schedule is None:
        whole = plan.config.workload.steps_by_phase
        return {**whole, "prefill": 1} if len(plan.prompt) == 1 else whole
    return {phase: int(plan.schedule.of_phase(phase).sum()) for phase in PHASES}


def decoded(steps: Iterable[tuple[str, int, int]]) -> list[Step]:
    """Steps by phase, context of the last token, and tokens; each with what stands behind the blocks."""
    return [Step(Kind(0, phase, "", tokens, tokens), context) for phase, context, tokens in steps]


def _plain(plan: Plan) -> Iterator[Step]:
    if plan.prompt:
        yield from _prompt(plan)
    work, kinds = plan.config.workload, dict[tuple[str, int, bool], Kind]()
    for phase, context, tokens in work.steps():
        if phase == "prefill" and plan.prompt:
            continue
        last = context >= work.start
        if (phase, tokens, last) not in kinds:
            head = 0 if not last else 1 if phase == "prefill" else tokens
            kinds[phase, tokens, last] = Kind(0, phase, "", tokens, head)
        yield Step(kinds[phase, tokens, last], context)


def _prompt(plan: Plan) -> Iterator[Step]:
    """The steps of a prompt that another machine takes: what it gives is written into the banks in the same chunks."""
    work = plan.config.workload
    if len(plan.prompt) == 1:  # nothing is written
        yield Step(Kind(1, "prefill", "", work.prompt_tokens, 1), work.start)
        return
    for number, (phase, context, tokens) in enumerate(work.steps()):
        if phase != "prefill":
            return
        yield Step(Kind(2 if number else 1, phase, "", tokens, 1), context)


def _scheduled(schedule: Schedule) -> Iterator[Step]:
    kinds = [
        {head: Kind(number, stage.phase, stage.part, stage.tokens, tokens) for head, tokens in heads.items()}
        for number, stage in enumerate(schedule.stages)
        for heads in (_heads(stage.phase, stage.tokens, stage.whole),)
    ]
    before, after = schedule.before, schedule.after
    for number, step in enumerate(schedule):
        yield Step(kinds[step.stage][step.head], step.context, before.get(number, ()), after.get(number, ()))


def _heads(phase: str, tokens: int, whole: bool) -> Mapping[bool, int]:
    """Tokens behind the blocks of a step that has none of them, and of one that has: of a prompt the last one."""
    return {False: 0, True: tokens if phase == "decode" or whole else 1}


def without_copies(steps: Sequence[Step]) -> int:
    """How many steps, from the first on, go without a copy between them; at least one."""
    for number, step in enumerate(steps):
        if step.before and number:  # first: a step may have both
            return number
        if step.after:
            return number + 1
    return len(steps)
