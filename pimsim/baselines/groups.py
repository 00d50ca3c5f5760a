"""A group: cards that share each step (tensor parallelism), and add up what each of them has of a sum.

Matrices are cut between the cards: in columns (of outputs), and where they read what the cut ones made in rows (of
inputs).  Each card has its heads of K, V and attention, its channels of a state.  Where a size is no multiple of the
cards the fullest card is told, which the others wait for; where there are fewer heads of K and V than cards, cards
that share a head each have all of its K and V.  Tables of an embedding are cut in rows; norms, residuals and routers
are whole on every card.

After each product that was cut in rows (attention's output, a feed-forward network's: one before each residual sum),
and after the embedding, an all-reduce over a ring adds up the tokens of a step, batch x tokens x d_model elements; of
n cards

    time = 2 (n - 1)/n x bytes / link bandwidth + 2 (n - 1) x latency of a step of the ring

(Patarasu and Yuan, 2009).  Logits stay where they are made: each card tells its largest.
"""

from __future__ import annotations

from fractions import Fraction

from pimsim.baselines.devices import BaselineDevice
from pimsim.workload.models import Workload
from pimsim.workload.ops import Operator

_NS_PER_US = 1000.0
_BY_ROWS = ("attn_out", "ffn_down")
_WHOLE = ("norm", "residual", "router")  # roles of what every card has, and does, whole


def stored_share(operator: Operator, cards: int) -> Fraction:
    """Of an operator's weights, K and V or states, what the fullest of so many cards has."""
    if operator.op == "embedding":
        return _fullest(operator.inputs, cards)
    return moved_share(operator, cards)


def moved_share(operator: Operator, cards: int) -> Fraction:
    """Of what an operator reads and writes in a step, what the busiest card does: a row of a table is on one."""
    return _fullest(operator.kv_heads, cards) if operator.op == "attention" else _cut(operator, cards)


def work_share(operator: Operator, cards: int) -> Fraction:
    """Of an operator's operations, what the busiest of so many cards does."""
    return _fullest(operator.heads, cards) if operator.op == "attention" else _cut(operator, cards)


def cut_sizes(operator: Operator, cards: int) -> tuple[int, int]:
    """Inputs and outputs of the matrix that the fullest card has."""
    share = _cut(operator, cards)
    if operator.role in _BY_ROWS:
        return int(operator.inputs * share), operator.outputs
    return operator.inputs, int(operator.outputs * share)


def _cut(operator: Operator, cards: int) -> Fraction:
    if cards == 1 or operator.role in _WHOLE or operator.op == "embedding":
        return Fraction(1)
    return _fullest(operator.inputs if operator.role in _BY_ROWS else operator.outputs, cards)


def _fullest(size: int, cards: int) -> Fraction:
    """The largest of the parts of a size, as a share of it."""
    return Fraction(-(-size // cards), size)


def is_summed(operator: Operator) -> bool:
    """Whether an operator takes or makes a sum that the cards have parts of: what goes into the residual."""
    return operator.op == "embedding" or (
        operator.op == "add" and operator.role == "residual" and operator.experts == 1
    )


def all_reduces(device: BaselineDevice, workload: Workload) -> int:
    """All-reduces of one step."""
    if device.group == 1:
        return 0
    return sum(workload.repeats(operator) for operator in workload.operators if is_summed(operator))


def ring_ns(device: BaselineDevice, bytes_: float) -> float:
    """Time of an all-reduce of so many bytes."""
    cards, link = device.group, device.link
    if cards == 1 or link is None:
        return 0.0
    rate = link.bandwidth.value * link.efficiency.value
    return 2 * (cards - 1) / cards * bytes_ / rate + 2 * (cards - 1) * link.latency.value * _NS_PER_US


def ring_nJ(device: BaselineDevice, bytes_: float) -> float:
    """Energy of its links: each card sends 2 (n - 1)/n of the bytes."""
    if device.group == 1 or device.link is None:
        return 0.0
    return 2 * (device.group - 1) * bytes_ * 8 * device.link.energy.value / 1000.0
