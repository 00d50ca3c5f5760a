"""The part of MLCommons Chakra's ET schema that pimsim reads and writes, as protobuf messages.

Source: the public schema of MLCommons Chakra (package ChakraProtoMsg, version 0.0.4).
Fields that are not listed are skipped by protobuf when a file is read.  A file is a
GlobalMetadata and then Nodes, each message after its length as a varint.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from pimsim.errors import InputError

VERSION = "0.0.4"
COMP_NODE = 4
NODE_TYPES = {
    0: "INVALID_NODE",
    1: "METADATA_NODE",
    2: "MEM_LOAD_NODE",
    3: "MEM_STORE_NODE",
    4: "COMP_NODE",
    5: "COMM_SEND_NODE",
    6: "COMM_RECV_NODE",
    7: "COMM_COLL_NODE",
    8: "STORAGE_NODE",
    9: "BATCH_NODE",
    10: "CHECKPOINT_NODE",
}
COMM_COLL_NODE = 7
COMM_NODES = (5, 6, COMM_COLL_NODE)
COMM_TYPES = (  # by number
    "ALL_REDUCE", "REDUCE", "ALL_GATHER", "GATHER", "SCATTER", "BROADCAST", "ALL_TO_ALL", "REDUCE_SCATTER",
    "REDUCE_SCATTER_BLOCK", "BARRIER",
)  # fmt: skip
# By the `op` of an operator that is sent between devices.
COLLECTIVES = {op: COMM_TYPES.index(op.upper()) for op in ("all_reduce", "all_gather", "all_to_all", "broadcast")}

# message -> (field, number, type, repeated); types that are no scalar are messages
_MESSAGES = {
    "IOInfo": [("values", 1, "string", False), ("shapes", 2, "string", False), ("types", 3, "string", False)],
    "AttributeProto": [
        ("name", 1, "string", False),
        ("doc_string", 2, "string", False),
        ("double_val", 3, "double", False),
        ("int32_val", 7, "int32", False),
        ("int64_val", 9, "int64", False),
        ("uint32_val", 11, "uint32", False),
        ("uint64_val", 13, "uint64", False),
        ("bool_val", 27, "bool", False),
        ("string_val", 29, "string", False),
    ],
    "GlobalMetadata": [("version", 1, "string", False), ("attr", 2, "AttributeProto", True)],
    "Node": [
        ("id", 1, "uint64", False),
        ("name", 2, "string", False),
        ("type", 3, "int32", False),  # an enum on the wire: the same varint
        ("ctrl_deps", 4, "uint64", True),
        ("data_deps", 5, "uint64", True),
        ("start_time_micros", 6, "uint64", False),
        ("duration_micros", 7, "uint64", False),
        ("inputs", 8, "IOInfo", False),
        ("outputs", 9, "IOInfo", False),
        ("attr", 10, "AttributeProto", True),
    ],
}
VALUES = tuple(name for name, *_ in _MESSAGES["AttributeProto"] if name.endswith("_val"))


@cache
def messages() -> dict[str, Any]:
    """The message classes by name; InputError without protobuf."""
    try:
        from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
    except ImportError:
        raise InputError("Chakra ET needs protobuf: pip install 'pimsim[chakra]'") from None
    file = descriptor_pb2.FileDescriptorProto(name="pimsim/chakra.proto", package="ChakraProtoMsg", syntax="proto3")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        if name == "AttributeProto":
            message.oneof_decl.add(name="value")
        for field, number, kind, repeated in fields:
            _add_field(message, field, number, kind, repeated)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    find = pool.FindMessageTypeByName
    return {name: message_factory.GetMessageClass(find(f"ChakraProtoMsg.{name}")) for name in _MESSAGES}


def _add_field(message: Any, name: str, number: int, kind: str, repeated: bool) -> None:
    field = message.field.add(name=name, number=number)
    field.label = field.LABEL_REPEATED if repeated else field.LABEL_OPTIONAL
    if kind in _MESSAGES:
        field.type, field.type_name = field.TYPE_MESSAGE, f".ChakraProtoMsg.{kind}"
    else:
        field.type = getattr(field, f"TYPE_{kind.upper()}")
    if name.endswith("_val"):
        field.oneof_index = 0


def values_of(node: Any) -> dict[str, Any]:
    """The attributes of a Node by name."""
    return {attribute.name: value_of(attribute) for attribute in node.attr}


def value_of(attribute: Any) -> Any:
    """The value of an AttributeProto, None if it has a kind that is not read."""
    kind = attribute.WhichOneof("value")
    return getattr(attribute, kind) if kind else None
