"""What devices run that share the experts of a model, each with sequences of its own.

All but the experts is on every device.  Vectors go to the devices of their experts by an all-to-all, and what these
make of them comes back by another one, before the weighted sum.

Assumption: routing is balanced.  Every expert gets as many vectors as the others, as nearly as that can be, whatever
is in them.  Devices wait for the one that gets most in a real system, so this is the best case.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from pimsim.errors import InputError, Problem
from pimsim.workload.graph import Workload
from pimsim.workload.ops import INPUT, LINK, Operator
from pimsim.workload.parallel.needs import Needs

KEY = "system.expert"


@dataclass(frozen=True)
class Role:
    """What `count` devices run: `workload`, with `batch` sequences of their own.

    A device without sequences (batch 0) runs its experts' products alone, once for all sequences, or nothing at all
    where the workload has no operators.  What a device stores does not depend on its role: `expert_share`.
    """

    count: int
    batch: int
    workload: Workload


def expert_roles(workload: Workload, batch: int, expert: int) -> list[Role]:
    """The devices of a group of `expert` that share the experts and `batch` sequences; the first has most to do.

    Where the sequences divide over the devices, all do the same.  With fewer sequences than devices one each goes to
    the first devices, and the experts' products go to all, as evenly as whole vectors can be.  For each query token
    of one sequence of a device's role, its experts take `active` * `rows` vectors.

    InputError for a model without experts, experts or sequences that do not divide, and routing that is not even.
    """
    if expert == 1 and batch >= 1:
        return [Role(1, batch, workload)]
    if problems := list(_problems(workload, batch, expert)):
        raise InputError(Problem("", 0, 0, KEY, what) for what in problems)
    section = _Section(workload, expert)
    if batch % expert == 0:
        return [Role(expert, batch // expert, section.shared(section.active))]
    return list(_uneven(section, batch, expert))


def expert_share(workload: Workload, expert: int) -> Workload:
    """What one of `expert` devices stores, as a graph: its experts, and all that is no expert. Same errors."""
    return expert_roles(workload, expert, expert)[0].workload


def _problems(workload: Workload, batch: int, expert: int) -> Iterator[str]:
    counts = dict.fromkeys(o.experts for o in workload.operators if o.experts > 1)
    if expert < 1:
        yield f"{expert} devices cannot share experts"
        return
    if not counts:
        yield f"{expert} devices are to share experts, but the model has none"
    for count in counts:
        if count % expert:
            yield f"{expert} devices cannot share {count} experts: {_listed(count)} can"
    if len({o.active for o in workload.operators if o.experts > 1}) > 1:
        yield "layers whose tokens take different numbers of experts are not shared by devices"
    if batch < 1 or (batch > expert and batch % expert):
        near = [n for n in (batch // expert * expert, -(-batch // expert) * expert) if n]
        yield f"a batch of {batch} does not divide over {expert} devices: {' or '.join(map(str, near)) or 1} would"
    if len(set(workload.routing)) > 1:
        yield "a routing that is not even is not shared by devices"


def _listed(count: int) -> str:
    numbers = [n for n in range(2, count + 1) if count % n == 0]
    return ", ".join(map(str, numbers[:-1])) + (" or " if len(numbers) > 1 else "") + str(numbers[-1])


def _uneven(section: _Section, batch: int, expert: int) -> Iterator[Role]:
    """Fewer sequences than devices: who has one takes one vector more first, where they do not divide."""
    least, more = divmod(batch * section.active, expert)
    own = min(more, batch)
    if own:
        yield Role(own, 1, section.shared(least + 1))
    if batch - own:
        yield Role(batch - own, 1, section.shared(least))
    if more - own:
        yield Role(more - own, 0, section.alone(least + 1))
    rest = expert - batch - (more - own)
    if rest:
        yield Role(rest, 0, section.alone(least))


class _Section:
    """The products of experts in a graph, and what enters and leaves them."""

    def __init__(self, workload: Workload, devices: int) -> None:
        self.workload, self.devices = workload, devices
        self.needs = Needs(workload, 1)
        self.inside = {o.name: o for o in workload.operators if o.experts > 1 and o.op != "add"}
        self.active = next(o.active for o in workload.operators if o.experts > 1)

    def shared(self, vectors: int) -> Workload:
        """What a device with sequences runs, whose experts take so many vectors of each query token."""
        return replace(self.workload, operators=tuple(self._operators(vectors)), routing=())

    def alone(self, vectors: int) -> Workload:
        """What a device without sequences runs: what comes enters, and what its experts make goes back."""
        kept = [o for o in self._operators(vectors) if o.op == "all_to_all" or o.name in self.inside] if vectors else []
        names = {operator.name for operator in kept}
        operators = tuple(
            self._carries(replace(o, deps=_known(o.deps, names)), vectors) if o.op == "all_to_all" else
            replace(o, deps=tuple(dep for dep in o.deps if dep in names)) for o in kept
        )  # fmt: skip
        return replace(self.workload, operators=operators, routing=())

    def _carries(self, sent: Operator, vectors: int) -> Operator:
        size = sent.inputs // self.active * vectors
        return replace(sent, inputs=size, outputs=size)

    def _operators(self, vectors: int) -> Iterator[Operator]:
        """The graph with all-to-alls; without vectors only what is sent to other devices, and comes back."""
        renamed: dict[str, str] = {}
        for operator in self.workload.operators:
            if operator.name not in self.inside:
                yield self._renamed(operator, renamed)
                continue
            yield from self._dispatched(operator, renamed)
            if vectors:
                yield self._local(self._renamed(operator, renamed), vectors)
            if self._leaves(operator):
                sent = self._sent(operator.name, operator, "combine", operator.outputs)
                yield sent if vectors else replace(sent, deps=(self._entered(operator, renamed),))
                renamed[operator.name] = sent.name

    def _dispatched(self, operator: Operator, renamed: dict[str, str]) -> Iterator[Operator]:
        """What has to be sent before an expert's product, if that is not done yet."""
        for dep in self.needs.inputs(operator):
            if dep not in self.inside and dep not in renamed:
                sent = self._sent(dep, operator, "dispatch", self._width(dep))
                renamed[dep] = sent.name
                yield sent

    def _entered(self, operator: Operator, renamed: dict[str, str]) -> str:
        """The dispatch from which an expert's result follows."""
        (dep, *_) = self.needs.inputs(operator)
        return self._entered(self.inside[dep], renamed) if dep in self.inside else renamed[dep]

    def _sent(self, name: str, operator: Operator, what: str, width: int) -> Operator:
        size = width * self.active
        base = f"{name}_{what}"
        while base in self.needs.known:
            base += "_"
        return Operator(
            base, LINK, "all_to_all", operator.scope, size, size, deps=(name,), per=operator.per, tokens=operator.tokens
        )

    def _width(self, name: str) -> int:
        if name == INPUT:
            return self.workload.shape.d_model
        return self.needs.known[name].outputs * self.needs.known[name].rows

    def _leaves(self, operator: Operator) -> bool:
        readers = self.needs.readers[operator.name]
        return not readers or any(reader.name not in self.inside for reader in readers)

    def _local(self, operator: Operator, vectors: int) -> Operator:
        """An operator of the device's experts: `active` of them, each with as many `rows` as make all vectors."""
        experts = operator.experts // self.devices
        active = max(n for n in range(1, min(vectors, experts) + 1) if vectors % n == 0)
        return replace(operator, experts=experts, active=active, rows=operator.rows * (vectors // active))

    def _renamed(self, operator: Operator, renamed: dict[str, str]) -> Operator:
        """With what is sent in the place of what it was: for experts what enters, for others what leaves."""
        inside = operator.name in self.inside
        names = {old: new for old, new in renamed.items() if (old in self.inside) != inside}
        take = tuple((names.get(name, name), first, size) for name, first, size in operator.take)
        return replace(operator, deps=tuple(names.get(dep, dep) for dep in operator.deps), take=take)


def _known(deps: Iterable[str], names: set[str]) -> tuple[str, ...]:
    return tuple(dep if dep in names else INPUT for dep in deps)
