"""`# source: LABEL[: reason]`: how well a parameter is known, in the comment on its line."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import yaml

_COMMENT = re.compile(r"(?:^|\s)#(.*)")
_SOURCE = re.compile(r"\s*source:\s*([^\s:]*)\s*(?::\s*(.*?))?\s*")
_WRITTEN_BY_DUMP = re.compile(r"\s*\[[^\[\]]*:\d+\]$")  # where `dump_yaml` says that the value stood


@dataclass(frozen=True)
class Source:
    """A parameter's label, None without one, and the reason given with it; `column` is where the comment begins."""

    label: str | None = None
    reason: str = ""
    column: int = 0


def source_labels(text: str, scalars: Iterable[yaml.ScalarNode]) -> dict[int, Source]:
    """The source of each line (counted from 0) that ends in such a comment; whether the label exists is not checked."""
    sources: dict[int, Source] = {}
    lines = re.split(r"\r\n|[\r\n\x85\u2028\u2029]", text)  # PyYAML's line breaks
    for number, end in _ends(scalars).items():
        comment = _COMMENT.search(lines[number], end)
        found = _SOURCE.fullmatch(_WRITTEN_BY_DUMP.sub("", comment[1])) if comment else None
        if comment and found:
            sources[number] = Source(found[1], found[2] or "", comment.start(1))
    return sources


def _ends(scalars: Iterable[yaml.ScalarNode]) -> dict[int, int]:
    """The column after the last scalar of each line: what follows can only be punctuation or a comment."""
    ends: dict[int, int] = {}
    for node in scalars:
        mark = node.end_mark
        ends[mark.line] = max(ends.get(mark.line, 0), mark.column)
    return ends
