"""The versions of torch and transformers that the exporter is tested with; every error names others, and a warning."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

# From the first up to, but without, the second; the same as in pyproject.toml (tests/unit/test_versions.py).
TESTED = {"torch": ("2.13", "2.14"), "transformers": ("5.18", "5.25")}


def outside() -> str:
    """What is installed and outside of the tested range, in words; "" if nothing is."""
    return "; ".join(_outside())


def _outside() -> Iterator[str]:
    for package, (first, end) in TESTED.items():
        try:
            here = version(package)
        except PackageNotFoundError:
            continue
        if not _release(first) <= _release(here) < _release(end):
            yield f"{package} {here} is installed, and tested are {first} up to, but without, {end}"


def _release(text: str) -> tuple[int, ...]:
    """The numbers of a version without what follows them: (5, 24, 0) of 5.24.0rc1+cpu."""
    match = re.match(r"\d+(\.\d+)*", text)
    return tuple(int(part) for part in match[0].split(".")) if match else ()
