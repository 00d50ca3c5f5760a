"""Parts of runs, which somebody may keep for the next run."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Protocol, TypeVar

T = TypeVar("T")


class Keep(Protocol):
    """Who makes the parts of a run, or has them from a run before."""

    def __call__(self, kind: str, key: Hashable | None, make: Callable[[], T]) -> T:
        """A part of some kind: what `make` gives, or gave for an equal key; without a key nothing is equal."""


def anew(kind: str, key: Hashable | None, make: Callable[[], T]) -> T:
    """Make every part."""
    return make()
