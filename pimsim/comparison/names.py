"""Names that tell runs apart: what their configurations are called, and what differs where that is the same."""

from __future__ import annotations

from collections.abc import Sequence

from pimsim.comparison.inputs import DECIDES, as_text, differences
from pimsim.comparison.runs import Run
from pimsim.text import one_line

_MOST = 2  # keys that a name says
_LONGEST = 24  # characters of a value in a name


def named(runs: Sequence[Run], names: Sequence[str] | None = None) -> list[Run]:
    """The runs under names of their own.

    names: to use instead; ValueError if there is not one for each, or two are the same.
    """
    if names is None:
        return [Run(name, run.result, run.made) for name, run in zip(_told_apart(runs), runs, strict=True)]
    given = [one_line(str(name)) for name in names]
    if len(given) != len(runs):
        raise ValueError(f"{len(given)} names for {len(runs)} runs")
    if twice := next((name for name in given if given.count(name) > 1), None):
        raise ValueError(f"two runs are named {twice!r}")
    return [Run(name, run.result, run.made) for name, run in zip(given, runs, strict=True)]


def _told_apart(runs: Sequence[Run]) -> list[str]:
    names = [run.config_name for run in runs]
    for name in set(names):
        same = [at for at, each in enumerate(names) if each == name]
        if len(same) > 1:
            for at, detail in zip(same, _details([runs[at] for at in same]), strict=True):
                names[at] = f"{name} ({detail})" if detail else name
    return [_numbered(names, at) for at in range(len(names))]


def _details(runs: Sequence[Run]) -> list[str]:
    """What each of some runs has that others do not: the first keys that decide, else the version of pimsim."""
    found = [each for each in differences(runs) if each.role == DECIDES]
    if not found:
        versions = [run.summary["pimsim_version"] for run in runs]
        return [f"pimsim {one_line(version)}" if len(set(versions)) > 1 else "" for version in versions]
    shown = found[:_MOST]
    more = [f"{len(found) - _MOST} more"] if len(found) > _MOST else []
    return [
        ", ".join([*(f"{each.key}={_short(as_text(each.given[at]))}" for each in shown), *more])
        for at in range(len(runs))
    ]


def _short(text: str) -> str:
    text = one_line(text)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def _numbered(names: Sequence[str], at: int) -> str:
    """The name with its number among those that are the same."""
    name = names[at]
    return f"{name} #{names[: at + 1].count(name)}" if names.count(name) > 1 else name
