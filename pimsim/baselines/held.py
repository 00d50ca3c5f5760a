"""What a machine must hold to run a schedule: each weight once, K and V where they are most, and the states.

Stages of one model have the same weights where their operators are alike (by name and size), and those
of a template that takes another one's (`weights_of`) are that one's where they are alike.  K and V of one
place in a model are one cache, whichever stage reads it; a prefix that several sequences share is there once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

import numpy as np

from pimsim.baselines.groups import stored_share
from pimsim.baselines.stored import Stored, kept, parameters
from pimsim.workload.branches import seen_together
from pimsim.workload.graph import Workload
from pimsim.workload.ops import Operator
from pimsim.workload.schedule import Ints, Schedule, Stage
from pimsim.workload.shapes import ModelShape


@dataclass
class _Place:
    """One operator of a model: in which copies of the block it is, and elements of one copy."""

    copies: set[int] = field(default_factory=set)
    weights: int = 0
    kept: int = 0
    operator: Operator | None = None

    def stored(self, cards: int) -> Stored:
        """On all of so many cards."""
        assert self.operator is not None
        one = parameters(self.operator) if self.weights else kept(self.operator, self.kept)
        return one * (len(self.copies) * cards * stored_share(self.operator, cards))


def parameters_of(schedule: Schedule) -> int:
    """Parameters of all models of a schedule, biases included, each weight once."""
    return sum(len(place.copies) * place.weights for place in _places(schedule))


def required(schedule: Schedule, cards: int = 1) -> Stored:
    """What must be there, on all of so many cards: weights, and what is kept from step to step at most."""
    return sum((place.stored(cards) for place in _places(schedule)), Stored())


def _places(schedule: Schedule) -> Collection[_Place]:
    """Everything that is kept, by what it is."""
    contexts = _contexts(schedule)
    lends = {stage.name: stage.workload for stage in schedule.stages}
    places: dict[tuple[object, ...], _Place] = {}
    for number, stage in enumerate(schedule.stages):
        for operator in stage.workload.operators:
            copies = _copies(stage, operator)
            if weights := operator.parameters():
                owner = _owner(operator, stage.workload, lends.get(stage.weights_of))
                place = places.setdefault((owner, *_likeness(operator)), _Place())
                place.copies |= copies
                place.weights, place.operator = weights, operator
            if operator.op == "attention" or operator.keeps_state:
                cache = operator.cache or operator.name
                place = places.setdefault((stage.workload.shape, operator.op, cache, operator.kv_token), _Place())
                place.copies |= copies
                place.operator = operator
                place.kept = max(place.kept, _kept(stage, operator, contexts[number]))
    return places.values()


def _owner(operator: Operator, workload: Workload, lender: Workload | None) -> ModelShape:
    """The model whose weights those of an operator are."""
    lent = [tuple(_likeness(other)) for other in lender.operators] if lender else []
    return lender.shape if lender and tuple(_likeness(operator)) in lent else workload.shape


def _likeness(operator: Operator) -> Iterator[object]:
    """What operators have in common whose weights are the same."""
    yield from (operator.op, operator.name, operator.inputs, operator.outputs, operator.experts)


def _copies(stage: Stage, operator: Operator) -> set[int]:
    """The copies of the block that an operator runs in; of one outside of the blocks there is one."""
    if operator.scope != "block":
        return {0}
    return set(stage.layers or range(stage.workload.blocks))


def _contexts(schedule: Schedule) -> list[Ints]:
    """The largest context of each stage (none if it has no steps)."""
    return [
        schedule.context[schedule.stage == number].max(initial=0, keepdims=True)
        for number in range(len(schedule.stages))
    ]


def _kept(stage: Stage, operator: Operator, context: Ints) -> int:
    """Elements that all sequences of a stage keep in one copy of an operator."""
    if operator.keeps_state:
        return stage.batch * operator.state_elements
    tokens = seen_together(operator, context, stage.batch, stage.branches)
    return operator.kv_token * int(np.max(tokens))
