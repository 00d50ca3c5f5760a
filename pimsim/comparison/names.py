"""Names that tell runs apart: what their configurations are called, and what differs where that is the same."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

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
    check(len(runs), 0, names)
    return [Run(one_line(str(name)), run.result, run.made) for name, run in zip(names, runs, strict=True)]


def check(runs: int, base: int, names: Sequence[str] | None = None) -> None:
    """ValueError unless so many runs can be compared with that one, under these names."""
    if runs < 2:
        raise ValueError(f"a comparison needs two runs or more, not {runs}")
    if not -runs <= base < runs:
        raise ValueError(f"base must be the place of one of {runs} runs, counted from 0, not {base}")
    if names is None:
        return
    if isinstance(names, str):
        raise TypeError(f"names takes a list of names, not {names!r}")
    given = [one_line(str(name)) for name in names]
    if len(given) != runs:
        raise ValueError(f"{len(given)} names for {runs} runs")
    if twice := [name for name in given if given.count(name) > 1]:
        raise ValueError(f"two runs are named {twice[0]!r}")


def _told_apart(runs: Sequence[Run]) -> list[str]:
    own = [run.config_name for run in runs]
    names = list(own)
    for name in dict.fromkeys(own):
        same = [at for at, each in enumerate(own) if each == name]
        if len(same) > 1:
            for at, detail in zip(same, _details([runs[at] for at in same]), strict=True):
                names[at] = f"{name} ({detail})" if detail else name
    return _numbered(names)


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


def _numbered(names: Sequence[str]) -> list[str]:
    """Each name once: those that are the same have numbers, past those that another name has already."""
    taken = {name for name in names if names.count(name) == 1}
    found = []
    for name in names:
        if names.count(name) > 1:
            name = next(each for number in count(1) if (each := f"{name} #{number}") not in taken)
            taken.add(name)
        found.append(name)
    return found
