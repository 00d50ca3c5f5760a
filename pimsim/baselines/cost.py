"""What a step asks of a device: bytes and operations per operator, one column per context.

Bytes are weights (biases and normalisation included), K, V and states; activations stay in
caches.  Copies of the whole KV cache that eager frameworks make are left out, which
favours the baseline.  Each is in the format that the workload states, or else in the device's own
(`pimsim.baselines.stored`); products are at the rate of their format.  The cards of a group share them
(`pimsim.baselines.groups`).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pimsim.baselines.devices import BaselineDevice
from pimsim.baselines.groups import is_summed, moved_share, ring_nJ, ring_ns, work_share
from pimsim.baselines.stored import kept_bits, product_of, weights_read
from pimsim.mapping.routing import Routing, experts_read
from pimsim.workload.branches import appended_width
from pimsim.workload.models import Workload
from pimsim.workload.ops import Affine, Operator

Vector = NDArray[np.float64]

_PJ_PER_W_NS = 1000.0


@dataclass(frozen=True)
class Demand:
    """One operator's demand in one execution, per step: what crosses the bus, and operations.

    repeats: executions of the operator in one step.
    elements: in the device's own format.  bytes: of what has a format that the workload states.
    summed: elements that the cards of a group add up.
    """

    operator: Operator
    repeats: int
    elements: Vector
    operations: Vector
    bytes: Vector | float = 0.0
    summed: int = 0


@dataclass(frozen=True)
class DeviceTime:
    """Time of one operator in one execution, ns: memory and arithmetic, which overlap, and then the links.

    wires: nJ of the links.
    """

    demand: Demand
    memory: Vector
    compute: Vector
    link: float = 0.0
    wires: float = 0.0

    @property
    def longer(self) -> Vector:
        """The time that binds."""
        return np.maximum(self.memory, self.compute)


Copies = tuple[Vector | float, Vector | float]
Reads = Callable[[Operator], Vector]  # tokens whose K and V an attention reads in each step, of all sequences


def decode_demands(
    workload: Workload,
    contexts: Vector,
    batch: int,
    query_tokens: int = 1,
    routing: Routing | None = None,
    depths: Sequence[int] = (),
    reads: Reads | None = None,
    copied: Copies = (0, 0),
) -> list[Demand]:
    """Demands of one decode step at each of `contexts`, for `batch` sequences of `query_tokens` tokens at once.

    A context counts the step's tokens; each attends to itself and what is before it, in a tree
    to what is before the step and to its own path: depths are how many stand above each token there.
    Weights are read once a step, whatever the number of tokens, K and V once for each sequence
    or as `reads` says; of experts those that `routing` chooses (by default in expectation).
    copied: tokens whose K, and whose V, are read and written once more, in each step.
    """
    routing, steps = routing or Routing(workload.routing), [int(context) for context in contexts.tolist()]
    reads = reads or (lambda operator: batch * values(operator.attended(), contexts))
    found = []
    for operator in workload.operators:
        vectors = operator.tokens or query_tokens
        moved = _moved(operator, contexts, batch, query_tokens, reads, copied)
        elements, stated = _together(_weights(workload, operator, steps, vectors, batch, routing), operator, moved)
        operations = batch * _total(operator, contexts, query_tokens, depths)
        summed = _summed(operator, batch * vectors)
        found.append(Demand(operator, workload.repeats(operator), elements, operations, stated, summed))
    return found


def _summed(operator: Operator, vectors: int) -> int:
    """Elements that the cards of a group would have to add up for so many tokens of all sequences."""
    return vectors * operator.outputs if is_summed(operator) else 0


Moved = tuple[Vector, Vector | float]  # elements in the device's own format, and bytes in stated ones


def _together(weights: Moved, operator: Operator, moved: Vector) -> Moved:
    """Weights, and elements of K and V or of a state."""
    if bits := kept_bits(operator):
        return weights[0], weights[1] + moved * (bits / 8)
    return weights[0] + moved, weights[1]


def _moved(
    operator: Operator,
    contexts: Vector,
    batch: int,
    tokens: int,
    reads: Reads,
    copied: Copies,
) -> Vector:
    """Elements of all sequences that are no weights: K and V read, written and copied, or the state."""
    if operator.op != "attention":
        return batch * values(_state(operator, tokens), contexts)
    moved = operator.kv_token * (reads(operator) + batch * _written(operator, tokens))
    return moved + _copied(operator, copied)


def _copied(operator: Operator, copied: Copies) -> Vector | float:
    """Elements that copies read and write."""
    keys, values = appended_width(operator)
    return 2 * (keys * copied[0] + values * copied[1])


def _written(operator: Operator, tokens: int, steps: int = 1) -> int:
    """Vectors of K, and of V, that a sequence adds in so many steps of `tokens` tokens together."""
    if not operator.append:
        return 0
    return operator.appended * steps or operator.tokens * steps or tokens


def _total(operator: Operator, contexts: Vector, tokens: int, depths: Sequence[int]) -> Vector:
    """Operations of one sequence in a step up to each of `contexts`: every token by what it attends to."""
    count, vectors = operator.operations(), operator.tokens or tokens
    if count.constant_only or operator.sees_all:
        return values(count, contexts) * vectors
    total = np.zeros_like(contexts)
    behind = Counter(tokens - 1 - depth for depth in depths) if depths and vectors == tokens else None
    for back in sorted(behind) if behind else range(vectors):
        total = total + values(count, contexts - back) * (behind[back] if behind else 1)
    return total


def values(count: Affine, contexts: Vector) -> Vector:
    """A count at each of `contexts`."""
    result = count.constant + count.slope * contexts
    for window, slope in count.windows:
        result = result + slope * np.minimum(contexts, window)
    return result


def prefill_demands(
    workload: Workload,
    prompt_tokens: int,
    batch: int,
    routing: Routing | None = None,
    before: int = 0,
    steps: int = 1,
    whole: bool = False,
    copied: Copies = (0, 0),
) -> list[Demand]:
    """Demands of a prompt processed as one batch of tokens.

    before: tokens whose K and V are there already.
    steps: of the schedule that it stands for; what an operator takes in a step of its own, it takes as often.
    whole: what follows the blocks runs for every token, and not for the last one alone.
    copied: as of `decode_demands`, of the whole prompt.
    Weights are read once; K and V of the prompt are written once and read once, as are those before it.
    Attention is causal, unless the operator says otherwise.
    """
    routing, last = routing or Routing(workload.routing), before + prompt_tokens
    found = []
    for operator in workload.operators:
        single = _last_token_only(operator, whole)
        vectors = 1 if single else operator.tokens * steps or prompt_tokens
        moved = np.array([float(batch * _prefill_moved(operator, prompt_tokens, before, steps))])
        moved = moved + _copied(operator, copied)
        elements, stated = _together(_weights(workload, operator, [last], vectors, batch, routing), operator, moved)
        operations = np.array([float(batch * _prefill_operations(operator, vectors, last))])
        summed = _summed(operator, batch * vectors)
        found.append(Demand(operator, workload.repeats(operator), elements, operations, stated, summed))
    return found


def _weights(
    workload: Workload, operator: Operator, contexts: Sequence[int], tokens: int, batch: int, routing: Routing
) -> Moved:
    """Weights of one execution in each step: matrices once, rows of tables for each vector.

    Of experts those that at least one token of the step chooses, on average over the blocks.
    """
    one = weights_read(operator)
    if operator.op == "embedding":
        one = one * (batch * tokens)
    if operator.experts == 1:
        return np.full(len(contexts), float(one.elements)), float(one.bits / 8)
    read = np.array(list(experts_read(workload, operator, contexts, tokens, batch, routing)))
    repeats = workload.repeats(operator)
    return one.elements / operator.active * read / repeats, float(one.bits / 8) / operator.active * read / repeats


def _state(operator: Operator, tokens: int) -> Affine:
    """Elements of one sequence, moved in a step of so many tokens: a state is read and written once, however many
    they are, as a fused scan does.
    """
    return Affine(operator.state_moved if operator.keeps_state else 0)


def _prefill_moved(operator: Operator, tokens: int, before: int, steps: int) -> int:
    """Elements of one sequence that a prompt moves beside weights."""
    if operator.op != "attention":
        return _state(operator, tokens).constant
    read = operator.attended().at(before + tokens)
    if operator.append and operator.kv_slope and not operator.kv_constant:
        # its own tokens, and of those before it what its first token sees
        read = tokens + (min(before, operator.most_seen - 1) if operator.window else before)
    return operator.kv_token * (read + _written(operator, tokens, steps))


def _prefill_operations(operator: Operator, vectors: int, last: int) -> int:
    """Operations of one sequence for its `vectors` last tokens."""
    count = operator.operations()
    if count.constant_only or operator.sees_all:
        return count.at(last) * vectors
    return count.total(last - vectors + 1, last)


def _last_token_only(operator: Operator, whole: bool) -> bool:
    return operator.per == "sequence" or (operator.scope == "once_after" and not whole)


def device_times(device: BaselineDevice, demands: list[Demand], data_type: str, bandwidth: float) -> list[DeviceTime]:
    """Device time of each demand on the busiest card.

    data_type: the device's own format, of all that the workload states none for.  bandwidth: of a card, in GB/s (bytes
    per ns); peaks are in TFLOP/s (1000 operations per ns).
    """
    size, cards = device.data_types[data_type].element_bytes, device.group
    own = device.peak("", data_type) * 1000.0
    found = []
    for d in demands:
        product = product_of(d.operator)
        memory = (d.elements * size + d.bytes) / bandwidth
        compute = d.operations / (device.peak(product, data_type) * 1000.0 if product else own)
        if cards > 1:
            memory = memory * float(moved_share(d.operator, cards))
            compute = compute * float(work_share(d.operator, cards))
        sums = (ring_ns(device, d.summed * size), ring_nJ(device, d.summed * size)) if d.summed and cards > 1 else ()
        found.append(DeviceTime(d, memory, compute, *sums))
    return found


def link_part(device: BaselineDevice, times: list[DeviceTime]) -> dict[str, Vector]:
    """The part of each step in which a group's cards exchange sums, where there is a group."""
    return {"link": per_step(times, "link")} if device.group > 1 else {}


def per_step(times: list[DeviceTime], part: str) -> Vector:
    """The sum over a step's executions of one part of a `DeviceTime`, in a fixed order."""
    total = np.zeros_like(times[0].memory)
    for time in times:
        total = total + time.demand.repeats * getattr(time, part)
    return total


@dataclass(frozen=True)
class Steps:
    """What steps take, a column each.

    latency  ns
    work     W ns, which are nJ
    bound    the part of the latency that each of what may bind it makes, ns
    """

    latency: Vector
    work: Vector
    bound: Mapping[str, Vector]

    @property
    def latency_ns(self) -> float:
        """Of all steps."""
        return total(self.latency)

    @property
    def energy_pJ(self) -> float:
        """Of all steps."""
        return total(self.work) * _PJ_PER_W_NS


def steps_of(device: BaselineDevice, times: list[DeviceTime], bound: Mapping[str, Vector]) -> Steps:
    """Steps whose latency is the sum of what binds it: E = t (P_idle + (P_cap - P_idle) u), of all cards.

    u: the larger of bandwidth utilisation (of what a copy reaches) and arithmetic
    utilisation (of the peak) over a step.  The links between cards are added.
    """
    first, *more = bound.values()
    latency = sum(more, first)
    busy = np.maximum(per_step(times, "memory"), per_step(times, "compute"))
    utilisation = np.minimum(busy / latency, 1.0)
    idle, cap = device.watts
    work = latency * (idle + (cap - idle) * utilisation)
    return Steps(latency, work + per_step(times, "wires") if device.group > 1 else work, bound)


def figures(device: BaselineDevice, steps: Steps) -> dict[str, float]:
    """Latency (ns) and energy (pJ) of all steps, by both models of energy."""
    latency_ns = steps.latency_ns
    return {
        "latency_ns": latency_ns,
        "energy_pJ": steps.energy_pJ,
        "energy_cap_pJ": cap_energy(device, latency_ns),
    }


def cap_energy(device: BaselineDevice, latency_ns: float) -> float:
    """The pessimistic model: power cap times latency, pJ."""
    return device.watts[1] * latency_ns * _PJ_PER_W_NS


def total(values: Vector) -> float:
    """The sum of a vector, the same on every machine."""
    return math.fsum(values.tolist())


def shares(steps: Steps) -> dict[str, float]:
    """Each part of the latency as a share of it, over all steps; nothing where there are none."""
    whole = steps.latency_ns
    return {name: total(part) / whole for name, part in steps.bound.items()} if whole else {}
