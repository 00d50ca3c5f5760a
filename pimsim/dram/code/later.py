"""What only compiled code uses, until it is compiled."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any


class Later:
    """Stands for what numba compiles with, or into other functions, in the code that is compiled.

    So a module of compiled functions is imported without numba.  `compiled` is what numba knows.
    """

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make

    @cached_property
    def compiled(self) -> Any:
        """What this stands for."""
        return self._make()
