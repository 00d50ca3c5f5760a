"""Libraries that come with the extra `values`."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from pimsim.errors import InputError


def library(name: str) -> Any:
    """A module of the extra; InputError that says what to install if it is not there."""
    try:
        return import_module(name)
    except ImportError as error:
        raise InputError(f"needs {error.name or name}: pip install 'pimsim[values]'") from None
