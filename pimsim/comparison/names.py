"""Names that tell runs apart: what their configurations are called, and what differs where that is the same."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
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
    columns = [apart([one_line(as_text(given)) for given in each.given], _LONGEST) for each in shown]
    keys = [each.key for each in shown]
    return [
        ", ".join([*(f"{key}={text}" for key, text in zip(keys, texts, strict=True)), *more])
        for texts in zip(*columns, strict=True)
    ]


def apart(texts: Sequence[str], most: int) -> list[str]:
    """Texts of at most so many characters, those that differ still apart.

    Of a path the end is kept, of another text the begin; where that leaves two alike, the end, or what differs first.
    """
    same = os.path.commonprefix([text for text in texts if len(text) > most])
    ways: Sequence[Callable[[str], str]] = (
        lambda text: _end(text, most) if _is_path(text) else _begin(text, most),
        lambda text: _end(text, most),
        lambda text: _begin(f"...{text[len(same) :]}", most),
    )
    found = list(texts)
    for way in ways:
        found = [text if len(text) <= most else way(text) for text in texts]
        if len(set(found)) == len(set(texts)):
            break
    return found


def _is_path(text: str) -> bool:
    return os.sep in text and not text.startswith(("[", "{"))


def _begin(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."


def _end(text: str, most: int) -> str:
    """The last characters, from a folder on if there is one."""
    end = text[3 - most :]
    return f"...{end[max(end.find(os.sep), 0) :]}"


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
