"""A machine beside the memory: how long it takes for each operator that is its own, and for a prompt.

By its compiled model (`baselines.compiled`): an operator takes the longer of bytes / bandwidth and operations / peak,
at the bandwidth of its kernels and in its own data type, and its links where it is a group of cards.  A run of
operators that follow each other is one launch, and takes the launch if that is longer than all of them together: what
a launch is longer stands as an operator of its own before the run (`workload.beside`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pimsim.baselines.compiled import compiled_steps, launch_ns
from pimsim.baselines.cost import Demand, decode_demands, device_times, prefill_demands
from pimsim.baselines.devices import BaselineDevice
from pimsim.baselines.eager import eager_bandwidth
from pimsim.mapping.routing import Routing
from pimsim.workload.beside import Run
from pimsim.workload.graph import Workload
from pimsim.workload.ops import Operator

PROMPT = "prompt"  # the operator that stands for a whole prompt
_CONTEXTS = 64  # that are asked of the model at once


@dataclass
class Worker:
    """What a machine takes for the operators of a graph (`mapping.beside.Machine`), `batch` sequences at once.

    launches  operators that stand for a launch, with those of their run
    prompt    tokens that it takes as a prompt, behind `before` others (0: none); of all `prompts` sequences
    """

    device: BaselineDevice
    workload: Workload
    batch: int
    routing: Routing
    launches: Mapping[str, Run] = field(default_factory=dict)
    prompt: int = 0
    before: int = 0
    prompts: int = 1
    _known: dict[tuple[int, int], Mapping[str, NDArray[np.float64]]] = field(default_factory=dict)

    def takes_ps(self, operator: str, context: int, tokens: int, head: int) -> int:
        """As `mapping.beside.Machine` has it."""
        if operator == PROMPT:
            return _ps(self.prompt_ns[0])
        if operator in self.launches:
            run = self.launches[operator]
            work = sum(count * self.takes_ps(name, context, tokens, head) for name, count in run)
            return max(0, _ps(launch_ns(self.device)) - work)
        if operator in self._behind:
            tokens = min(tokens, max(head, 1))
        return _ps(self._ns(operator, max(context, tokens), tokens))

    def varies(self, operator: str) -> bool:
        """As `mapping.beside.Machine` has it."""
        if operator in self.launches:
            return any(self.varies(name) for name, _ in self.launches[operator])
        found = self._operators.get(operator)
        return found is not None and (found.op == "attention" or (found.experts > 1 and self.routing.sampled))

    @cached_property
    def prompt_ns(self) -> tuple[float, float]:
        """What the prompt takes, and for how much of that the machine is busy."""
        demands = prefill_demands(self.workload, self.prompt, self.prompts, self.routing, self.before)
        steps = compiled_steps(self.device, demands)
        idle, cap = self.device.watts
        latency, work = float(steps.latency[0]), float(steps.work[0])
        return latency, (work - latency * idle) / (cap - idle) if cap > idle else latency

    @cached_property
    def _operators(self) -> dict[str, Operator]:
        return {operator.name: operator for operator in self.workload.operators}

    @cached_property
    def _behind(self) -> frozenset[str]:
        return frozenset(operator.name for operator in self.workload.select("once_after"))

    def _ns(self, operator: str, context: int, tokens: int) -> float:
        """Time of one execution, ns; contexts are evaluated many at once."""
        part, place = divmod(context - tokens, _CONTEXTS)
        if (part, tokens) not in self._known:
            contexts = np.arange(_CONTEXTS, dtype=np.float64) + (part * _CONTEXTS + tokens)
            self._known[part, tokens] = self._times(contexts, tokens)
        return float(self._known[part, tokens][operator][place])

    def _times(self, contexts: NDArray[np.float64], tokens: int) -> Mapping[str, NDArray[np.float64]]:
        demands: list[Demand] = decode_demands(self.workload, contexts, self.batch, tokens, self.routing)
        times = device_times(self.device, demands, self.device.eager.data_type, eager_bandwidth(self.device))
        return {time.demand.operator.name: time.longer + time.link for time in times}


def _ps(ns: float) -> int:
    """Whole picoseconds, rounded up; what a float is off by is no picosecond."""
    return math.ceil(round(ns * 1000, 3))
