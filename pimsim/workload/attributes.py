"""What an operator says of itself beside its sizes: the one table of attributes.

`Attributes` are keys of an operator in a trace, and fields of the same name of `Operator`;
`Weight` is what a trace says of its weights.  A field here is a row of the table: its name, its
default, and what `_attribute` adds.  The records of a trace, the check of a file and its JSON
Schema, reading, writing, binding, hashing and what the exporter folds follow the rows, so that
who adds one says here what it is, and then only where it is used and where it is recorded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from operator import attrgetter
from typing import Any

LAYOUTS = ("in_out", "out_in")
MASKS = ("causal", "block", "tree")
STATES = ("dram", "sram")
AFFINE = ("gain", "none")
NORMS = ("layernorm", "rmsnorm")
ATTENTION = ("attention",)
LINEAR = ("linear",)
KEEPS_STATE = ("ssm_update", "conv")
SHARED = (*LINEAR, *NORMS)  # their weights may be those of another one
BIASED = (*LINEAR, "conv")
STORED_OPS = ("linear", "embedding")  # their weights have the header's data type if they do not say it


@dataclass(frozen=True)
class Attribute:
    """One row: a key of a trace.

    name, default: of the key; the kind of its value is that of the default.
    meaning: as the JSON Schema and the docs have it.
    ops: that it means something to; others keep the default (empty: any op).
    field: of `Operator`.  path: of the key in an operator's line, dots between keys.
    least: of an integer.  words: of which a text is one; none: any of `shortest` to `longest` characters.
    missing: what a line without the key means, if it is not the default.
    always: ops whose lines have the key whatever its value.
    later: the key came after 1.0: a graph that does not use it has the hash that it had before.
    """

    name: str
    default: int | str
    meaning: str
    ops: tuple[str, ...] = ()
    field: str = ""
    path: str = ""
    least: int = 0
    words: tuple[str, ...] = ()
    shortest: int = 1
    longest: int = 200
    missing: str = ""
    always: tuple[str, ...] = ()
    later: bool = False


def _attribute(default: int | str, meaning: str, **more: Any) -> Any:
    return field(default=default, metadata={"meaning": meaning, **more})


@dataclass(frozen=True, kw_only=True)
class Attributes:
    """Keys of an operator's line; a model's shape has them as well."""

    window: int = _attribute(0, "tokens attended to at most, the newest included; 0: all", ops=ATTENTION)
    softcap: bool = _attribute(False, "attention scores pass through cap * tanh(score / cap)", ops=ATTENTION)
    sinks: int = _attribute(0, "1.1: first tokens that are attended to beside the `window`", ops=ATTENTION, later=True)
    mask: str = _attribute(
        "", "1.1: tokens of its own step that a token attends to: those before it, all, or those on its path",
        words=MASKS, ops=ATTENTION, later=True, missing="causal, or tree where the schedule has one",
    )  # fmt: skip
    append: bool = _attribute(
        True, "1.1: false: K and V are there already, and those of the step's tokens are not kept", ops=ATTENTION,
        later=True, missing="true, but false where `in` is the queries alone",
    )  # fmt: skip
    cache: str = _attribute(
        "", "1.1: the cache whose K and V are read, or the operator whose they are", ops=ATTENTION, later=True,
        shortest=0, missing="its own: the same place in the stack",
    )  # fmt: skip
    kernel: int = _attribute(0, "1.1: taps of a convolution over tokens", ops=("conv",), later=True)
    affine: str = _attribute(
        "", "1.1: what the norm has of gain and bias", words=AFFINE, ops=NORMS, later=True, missing="all of its kind"
    )
    state: str = _attribute(
        "", "1.1: where the state of each sequence is kept", words=STATES, ops=KEEPS_STATE, later=True, missing="dram"
    )


@dataclass(frozen=True)
class Weight:
    """Keys of `weight` in an operator's line; the defaults are also those of an operator without any.

    Each is a field of the same name of `Operator`, but for `name`, which is `weight` there, and `parameters`, which is
    `own_parameters`.
    """

    name: str = _attribute(
        "", "in a checkpoint; {layer} is the first layer of the block", field="weight", shortest=0, longest=1000
    )
    layout: str = _attribute("in_out", "in_out: a matrix of `in` rows and `out` columns", words=LAYOUTS, always=LINEAR)
    bits: int = _attribute(
        16, "of one weight", ops=STORED_OPS, least=1, missing="those of the data type of weights", always=LINEAR
    )
    group: int = _attribute(0, "weights that share a scale; 0: none", ops=STORED_OPS)
    scale_bits: int = _attribute(0, "1.1: of a group's scale", ops=STORED_OPS, later=True)
    zero_bits: int = _attribute(0, "1.1: of a group's zero point", ops=STORED_OPS, later=True)
    blocks: int = _attribute(
        1, "1.1: matrices on the diagonal, each of `in` / n rows and `out` / n columns", ops=LINEAR, least=1, later=True
    )
    bias: bool = _attribute(False, "a vector of `out` is added", ops=BIASED, always=LINEAR)
    tied: str = _attribute(
        "", "id of the embedding whose token table this is; 1.1: or of the operator of its kind that has the weights",
        ops=SHARED,
    )  # fmt: skip
    parameters: int = _attribute(
        0, "1.1: elements of all vectors of its own: of a state update A, D and the bias of dt", ops=("ssm_update",),
        field="own_parameters", later=True,
    )  # fmt: skip


def _rows(table: type, prefix: str = "") -> tuple[Attribute, ...]:
    return tuple(
        Attribute(**{"name": f.name, "default": f.default, "field": f.name, "path": prefix + f.name, **f.metadata})
        for f in fields(table)
    )


ATTRIBUTES = _rows(Attributes)
WEIGHTS = _rows(Weight, "weight.")
ROWS = (*ATTRIBUTES, *WEIGHTS)
LATER: Mapping[str, int | str] = {row.field: row.default for row in ROWS if row.later}
_NAMES, _FIELDS = [row.name for row in ATTRIBUTES], [row.field for row in WEIGHTS]
_SAID = _NAMES + _FIELDS
_attributes, _weight = attrgetter(*_NAMES), attrgetter(*(row.name for row in WEIGHTS))


def attributes_of(source: Attributes, op: str = "") -> dict[str, Any]:
    """The attributes of an operator, a record or a shape by name; of a shape those that mean something to `op`."""
    if op:
        return {row.name: getattr(source, row.name) for row in ATTRIBUTES if op in row.ops}
    return dict(zip(_NAMES, _attributes(source), strict=True))


def fields_of(record: Attributes, weight: Weight) -> dict[str, Any]:
    """What a line says of an operator and its weights, by the fields of `Operator`."""
    return dict(zip(_SAID, _attributes(record) + _weight(weight), strict=True))


def weight_of(operator: Any) -> Weight:
    """What an operator says of its weights."""
    return Weight(*(getattr(operator, name) for name in _FIELDS))
