"""Every plot of a run, by name.  Importing this imports matplotlib."""

from __future__ import annotations

from collections.abc import Mapping

from pimsim.plots import breakdown, comparison, context, parts, roofline, utilisation
from pimsim.plots.overlay import Plot

EVERY: Mapping[str, Plot] = {
    **breakdown.PLOTS,
    **context.PLOTS,
    **comparison.PLOTS,
    **roofline.PLOTS,
    **parts.PLOTS,
    **utilisation.PLOTS,
}
