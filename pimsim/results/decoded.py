"""What was decoded: steps and tokens, by which figures are divided."""

from __future__ import annotations

from dataclasses import dataclass

from pimsim.config.schema import WorkloadConfig
from pimsim.workload.schedule import Schedule


@dataclass(frozen=True)
class Decoded:
    """Of the decode phase the steps, and the tokens that were run and kept: of one sequence, and of all."""

    steps: int
    run: int
    kept: int
    run_of_all: int
    kept_of_all: int

    @classmethod
    def of(cls, work: WorkloadConfig, schedule: Schedule | None) -> Decoded:
        """Of a schedule; without one of plain decoding, which keeps every token."""
        if schedule is None:
            tokens = work.output_tokens
            return cls(tokens // work.query_tokens, tokens, tokens, tokens * work.batch, tokens * work.batch)
        decode = schedule.of_phase("decode")
        run, kept, batch = (column[decode] for column in (schedule.tokens, schedule.kept, schedule.batch))
        return cls(len(run), int(run.sum()), int(kept.sum()), int((run * batch).sum()), int((kept * batch).sum()))
