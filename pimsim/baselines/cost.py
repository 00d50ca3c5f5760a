"""What a step asks of a device: bytes and operations per operator, one column per context.

Bytes are weights (biases and normalisation included), K and V; activations stay in
caches.  Copies of the whole KV cache that eager frameworks make are left out, which
favours the baseline.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pimsim.baselines.devices import BaselineDevice, DataType
from pimsim.mapping.routing import Routing, experts_read
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


def decode_demands(
    workload: Workload, contexts: Vector, batch: int, query_tokens: int = 1, routing: Routing | None = None
) -> list[Demand]:
    """Demands of one decode step at each of `contexts`, for `batch` sequences of `query_tokens` tokens at once.

    A context counts the step's tokens; each attends to itself and what is before it.
    Weights, K and V are read once a step, whatever the number of tokens; of experts those that
    `routing` chooses (by default in expectation).
    """
    routing, steps = routing or Routing(workload.routing), [int(context) for context in contexts.tolist()]
    return [
        Demand(
            operator,
            workload.repeats(operator),
            _weights(workload, operator, steps, query_tokens, batch, routing)
            + batch * values(_state(operator, query_tokens), contexts),
            batch * _total(operator.operations(), contexts, query_tokens),
        )
        for operator in workload.operators
    ]


def _total(count: Affine, contexts: Vector, tokens: int) -> Vector:
    """The sum of a count over the last `tokens` contexts up to each of `contexts`."""
    if not (count.slope or count.windows):
        return values(count, contexts) * tokens
    total = np.zeros_like(contexts)
    for back in range(tokens):
        total = total + values(count, contexts - back)
    return total


def values(count: Affine, contexts: Vector) -> Vector:
    """A count at each of `contexts`."""
    result = count.constant + count.slope * contexts
    for window, slope in count.windows:
        result = result + slope * np.minimum(contexts, window)
    return result


def prefill_demands(
    workload: Workload, prompt_tokens: int, batch: int, routing: Routing | None = None, before: int = 0
) -> list[Demand]:
    """Demands of a prompt processed as one batch of tokens.

    before: tokens whose K and V are there already.
    Weights are read once; K and V of the prompt are written once and read once, as are those before it.
    Attention is causal, and what follows the blocks runs for the last token only.
    """
    routing = routing or Routing(workload.routing)
    return [
        Demand(
            operator,
            workload.repeats(operator),
            _prefill_elements(workload, operator, prompt_tokens, batch, routing, before),
            np.array([float(_prefill_operations(operator, prompt_tokens, batch, before))]),
        )
        for operator in workload.operators
    ]


def _weights(
    workload: Workload, operator: Operator, contexts: Sequence[int], tokens: int, batch: int, routing: Routing
) -> Vector:
    """Weight elements of one execution in each step: matrices once, rows of tables for each vector.

    Of experts those that at least one token of the step chooses, on average over the blocks.
    """
    if operator.op == "embedding":
        return np.full(len(contexts), float(operator.weights_read() * batch * tokens))
    if operator.experts == 1:
        return np.full(len(contexts), float(operator.weights_read(biases=True)))
    one_expert = operator.weights_read(biases=True) / operator.active
    read = np.array(list(experts_read(workload, operator, contexts, tokens, batch, routing)))
    return one_expert * read / workload.repeats(operator)


def _state(operator: Operator, tokens: int) -> Affine:
    """Elements of one sequence, moved in a step of so many tokens: K and V, or a state.

    A state is read and written once, whatever the number of tokens: what a fused scan does.
    """
    if operator.keeps_state:
        return Affine(operator.state_moved)
    return operator.kv_read() + Affine(2 * operator.kv_width * tokens)


def _prefill_elements(
    workload: Workload, operator: Operator, tokens: int, batch: int, routing: Routing, before: int
) -> Vector:
    together = 1 if _last_token_only(operator) else tokens
    kept = 4 * operator.kv_width * tokens if operator.op == "attention" else _state(operator, tokens).constant
    seen = min(before, operator.window - 1) if operator.window else before  # by the first token of the prompt
    kept += 2 * operator.kv_width * seen
    return _weights(workload, operator, [before + tokens], together, batch, routing) + kept * batch


def _prefill_operations(operator: Operator, tokens: int, batch: int, before: int) -> int:
    if _last_token_only(operator):
        return operator.operations().at(before + tokens) * batch
    return operator.operations().total(before + 1, before + tokens) * batch


def _last_token_only(operator: Operator) -> bool:
    return operator.scope == "once_after" or operator.per == "sequence"


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
