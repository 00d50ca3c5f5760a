"""The operators of one template: every name once, every dependency on an operator before it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from pimsim.errors import did_you_mean
from pimsim.workload.ops import INPUT
from pimsim.workload.trace.expr import Expr
from pimsim.workload.trace.records import Line, OpRecord

_MOST_CYCLES = 100  # looked for in one template; more problems than that are not listed anyway


@dataclass(frozen=True)
class _Later:
    """A reference to an operator that has not been met yet."""

    line: Line
    key: str
    op: OpRecord
    name: str


@dataclass
class Dependencies:
    """The operators met so far, by id.

    broken: those whose lines are wrong; incomplete: a line could not be read at all, so
    that what is missing may have been there.
    """

    ops: dict[str, OpRecord] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    incomplete: bool = False
    _later: list[_Later] = field(default_factory=list)

    def add(self, op: OpRecord, line: Line) -> bool:
        """Take in an operator, and note what is wrong with its name and dependencies; False if its name is taken."""
        if op.id in self.ops or op.id == INPUT:
            what = "means what enters the scope" if op.id == INPUT else f"is taken by line {self.ops[op.id].line}"
            line.problem("id", f"{op.id!r} {what}; an operator's name is its own")
            return False
        for i, name in enumerate(op.deps):
            self._depend(op, name, f"deps.{i}", line)
        if op.weight.tied:
            self._tie(op, line)
        self.ops[op.id] = op
        return True

    def _depend(self, op: OpRecord, name: str, key: str, line: Line) -> None:
        before = self.ops.get(name)
        if name in op.deps[: int(key.split(".")[1])]:
            line.problem(key, f"{name!r} is there twice")
        elif before is None and name != INPUT and name not in self.broken:
            self._later.append(_Later(line, key, op, name))
        elif before is not None and before.scope != op.scope:
            line.problem(key, f"{name!r} is in scope {before.scope}, not in {op.scope}; `input` is what enters a scope")

    def _tie(self, op: OpRecord, line: Line) -> None:
        """The table must be there, and have the sizes of the matrix."""
        table = self.ops.get(op.weight.tied)
        if table is None and (self.incomplete or op.weight.tied in self.broken):
            return
        if table is not None and table.op == op.op:
            self._share(op, table, line)
        elif table is None or table.op != "embedding":
            hint = did_you_mean(op.weight.tied, [o.id for o in self.ops.values() if o.op == "embedding"])
            line.problem("weight.tied", f"{op.weight.tied!r} is no embedding before it{hint}")
        elif table.tables and (op.inputs, op.outputs) != (table.outputs, Expr(table.tables[0].rows)):
            sizes = f"{table.outputs} x {table.tables[0].rows}"
            line.problem("weight.tied", f"the table of {table.id!r} is {sizes}, not {op.inputs} x {op.outputs}")
        elif table.weight.bits != op.weight.bits:
            has = f"the table of {table.id!r} has {table.weight.bits}"
            line.problem("weight.bits", f"is {op.weight.bits}, but {has}: they are the same weights")

    def _share(self, op: OpRecord, owner: OpRecord, line: Line) -> None:
        """Two operators of one kind have the same weights: as many of each, of as many bits, in one scope (1.1)."""
        sizes, theirs = (op.inputs, op.outputs, op.experts), (owner.inputs, owner.outputs, owner.experts)
        if sizes != theirs:
            line.problem(
                "weight.tied", f"{owner.id!r} has {owner.inputs} x {owner.outputs}, not {op.inputs} x {op.outputs}"
            )
        elif op.scope != owner.scope or owner.weight.tied:
            where = (
                f"in scope {owner.scope}, not in {op.scope}"
                if op.scope != owner.scope
                else "tied itself: name its owner"
            )
            line.problem("weight.tied", f"{owner.id!r} is {where}")
        elif op.weight.bits != owner.weight.bits:
            line.problem(
                "weight.bits", f"is {op.weight.bits}, but {owner.id!r} has {owner.weight.bits}: the same weights"
            )
        elif op.weight.bias:
            line.problem("weight.bias", f"{owner.id!r} shares its matrix, and a bias of its own is no part of it")

    def close(self) -> None:
        """The template has ended: what was to come later is in a cycle, in the wrong order or missing."""
        for later in self._later[:_MOST_CYCLES]:
            if later.name in self.ops or not (self.incomplete or later.name in self.broken):
                later.line.problem(later.key, self._wrong(later))

    def _wrong(self, later: _Later) -> str:
        name, op = later.name, later.op
        if name == op.id:
            return f"cycle: {name} depends on itself"
        if name not in self.ops:
            known = [o.id for o in self.ops.values() if o.scope == op.scope]
            return f"no operator {name!r} in the template{did_you_mean(name[:40], [*known, INPUT])}"
        path = list(self._path(name, op.id))
        if path:
            return f"cycle: {' -> '.join((op.id, *path))}"
        return f"{name!r} stands below, in line {self.ops[name].line}; an operator stands after those it depends on"

    def _path(self, start: str, end: str) -> Iterator[str]:
        """The dependencies that lead from one operator to another, both included; nothing if none do."""
        came_from = {start: ""}
        todo = [start]
        while todo and end not in came_from:
            name = todo.pop()
            for dep in self.ops[name].deps if name in self.ops else ():
                if dep not in came_from:
                    came_from[dep] = name
                    todo.append(dep)
        if end not in came_from:
            return
        path = [end]
        while path[-1] != start:
            path.append(came_from[path[-1]])
        yield from reversed(path)
