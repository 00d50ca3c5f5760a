"""Nodes of communication in Chakra ET files, which a trace, that of one device, has no place for."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from pimsim.errors import InputError, Problem
from pimsim.workload.interchange import schema
from pimsim.workload.interchange.chakra import ChakraFile, Line, read_line, text_of

T = TypeVar("T", bound=Hashable)


def taken_out(file: ChakraFile) -> ChakraFile:
    """The file without its nodes of communication; the others are counted from 1 again.

    As operators they are not there either: in the lines of the others their own dependencies stand for them.
    """
    sent = [node for node in file.nodes if node.type in schema.COMM_NODES]
    if not sent:
        return file
    behind = {int(node.id): tuple(map(int, node.data_deps)) for node in sent}
    kept = [node for node in file.nodes if node.type not in schema.COMM_NODES]
    number = {int(node.id): place for place, node in enumerate(kept, start=1)}
    instead = _sent_operators(file, sent)
    return replace(file, nodes=tuple(_without(file, node, behind, number, instead) for node in kept))


def _sent_operators(file: ChakraFile, sent: Sequence[Any]) -> dict[tuple[str, str], tuple[str, ...]]:
    """By template and id, on what the operators depend that are nodes of communication; foreign nodes are none."""
    found = {}
    for node in sent:
        values = schema.values_of(node)
        if "pimsim.op" in values:
            op = read_line(file, f"node {node.id}: pimsim.op", values["pimsim.op"])
            found[str(values.get("pimsim.template")), str(op.get("id"))] = _deps(file, node, op)
    return found


def _deps(file: ChakraFile, node: Any, op: Line) -> tuple[str, ...]:
    deps = op.get("deps", ())
    if not isinstance(deps, list) or not all(isinstance(dep, str) for dep in deps):
        raise InputError(Problem(file.path, 1, 1, f"node {node.id}: pimsim.op", "has no list of names as `deps`"))
    return tuple(deps)


def _without(
    file: ChakraFile,
    node: Any,
    behind: Mapping[int, tuple[int, ...]],
    number: Mapping[int, int],
    instead: Mapping[tuple[str, str], tuple[str, ...]],
) -> Any:
    """A copy of a node that depends on computation alone."""
    made = type(node)()
    made.CopyFrom(node)
    made.id = number[int(node.id)]
    del made.data_deps[:]
    before = _followed([int(dep) for dep in node.data_deps], behind)
    made.data_deps.extend(sorted({number.get(dep, dep) for dep in before}))
    template = str(schema.values_of(node).get("pimsim.template"))
    own = {id: deps for (of, id), deps in instead.items() if of == template}
    for attribute in made.attr if own else ():
        if attribute.name == "pimsim.op":
            op = read_line(file, f"node {node.id}: pimsim.op", attribute.string_val)
            op["deps"] = _followed(_deps(file, node, op), own)
            attribute.string_val = text_of(op)
    return made


def _followed(deps: Sequence[T], behind: Mapping[T, tuple[T, ...]]) -> list[T]:
    """Dependencies, with those of communication in its place, each once; one that goes round in a circle ends."""
    found: dict[T, None] = {}
    seen: set[T] = set()
    waiting: list[T] = list(deps)
    while waiting:
        dep = waiting.pop(0)
        if dep not in behind:
            found[dep] = None
        elif dep not in seen:
            seen.add(dep)
            waiting = [*behind[dep], *waiting]
    return list(found)


def told(nodes: Sequence[Any]) -> str:
    """What nodes of communication say of themselves: how often each type, and bytes; nothing of others."""
    found: dict[str, tuple[int, int]] = {}
    for node in nodes:
        values = schema.values_of(node)
        if node.type in schema.COMM_NODES and isinstance(size := values.get("comm_size"), int):
            kind = _comm_type(node, values.get("comm_type"))
            count, total = found.get(kind, (0, 0))
            found[kind] = count + 1, total + size
    text = ", ".join(f"{kind} {count} times, {size:,} bytes" for kind, (count, size) in found.items())
    return f" ({text})" if text else ""


def _comm_type(node: Any, number: Any) -> str:
    """The name of a collective's type; send and receive have none."""
    if node.type != schema.COMM_COLL_NODE:
        return "each to one"
    known = isinstance(number, int) and 0 <= number < len(schema.COMM_TYPES)
    return schema.COMM_TYPES[number] if known else f"of type {number}"
