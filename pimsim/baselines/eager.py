"""Latency of an eager framework: launches, memory and arithmetic, whichever binds.

latency = sum over what the host serialises of
          max(ATen operators * time per operator, bytes / bandwidth, operations / peak)

The host of a GPU only queues kernels and waits for the device once a step, so a step
is one such group; the host of a CPU runs operator after operator, each a group.  Each card of several has a
host's process of its own, which launches all operators and the all-reduces; those come after what the cards compute.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pimsim.baselines.cost import (
    Demand,
    DeviceTime,
    Steps,
    Vector,
    device_times,
    figures,
    link_part,
    per_step,
    shares,
    steps_of,
)
from pimsim.baselines.devices import BaselineDevice, Measured, used_constants
from pimsim.baselines.groups import all_reduces
from pimsim.errors import InputError
from pimsim.workload.models import Workload
from pimsim.workload.ops import OPS, Operator

NS_PER_US = 1000.0
_NS_PER_MS = 1e6


def aten_operators(device: BaselineDevice, workload: Workload) -> int:
    """ATen operators dispatched in one step; InputError if the device has no count for an operator."""
    inside = sum(_count(device, operator) * workload.repeats(operator) for operator in workload.operators)
    return inside + _overhead(device, workload) + all_reduces(device, workload)


def _count(device: BaselineDevice, operator: Operator) -> int:
    """ATen operators of one execution: as recorded, or the device's own count."""
    ops = device.eager.aten_ops
    if operator.aten is not None:
        return ops.fused.attention if ops.fused and operator.op == "attention" else operator.aten
    launches = ops.per_operator.get(operator.op, OPS[operator.op].launches)
    if launches is None:
        raise InputError(
            f"{device.name} has no ATen operator count for {operator.op!r}; it has {', '.join(ops.per_operator)}",
            key="eager.aten_ops.per_operator",
        )
    return launches * operator.active  # each expert that runs is launched


def _overhead(device: BaselineDevice, workload: Workload) -> int:
    """ATen operators of a step that belong to no operator: eager attention's mask is the most of them."""
    ops = device.eager.aten_ops
    if workload.overhead_aten is None:
        return ops.overhead
    return max(0, workload.overhead_aten - ops.fused.mask) if ops.fused else workload.overhead_aten


def eager_steps(
    device: BaselineDevice, workload: Workload, demands: list[Demand], measured: Measured | None = None
) -> Steps:
    """What each step takes; measured: its measured time, in place of the formula.

    Raises InputError if the device has no count for an operator.
    """
    times = device_times(device, demands, device.eager.data_type, eager_bandwidth(device))
    if measured is not None:
        parts = {"measured": np.full_like(times[0].memory, measured.value * _NS_PER_MS)}
    else:
        parts = _parts(device, workload, times)
    return steps_of(device, times, parts)


def eager_bandwidth(device: BaselineDevice) -> float:
    """Bandwidth that a framework's kernels reach, GB/s."""
    return device.bandwidth * device.eager.efficiency.value


def eager(
    device: BaselineDevice, workload: Workload, demands: list[Demand], measured: Measured | None = None, note: str = ""
) -> dict[str, Any]:
    """Latency (ns) and energy (pJ) of all steps, with the constants and what bound it.

    measured: the measured time of each step, in place of the formula; note: which, or why there is none.
    Raises InputError if the device has no count for an operator.
    """
    steps = eager_steps(device, workload, demands, measured)
    kind = "eager" if measured is None else "measured"
    return eager_figures(device, steps, aten_operators(device, workload), kind, note)


def eager_figures(
    device: BaselineDevice, steps: Steps, launches: float, kind: str = "eager", note: str = ""
) -> dict[str, Any]:
    """Steps of one kind or of several, as results show them; launches: ATen operators of a step."""
    return {
        "kind": kind,
        "note": note,
        "data_type": device.eager.data_type,
        "element_bytes": device.data_types[device.eager.data_type].element_bytes,
        "synchronise": device.eager.synchronise,
        "aten_ops_per_step": launches,
        **figures(device, steps),
        "bound": shares(steps),
        "constants": used_constants(device),
        "aten_ops": device.eager.aten_ops.model_dump(),
    }


def _parts(device: BaselineDevice, workload: Workload, times: list[DeviceTime]) -> dict[str, Vector]:
    """Latency of each step by what bound it, ns: "launch", "memory" or "compute"."""
    op_time = device.eager.op_time.value * NS_PER_US
    if device.eager.synchronise == "step":
        launch = aten_operators(device, workload) * op_time
        return one_group(device, np.full_like(times[0].memory, launch), times)
    outside = (_overhead(device, workload) + all_reduces(device, workload)) * op_time
    parts = {"launch": np.full_like(times[0].memory, outside)}
    parts |= {"memory": np.zeros_like(parts["launch"]), "compute": np.zeros_like(parts["launch"])}
    for time in times:
        launch_one = np.full_like(time.memory, _count(device, time.demand.operator) * op_time)
        for name, part in _split_one(launch_one, time).items():
            parts[name] = parts[name] + part * time.demand.repeats
    return parts | link_part(device, times)


def _split_one(launch: Vector, time: DeviceTime) -> dict[str, Vector]:
    """max(launch, memory, compute) of one execution, credited to the largest."""
    launched = launch >= time.longer
    by_memory = time.memory >= time.compute
    return {
        "launch": np.where(launched, launch, 0.0),
        "memory": np.where(~launched & by_memory, time.memory, 0.0),
        "compute": np.where(~launched & ~by_memory, time.compute, 0.0),
    }


def one_group(device: BaselineDevice, launch: Vector, times: list[DeviceTime]) -> dict[str, Vector]:
    """max(all launches, all device time) of a step, the latter credited operator by operator, links apart."""
    longer, links = per_step(times, "longer"), link_part(device, times)
    memory = np.zeros_like(longer)
    for time in times:
        memory = memory + time.demand.repeats * np.where(time.memory >= time.compute, time.memory, 0.0)
    launched = launch >= sum(links.values(), longer)
    return {
        "launch": np.where(launched, launch, 0.0),
        "memory": np.where(launched, 0.0, memory),
        "compute": np.where(launched, 0.0, np.maximum(longer - memory, 0.0)),
        **{name: np.where(launched, 0.0, part) for name, part in links.items()},
    }
