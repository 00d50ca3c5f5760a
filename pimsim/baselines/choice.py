"""Which operators another machine has where `placement` leaves that open.

The rule: the time of one step, one operator after the other (`schedule: paper`), is the sum of what each operator
takes where it is, of the messages that cross the link, and of the launches.  From all on the memory, and again from
all on the machine, the run of neighbouring operators whose move saves most is moved, until no move saves anything;
the better of the two is taken, the memory where they are equal.  The step is the middle one of decoding, for the whole
batch.  A prompt goes to whoever is the faster for it, by its middle step.  What does not fit the memory is taken only
where nothing does.

What the memory takes is simulated, whether or not it has the rows; what the machine takes its model says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cache
from itertools import islice

from pimsim.baselines.beside import PROMPT, Worker
from pimsim.baselines.compiled import launch_ns
from pimsim.config.schema import Config, LinkConfig, PlacementConfig
from pimsim.mapping.beside import message
from pimsim.mapping.plan import Plan
from pimsim.mapping.planner import Planner
from pimsim.sim.observer import Executed
from pimsim.sim.steps import Step, steps_by_phase, steps_of
from pimsim.workload.beside import ELSEWHERE, FROM, TO, Divided, divide
from pimsim.workload.graph import Workload
from pimsim.workload.ops import IN_ORDER, Operator

Names = frozenset[str]
Cost = tuple[bool, Fraction]  # the smaller the better, first of all what fits
_MOST_ROWS = 1 << 20
_EXPERTS = "all experts"
_APPENDS = ("key_append", "value_append")


@dataclass(frozen=True)
class Taken:
    """What the memory takes in one step, ps of one execution by operator; appended: of all that appends K and V."""

    step: Step
    operators: Mapping[str, Fraction]
    appended: Fraction

    @property
    def where(self) -> tuple[int, int, int]:
        """Context, tokens and tokens behind the blocks."""
        return self.step.context, self.step.kind.tokens, self.step.kind.head


@dataclass(frozen=True)
class Choice:
    """What is chosen for a graph: by a machine, with no launches of its own yet, a link, and a batch.

    functions: that the banks carry out on results, by the product that makes them (`mapping.functions`); fits: whether
    what a divided graph leaves the memory has the rows.
    """

    workload: Workload
    machine: Worker
    link: LinkConfig
    batch: int
    functions: Mapping[str, str] = field(default_factory=dict)
    fits: Callable[[Workload], bool] = lambda graph: True

    def operators(self, taken: Taken, free: Sequence[Operator], fixed: Names) -> Names:
        """The operators of the machine: those that are fixed, and of those that are free the ones that save time."""
        units, cost = _units(self.workload, free, self.functions), cache(self._cost(taken, fixed))
        return min((_descended(units, start, cost) for start in (fixed, fixed.union(*units))), key=cost)

    def _cost(self, taken: Taken, fixed: Names) -> Callable[[Names], Cost]:
        """What a step costs by the operators of the machine: whether the memory has no rows for the rest, and ps."""
        if self._has_rows(fixed):  # and so for all that is less
            return lambda there: (False, self.step_ps(taken, there))
        return lambda there: (not self._has_rows(there), self.step_ps(taken, there))

    def _has_rows(self, there: Names) -> bool:
        return self.fits(self._divided(there).workload)

    def _divided(self, there: Names) -> Divided:
        return divide(self.workload, there, launch_ns(self.machine.device) > 0)

    def prompt(self, taken: Taken, steps: int, there: Names, copied: bool) -> bool:
        """Whether the machine is the faster for a prompt of so many steps.

        there: the operators of a step that are on the machine; copied: K and V cross the link and are appended.
        """
        ps = Fraction(self.machine.takes_ps(PROMPT, *taken.where))
        kept = [o for o in self.workload.operators if o.op == "attention" and o.append and o.name not in there]
        if copied and kept:
            sequences = self.batch * self.machine.prompt
            ps += sum(self.workload.repeats(o) * message(self.link, o.kv_token * sequences).ps for o in kept)
            ps += steps * taken.appended
        return ps < steps * self.step_ps(taken, there)

    def step_ps(self, taken: Taken, there: Names) -> Fraction:
        """What a step takes with these operators on the machine, ps."""
        workload, divided = self.workload, self._divided(there)
        here = (workload.repeats(o) * taken.operators.get(o.name, 0) for o in workload.operators if o.name not in there)
        return Fraction(sum(here)) + self._elsewhere_ps(divided, taken)

    def _elsewhere_ps(self, divided: Divided, taken: Taken) -> int:
        """What the machine and the link take of it."""
        machine, graph, total = replace(self.machine, launches=divided.launches), divided.workload, 0
        for operator in graph.operators:
            if operator.scope == "once_after" and not taken.step.kind.head:
                continue
            if operator.op in (TO, FROM):
                total += (
                    graph.repeats(operator) * message(self.link, operator.outputs * self._vectors(operator, taken)).ps
                )
            elif operator.op == ELSEWHERE:
                total += graph.repeats(operator) * machine.takes_ps(operator.name, *taken.where)
        return total

    def _vectors(self, operator: Operator, taken: Taken) -> int:
        """Vectors that cross the link in a message of the step."""
        _, tokens, head = taken.where
        some = operator.tokens or (tokens if operator.per == "token" else 1)
        return self.batch * (min(some, head) if operator.scope == "once_after" else some)


def _units(workload: Workload, free: Sequence[Operator], functions: Mapping[str, str]) -> list[Names]:
    """What moves as one, in the order of the graph: experts and what chooses them, a product and the function that the
    banks carry out on it.
    """
    names, leader = {operator.name for operator in free}, dict[str, str]()
    found: dict[str, set[str]] = {}
    for operator in (o for scope in IN_ORDER for o in workload.select(scope) if o.name in names):
        product = next(iter(operator.deps), "")
        if operator.experts > 1 or operator.role == "router":
            leader[operator.name] = _EXPERTS
        elif product in leader and functions.get(product) == operator.op:
            leader[operator.name] = leader[product]
        else:
            leader[operator.name] = operator.name
        found.setdefault(leader[operator.name], set()).add(operator.name)
    return [frozenset(unit) for unit in found.values()]


def _descended(units: Sequence[Names], there: Names, cost: Callable[[Names], Cost]) -> Names:
    """Move the run of neighbours that saves most, as long as one does."""
    best = cost(there)
    while True:
        moves = [(cost(moved), moved) for moved in _moved(units, there)]
        least = min(moves, key=lambda move: move[0], default=(best, there))
        if least[0] >= best:
            return there
        best, there = least


def _moved(units: Sequence[Names], there: Names) -> Iterator[Names]:
    """Every run of neighbours that are on one side, on the other."""
    for first in range(len(units)):
        run: Names = frozenset()
        for unit in units[first:]:
            if (unit <= there) != (units[first] <= there):
                break
            run |= unit
            yield there ^ run


# -- what the memory takes ---------------------------------------------------------------------------------------------


def trial(config: Config) -> Config:
    """The configuration that the memory is simulated by: alone, operators one after another, and rows enough."""
    changes = {
        "schedule": "paper",
        "placement": PlacementConfig(),
        "dram": config.dram.model_copy(update={"rows": _MOST_ROWS}),
        "mapping": config.mapping.model_copy(update={"attention": "whole"})
        if config.mapping.attention == "auto" else config.mapping,
    }  # fmt: skip
    return config.model_copy(update=changes)


def taken(plan: Plan, phase: str) -> Taken:
    """What each operator takes in the middle step of a phase, or of the other one if it has no steps."""
    from pimsim.sim.run import simulate_step  # simpy: not for those who leave nothing open

    count = steps_by_phase(plan)
    if not count[phase]:
        phase = next(other for other in count if count[other])
    number = count[phase] // 2 + (count["prefill"] if phase == "decode" else 0)
    step, watch = next(islice(steps_of(plan), number, None)), _Watch()
    simulate_step(plan, step.context, [watch], number)
    names = _names(plan, step)
    assert len(names) == len(watch.seen)
    clocks, appended = dict[str, int](), 0
    for name, (row, charged) in zip(names, watch.seen, strict=True):
        clocks[name] = clocks.get(name, 0) + charged
        appended += charged if row in _APPENDS else 0
    tCK, repeats = plan.device.tCK_ps, {o.name: plan.workload.repeats(o) for o in plan.workload.operators}
    each = {name: Fraction(total * tCK, repeats[name]) for name, total in clocks.items()}
    return Taken(step, each, Fraction(appended * tCK))


def _names(plan: Plan, step: Step) -> list[str]:
    """The operator of each instruction of a step, in the order in which they are carried out."""
    planner = Planner(plan, step.context, step.kind.tokens, step.kind.head)
    found: list[str] = []
    for scope, names in planner.operators_of_instructions().items():
        found += names * (plan.workload.blocks if scope == "block" else 1)
    return found


class _Watch:
    """Sees what each instruction is charged, and no command."""

    window = (0, 0)

    def __init__(self) -> None:
        self.seen: list[tuple[str, int]] = []

    def append(self, *_: object) -> None:
        """Commands are of no interest."""

    def execute(self, executed: Executed) -> None:
        """The clocks that are charged to an instruction."""
        begin, end = executed.charged
        self.seen.append((executed.operator, end - begin))
