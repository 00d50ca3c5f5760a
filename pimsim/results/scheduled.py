"""What people read of a schedule that ran: figures and sentences from its summary.

It is small: processes that draw load it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

# Parts of the decode phase, which sum to it; the middle ones are `workload.schedule`'s names of what a stage is.
DECODING, DRAFTING, VERIFICATION, REJECTED = "decoding", "drafting", "verification", "rejected"
OF_DECODING = (DECODING, DRAFTING, VERIFICATION, REJECTED)
PARTS = ("prefill", *OF_DECODING)

Summary = Mapping[str, Any]


def decoding(summary: Summary) -> list[Mapping[str, Any]]:
    """The stages of a schedule that decode."""
    return [stage for stage in summary["schedule"]["stages"] if stage["phase"] == "decode"]


def shares(summary: Summary, figure: str) -> dict[str, float]:
    """Of each part of decoding that occurs, its share of the phase: of `latency_ns`, or of `energy_pJ`.

    Empty where all of it is one part.
    """
    parts = {name: part[figure] for name, part in _parts(summary).items() if part["cycles"]}
    total = sum(parts.values())
    return {name: value / total for name, value in parts.items()} if len(parts) > 1 and total else {}


def _parts(summary: Summary) -> dict[str, Mapping[str, Any]]:
    return {name: summary["system"]["parts"][name] for name in OF_DECODING} if "schedule" in summary else {}


def sequences(summary: Summary) -> str:
    """How many sequences a decode step has: 8, or "1 to 4" where steps differ."""
    return _range(stage["batch"] for stage in decoding(summary))


def verified(summary: Summary) -> str:
    """How many tokens of a sequence a verification step runs: 5, or "3 to 5" where steps differ."""
    return _range(stage["tokens"] for stage in decoding(summary) if stage["part"] == VERIFICATION)


def _range(numbers: Iterable[int]) -> str:
    found = sorted(set(numbers))
    return f"{found[0]:,}" if len(found) == 1 else f"{found[0]:,} to {found[-1]:,}"


def one_by_one(summary: Summary) -> bool:
    """Whether every decode step is one token of each sequence, and keeps it: its time is that of a token."""
    return all(s["tokens_run"] == s["tokens_kept"] == s["steps"] * s["batch"] for s in decoding(summary))


def models(summary: Summary) -> str:
    """The names of the models that ran, the workload's first."""
    first, stages = summary["workload"]["model"], summary["schedule"]["stages"]
    others = [name for name in dict.fromkeys(stage["model"] for stage in stages) if name != first]
    return " with ".join(filter(None, (first, ", ".join(others))))


def prompt(summary: Summary) -> int:
    """Tokens of a prompt of one sequence: every model that has one takes all of it."""
    found: dict[str, int] = {}
    for stage in summary["schedule"]["stages"]:
        if stage["phase"] == "prefill":
            found[stage["template"]] = found.get(stage["template"], 0) + stage["steps"] * stage["tokens"]
    return max(found.values(), default=0)


def said(summary: Summary) -> str:
    """What was decoded of one sequence, in words: "6 of 15 tokens kept"."""
    run, kept = (
        sum(stage["steps"] * stage["tokens"] for stage in decoding(summary)),
        summary["workload"]["output_tokens"],
    )
    if not run:
        return "no token decoded"
    return f"{_tokens(kept)} decoded" if kept == run else f"{kept:,} of {_tokens(run)} kept"


def title(summary: Summary) -> str:
    """What ran, in words: "tiny with draft, 6 of 15 tokens kept"."""
    return f"{models(summary)}, {said(summary)}"


def _tokens(count: int) -> str:
    return f"{count:,} token{'s' if count != 1 else ''}"
