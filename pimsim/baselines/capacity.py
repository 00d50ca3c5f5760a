"""Whether a machine can hold a workload at all: its weights, and K and V of every sequence.

Counted is what must be there whatever the software does: every weight that the workload has (all
experts; embedding and LM head where they are simulated), K and V at the largest context (a window
bounds them), and the states of state updates and convolutions, in the machine's number format.  Activations, the
framework and its workspace are not counted, since a prompt can be taken in pieces: the least
that is needed, which favours the machine.  A group must hold what each of its cards has.
"""

from __future__ import annotations

from typing import Any

from pimsim.baselines.devices import BaselineDevice
from pimsim.baselines.groups import stored_share
from pimsim.baselines.stored import Stored, kept, parameters
from pimsim.workload.models import Workload
from pimsim.workload.ops import Operator


def required_bytes(workload: Workload, context: int, batch: int, element_bytes: float, cards: int = 1) -> int:
    """Bytes that `batch` sequences of `context` tokens need, on all of so many cards."""
    whole = Stored()
    for operator in workload.operators:
        one = parameters(operator) + kept(operator, _kept(operator, context)) * batch
        share = cards * stored_share(operator, cards) if cards > 1 else 1
        whole += one * (workload.repeats(operator) * share)
    return whole.bytes(element_bytes)


def _kept(operator: Operator, context: int) -> int:
    """Elements that one sequence keeps from step to step: K and V, or a state."""
    return operator.kv_read().at(context) + operator.state_elements


def room(device: BaselineDevice, workload: Workload, context: int, batch: int, data_type: str) -> dict[str, Any]:
    """`fits`, `required_bytes` and `capacity_bytes`; where no capacity is stated (None), nothing is said not to fit."""
    size = device.data_types[data_type].element_bytes
    return room_for(device, required_bytes(workload, context, batch, size, device.group))


def room_for(device: BaselineDevice, required: int) -> dict[str, Any]:
    """As `room`, of so many bytes."""
    capacity = device.capacity_bytes
    return {
        "fits": capacity is None or required <= capacity,
        "required_bytes": required,
        "capacity_bytes": capacity,
    }
