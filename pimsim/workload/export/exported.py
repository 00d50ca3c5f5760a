"""What an export gives, however it was made."""

from __future__ import annotations

from dataclasses import dataclass

from pimsim.errors import InputError, Problem
from pimsim.workload.graph import Workload
from pimsim.workload.trace.assembled import Prefix

EXPANDED, ABSORBED = "expanded", "absorbed"
LATENT = (EXPANDED, ABSORBED)  # ways to keep K and V of multi-head latent attention (see `latent`)


@dataclass(frozen=True)
class Wanted:
    """What a user asks for.

    prompt: tokens of the prompt (0: none).  query: query tokens of a decode step.  batch: sequences.
    mla: one of LATENT.  vision: vision tokens before the prompt (None: as many as the model makes of a picture).
    """

    prompt: int = 0
    query: int = 1
    batch: int = 1
    mla: str = EXPANDED
    vision: int | None = None


def check_latent(wanted: Wanted, kind: str, has: bool) -> None:
    """Raise InputError for a way of latent attention that is none, or that a kind of model does not have."""
    if wanted.mla not in LATENT:
        raise InputError(f"{wanted.mla!r}; known are {', '.join(LATENT)}", "--mla")
    if wanted.mla == ABSORBED and not has:
        raise InputError(f"{wanted.mla}: a {kind} has no latent attention", "--mla")


@dataclass(frozen=True)
class Source:
    """What an encoder does before a decoder: `encode` reads `tokens` of a source, `first` keeps K and V of them."""

    encode: Workload
    first: Workload
    tokens: int


@dataclass(frozen=True)
class Exported:
    """A model's steps.

    prefill: None without a prompt.  parameters: of the whole model, a tied matrix once.
    producer: what made them: versions, and which part of a model they are.
    warnings: what a user should know of them.
    source: of a model with an encoder.  prefix: of one that takes pictures.
    """

    decode: Workload
    prefill: Workload | None
    parameters: int
    producer: dict[str, str]
    warnings: tuple[Problem, ...] = ()
    source: Source | None = None
    prefix: Prefix | None = None
