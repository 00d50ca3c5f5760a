"""A graph of which another machine, beside the memory, carries out a part.

What is elsewhere keeps its name, and has no weights, no K and V and no arithmetic here.  What an operator takes from
the other side crosses in one message, as soon as all of it is made; what has crossed before, in the same scope, is
there.  The value that enters the blocks lies where their last operator makes it.

A launch stands before the first operator of each run of operators of the machine that follow each other: those of
the blocks go on from one block to the next, and the last one is taken to be as long as the others.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile

from pimsim.workload.dataflow import Dataflow, Slice
from pimsim.workload.graph import Workload
from pimsim.workload.ops import IN_ORDER, INPUT, LINK, Operator

TO, FROM, ELSEWHERE = "to_machine", "from_machine", "elsewhere"
Run = tuple[tuple[str, int], ...]  # operators of the machine, and how often in it


@dataclass(frozen=True)
class Divided:
    """A graph that two carry out.

    there     the operators of the machine, by name
    launches  of each operator that stands for a launch, the operators of its run
    """

    workload: Workload
    there: frozenset[str]
    launches: Mapping[str, Run] = field(default_factory=dict)


def divide(workload: Workload, there: Collection[str], launches: bool = True) -> Divided:
    """The graph with the operators named in `there` on another machine; launches: whether it has to be told.

    InputError for an operator that keeps a state: what it gives and takes is not known.
    """
    divider = _Divider(workload, frozenset(there))
    operators = [operator for scope in IN_ORDER for operator in divider.scope(scope)]
    divided = Divided(replace(workload, operators=tuple(operators)), divider.there)
    divided = _launched(divided) if launches else divided
    return replace(divided, workload=_early(divided.workload))


def _early(workload: Workload) -> Workload:
    """The same graph with each message as soon as what it brings is made: nothing else waits for it."""
    ordered: list[Operator] = []
    for operator in workload.operators:
        place = len(ordered)
        while operator.op in (TO, FROM) and place and not _comes_after(operator, ordered[place - 1]):
            place -= 1
        ordered.insert(place, operator)
    return replace(workload, operators=tuple(ordered))


def _comes_after(operator: Operator, before: Operator) -> bool:
    return before.scope != operator.scope or before.name in operator.deps or before.op in (TO, FROM)


class _Divider:
    """Divides scope by scope.  at_end: whether the value that enters the blocks is on the machine."""

    def __init__(self, workload: Workload, there: frozenset[str]) -> None:
        self.workload, self.there, self.flow = workload, there, Dataflow(workload)
        self.at_end = workload.select("block")[-1].name in there

    def scope(self, scope: str) -> Iterator[Operator]:
        """The operators of a scope, and what crosses between them."""
        operators, crossings = self.workload.select(scope), _Crossings(self.flow)
        for operator in operators:
            here = operator.name in self.there
            away = [each for each in self._taken(operator) if self._is_there(each.name, scope) != here]
            crossing = crossings.before(operator, away, FROM if not here else TO)
            yield from crossing
            yield self._placed(operator, crossings.deps(operator, away))
        if scope == "once_before" and operators and (operators[-1].name in self.there) != self.at_end:
            last = operators[-1]
            whole = Slice(last.name, 0, self.flow.width(last.name))
            yield from crossings.before(replace(last, name="block"), [whole], TO if self.at_end else FROM)

    def _is_there(self, name: str, scope: str) -> bool:
        return self.at_end if name == INPUT else name in self.there

    def _taken(self, operator: Operator) -> list[Slice]:
        """What an operator needs of others: what it reads, and what says which of its experts run."""
        if operator.op == "embedding":
            return []  # tokens are numbers of a few bytes
        read = list(self.flow.slices[operator.name])
        known = {each.name for each in read}
        return read + [Slice(dep, 0, self.flow.width(dep)) for dep in operator.deps if dep not in known]

    def _placed(self, operator: Operator, deps: tuple[str, ...]) -> Operator:
        if operator.name not in self.there:
            tied = "" if operator.tied in self.there else operator.tied
            return replace(operator, deps=deps, tied=tied, take=())
        return Operator(
            operator.name, LINK, ELSEWHERE, operator.scope, operator.inputs, operator.outputs, rows=operator.rows,
            deps=deps, per=operator.per, tokens=operator.tokens,
        )  # fmt: skip


class _Crossings:
    """What has crossed the link in a scope, each part of a value once."""

    def __init__(self, flow: Dataflow) -> None:
        self._flow = flow
        self._crossed: dict[str, dict[tuple[int, int], str]] = {}

    def before(self, operator: Operator, away: Sequence[Slice], way: str) -> list[Operator]:
        """The message with what an operator needs and has not crossed yet, if there is any."""
        name, new, sources = f"{operator.name}_in", 0, []
        for value, first, size in away:
            crossed = self._crossed.setdefault(value, {})
            missing = set(range(first, first + size)).difference(*(range(*part) for part in crossed))
            if missing:
                crossed[first, first + size] = name
                new += len(missing) * self._flow.copies(value)
                sources.append(value)
        if not new:
            return []
        deps = tuple(dict.fromkeys(sources))
        return [
            Operator(name, LINK, way, operator.scope, new, new, deps=deps, per=operator.per, tokens=operator.tokens)
        ]

    def deps(self, operator: Operator, away: Sequence[Slice]) -> tuple[str, ...]:
        """What an operator waits for: for what crosses, the messages that bring it."""
        needed = {each.name: each for each in away}
        found: list[str] = []
        for dep in operator.deps:
            found += self._messages(dep) if dep in needed else [dep]
        return tuple(dict.fromkeys(found))

    def _messages(self, value: str) -> list[str]:
        return list(self._crossed[value].values())


# -- launches ----------------------------------------------------------------------------------------------------------


def _launched(divided: Divided) -> Divided:
    """With an operator for each launch."""
    runs, launches = _Runs(divided.workload), dict[str, Run]()
    parts = {scope: list(operators) for scope, operators in runs.parts.items()}
    for scope in IN_ORDER:
        for place in reversed(list(runs.starts(scope))):
            name = f"launch_{len(launches) + 1}"
            launches[name] = runs.run(scope, place)
            _insert(parts[scope], place, name, scope)
    operators = tuple(operator for scope in IN_ORDER for operator in parts[scope])
    return Divided(replace(divided.workload, operators=operators), divided.there, launches)


class _Runs:
    """Operators of the machine that follow each other, from one copy of the block to the next as well."""

    def __init__(self, workload: Workload) -> None:
        self.blocks = workload.blocks
        self.parts = {scope: workload.select(scope) for scope in IN_ORDER}

    def starts(self, scope: str) -> Iterator[int]:
        """Places at which a run begins; the end of what comes before the blocks, if the first block goes on there."""
        operators = self.parts[scope]
        before = scope != "once_before" and self._ends("block")
        for place, operator in enumerate(operators):
            there = operator.op == ELSEWHERE
            if there and not before:
                yield place
            before = there
        if scope == "once_before" and not before and self._ends("block") and self._lead("block"):
            yield len(operators)

    def run(self, scope: str, place: int) -> Run:
        """The run that begins at a place."""
        found = self._lead(scope, place)
        return found + self._next(scope) if place + len(found) == len(self.parts[scope]) else found

    def _next(self, scope: str) -> Run:
        """What a run goes on with behind the end of a scope."""
        if scope == "once_after":
            return ()
        lead = self._lead("block")
        if len(lead) < len(self.parts["block"]):
            return lead
        return tuple((name, self.blocks) for name, _ in lead) + self._lead("once_after")

    def _ends(self, scope: str) -> bool:
        return bool(self.parts[scope]) and self.parts[scope][-1].op == ELSEWHERE

    def _lead(self, scope: str, place: int = 0) -> Run:
        """The machine's operators from a place on."""
        following = takewhile(lambda operator: operator.op == ELSEWHERE, self.parts[scope][place:])
        return tuple((operator.name, 1) for operator in following)


def _insert(operators: list[Operator], place: int, name: str, scope: str) -> None:
    """A launch at a place; what stood there waits for it."""
    deps = operators[place].deps if place < len(operators) else (operators[-1].name,) if operators else (INPUT,)
    launch = Operator(name, LINK, ELSEWHERE, scope, 1, 1, deps=deps)
    if place < len(operators):
        operators[place] = replace(operators[place], deps=tuple(dict.fromkeys((*deps, name))))
    operators.insert(place, launch)
