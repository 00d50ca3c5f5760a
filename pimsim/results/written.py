"""Causes and components as people write them: the names in files are keys."""

from __future__ import annotations

from pimsim.workload.ops import OPS

_FUNCTIONS = {name: op.written for name, op in OPS.shipped.items() if op.written}
_ACRONYMS = {"mac": "MAC", "asic": "ASIC", "io": "I/O"} | _FUNCTIONS


def readable(name: str) -> str:
    """A cause or a component as people write it: "I/O", "MAC read"."""
    return " ".join(_ACRONYMS.get(word, word) for word in name.split("_"))
