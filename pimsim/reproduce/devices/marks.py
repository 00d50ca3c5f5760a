"""What was published of memories that multiply, with its source and how well it is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from pimsim.reproduce.data import Published

# How well a mark is known.
MEANINGS: Mapping[str, str] = {
    "published": "in a paper, on a slide or on a product page, as quoted in its abstract or in notes that were read",
    "secondary": "from somebody's notes on one",
    "derived": "arithmetic on published figures",
}


@dataclass(frozen=True)
class Mark(Published):
    """A published figure of a device.

    label    of MEANINGS
    source   where it was published, and when
    missing  why it is not simulated ("": it is)
    """

    device: str = ""
    source: str = ""
    missing: str = ""


@cache
def marks() -> Mapping[str, Mark]:
    """The marks by name (the device's, a dot, and its own), in the order of the file."""
    import yaml

    text = files("pimsim.reproduce.devices").joinpath("marks.yaml").read_text(encoding="utf-8")
    found = yaml.safe_load(text)
    return {entry["name"]: _mark(entry, found["sources"]) for entry in found["marks"]}


def _mark(entry: Mapping[str, Any], sources: Mapping[str, str]) -> Mark:
    paper = tuple(entry["paper"]) if isinstance(entry["paper"], list) else entry["paper"]
    if entry["label"] not in MEANINGS:
        raise ValueError(f"marks.yaml: {entry['name']}: unknown label {entry['label']}; known: {', '.join(MEANINGS)}")
    device = entry["name"].partition(".")[0]
    return Mark(**{**entry, "paper": paper, "source": sources[entry["source"]], "device": device})
