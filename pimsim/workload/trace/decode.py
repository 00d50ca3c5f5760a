"""Checked objects of a file to records."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from functools import cache
from typing import Any

from pimsim.workload.attributes import ATTRIBUTES, WEIGHTS, Weight
from pimsim.workload.trace.fields import Either, Items, Kind, Object, fraction, size
from pimsim.workload.trace.records import (
    Acceptance,
    Check,
    Header,
    HeadGroup,
    Launch,
    ModelInfo,
    OpRecord,
    Record,
    Schedule,
    Table,
    Template,
    default_bits,
)
from pimsim.workload.trace.schema import RECORDS

Values = Mapping[str, Any]

_ATTRIBUTES = [row.name for row in ATTRIBUTES]
_WEIGHT = [row.name for row in WEIGHTS]


def record_of(value: Values, line: int, weights: str, unknown: bool, model: ModelInfo | None = None) -> Record:
    """The record of an object without problems.

    weights: the header's data type of weights.  unknown: the object has keys that are not known.
    model: the header's; what a template leaves out of its own is as it says.
    """
    extra = _extra(RECORDS[value["type"]], value) if unknown else {}
    match value["type"]:
        case "header":
            return _header(value, extra, line)
        case "template":
            return _template(value, extra, line, model)
        case "op":
            return _op(value, weights, extra, line)
    return _schedule(value, extra, line)


def _extra(kind: Kind, value: Any) -> dict[str, Any]:
    """What is not known, nested as in the file; elements of a list by their number."""
    if isinstance(kind, Either):
        kind = kind.of(value)
    if isinstance(kind, Items):
        parts = {str(i): _extra(kind.item, item) for i, item in enumerate(value)}
        return {name: part for name, part in parts.items() if part}
    if not isinstance(kind, Object):
        return {}
    found = {name: item for name, item in value.items() if name not in kind.keys}
    for field in kind.fields:
        if field.key in value and (inner := _extra(field.kind, value[field.key])):
            found[field.key] = inner
    return found


def _header(value: Values, extra: Values, line: int) -> Header:
    types = value["data_types"]
    routing = value.get("routing")
    return Header(
        _model(value["model"]),
        value["version"],
        types["weights"],
        types["activations"],
        types["kv"],
        value.get("producer", {}),
        value["symbols"],
        None if routing is None else tuple(routing.get("weights", ())),
        _launch(value.get("overhead")),
        tuple(_check(check) for check in value.get("checks", ())),
        extra,
        line,
    )


def _model(value: Values) -> ModelInfo:
    known = {name: value[name] for name in ModelInfo.__dataclass_fields__ if name in value}
    return ModelInfo(**known)


def _template(value: Values, extra: Values, line: int, model: ModelInfo | None) -> Template:
    layers, count = value["repeat"]["layers"], value["repeat"]["count"]
    own = None
    if "model" in value and model is not None:  # None: the header is wrong, and nothing of the file is used
        others = vars(model) | {"config_sha256": "", "parameters": None, "layers": layers * count}
        own = _model(others | value["model"])
    return Template(value["id"], layers, count, (), extra, own, value.get("weights_of", ""), line)


def _check(value: Values) -> Check:
    return Check(**{name: value[name] for name in Check.__dataclass_fields__})


def _launch(value: Values | None) -> Launch | None:
    return None if value is None else Launch(value["aten"], value["kernels"])


def _op(value: Values, weights: str, extra: Values, line: int) -> OpRecord:
    experts = value.get("experts", {"count": 1, "active": 1})
    return OpRecord(
        value["template"],
        value["id"],
        value["scope"],
        value["role"],
        value["op"],
        size(value["in"]),
        size(value["out"]),
        size(value.get("rows", 1)),
        value.get("per", "token"),
        _weight(value.get("weight", {}), default_bits(value["op"], weights)),
        tuple([Table(table.get("name", ""), table["rows"]) for table in value.get("tables", ())]),
        tuple([_head_group(group) for group in value.get("head_groups", ())]),
        experts["count"],
        experts["active"],
        tuple(value["deps"]),
        _launch(value.get("launch")),
        extra,
        {name: (first, count) for name, (first, count) in value.get("take", {}).items()},
        size(value["tokens"]) if "tokens" in value else None,
        line=line,
        **{name: value[name] for name in _ATTRIBUTES if name in value},
    )


def _weight(value: Values, bits: int) -> Weight:
    return Weight(*map(value.get, _WEIGHT, _defaults(bits)))


@cache
def _defaults(bits: int) -> tuple[Any, ...]:
    """What weights are that say nothing; bits: of one."""
    return tuple(bits if row.name == "bits" else row.default for row in WEIGHTS)


def _head_group(value: Values) -> HeadGroup:
    sizes = (value["heads"], value["kv_heads"], value["head_dim"])
    return HeadGroup(*sizes, size(value["kv_len"]), value.get("value_dim", 0))


def _schedule(value: Values, extra: Values, line: int) -> Schedule:
    steps = value["steps"]
    first, last = steps if isinstance(steps, list) else (0, steps - 1)
    bindings = {name: size(item) for name, item in value["bindings"].items()}
    layers = value.get("layers")
    return Schedule(
        value["phase"],
        first,
        last,
        value["template"],
        bindings,
        _accept(value.get("accept")),
        tuple(layers) if isinstance(layers, list) else layers,
        extra,
        value.get("cycle", ""),
        tuple(value.get("tree", ())),
        value.get("fork", 0),
        fraction(value["reorder"]) if "reorder" in value else Fraction(0),
        line,
    )


def _accept(value: Any) -> int | Acceptance | None:
    if not isinstance(value, dict):
        return None if value is None else int(value)
    if "mean" in value:
        return Acceptance(fraction(value["mean"]))
    return Acceptance.of(tuple(map(fraction, value["positions"])))
