"""A compiled step of kernels that somebody measured, beside the formula's.

Who has measured times gives them as a `KernelTimes` (`pimsim.baselines.aiconfigurator`).  Products with matrices,
attention of one token and sums over cards take their measured times; everything else, and what nobody measured, takes
the formula's, and is named.  A step is the sum of its kernels, as one program that is launched at once: what is
beside it is `compiled`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from pimsim.baselines.compiled import compiled_steps
from pimsim.baselines.cost import Demand, DeviceTime, Steps, Vector, device_times, figures, shares, steps_of, total
from pimsim.baselines.devices import BaselineDevice
from pimsim.baselines.eager import eager_bandwidth
from pimsim.baselines.groups import cut_sizes
from pimsim.baselines.stored import product_of
from pimsim.formats import FORMATS, NATIVE, NATIVE_BITS
from pimsim.workload.ops import Operator

_MOST_CONTEXTS = 65  # that an attention is asked for; between them its time is a straight line
_HALF = ("bf16", "fp16")


class KernelTimes(Protocol):
    """Measured times of kernels on one card, ns; None: nobody measured one like it.

    source  what was measured, and by whom
    """

    source: str

    def product(self, vectors: int, inputs: int, outputs: int, weights: str, product: str) -> float | None:
        """So many vectors times a matrix; its weights in a format, the product in a data type ("": 16 bits)."""

    def attention(self, batch: int, tokens: int, heads: int, kv_heads: int, head_dim: int, kv: str) -> float | None:
        """One token of each sequence attends to so many, itself among them; K and V in a format."""

    def all_reduce(self, vectors: int, width: int, cards: int) -> float | None:
        """So many vectors are added up over the cards."""


def kernel_figures(
    device: BaselineDevice,
    demands: Sequence[Demand],
    contexts: Sequence[int],
    batch: int,
    query_tokens: int,
    times: KernelTimes,
) -> dict[str, Any]:
    """Latency (ns) and energy (pJ) of decode steps by measured kernels, and what the formula says of the same.

    contexts: of each step.  `difference`: of the latency from the compiled formula's, as a share of it; `operators`:
    of each operator that was measured, ns of all steps, measured and by formula; `by_formula`: the others.
    """
    formula = device_times(device, list(demands), device.eager.data_type, eager_bandwidth(device))
    known = [_Known(device, times, batch, query_tokens, contexts).of(time) for time in formula]
    steps = _steps(device, formula, known)
    compiled = compiled_steps(device, list(demands)).latency_ns
    names = [time.demand.operator.name for time in formula]
    both = {n: _both(time, kernel) for n, time, kernel in zip(names, formula, known, strict=True) if kernel is not None}
    return {
        **figures(device, steps),
        "source": times.source,
        "formula_latency_ns": compiled,
        "difference": steps.latency_ns / compiled - 1,
        "bound": shares(steps),
        "operators": both,
        "by_formula": [name for name in names if name not in both],
    }


def _both(time: DeviceTime, kernel: Vector) -> dict[str, float]:
    many = time.demand.repeats
    return {"measured_ns": many * total(kernel), "formula_ns": many * total(time.longer + time.link)}


def _steps(device: BaselineDevice, formula: list[DeviceTime], known: Sequence[Vector | None]) -> Steps:
    """Kernels where they are known; power follows the use of memory and units by formula, over the measured time."""
    zero = np.zeros_like(formula[0].memory)
    parts = {"kernels": zero, "formula": zero}
    for time, kernel in zip(formula, known, strict=True):
        part, each = ("formula", time.longer + time.link) if kernel is None else ("kernels", kernel)
        parts[part] = parts[part] + time.demand.repeats * each
    return steps_of(device, formula, parts)


class _Known:
    """The measured time of operators in each step, where there is one."""

    def __init__(
        self, device: BaselineDevice, times: KernelTimes, batch: int, query_tokens: int, contexts: Sequence[int]
    ) -> None:
        self.device, self.times = device, times
        self.batch, self.query_tokens = batch, query_tokens
        self.contexts = np.array(contexts, np.float64)

    def of(self, time: DeviceTime) -> Vector | None:
        """ns of one execution in each step."""
        operator = time.demand.operator
        if self.device.eager.data_type not in _HALF:
            return None
        if operator.op == "linear":
            found = self._product(operator)
            return None if found is None else np.full_like(time.memory, found)
        if operator.op == "attention":
            return self._attention(operator)
        return self._summed(time)

    def _product(self, operator: Operator) -> float | None:
        if operator.experts > 1 or operator.blocks > 1:
            return None
        inputs, outputs = cut_sizes(operator, self.device.group)
        vectors = self.batch * (operator.tokens or self.query_tokens) * operator.rows
        return self.times.product(vectors, inputs, outputs, _narrow(operator), product_of(operator))

    def _attention(self, operator: Operator) -> Vector | None:
        """At some contexts, and between them along a line."""
        if self.query_tokens > 1 or not _plain(operator):
            return None
        seen = np.minimum(self.contexts, operator.most_seen or np.inf)
        asked = np.unique(np.linspace(seen.min(), seen.max(), _MOST_CONTEXTS).round())
        heads, kv_heads = (-(-each // self.device.group) for each in (operator.heads, operator.kv_heads))
        sizes = (heads, kv_heads, operator.head_dim, _narrow(operator))
        found = [self.times.attention(self.batch, int(tokens), *sizes) for tokens in asked.tolist()]
        return None if None in found else np.interp(seen, asked, np.array(found, np.float64))

    def _summed(self, time: DeviceTime) -> Vector | None:
        """The sum over cards, and what the operator itself does by formula."""
        demand = time.demand
        if not demand.summed or self.device.group == 1:
            return None
        width = demand.operator.outputs
        found = self.times.all_reduce(demand.summed // width, width, self.device.group)
        return None if found is None else replace(time, link=0.0).longer + found


def _plain(operator: Operator) -> bool:
    """Whether an attention is one that kernels were measured of."""
    if operator.sinks or operator.kv_constant or operator.kv_slope != 1:
        return False
    return operator.append and operator.appended == 0 and operator.v_head_dim == operator.head_dim


def _narrow(operator: Operator) -> str:
    """The format of what is stored; "" for one of 16 bits."""
    return "" if FORMATS[operator.stored or NATIVE].bits >= NATIVE_BITS else operator.stored
