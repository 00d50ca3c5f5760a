"""What the parts of a scheduled run took: plain decoding, drafting, verification, and what was verified in vain.

A part's clocks and energy are its own rows' and steps'; those of the decode phase sum to the phase.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pimsim.energy.model import EnergyBreakdown
from pimsim.results.metrics import nanoseconds
from pimsim.results.scheduled import DECODING, DRAFTING, PARTS, REJECTED, VERIFICATION
from pimsim.sim.tally import Ints, Tally
from pimsim.workload.schedule import Schedule, Stage

PREFILL = PARTS[0]
FIGURES = ("cycles", "latency_ns", "energy_pJ", "tokens_run", "tokens_kept")  # of each part
SPECULATIVE = (DRAFTING, VERIFICATION, REJECTED)  # 0 in a run that has none of it


class Part(NamedTuple):
    """Clocks, pJ, and the tokens of all sequences."""

    cycles: int
    energy_pJ: Fraction
    tokens_run: int
    tokens_kept: int


class Group(NamedTuple):
    """Stages that look alike to a reader, whatever lines of the schedule they are of.

    blocks: copies of the model's block that run
    """

    template: str
    model: str
    phase: str
    part: str
    batch: int
    tokens: int
    blocks: int

    @classmethod
    def of(cls, stage: Stage) -> Group:
        """That of a stage."""
        model, blocks = stage.workload.shape.name, stage.workload.blocks
        return cls(stage.name, model, stage.phase, stage.part, stage.batch, stage.tokens, blocks)


def part_of(stage: Stage) -> str:
    """The name of what a stage is a part of, in PARTS."""
    return PREFILL if stage.phase == "prefill" else stage.part or DECODING


def steps_of_part(schedule: Schedule, part: str) -> NDArray[np.bool_]:
    """(n,): which steps are of a part; those of verification with all that they verify."""
    return np.array([part_of(stage) == part for stage in schedule.stages], bool)[schedule.stage]


def rejected_cycles(schedule: Schedule, cycles: Ints) -> Ints:
    """(n,): of the clocks of each step what is spent on tokens that it verifies and does not keep.

    Of a step that runs Q tokens and keeps k the share (Q - k) / Q, in whole clocks (the floor).
    """
    verified = steps_of_part(schedule, VERIFICATION)
    return np.where(verified, cycles * (schedule.tokens - schedule.kept) // schedule.tokens, 0)


def parts_of(schedule: Schedule, tally: Tally, energy: EnergyBreakdown) -> dict[str, Part]:
    """Each of PARTS.  What is rejected is not in `verification`, so those of decoding sum to the phase.

    The energy of verification is split as its clocks are: its steps do the same for every token.
    """
    cycles, rejected = tally.tokens.column("cycles"), rejected_cycles(schedule, tally.tokens.column("cycles"))
    run, kept = schedule.tokens * schedule.batch, schedule.kept * schedule.batch
    spent = dict.fromkeys(PARTS, Fraction(0))
    for row, price in zip(tally.rows, energy.rows, strict=True):
        spent[PREFILL if row.phase == "prefill" else row.part or DECODING] += sum(price.parts.values())
    found = {}
    for name in (PREFILL, DECODING, DRAFTING, VERIFICATION):
        of = steps_of_part(schedule, name)
        found[name] = Part(int(cycles[of].sum()), spent[name], int(run[of].sum()), int(kept[of].sum()))
    whole, vain = found[VERIFICATION], int(rejected.sum())
    energy_pJ = whole.energy_pJ * Fraction(vain, whole.cycles) if whole.cycles else Fraction(0)
    found[REJECTED] = Part(vain, energy_pJ, whole.tokens_run - whole.tokens_kept, 0)
    found[VERIFICATION] = Part(whole.cycles - vain, whole.energy_pJ - energy_pJ, whole.tokens_kept, whole.tokens_kept)
    return found


def summarise_parts(schedule: Schedule, tally: Tally, energy: EnergyBreakdown) -> dict[str, Any]:
    """What `system` of a summary has where a schedule ran.

    parts                  of each of PARTS its FIGURES
    acceptance             tokens that verification steps keep, over those that they run; None if nothing is verified
    kept_per_verification  tokens of one sequence that a verification step keeps, on average
    """
    verified = steps_of_part(schedule, VERIFICATION)
    run, kept, steps = int(schedule.tokens[verified].sum()), int(schedule.kept[verified].sum()), int(verified.sum())
    return {
        "acceptance": kept / run if run else None,
        "kept_per_verification": kept / steps if steps else None,
        "parts": {name: _figures(part, tally.tCK_ps) for name, part in parts_of(schedule, tally, energy).items()},
    }


def _figures(part: Part, tCK_ps: int) -> dict[str, Any]:
    figures = (part.cycles, nanoseconds(part.cycles, tCK_ps), float(part.energy_pJ), part.tokens_run, part.tokens_kept)
    return dict(zip(FIGURES, figures, strict=True))


def groups_of(schedule: Schedule) -> tuple[list[Group], Ints]:
    """The groups of stages in the order in which they come up, and (stages,) the number of each one's."""
    groups: dict[Group, int] = {}
    which = [groups.setdefault(Group.of(stage), len(groups)) for stage in schedule.stages]
    return list(groups), np.array(which, np.int64)


def summarise_schedule(schedule: Schedule, tally: Tally) -> dict[str, Any]:
    """The section `schedule` of a summary: its steps, and stages that look alike with what they took together.

    tokens: of one sequence in a step; tokens_run, tokens_kept: of all sequences in all steps
    """
    groups, which = groups_of(schedule)
    columns = {
        "steps": np.ones(len(schedule), np.int64),
        "tokens_run": schedule.tokens * schedule.batch,
        "tokens_kept": schedule.kept * schedule.batch,
        "cycles": tally.tokens.column("cycles"),
    }
    return {"steps": len(schedule), "stages": list(_stages(groups, which[schedule.stage], columns, tally.tCK_ps))}


def _stages(groups: list[Group], which: Ints, columns: Mapping[str, Ints], tCK_ps: int) -> Any:
    for number, group in enumerate(groups):
        sums = {name: int(column[which == number].sum()) for name, column in columns.items()}
        if sums["steps"]:
            yield group._asdict() | sums | {"latency_ns": nanoseconds(sums["cycles"], tCK_ps)}
