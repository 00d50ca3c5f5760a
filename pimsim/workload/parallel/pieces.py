"""The graph of one device while it is made: what of each value it has, and what has to be sent for the rest."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from pimsim.workload.graph import Workload
from pimsim.workload.ops import INPUT, LINK, Operator
from pimsim.workload.parallel.needs import Needs

WHOLE, CUT, PARTIAL = "whole", "cut", "partial"  # all of it; a part of its elements; a summand of every element


class Value(NamedTuple):
    """What a device has of a value: its operator there, elements in all and on the device, and which of the three."""

    name: str
    width: int
    local: int
    state: str = WHOLE


class Taken(NamedTuple):
    """What a device's operator reads of a value: elements of it there, and `take` where it is not all (size, first)."""

    name: str
    size: int
    take: tuple[int, int] | None = None


def _name(name: str, what: str, taken: Iterable[str]) -> str:
    """A name for what is sent that no operator has."""
    made, others = f"{name}_{what}", set(taken)
    while made in others:
        made += "_"
    return made


@dataclass
class Pieces:
    """The operators of one device so far.

    devices   that each value is cut over
    values    what it has of each value of the whole graph, by name there
    problems  what does not divide, as texts without the devices; once there is one, no operators are made
    """

    workload: Workload
    devices: int
    needs: Needs = field(init=False)
    values: dict[str, Value] = field(default_factory=dict)
    operators: list[Operator] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.needs = Needs(self.workload, self.devices)
        width = self.workload.shape.d_model
        self.values[INPUT] = Value(INPUT, width, width)

    # ---- sizes

    def divide(self, size: int, what: str) -> int:
        """The part of one device; what: is told if that is no whole number."""
        part, rest = divmod(size, self.devices)
        if rest:
            self.wrong(f"{what} do not divide")
        return part or 1

    def wrong(self, what: str) -> None:
        """Note a problem."""
        self.problems.append(what)

    # ---- what is read

    def state(self, dep: str) -> str:
        """What a device has of a dependency."""
        return self.values[dep].state

    def whole(self, operator: Operator, dep: str) -> Taken:
        """All of a dependency, or the slice that is taken; what is missing is sent first, once for all readers."""
        self.complete(dep)
        value, stated = self.values[dep], _stated(operator, dep)
        return Taken(value.name, stated[1] if stated else value.width, stated)

    def part(self, operator: Operator, dep: str, size: int = 0) -> Taken:
        """The device's part of a dependency: what it has of a cut value, or that part of a whole one.

        size: elements that are read of it (0: all, or the slice that is taken)
        """
        if self.state(dep) == PARTIAL:
            self.complete(dep)
        value, stated = self.values[dep], _stated(operator, dep)
        first, asked = stated or (0, value.width)
        size = min(size or asked, asked)
        what = f"{size} elements of {dep!r}"
        if value.state == WHOLE:
            if size != asked:
                self.wrong(f"the half of {dep!r} that {operator.name!r} takes is not cut, for {dep!r} is not")
            return Taken(value.name, here := self.divide(size, what), (first, here))
        if size == value.width:
            return Taken(value.name, value.local)
        here = self.divide(size, what)
        start = self.divide(first, f"the first {first} elements of {dep!r}") if first else 0
        if value.local * self.devices != value.width:
            self.wrong(f"what {operator.name!r} takes of the heads of {dep!r}, which several devices have, is not cut")
        return Taken(value.name, here, (start, here) if stated else None)

    def complete(self, dep: str) -> None:
        """See that all of a value is there: add up what is partial, or gather what is cut."""
        value = self.values[dep]
        if value.state == WHOLE:
            return
        operator = self.needs.known[dep]
        if operator.active > 1 and operator.op != "add":
            self.wrong(f"what {dep!r} makes of several experts is not gathered")
        op = "all_reduce" if value.state == PARTIAL else "all_gather"
        name = _name(dep, op, (*self.needs.known, *(o.name for o in self.operators)))
        if not self.problems:
            self.operators.append(
                Operator(name, LINK, op, operator.scope, value.local, value.width, deps=(value.name,),
                         per=operator.per, tokens=operator.tokens)
            )  # fmt: skip
        self.values[dep] = Value(name, value.width, value.width)

    # ---- what is made

    def add(
        self, operator: Operator, taken: Iterable[Taken], state: str, width: int, local: int, **sizes: object
    ) -> None:
        """Put in what a device runs of an operator.

        taken: what it reads; width, local: elements of its result in all, and there; sizes: that differ
        """
        self.values[operator.name] = Value(operator.name, width, local, state)
        if self.problems:
            return
        read = {each.name: each.take for each in taken}
        mine = {dep: self.values[dep].name for dep in operator.deps}
        names = tuple(mine[dep] for dep in operator.deps)
        take = tuple((name, *slice_) for name, slice_ in read.items() if slice_ is not None)
        self.operators.append(replace(operator, **{"deps": names, "take": take, **sizes}))  # type: ignore[arg-type]

    def finish(self, operator: Operator, last: bool) -> None:
        """What goes on, or is read by nobody here, is a result: all devices get all of it."""
        if last or not self.needs.readers[operator.name]:
            self.complete(operator.name)


def _stated(operator: Operator, dep: str) -> tuple[int, int] | None:
    return next(((first, size) for name, first, size in operator.take if name == dep), None)
