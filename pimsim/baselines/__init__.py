"""Devices to compare with: their constants, and what they would take for the same workload.

Importing this package loads nothing else; each name below is loaded when it is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pimsim.baselines.devices import BaselineDevice, available, load
    from pimsim.baselines.evaluation import evaluate
    from pimsim.baselines.scheduled import evaluate_schedule

__all__ = ["BaselineDevice", "available", "evaluate", "evaluate_schedule", "load"]

_HOMES = {"evaluate": "evaluation", "evaluate_schedule": "scheduled"}  # the others need no numpy


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'pimsim.baselines' has no attribute {name!r}")
    return getattr(import_module(f"pimsim.baselines.{_HOMES.get(name, 'devices')}"), name)
