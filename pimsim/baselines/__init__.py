"""Devices to compare with: their constants, and what they would take for the same workload.

Importing this package loads nothing else; each name below is loaded when it is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pimsim.baselines.devices import BaselineDevice, available, load
    from pimsim.baselines.evaluation import evaluate

__all__ = ["BaselineDevice", "available", "evaluate", "load"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'pimsim.baselines' has no attribute {name!r}")
    home = "evaluation" if name == "evaluate" else "devices"  # which needs no numpy
    return getattr(import_module(f"pimsim.baselines.{home}"), name)
