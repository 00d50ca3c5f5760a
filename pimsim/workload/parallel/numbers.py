"""What a device stores, and the fewest devices that store a model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from pimsim.errors import InputError, Problem, collected
from pimsim.workload.graph import Workload
from pimsim.workload.ops import Operator
from pimsim.workload.parallel.experts import Role, expert_roles
from pimsim.workload.parallel.stages import Stage, stages
from pimsim.workload.parallel.tensor import tensor_cut, tensor_cuts


class Holdings(NamedTuple):
    """Elements that a device stores: of weights (vectors included), of K and V for each token, of states a sequence."""

    weights: int
    kv_token: int
    state: int


class Split(NamedTuple):
    """How a model is cut without sharing experts: devices of a stage, stages, and what one device of each runs."""

    tensor: int
    pipeline: int
    stages: list[Stage]

    @property
    def devices(self) -> int:
        """Devices in all."""
        return self.tensor * self.pipeline


class Group(NamedTuple):
    """The devices of one role: what they run, stage by stage; of each stage there are `tensor` that do the same."""

    role: Role
    stages: list[Stage]


def holdings(workload: Workload) -> Holdings:
    """What is stored for a graph, K and V of all tokens: who plans memory knows of windows and shared caches."""
    kept = sum(o.kv_token * workload.repeats(o) for o in workload.operators if _keeps_kv(o))
    state = sum(o.state_elements * workload.repeats(o) for o in workload.operators)
    return Holdings(workload.parameters, kept, state)


def _keeps_kv(operator: Operator) -> bool:
    return operator.op == "attention" and operator.append


def split(workload: Workload, tensor: int = 1, pipeline: int = 1, expert: int = 1, batch: int = 1) -> list[Group]:
    """A model cut in every way at once: `tensor` * `pipeline` * `expert` devices; `batch`: of all of them together.

    Matrices are cut first, then experts are shared by groups of as many devices, then come the stages.
    InputError with what is wrong with any of the three.
    """
    problems: list[Problem] = []
    cut = workload
    with collected(problems):
        cut = tensor_cut(workload, tensor)
    with collected(problems):
        stages(workload, pipeline)
    roles: list[Role] = []
    with collected(problems):
        roles = expert_roles(cut, batch, expert)
    if problems:
        raise InputError(problems)
    return [Group(role, stages(role.workload, pipeline)) for role in roles]


def smallest(workload: Workload, fits: Callable[[list[Stage]], bool], most: int = 0, least: int = 1) -> Split | None:
    """The split of the fewest devices whose stages fit, None if none does; of as many devices that of fewest stages.

    fits: whether each device has room for what its stage stores; most, least: devices (0: as many as can be); fewer
    than `least` are known not to do
    """
    cuts = {tensor: tensor_cut(workload, tensor) for tensor in tensor_cuts(workload)}
    for tensor, pipeline in _pairs(list(cuts), workload.blocks):
        if tensor * pipeline < least:
            continue
        if most and tensor * pipeline > most:
            return None
        if fits(made := stages(cuts[tensor], pipeline)):
            return Split(tensor, pipeline, made)
    return None


def _pairs(tensors: list[int], blocks: int) -> Iterator[tuple[int, int]]:
    pairs = [(tensor, pipeline) for tensor in tensors for pipeline in range(1, blocks + 1)]
    yield from sorted(pairs, key=lambda pair: (pair[0] * pair[1], pair[1]))
