"""What a step of a run is, for those who show it: of a schedule its template, its part and what it keeps."""

from __future__ import annotations

from typing import Any

from pimsim.sim.observer import Executed
from pimsim.workload.schedule import Schedule, Stage


class Steps:
    """The steps of a run; schedule: what runs, where it is more than plain decoding."""

    def __init__(self, schedule: Schedule | None) -> None:
        self._schedule = schedule

    def _stage(self, executed: Executed) -> Stage | None:
        return self._schedule.stages[self._schedule.stage[executed.step]] if self._schedule else None

    def name(self, executed: Executed, between: str = " of ") -> str:
        """What the step of an instruction is called: "verification of medusa", or its phase."""
        stage = self._stage(executed)
        return f"{stage.part or stage.phase}{between}{stage.name}" if stage else executed.phase

    def of_step(self, executed: Executed) -> dict[str, Any]:
        """What there is to say of the step of an instruction, beside its phase and context."""
        stage = self._stage(executed)
        if stage is None or self._schedule is None:
            return {}
        kept = int(self._schedule.kept[executed.step])
        known = {"template": stage.name, "part": stage.part, "tokens": stage.tokens, "kept": kept, "batch": stage.batch}
        return {"step": executed.step, **known}

    def of_instruction(self, executed: Executed) -> dict[str, Any]:
        """The same of an instruction, in short."""
        stage = self._stage(executed)
        return {"template": stage.name, "part": stage.part, "step": executed.step} if stage else {}
