"""pimsim traces as MLCommons Chakra ET files, and back.

A Chakra ET is the graph of one run: here one step of each template of the trace, every
block written out, a COMP_NODE per operator.  `num_ops` and `tensor_size` are what
simulators such as ASTRA-sim read; attributes that begin with "pimsim." carry what the
schema has no place for, so that a file made here can be read back to the same trace.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from pimsim.errors import InputError, Problem
from pimsim.files import JsonError, json_value
from pimsim.workload.interchange import schema
from pimsim.workload.interchange.calls import Call, call_of_text

Line = dict[str, Any]
# (template, operator) -> of one execution: operations; bytes of weights, K and V, or of a collective those that a
# device has for the others
Costs = Callable[[str, str], tuple[int, int]]

NOT_EXPRESSED = (
    "templates and schedule: each template is one step with all its blocks; the schedule is text for pimsim only",
    "sizes as functions of the context: num_ops and tensor_size hold for one context",
    "times: duration_micros is 0, for a trace has none",
    "roles, groups of heads, windows, experts, launches: text for pimsim only",
)
_BEFORE, _BLOCK, _AFTER = "once_before", "block", "once_after"
_INPUT = "input"


@dataclass(frozen=True)
class _Place:
    """A node of the graph: its operator, and the block it is in (-1 for what runs once)."""

    op: Line
    block: int
    deps: tuple[int, ...]


def to_chakra(lines: Sequence[Line], costs: Costs) -> bytes:
    """The Chakra ET of a trace given as its JSON lines."""
    classes = schema.messages()
    metadata = classes["GlobalMetadata"](version=schema.VERSION)
    for line in lines:
        if line["type"] != "op":
            metadata.attr.add(name=f"pimsim.{line['type']}", string_val=text_of(line))
    messages = [metadata]
    for number, (template, place) in enumerate(_graph(lines), start=1):
        kind = schema.COMP_NODE if _collective(place.op) is None else schema.COMM_COLL_NODE
        node = classes["Node"](id=number, name=_name(template, place), type=kind, data_deps=place.deps)
        _add_sizes(node, _collective(place.op), *costs(template, place.op["id"]))
        node.attr.add(name="pimsim.template", string_val=template)
        node.attr.add(name="pimsim.block", int64_val=place.block)
        node.attr.add(name="pimsim.op", string_val=text_of(place.op))
        messages.append(node)
    return b"".join(_framed(message.SerializeToString(deterministic=True)) for message in messages)


def _collective(op: Line) -> int | None:
    """The type of a collective; None for what is computed."""
    return schema.COLLECTIVES.get(str(op.get("op")))


def _add_sizes(node: Any, collective: int | None, operations: int, size: int) -> None:
    node.attr.add(name="is_cpu_op", bool_val=False)
    if collective is None:
        node.attr.add(name="num_ops", int64_val=operations)
        node.attr.add(name="tensor_size", uint64_val=size)
    else:
        node.attr.add(name="comm_type", int64_val=collective)
        node.attr.add(name="comm_size", int64_val=size)


def text_of(line: Mapping[str, Any]) -> str:
    return json.dumps(line, ensure_ascii=False, separators=(",", ":"))


def _name(template: str, place: _Place) -> str:
    return f"{template}.{place.op['id']}" if place.block < 0 else f"{template}.{place.block}.{place.op['id']}"


def _graph(lines: Sequence[Line]) -> Iterator[tuple[str, _Place]]:
    """The nodes of every template in order; ids count from 1, a step follows the step before."""
    number, last = 0, 0
    for template in (line for line in lines if line["type"] == "template"):
        ops = [line for line in lines if line["type"] == "op" and line["template"] == template["id"]]
        scopes = [(_BEFORE, -1), *((_BLOCK, n) for n in range(template["repeat"]["count"])), (_AFTER, -1)]
        for scope, block in scopes:
            ids: dict[str, int] = {}
            entered = last  # the node whose result enters the scope
            for op in (op for op in ops if op["scope"] == scope):
                number += 1
                deps = (ids[dep] if dep != _INPUT else entered for dep in op.get("deps", ()))
                yield template["id"], _Place(op, block, tuple(sorted({dep for dep in deps if dep})))
                ids[op["id"]] = last = number


def _framed(message: bytes) -> bytes:
    """A message after its length as a varint."""
    length, head = len(message), bytearray()
    while length > 0x7F:
        head.append(length & 0x7F | 0x80)
        length >>= 7
    head.append(length)
    return bytes(head) + message


@dataclass(frozen=True)
class ChakraFile:
    """A Chakra ET file: its metadata and its nodes, as protobuf messages."""

    metadata: Any
    nodes: tuple[Any, ...]
    path: str

    @property
    def is_ours(self) -> bool:
        """True if `to_chakra` wrote it."""
        return any(attribute.name == "pimsim.header" for attribute in self.metadata.attr)


def read_chakra(data: bytes, path: str) -> ChakraFile:
    """The messages of a file; InputError if it is cut off or no Chakra ET."""
    classes = schema.messages()
    frames = list(_frames(data, path))
    if not frames:
        raise InputError(_problem(path, 0, "is empty"))
    metadata = _parsed(classes["GlobalMetadata"], frames[0], path, "the metadata")
    nodes = [_parsed(classes["Node"], frame, path, f"node {n}") for n, frame in enumerate(frames[1:], start=1)]
    if not metadata.version and not nodes:
        raise InputError(_problem(path, 0, "is no Chakra ET: no version and no node"))
    return ChakraFile(metadata, tuple(nodes), path)


def _frames(data: bytes, path: str) -> Iterator[bytes]:
    at = 0
    while at < len(data):
        length, shift, begin = 0, 0, at
        while True:
            if at >= len(data) or shift > 28:
                raise InputError(_problem(path, begin, "is no Chakra ET, or it is cut off: no length of a message"))
            byte = data[at]
            length, shift, at = length | (byte & 0x7F) << shift, shift + 7, at + 1
            if byte < 0x80:
                break
        if at + length > len(data):
            message = f"is no Chakra ET, or it is cut off: a message of {length} bytes, and {len(data) - at} follow"
            raise InputError(_problem(path, begin, message))
        yield data[at : at + length]
        at += length


def _parsed(kind: Any, frame: bytes, path: str, what: str) -> Any:
    message = kind()
    try:
        message.ParseFromString(frame)
    except Exception as error:  # protobuf's DecodeError has no stable home
        raise InputError(_problem(path, 0, f"{what} is no Chakra ET message ({type(error).__name__})")) from None
    return message


def _problem(path: str, offset: int, message: str) -> Problem:
    where = f"byte {offset}" if offset else ""
    return Problem(path, 1, 1, where, message)


def lines_of(file: ChakraFile) -> list[Line]:
    """The JSON lines of the trace that `to_chakra` wrote; InputError if the graph has been changed since.

    file: of computation alone (`communication.taken_out`)
    """
    kept: dict[str, list[Line]] = {"pimsim.header": [], "pimsim.template": [], "pimsim.schedule": []}
    for attribute in file.metadata.attr:
        if attribute.name in kept:
            kept[attribute.name].append(read_line(file, attribute.name, schema.value_of(attribute)))
    ops: dict[tuple[str, str], Line] = {}
    for node in file.nodes:
        values = schema.values_of(node)
        op = read_line(file, f"node {node.id}: pimsim.op", values.get("pimsim.op"))
        key = (str(values.get("pimsim.template")), str(op.get("id")))
        if ops.setdefault(key, op) != op:
            raise InputError(_problem(file.path, 0, f"node {node.id} ({node.name}) differs from the block before"))
    lines = list(kept["pimsim.header"])
    for template in kept["pimsim.template"]:
        lines.append(template)
        lines += [op for (name, _), op in ops.items() if name == template.get("id")]
    lines += kept["pimsim.schedule"]
    _check_graph(file, lines)
    return lines


def read_line(file: ChakraFile, where: str, text: Any) -> Line:
    try:
        line = json_value(text) if isinstance(text, str) else None
    except JsonError:
        line = None
    if not isinstance(line, dict):
        raise InputError(Problem(file.path, 1, 1, where, "is missing or no JSON object"))
    return line


def _check_graph(file: ChakraFile, lines: list[Line]) -> None:
    """The nodes must be those that the lines make."""
    try:  # one more than there are nodes: a count of blocks may be any number
        made = list(islice(_graph(lines), len(file.nodes) + 1))
        wanted = [
            (number, _name(template, place), place.deps) for number, (template, place) in enumerate(made, start=1)
        ]
    except (KeyError, TypeError, AttributeError) as error:
        message = f"holds a trace that is not whole ({type(error).__name__}: {error})"
        raise InputError(_problem(file.path, 0, message)) from None
    got = [(int(node.id), str(node.name), tuple(node.data_deps)) for node in file.nodes]
    for (number, name, deps), (*place, after) in zip(got, wanted, strict=False):
        if (number, name, deps) != (*place, after):
            message = f"node {number} ({name}) after {list(deps)} should be {place[0]} ({place[1]}) after {list(after)}"
            raise InputError(_problem(file.path, 0, f"{message}: the graph has been changed since pimsim wrote it"))
    if len(got) != len(wanted):
        raise InputError(_problem(file.path, 0, f"has {len(got)} nodes, and its trace makes another number"))


def calls_of(file: ChakraFile) -> list[Call]:
    """The operator calls of a Chakra ET that was converted from PyTorch; communication is none."""
    calls = []
    for node in (node for node in file.nodes if node.type not in schema.COMM_NODES):
        parent = int(node.ctrl_deps[0]) if node.ctrl_deps else -1
        shapes, types = str(node.inputs.shapes), str(node.inputs.types)
        calls.append(call_of_text(int(node.id), str(node.name), parent, shapes, types))
    return sorted(calls, key=lambda call: call.number)


def other_nodes(file: ChakraFile, told: Callable[[Sequence[Any]], str]) -> list[str]:
    """What the file holds besides computation, which a trace of one device has no place for: a line each.

    told: more of nodes of one type.
    """
    kinds: dict[str, list[Any]] = {}
    for node in file.nodes:
        if node.type not in (0, 1, schema.COMP_NODE):
            kinds.setdefault(schema.NODE_TYPES.get(node.type, f"type {node.type}"), []).append(node)
    about = "communication, memory and storage have no place in a trace"
    return [f"{kind}, {len(nodes)} times{told(nodes)}: {about}" for kind, nodes in kinds.items()]
