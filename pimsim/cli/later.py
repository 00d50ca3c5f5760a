"""Modules that libraries import and a short command never uses: they are loaded when something is asked of them.

A module of `MODULES` is made by the import, and executed when an attribute of it is read (`importlib.util.LazyLoader`),
which for most of them is never.  Python before 3.12 does not guard that against a second thread, so commands that
run other libraries' products go without: `process.as_usual`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import LazyLoader
from types import ModuleType

MODULES = (
    "csv",  # importlib.metadata
    "importlib.metadata._adapters",  # the packages for mail and sockets: of a package's description
    "ipaddress",  # urllib
    "numpy._core._add_newdocs",  # texts for those who read help(numpy)
    "numpy._core._add_newdocs_scalars",
    "pickle",  # numpy
    "secrets",  # pydantic: OpenSSL
    "zipfile",  # importlib.metadata
)


class _Finder(MetaPathFinder):
    """Finds the modules of `MODULES`, to be loaded later."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """As the usual finder's, with a loader that waits; None for all others."""
        spec = PathFinder.find_spec(fullname, path, target) if fullname in MODULES else None
        if spec is not None and spec.loader is not None:
            spec.loader = LazyLoader(spec.loader)
        return spec


_FINDER = _Finder()


def begin() -> None:
    """From now on `MODULES` wait."""
    sys.meta_path.insert(0, _FINDER)


def end() -> None:
    """From now on all modules are loaded as usual, and those that wait are loaded."""
    if _FINDER in sys.meta_path:
        sys.meta_path.remove(_FINDER)
        for name in MODULES:
            getattr(sys.modules.get(name), "__doc__", None)
