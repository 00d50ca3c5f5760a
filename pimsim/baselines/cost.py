"""What a step asks of a device: bytes and operations per operator, one column per context.

Bytes are weights (biases and normalisation included), K and V; activations stay in
caches.  Copies of the whole KV cache that eager frameworks make are left out, which
favours the baseline.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pimsim.baselines.devices import BaselineDevice, DataType
from pimsim.workload.models import Workload
from pimsim.workload.ops import Affine, Operator

Vector = NDArray[np.float64]

_PJ_PER_W_NS = 1000.0


@dataclass(frozen=True)
class Demand:
    """One operator's demand in one execution, per step: elements across the bus and operations.

    repeats: executions of the operator in one step.
    """

    operator: Operator
    repeats: int
    elements: Vector
    operations: Vector


@dataclass(frozen=True)
class DeviceTime:
    """Device time of one operator in one execution, ns: memory and arithmetic, which overlap."""

    demand: Demand
    memory: Vector
    compute: Vector

    @property
    def longer(self) -> Vector:
        """The time that binds."""
        return np.maximum(self.memory, self.compute)


def decode_demands(workload: Workload, contexts: Vector, batch: int) -> list[Demand]:
    """Demands of one decode step at each of `contexts`, for `batch` sequences at once."""
    demands = []
    for operator in workload.operators:
        elements, operations = operator.elements(batch, biases=True), operator.operations() * batch
        demands.append(
            Demand(
                operator,
                workload.repeats(operator),
                values(elements, contexts),
                values(operations, contexts),
            )
        )
    return demands


def values(count: Affine, contexts: Vector) -> Vector:
    """A count at each of `contexts`."""
    result = count.constant + count.slope * contexts
    for window, slope in count.windows:
        result = result + slope * np.minimum(contexts, window)
    return result


def prefill_demands(workload: Workload, prompt_tokens: int, batch: int) -> list[Demand]:
    """Demands of a prompt processed as one batch of tokens.

    Weights are read once; K and V of the prompt are written once and read once.
    Attention is causal, and what follows the blocks runs for the last token only.
    """
    return [
        Demand(
            operator,
            workload.repeats(operator),
            np.array([float(_prefill_elements(operator, prompt_tokens, batch))]),
            np.array([float(_prefill_operations(operator, prompt_tokens, batch))]),
        )
        for operator in workload.operators
    ]


def _prefill_elements(operator: Operator, tokens: int, batch: int) -> int:
    weights = operator.weights_read(biases=True) * (tokens * batch if operator.op == "embedding" else 1)
    if operator.op == "attention":
        weights += 4 * operator.kv_width * tokens * batch
    return weights


def _prefill_operations(operator: Operator, tokens: int, batch: int) -> int:
    if operator.scope == "once_after":
        return operator.operations().at(tokens) * batch
    return operator.operations().total(1, tokens) * batch


def device_times(demands: list[Demand], data_type: DataType, bandwidth: float) -> list[DeviceTime]:
    """Device time of each demand; bandwidth in GB/s (bytes per ns), peak in TFLOP/s (1000 operations per ns)."""
    peak = data_type.peak.value * 1000.0
    return [DeviceTime(d, d.elements * data_type.element_bytes / bandwidth, d.operations / peak) for d in demands]


def per_step(times: list[DeviceTime], part: str) -> Vector:
    """The sum over a step's executions of one part ("memory", "compute" or "longer"), in a fixed order."""
    total = np.zeros_like(times[0].memory)
    for time in times:
        total = total + time.demand.repeats * getattr(time, part)
    return total


def energy(device: BaselineDevice, latency: Vector, times: list[DeviceTime]) -> float:
    """E = t (P_idle + (P_cap - P_idle) u), summed over steps, pJ.

    u: the larger of bandwidth utilisation (of what a copy reaches) and arithmetic
    utilisation (of the peak) over a step.
    """
    busy = np.maximum(per_step(times, "memory"), per_step(times, "compute"))
    utilisation = np.minimum(busy / latency, 1.0)
    idle, cap = device.power.idle.value, device.power.cap.value
    return total(latency * (idle + (cap - idle) * utilisation)) * _PJ_PER_W_NS


def cap_energy(device: BaselineDevice, latency_ns: float) -> float:
    """The pessimistic model: power cap times latency, pJ."""
    return device.power.cap.value * latency_ns * _PJ_PER_W_NS


def total(values: Vector) -> float:
    """The sum of a vector, the same on every machine."""
    return math.fsum(values.tolist())


def shares(parts: Mapping[str, Vector], latency: Vector) -> dict[str, float]:
    """Each part of the latency as a share of it, over all steps."""
    whole = total(latency)
    return {name: total(part) / whole for name, part in parts.items()}
