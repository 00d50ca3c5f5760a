"""All mutants of a run, some of each kind: of its log, of its programs, of its layouts."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from random import Random
from typing import NamedTuple

from tests.values import log_mutants, plan_mutants
from tests.values.mutations import Mutant, Run, Verdict

TRIES = 10  # to make one of a kind, where a place was drawn at which it is none

# Who has to find a mutant: the machine by itself what is wrong with values, somebody what is wrong with time.
FINDERS = {"values": ("refused", "logits"), "checker": ("refused", "logits", "checker")}


class Tried(NamedTuple):
    """A mutant, and who has to find it."""

    mutant: Mutant
    by: str

    def survives(self, verdict: Verdict) -> bool:
        """Whether nobody has found it who has to."""
        return verdict.by not in FINDERS[self.by]


def mutants(run: Run, random: Random, of_log: int, of_plan: int) -> Iterator[Tried]:
    """`of_log` of each kind of mutants of the log, and `of_plan` of each of programs and layouts."""
    for kind in log_mutants.kinds(run):
        for _ in range(of_log):
            for made in _made(partial(log_mutants.mutant, run, kind, random)):
                yield Tried(made, kind.by)
    for other in plan_mutants.kinds(run):
        for _ in range(of_plan):
            for made in _made(partial(other.make, run, random)):
                yield Tried(made, "values")


def _made(make: partial[Mutant | None]) -> list[Mutant]:
    """One, or none where none can be made."""
    found = next((mutant for mutant in (make() for _ in range(TRIES)) if mutant is not None), None)
    return [] if found is None else [found]
