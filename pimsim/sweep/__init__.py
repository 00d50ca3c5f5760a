"""Many configurations at once: sweeps, searches, and what their rows say."""

from __future__ import annotations

from pimsim.sweep.many import map_points
from pimsim.sweep.point import evaluate_point

__all__ = ["evaluate_point", "map_points"]
