"""Plots of a result.  Importing this package does not import matplotlib; drawing does."""

from __future__ import annotations

from pimsim.plots.plotset import NAMES, Plots, beside

__all__ = ["NAMES", "Plots", "beside"]
