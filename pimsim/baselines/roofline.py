"""The bound of a device: for each operator the longer of bytes / bandwidth and operations / peak.

Operators depend on each other, so they do not overlap; no launch, no other overhead.
"""

from __future__ import annotations

from typing import Any

from pimsim.baselines.cost import Demand, cap_energy, device_times, energy, per_step, total
from pimsim.baselines.devices import BaselineDevice


def roofline(device: BaselineDevice, demands: list[Demand], data_type: str) -> dict[str, Any]:
    """Latency (ns) and energy (pJ) of all steps in `data_type`, at the bandwidth that a copy reaches."""
    times = device_times(demands, device.data_types[data_type], device.bandwidth)
    latency = per_step(times, "longer")
    latency_ns = total(latency)
    return {
        "data_type": data_type,
        "bandwidth_GBps": device.bandwidth,
        "peak_TFLOPs": device.data_types[data_type].peak.value,
        "latency_ns": latency_ns,
        "energy_pJ": energy(device, latency, times),
        "energy_cap_pJ": cap_energy(device, latency_ns),
    }
