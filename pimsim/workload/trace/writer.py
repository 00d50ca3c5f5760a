"""Traces to files: the same trace gives the same bytes."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pimsim.errors import InputError
from pimsim.files import reason, write_bytes
from pimsim.workload.attributes import ATTRIBUTES, WEIGHTS, Attribute, Weight
from pimsim.workload.trace.expr import Expr
from pimsim.workload.trace.fields import number
from pimsim.workload.trace.records import (
    FORMAT,
    LATER_TYPES,
    LATEST,
    VERSION,
    Acceptance,
    Check,
    Header,
    HeadGroup,
    Launch,
    ModelInfo,
    OpRecord,
    Record,
    Schedule,
    Template,
    Trace,
    default_bits,
)


def write_trace(trace: Trace, path: str | Path) -> Path:
    """Write a file, compressed if its name ends in .gz, and its folder; InputError if it cannot be written."""
    path = Path(path)
    data = dump_trace(trace).encode("ascii")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        raise InputError(f"cannot write {path}: {reason(error)}", key="--out") from None
    write_bytes(path, _compressed(data) if path.suffix == ".gz" else data)
    return path


def _compressed(data: bytes) -> bytes:
    """gzip without the name and time of a file."""
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=buffer, mtime=0) as stream:
        stream.write(data)
    return buffer.getvalue()


def dump_trace(trace: Trace) -> str:
    """The text of a trace, a record a line."""
    return "".join(f"{line}\n" for line in lines_of(records_of(trace), trace.header.weights))


def records_of(trace: Trace) -> Iterator[Record]:
    """Every record in the order of a file; the header says 1.1 if anything is of that version."""
    newer = trace.header.version == VERSION and _is_later(trace)
    yield replace(trace.header, version=LATEST) if newer else trace.header
    for template in trace.templates:
        yield template
        yield from template.ops
    yield from trace.schedule


def _is_later(trace: Trace) -> bool:
    """Whether a trace uses anything that came after 1.0 (but `take`, which files of 1.0 have as well)."""
    header = trace.header
    return (
        any(each in LATER_TYPES for each in (header.weights, header.activations, header.kv))
        or any(template.model or template.weights_of for template in trace.templates)
        or any(_is_later_op(op) for template in trace.templates for op in template.ops)
        or any(_is_later_line(line) for line in trace.schedule)
    )


def _is_later_op(op: OpRecord) -> bool:
    said = ((op, ATTRIBUTES), (op.weight, WEIGHTS))
    return (
        op.op in _LATER_OPS
        or op.tokens is not None
        or any(group.value_dim for group in op.head_groups)
        or any(row.later and getattr(source, row.name) != row.default for source, rows in said for row in rows)
    )


def _is_later_line(line: Schedule) -> bool:
    later = (line.cycle, line.tree, line.fork, line.reorder)
    return any(later) or isinstance(line.accept, Acceptance) or isinstance(line.layers, tuple)


_LATER_OPS = ("conv",)


def lines_of(records: Iterable[Record], weights: str = "bf16") -> Iterator[str]:
    """Each record as a line; `weights` is the header's data type of weights."""
    for record in records:
        value = _merged(_object(record, weights), record.extra)
        yield json.dumps(value, separators=(",", ":"), allow_nan=False)


def _merged(value: Any, extra: Mapping[str, Any]) -> Any:
    """`value` with what this version does not know, where it was."""
    for name, item in extra.items():
        if isinstance(value, list):
            _merged(value[int(name)], item)
        elif isinstance(value.get(name), dict | list):
            _merged(value[name], item)
        else:
            value[name] = item
    return value


def _object(record: Record, weights: str) -> dict[str, Any]:
    match record:
        case Header():
            return _header(record)
        case Template():
            return _template(record)
        case OpRecord():
            return _op(record, weights)
        case Schedule():
            return _schedule(record)


def _given(**values: Any) -> dict[str, Any]:
    """The keys whose value is not None; `in_` is `in`."""
    return {name.rstrip("_"): value for name, value in values.items() if value is not None}


def _header(header: Header) -> dict[str, Any]:
    return _given(
        type="header",
        format=FORMAT,
        version=header.version,
        model=_model(header.model),
        data_types={"weights": header.weights, "activations": header.activations, "kv": header.kv},
        producer=dict(header.producer) or None,
        symbols=dict(header.symbols),
        routing=_routing(header.routing),
        overhead=_launch(header.overhead),
        checks=[_check(check) for check in header.checks] or None,
    )


def _model(model: ModelInfo) -> dict[str, Any]:
    return {name: value for name, value in vars(model).items() if value not in ("", None)}


def _template(template: Template) -> dict[str, Any]:
    return _given(
        type="template",
        id=template.id,
        repeat={"layers": template.layers, "count": template.count},
        model=None if template.model is None else _model(template.model),
        weights_of=template.weights_of or None,
    )


def _routing(weights: tuple[float, ...] | None) -> dict[str, Any] | None:
    if weights is None:
        return None
    return {"kind": "weights", "weights": list(weights)} if weights else {"kind": "uniform"}


def _launch(launch: Launch | None) -> dict[str, int] | None:
    return None if launch is None else {"aten": launch.aten, "kernels": launch.kernels}


def _check(check: Check) -> dict[str, Any]:
    return {name: dict(v) if isinstance(v, Mapping) else v for name, v in vars(check).items()}


def _op(op: OpRecord, weights: str) -> dict[str, Any]:
    return _given(
        type="op",
        template=op.template,
        id=op.id,
        scope=op.scope,
        role=op.role,
        op=op.op,
        in_=op.inputs.json,
        out=op.outputs.json,
        rows=None if op.rows == Expr(1) else op.rows.json,
        per=None if op.per == "token" else op.per,
        weight=_weight(op.weight, op.op, default_bits(op.op, weights)),
        tables=[{"name": table.name, "rows": table.rows} for table in op.tables] or None,
        head_groups=[_head_group(group) for group in op.head_groups] or None,
        **_said(op, ATTRIBUTES, op.op),
        experts=None if op.experts == 1 else {"count": op.experts, "active": op.active},
        deps=list(op.deps),
        take={name: list(part) for name, part in op.take.items()} or None,
        tokens=None if op.tokens is None else op.tokens.json,
        launch=_launch(op.launch),
    )


def _weight(weight: Weight, op: str, bits: int) -> dict[str, Any] | None:
    """Of a linear all that matters to its bytes, of others what is not the default (nothing: None)."""
    return _said(weight, WEIGHTS, op, bits=bits) or None


def _said(source: Any, rows: tuple[Attribute, ...], op: str, **defaults: Any) -> dict[str, Any]:
    """The attributes that the line of an operator has: what it always has, and what is not the default."""
    values = ((row, getattr(source, row.name)) for row in rows)
    return {
        row.name: value for row, value in values if op in row.always or value != defaults.get(row.name, row.default)
    }


def _head_group(group: HeadGroup) -> dict[str, Any]:
    sizes = {"heads": group.heads, "kv_heads": group.kv_heads, "head_dim": group.head_dim}
    return sizes | {"kv_len": group.kv_len.json} | ({"value_dim": group.value_dim} if group.value_dim else {})


def _schedule(schedule: Schedule) -> dict[str, Any]:
    return _given(
        type="schedule",
        phase=schedule.phase,
        steps=[schedule.first, schedule.last],
        template=schedule.template,
        bindings={symbol: expr.json for symbol, expr in schedule.bindings.items()},
        accept=_accept(schedule.accept),
        layers=list(schedule.layers) if isinstance(schedule.layers, tuple) else schedule.layers,
        cycle=schedule.cycle or None,
        tree=list(schedule.tree) or None,
        fork=schedule.fork or None,
        reorder=number(schedule.reorder) if schedule.reorder else None,
    )


def _accept(accept: int | Acceptance | None) -> int | dict[str, Any] | None:
    if not isinstance(accept, Acceptance):
        return accept
    if accept.positions:
        return {"positions": list(map(number, accept.positions))}
    return {"mean": number(accept.mean)}
