"""Packages that are called by their own name: `pimsim.devices()`, `pimsim.sweep({...})`.

A function of that name beside the package would not last: Python sets `pimsim.sweep` to the package
when anything in it is imported, wherever that happens.  So the package itself answers a call, and
`from pimsim.sweep import ...` goes on as ever, before and after.
"""

from __future__ import annotations

import inspect
import sys
from importlib import import_module
from types import ModuleType
from typing import Any


class _Called(ModuleType):
    """A package that is called as a function, which is imported then."""

    _function: str  # "module:name"

    def _found(self) -> Any:
        home, _, name = self._function.partition(":")
        return getattr(import_module(home), name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._found()(*args, **kwargs)

    @property
    def __signature__(self) -> inspect.Signature:
        """For editors: that of the function."""
        return inspect.signature(self._found())


def called_as(function: str, package: str) -> None:
    """Let a package that is being imported be called as a function, "module:name"."""
    module = sys.modules[package]
    module.__class__ = _Called
    module._function = function  # type: ignore[attr-defined]
