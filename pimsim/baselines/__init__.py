"""Devices to compare with: their constants, and what they would take for the same workload."""

from pimsim.baselines.devices import BaselineDevice, available, load
from pimsim.baselines.evaluate import evaluate

__all__ = ["BaselineDevice", "available", "evaluate", "load"]
