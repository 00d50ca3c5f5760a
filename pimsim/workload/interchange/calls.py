"""Calls of ATen operators out of a profile: PyTorch execution traces, Kineto (Chrome) JSON, Chakra ET.

A `Call` keeps what the three have in common: name, order, nesting and shapes of the
inputs.  Nothing here knows what a model looks like (see `recognise`).
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pimsim.errors import InputError, Problem
from pimsim.files import JsonError, is_gzip, json_value, open_input, parse_json, pieces_of, reason

Shape = tuple[int, ...]
MAX_BYTES = 1 << 26  # unpacked; lists of lists take 24 times as much memory
# PyTorch's names of data types as traces call them.
_DATA_TYPES = {
    "float": "fp32",
    "double": "fp64",
    "c10::Half": "fp16",
    "c10::BFloat16": "bf16",
    "c10::Float8_e4m3fn": "fp8",
    "c10::Float8_e5m2": "fp8",
    "signed char": "int8",
    "unsigned char": "uint8",
}


@dataclass(frozen=True)
class Call:
    """One call of an operator.

    shapes: of each input, () for what is no tensor.  storages: identity of each input's
    memory where the profile has it, else 0.  parent: `number` of the call around it, or -1.
    types: data type of each input as a trace calls it, or as the profile does; () if it says none.
    """

    number: int
    name: str
    parent: int
    shapes: tuple[Shape, ...]
    storages: tuple[int, ...]
    types: tuple[str, ...] = ()

    def shape(self, index: int) -> Shape:
        """The shape of one input, () if there is none."""
        return self.shapes[index] if index < len(self.shapes) else ()

    def data_type(self, index: int) -> str:
        """The data type of one input, "" if it is not known."""
        return self.types[index] if index < len(self.types) else ""


def read_bytes(path: str) -> bytes:
    """A file's content, unpacked if it is gzip; InputError if it cannot be read."""
    try:
        with open_input(path) as file:
            data = bytearray()
            for piece in pieces_of(file, is_gzip(file)):
                data += piece
                if len(data) > MAX_BYTES:
                    raise InputError(
                        _problem(path, "", f"has more than {MAX_BYTES:,} bytes; record one step, not a run")
                    )
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(_problem(path, "", f"cannot be read: {reason(error)}")) from None
    return bytes(data)


def read_json_calls(data: bytes, path: str) -> tuple[str, list[Call]]:
    """("PyTorch execution trace" | "Kineto", its calls in order); InputError for JSON that is neither."""
    document = parse_json(data, path)
    if isinstance(document, dict) and isinstance(document.get("nodes"), list):
        return "PyTorch execution trace", _execution_trace(document["nodes"], path)
    events = document.get("traceEvents") if isinstance(document, dict) else document
    if isinstance(events, list):
        return "Kineto", _kineto(events, path)
    message = "is no execution trace (`nodes`) and no Kineto or Chrome trace (`traceEvents`)"
    raise InputError(_problem(path, "", message))


def _problem(path: str, key: str, message: str) -> Problem:
    return Problem(path, 1, 1, key, message)


def _execution_trace(nodes: list[Any], path: str) -> list[Call]:
    """Nodes of an execution trace; their ids grow in the order in which calls begin."""
    calls, problems = [], []
    for index, node in enumerate(nodes):
        try:
            inputs = node["inputs"]
            storages = tuple(_storage(value) for value in inputs["values"])
            number, parent = int(node["id"]), int(node["ctrl_deps"])
            types = _types(inputs.get("types"))
            calls.append(Call(number, str(node["name"]), parent, _shapes(inputs["shapes"]), storages, types))
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
            problems.append(_problem(path, f"nodes.{index}", f"is no node of an execution trace ({_why(error)})"))
    if problems:
        raise InputError(problems[:20])
    return sorted(calls, key=lambda call: call.number)


def _why(error: Exception) -> str:
    return f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else str(error)


def _shapes(shapes: Any) -> tuple[Shape, ...]:
    return tuple(_shape(shape) for shape in shapes)


def _shape(shape: Any) -> Shape:
    """A tensor's shape; () for scalars and for lists of tensors, which nothing here needs."""
    if isinstance(shape, (list, tuple)) and all(isinstance(n, int) and not isinstance(n, bool) for n in shape):
        return tuple(shape)
    return ()


def _types(names: Any) -> tuple[str, ...]:
    """The data types of inputs, "Tensor(float)" or "float"; "" for what is no tensor of numbers."""
    if not isinstance(names, (list, tuple)):
        return ()
    return tuple(_type(name) for name in names)


def _type(name: Any) -> str:
    bare = name.removeprefix("Tensor(").removesuffix(")") if isinstance(name, str) else ""
    return _DATA_TYPES.get(bare, bare.removeprefix("c10::") if bare.startswith("c10::") else "")


def _storage(value: Any) -> int:
    """The storage id of [tensor id, storage id, offset, elements, bytes, device]."""
    is_tensor = isinstance(value, list) and len(value) == 6 and isinstance(value[5], str)
    return value[1] if is_tensor and isinstance(value[1], int) else 0


def _kineto(events: list[Any], path: str) -> list[Call]:
    """Events of the thread that called most operators; nesting is what times say."""
    operators = [event for event in events if isinstance(event, Mapping) and _is_operator(event)]
    if not operators:
        raise InputError(_problem(path, "traceEvents", "holds no ATen operator (category cpu_op)"))
    if not any("Input Dims" in event.get("args", {}) for event in operators):
        raise InputError(_problem(path, "traceEvents", "has no shapes: profile with record_shapes=True"))
    try:
        thread = Counter((event["pid"], event["tid"]) for event in operators).most_common(1)[0][0]
        mine = [event for event in operators if (event["pid"], event["tid"]) == thread]
        mine.sort(key=lambda event: (float(event["ts"]), -float(event["dur"])))
        return list(_nested(mine))
    except (KeyError, OverflowError, TypeError, ValueError) as error:
        raise InputError(_problem(path, "traceEvents", f"holds a broken event ({_why(error)})")) from None


def _is_operator(event: Mapping[str, Any]) -> bool:
    known = event.get("cat") == "cpu_op" and isinstance(event.get("args"), Mapping)
    return known and str(event.get("name")).startswith("aten::")


def _nested(events: list[Mapping[str, Any]]) -> Iterator[Call]:
    open_: list[tuple[float, int]] = []  # (end, number) of the calls around
    for number, event in enumerate(events):
        begin, end = float(event["ts"]), float(event["ts"]) + float(event["dur"])
        while open_ and open_[-1][0] <= begin:
            open_.pop()
        parent = open_[-1][1] if open_ else -1
        open_.append((end, number))
        types = _types(event["args"].get("Input type"))
        yield Call(number, str(event["name"]), parent, _shapes(event["args"].get("Input Dims", ())), (), types)


def call_of_text(number: int, name: str, parent: int, shapes: str, types: str) -> Call:
    """A call whose shapes and types are text, as Chakra ET keeps them ("[[1, 32], [], 1]")."""
    try:
        parsed = json_value(shapes.replace("(", "[").replace(")", "]").replace("'", '"')) if shapes else []
    except JsonError:
        parsed = []
    named = _types([part.strip(" []'\"") for part in types.split(",")]) if types else ()
    return Call(number, name, parent, _shapes(parsed if isinstance(parsed, list) else []), (), named)
