"""A configuration, compiled: its device, where everything lies, and the instructions of any step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import Any, Literal

import numpy as np

from pimsim.mapping.heads import heads_of
from pimsim.mapping.instructions import Instruction, Step
from pimsim.mapping.placed import Placed
from pimsim.mapping.planner import Cut, Draft, Planner
from pimsim.mapping.series import AttentionSeries
from pimsim.mapping.stretch import Series, Stretch, series_of
from pimsim.workload.ops import Operator
from pimsim.workload.schedule import Copied, Forked, Schedule

Attention = Literal["whole", "per_head"]


@dataclass
class Plan(Placed):
    """A config, compiled: the device, the memory map, and the instructions of any step.

    schedule: the steps that run, where they are more than those of the config; stages: a plan for each of its
    stages, all in one memory.  Without a schedule: this, and one for each kind of step of a prompt that another machine
    takes (`mapping.beside`).
    """

    schedule: Schedule | None = None
    stages: tuple[Plan, ...] = ()
    _drafts: dict[tuple[int, int], Draft] = field(default_factory=dict)  # by head and tokens

    def stage(self, number: int) -> Plan:
        """The plan of a stage of the schedule; without one, this."""
        return self.stages[number] if self.stages else self

    @property
    def prompt(self) -> tuple[Plan, ...]:
        """The plans of the steps of a prompt that another machine takes: of the first, and of all others."""
        return self.stages[1:] if self.schedule is None else ()

    @property
    def places(self) -> tuple[str, ...]:
        """Where work is done besides the channels and the ASIC: the links to others, another machine."""
        if any(plan.machine for plan in (self, *self.stages)):
            return ("link", "machine")
        return ("link",) if any(plan.fabric for plan in (self, *self.stages)) else ()

    def step(self, context: int, head: int, tokens: int = 1) -> Step:
        """The instructions that decode the `tokens` tokens up to `context` at once.

        head: tokens for which the operators after the blocks run, the last ones (True: all).  Of a step that is like
        one before only what depends on the context is planned.
        """
        return self._like(context, head, tokens).step

    def stretch(self, contexts: Sequence[int], head: int, tokens: int = 1) -> Stretch:
        """Steps that are alike, planned at once: at the first of `contexts`, and at as many after it as there are."""
        draft = self._like(contexts[0], head, tokens)
        at = np.array(contexts, np.int64)
        if len(at) == 1:
            return Stretch(at, draft.step, {})
        attentions = {
            i: AttentionSeries(
                self.lanes[cut.lane], cut.operator, at, tokens, draft.step[cut.part][cut.begin : cut.end]
            )
            for i, cut in enumerate(draft.cuts)
            if cut.operator.op == "attention" and not self.branches
        }
        alike = min([len(at), *(series.alike for series in attentions.values())])
        others = {
            i: self._one_by_one(draft, cut, contexts[:alike], tokens, head)
            for i, cut in enumerate(draft.cuts)
            if i not in attentions
        }
        alike = min([alike, *map(len, others.values())])
        series: dict[int, Series] = {}
        first = list(accumulate(map(len, draft.step), initial=0))
        for i, cut in enumerate(draft.cuts):
            begin = first[cut.part] + cut.begin
            if i in attentions:
                series |= enumerate((each.until(alike) for each in attentions[i].series), begin)
                continue
            for place, instructions in enumerate(zip(*others[i][:alike], strict=True), begin):
                if (one := series_of(instructions)) is not None:
                    series[place] = one
        return Stretch(at[:alike], draft.step, series)

    def named_step(self, context: int, head: int, tokens: int = 1) -> Step:
        """As `step`, with what its instructions read and make."""
        return Planner(self, context, tokens, head, named=True).draft().step

    def copies(self, copied: Sequence[Copied | Forked], tokens: int) -> Step:
        """The instructions that copy K and V; tokens: of the steps of this plan."""
        return Planner(self, tokens, tokens).copies(copied)

    def _like(self, context: int, head: int, tokens: int) -> Draft:
        """The draft of a step, by that of the latest one that it is like."""
        draft = self._drafts.get((head, tokens))
        step = Planner(self, context, tokens, head).step_like(draft) if draft else None
        if draft is None or step is None:
            draft = self._drafts[head, tokens] = Planner(self, context, tokens, head).draft()
            return draft
        return draft._replace(step=step)

    def _one_by_one(
        self, draft: Draft, cut: Cut, contexts: Sequence[int], tokens: int, head: int
    ) -> list[Sequence[Instruction]]:
        """The instructions of a cut at each context, from the first on, as long as they are alike."""
        made: list[Sequence[Instruction]] = [draft.step[cut.part][cut.begin : cut.end]]
        for context in contexts[1:]:
            instructions = Planner(self, context, tokens, head).cut(draft, cut)
            if instructions is None:
                break
            made.append(instructions)
        return made

    def under(self, **changes: Any) -> Plan:
        """The same plan under another `schedule` or `engine`, on which nothing in it depends.

        changes: to these keys of its config.  What one of the two plans, the other knows.
        """
        return replace(self, config=self.config.model_copy(update=changes))

    @property
    def attentions(self) -> tuple[Attention, ...]:
        """What `mapping.attention` may be and makes a difference, the simplest first; what it is, if that is said."""
        asked = self.config.mapping.attention
        if asked != "auto":
            return (asked,)
        stages = (self.stages if self.schedule else ()) or (self,)
        several = any(heads_of("per_head", stage.memory, o) for stage in stages for o in stage._attentions)
        return ("whole", "per_head") if several else ("whole",)

    @property
    def _attentions(self) -> tuple[Operator, ...]:
        """The operators that have K and V."""
        return tuple(operator for operator in self.workload.operators if operator.op == "attention")

    def attending(self, attention: Attention) -> Plan:
        """The same plan with another `mapping.attention`: nothing lies elsewhere, but steps have other instructions."""
        mapping = self.config.mapping.model_copy(update={"attention": attention})
        config, stages = self.config.model_copy(update={"mapping": mapping}), self.stages
        return replace(self, config=config, stages=tuple(each.attending(attention) for each in stages), _drafts={})

    def forget(self) -> None:
        """Forget what was planned, here and under other schedules; it can be planned again."""
        for plan in (self, *self.stages):
            plan._works.clear()
            plan._drafts.clear()
