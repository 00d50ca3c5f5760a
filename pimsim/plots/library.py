"""matplotlib, whatever MPLBACKEND says: a file needs no backend, and an unknown one fails the whole import."""

from __future__ import annotations

import os
from contextlib import suppress
from importlib import import_module
from typing import Any

_BACKEND = "MPLBACKEND"


def _imported() -> Any:
    asked = os.environ.pop(_BACKEND, None)
    try:
        module = import_module("matplotlib")
    finally:
        if asked is not None:
            os.environ[_BACKEND] = asked
    if asked:  # a notebook names its own
        with suppress(ValueError):
            module.rcParams["backend"] = asked
    return module


matplotlib = _imported()
