"""Latency of a compiled step: one launch for all of it, as by a CUDA graph or `torch.compile`.

latency of a step = max(time per operator, sum over operators of max(bytes / bandwidth, operations / peak) + links)

The program is the eager one, at its bandwidth and in its data type: between the two stand the launches alone,
and between this and the roofline what its kernels do not reach of the bandwidth, and the format.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pimsim.baselines.cost import Demand, Steps, device_times, figures, shares, steps_of
from pimsim.baselines.devices import BaselineDevice
from pimsim.baselines.eager import NS_PER_US, eager_bandwidth, one_group


def compiled_steps(device: BaselineDevice, demands: list[Demand]) -> Steps:
    """What each step takes."""
    times = device_times(device, demands, device.eager.data_type, eager_bandwidth(device))
    launch = np.full_like(times[0].memory, launch_ns(device))
    return steps_of(device, times, one_group(device, launch, times))


def compiled_figures(device: BaselineDevice, steps: Steps) -> dict[str, Any]:
    """Latency (ns) and energy (pJ) of steps, and what bound them."""
    return {
        **figures(device, steps),
        "data_type": device.eager.data_type,
        "launch_ns": launch_ns(device),
        "bound": shares(steps),
    }


def launch_ns(device: BaselineDevice) -> float:
    """What one launch takes: as long as one ATen operator of the eager framework."""
    return device.eager.op_time.value * NS_PER_US
