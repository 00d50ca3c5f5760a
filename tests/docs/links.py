"""What pages link to, and what they offer to link to, as GitHub shows Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

_FENCE = re.compile(r"^(```+|:::+|~~~+).*?^\1\s*$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


def links(page: Path) -> list[str]:
    """The targets of the links and pictures of a page that are not on the web."""
    text = re.sub(r"`[^`\n]*`", "", _FENCE.sub("", page.read_text(encoding="utf-8")))
    return [target for target in _LINK.findall(text) if "://" not in target]


def anchors(page: Path) -> set[str]:
    """The names of the headings of a page: a name that comes again gets a number."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    found: set[str] = set()
    for heading in re.findall(r"^#{1,6} +(.+?) *$", text, re.MULTILINE):
        found.add(next(name for name in _names(slug(heading)) if name not in found))
    return found


def slug(heading: str) -> str:
    """A heading as GitHub names it: small letters, no marks, hyphens for spaces."""
    words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
    return re.sub(r"[^\w\- ]", "", words).replace(" ", "-")


def _names(name: str) -> Iterator[str]:
    yield name
    number = 0
    while True:
        number += 1
        yield f"{name}-{number}"


def broken(page: Path, root: Path) -> list[str]:
    """The links of a page that lead nowhere on a plain checkout of `root`."""
    return [target for target in links(page) if not _leads(page, target, root)]


def _leads(page: Path, target: str, root: Path) -> bool:
    file, _, anchor = target.partition("#")
    found = (page.parent / file).resolve() if file else page
    if not found.exists() or not found.is_relative_to(root):
        return False
    return not anchor or (found.suffix == ".md" and anchor in anchors(found))
