"""The bound of a device: for each operator the longer of bytes / bandwidth and operations / peak.

Operators depend on each other, so they do not overlap; no launch, no other overhead.  The cards of a group also
exchange their sums.
"""

from __future__ import annotations

from typing import Any

from pimsim.baselines.cost import Demand, Steps, device_times, figures, link_part, per_step, steps_of
from pimsim.baselines.devices import BaselineDevice


def roofline_steps(device: BaselineDevice, demands: list[Demand], data_type: str) -> Steps:
    """What each step takes in `data_type`, at the bandwidth that a copy reaches."""
    times = device_times(device, demands, data_type, device.bandwidth)
    return steps_of(device, times, {"roofline": per_step(times, "longer")} | link_part(device, times))


def roofline_figures(device: BaselineDevice, steps: Steps, data_type: str) -> dict[str, Any]:
    """Latency (ns) and energy (pJ) of steps in `data_type`, and what bounds them."""
    return {
        "data_type": data_type,
        "bandwidth_GBps": device.group * device.bandwidth,
        "peak_TFLOPs": device.group * device.data_types[data_type].peak.value,
        **figures(device, steps),
    }
