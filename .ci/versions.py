"""The versions that CI runs, read off pyproject.toml: there is no second list to keep.

python .ci/versions.py floors                a line NAME==FLOOR for each library, for `pip install --constraint`
python .ci/versions.py floor|range NAME [EXTRA]
                                             one library's floor, or its range, as a requirement (EXTRA: trace)
python .ci/versions.py check oldest|newest [trace]
                                             exit 1 unless this environment has every floor, or is at every upper end

A library is what pimsim imports or is built with; torch and transformers are those of `trace`.
At the upper end: what is installed is of the last series before it (2.4.6 of <2.5, 8.5.1 of <9).
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

# What is imported at run time. Tools and what builds the docs have the floors that `make test` finds.
EXTRAS = ("analysis", "chakra", "dse", "notebooks", "values", "wave")
_REQUIREMENT = re.compile(r"([A-Za-z0-9_.-]+)(\[[a-z,]+\])?>=([0-9.]+),<([0-9.]+)")

Ranges = dict[str, tuple[str, str]]


def ranges(*extras: str, build: bool = False) -> Ranges:
    """Floor and end of every library, by name; ValueError for one without both.  build: with what builds the wheel."""
    found = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))
    project = found["project"]
    given = [*project["dependencies"], *(r for extra in extras for r in project["optional-dependencies"][extra])]
    given += found["build-system"]["requires"] if build else []
    return dict(_read(requirement) for requirement in given if not requirement.startswith(f"{project['name']}["))


def _read(requirement: str) -> tuple[str, tuple[str, str]]:
    match = _REQUIREMENT.fullmatch(requirement)
    if match is None:
        raise ValueError(f"pyproject.toml: {requirement!r} is not NAME>=FLOOR,<END")
    return match[1], (match[3], match[4])


def wrong(end: str, known: Ranges) -> Iterator[str]:
    """A line for every library that is not at its floor ("oldest") or not at its upper end ("newest")."""
    for name, (floor, limit) in known.items():
        here = _numbers(version(name))
        if end == "oldest" and here[: len(_numbers(floor))] != _numbers(floor):
            yield f"{name}: {version(name)} is installed, and the floor is {floor}"
        if end == "newest" and _next(here, len(_numbers(limit))) != _numbers(limit):
            yield f"{name}: {version(name)} is installed, and the range ends before {limit}; move the end or the floor"


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text.split("+")[0]))


def _next(here: tuple[int, ...], length: int) -> tuple[int, ...]:
    """The first release after the series of `length` numbers that `here` is in."""
    return (*here[: length - 1], here[length - 1] + 1)


def main(command: str, what: str = "", extra: str = "") -> int:
    """Print or check; the exit status."""
    match command:
        case "floors":
            print("\n".join(f"{name}=={floor}" for name, (floor, _) in ranges(*EXTRAS, build=True).items()))
        case "floor":
            print(what, ranges(extra or "trace")[what][0], sep="==")
        case "range":
            floor, limit = ranges(extra or "trace")[what]
            print(f"{what}>={floor},<{limit}")
        case "check":
            # the newest builder builds `.venv` out of sight
            known = ranges(*([extra] if extra else EXTRAS), build=what == "oldest")
            problems = list(wrong(what, known))
            print("\n".join(problems or [f"every library is at its {'floor' if what == 'oldest' else 'upper end'}"]))
            return bool(problems)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
