"""A configuration, compiled: its device, where everything lies, and the instructions of any step."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from pimsim.mapping.instructions import Step
from pimsim.mapping.placed import Placed
from pimsim.mapping.planner import Draft, Planner


@dataclass
class Plan(Placed):
    """A config, compiled: the device, the memory map, and the instructions of any step."""

    _drafts: dict[tuple[bool, int], Draft] = field(default_factory=dict)  # by head and tokens

    def step(self, context: int, head: bool, tokens: int = 1) -> Step:
        """The instructions that decode the `tokens` tokens up to `context` at once.

        head adds the operators after the blocks.  Steps that are alike but for their context are
        planned once; of the others only what depends on the context is.
        """
        draft = self._drafts.get((head, tokens))
        step = Planner(self, context, tokens).step_like(draft) if draft else None
        if step is None:
            draft = self._drafts[head, tokens] = Planner(self, context, tokens).draft(head)
            step = draft.step
        return step

    def under(self, **changes: Any) -> Plan:
        """The same plan under another `schedule` or `engine`, on which nothing in it depends.

        changes: to these keys of its config.  What one of the two plans, the other knows.
        """
        return replace(self, config=self.config.model_copy(update=changes))

    def forget(self) -> None:
        """Forget what was planned, here and under other schedules; it can be planned again."""
        self._works.clear()
        self._drafts.clear()
