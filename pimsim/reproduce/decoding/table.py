"""Every ready-made schedule beside plain decoding, on each machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pimsim.reproduce.decoding.jobs import Job, Point, plain, scheduled
from pimsim.reproduce.decoding.studies import CONTEXT, DRAFT, GPT, POSITIONS
from pimsim.workload.decoding.data import mechanisms
from pimsim.workload.decoding.steps import Asked

TOKENS = 32
IMAGE = "var-d16"
_ASKED = Asked(0, TOKENS, 1, CONTEXT)
_LONG = Asked(0, 4, 1, 8192)


@dataclass(frozen=True)
class Row:
    """A mechanism and what it is compared with.

    command   what writes its trace
    texts     tokens of one step that belong to different texts
    whole     the prompt counts as well
    """

    mechanism: str
    job: Job
    beside: Job
    command: str
    against: str
    texts: int = 1
    whole: bool = False

    def gain(self, points: Mapping[Job, Point], machine: str) -> float:
        """Time of plain decoding over time with the mechanism, for each token that is kept."""
        with_, without = points[self.job], points[self.beside]
        if self.whole:
            return without.costs[machine].all_ns / with_.costs[machine].all_ns
        return without.token_ns(machine) / with_.token_ns(machine) * self.texts

    def energy_gain(self, points: Mapping[Job, Point]) -> float:
        """The same of PIM-GPT's energy."""
        with_, without = points[self.job], points[self.beside]
        if self.whole:
            return (without.prefill_pJ + without.energy_pJ) / (with_.prefill_pJ + with_.energy_pJ)
        return without.energy_pJ / without.kept / (with_.energy_pJ / with_.kept) * self.texts


_PLAIN = plain(GPT, CONTEXT, TOKENS)
_COMMON = f"--context {CONTEXT} --prompt 0 --tokens {TOKENS}"


def _row(name: str, more: str = "", **options: object) -> Row:
    command = " ".join(filter(None, (f"pimsim trace {name} --target {GPT}", more, _COMMON)))
    return Row(name, scheduled(name, GPT, _ASKED, **options), _PLAIN, command, "plain decoding")  # type: ignore[arg-type]


def _rows() -> tuple[Row, ...]:
    three = mechanisms()["superposed"]["hypotheses"]
    superposed = _row("superposed")
    image = Asked(prompt=0)
    return (
        _row("speculative", f"--draft {DRAFT}", draft=DRAFT),
        *(_row(name) for name in ("recycling", "medusa", "hydra", "eagle", "kangaroo", "swift", "layer-skip")),
        _row("early-exit"),
        _row("beams"),
        Row("superposed", superposed.job, _PLAIN, superposed.command, "one text", texts=three),
        Row(
            "duo-attention",
            scheduled("duo-attention", GPT, _LONG, POSITIONS),
            scheduled("duo-attention", GPT, _LONG, POSITIONS, streaming="0"),
            f"pimsim trace duo-attention --target {GPT} --positions {POSITIONS} --context 8192 --prompt 0 --tokens 4",
            "all heads attending to all of 8,192 tokens",
        ),
        Row(
            "drop-prefix",
            scheduled("drop-prefix", GPT, Asked(0, TOKENS), when="before"),
            scheduled("drop-prefix", GPT, Asked(0, TOKENS), keep=576),
            f"pimsim trace drop-prefix --target {GPT} --prompt 0 --tokens {TOKENS} --when before",
            "the whole prefix; prompt included",
            whole=True,
        ),
        _row("block-transformer"),
        Row(
            "next-scale",
            scheduled("next-scale", IMAGE, image),
            scheduled("layer-skip", IMAGE, Asked(0, 680), skip="0"),
            "pimsim trace next-scale",
            "one token after another",
        ),
    )  # fmt: skip


ROWS = _rows()
