"""What an export gives, however it was made."""

from __future__ import annotations

from dataclasses import dataclass

from pimsim.errors import Problem
from pimsim.workload.graph import Workload


@dataclass(frozen=True)
class Exported:
    """A model's steps.

    prefill: None without a prompt.  parameters: of the whole model, a tied matrix once.
    producer: what made them: versions, and which part of a model they are.
    warnings: what a user should know of them.
    """

    decode: Workload
    prefill: Workload | None
    parameters: int
    producer: dict[str, str]
    warnings: tuple[Problem, ...] = ()
