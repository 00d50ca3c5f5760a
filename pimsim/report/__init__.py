"""Results as one HTML file each: no network, no other file, the same bytes for the same result."""

from __future__ import annotations

from pimsim.report.run import run_html
from pimsim.report.sweep import About, Command, sweep_html

__all__ = ["About", "Command", "run_html", "sweep_html"]
