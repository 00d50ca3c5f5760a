"""What the figures of a comparison are taken over: whole runs where these are of the same size, else a token.

Parts of a whole are compared as numbers of one meaning: milliseconds of 4 tokens beside those of 1,024 are not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from pimsim.comparison.runs import DECODE, PREFILL, Run

RUN, TOKEN, PROMPT_TOKEN = "run", "token", "prompt_token"
_WORDS = {RUN: "of the whole run", TOKEN: "per kept token of all sequences", PROMPT_TOKEN: "per token of the prompt"}
SHORT = {RUN: "", TOKEN: "/kept token", PROMPT_TOKEN: "/token"}
LONG = SHORT | {TOKEN: "/kept token of all sequences"}


@dataclass(frozen=True)
class Scope:
    """per: RUN, TOKEN or PROMPT_TOKEN; phase: whose rows count, None for all; tokens: of each run, to divide by.

    comparable  whether figures over it have a difference: whole runs of different sizes have none
    """

    per: str
    phase: str | None
    tokens: tuple[int, ...]
    comparable: bool = True

    @classmethod
    def of(cls, runs: Sequence[Run]) -> Scope:
        """Of all sequences the kept tokens, as `energy_per_token_pJ` and `tokens_per_s` of a summary count them."""
        kept = tuple(int(run.summary["workload"]["tokens_kept"]) for run in runs)
        prompts = tuple(run.prompt_tokens * int(run.summary["workload"]["batch"]) for run in runs)
        if same_size(runs) or (any(kept) and not all(kept)):
            return cls(RUN, None, (1,) * len(runs), same_size(runs))
        return cls(TOKEN, DECODE, kept) if all(kept) else cls(PROMPT_TOKEN, PREFILL, prompts)

    @property
    def words(self) -> str:
        """What a figure of a part is taken over."""
        return _WORDS[self.per]

    def part(self, run: int, whole: int | float) -> Fraction:
        """A figure of a run, exact, over what it is taken over."""
        return Fraction(whole) / self.tokens[run]


def same_size(runs: Sequence[Run]) -> bool:
    """Whether all decode as many tokens, in as many sequences, after a prompt of the same length."""
    return len({_size(run) for run in runs}) == 1


def _size(run: Run) -> tuple[int, ...]:
    work = run.summary["workload"]
    return work["tokens_run"], work["tokens_kept"], work["batch"], run.prompt_tokens
