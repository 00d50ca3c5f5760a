"""What a run chose for itself of where things lie: nothing where its configuration says it."""

from __future__ import annotations

from typing import Any

from pimsim.mapping.plan import Plan


def chosen(plan: Plan | None) -> dict[str, Any]:
    """The part `mapping` of a summary: by what the V of each attention is dealt to the channels, if that was chosen."""
    if plan is None or plan.config.mapping.values != "auto":
        return {}
    return {"mapping": {"values": plan.memory.splits}}


def chosen_line(plan: Plan | None) -> str:
    """The same as a line of text, "" for nothing."""
    by = chosen(plan)
    return "V by " + ", ".join(f"{split} ({name})" for name, split in by["mapping"]["values"].items()) if by else ""
