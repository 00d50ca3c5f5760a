"""A trace as a table: header, schedule, and what each role costs at a binding."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pimsim.errors import InputError, Problem, did_you_mean
from pimsim.kinds import TRACE, expecting
from pimsim.workload.attributes import STORED_OPS
from pimsim.workload.trace.cost import OperatorCost, cost_of
from pimsim.workload.trace.reader import MOST_PROBLEMS, Findings, checked_records
from pimsim.workload.trace.records import (
    BATCH,
    CONTEXT,
    DATA_TYPE_BITS,
    QUERY,
    Acceptance,
    Header,
    OpRecord,
    Schedule,
    Template,
)
from pimsim.workload.trees import depths_of

BINDING = {CONTEXT: 1024, BATCH: 1, QUERY: 1}
_MOST_LINES = 20  # of a schedule that are shown
_MOST_NAMES = 4  # of operators on a line, and of ranges of layers
_WIDTH = 80  # columns of a screen
_INDENT = 9  # of what does not fit on a line
_LONGEST = 24  # characters of a name in a table of the schedule


@dataclass
class Share:
    """What the operators of one role come to in a step; `operators` counts each repetition."""

    operators: int = 0
    cost: OperatorCost = OperatorCost()
    aten: int = 0
    kernels: int = 0
    unrecorded: int = 0  # operators whose launches are not known

    def add(self, op: OpRecord, cost: OperatorCost, repeats: int) -> None:
        """Take in an operator that runs `repeats` times."""
        self.operators += repeats
        self.cost += cost * repeats
        self.aten += op.launch.aten * repeats if op.launch else 0
        self.kernels += op.launch.kernels * repeats if op.launch else 0
        self.unrecorded += 0 if op.launch else repeats

    def __add__(self, other: Share) -> Share:
        return Share(
            self.operators + other.operators,
            self.cost + other.cost,
            self.aten + other.aten,
            self.kernels + other.kernels,
            self.unrecorded + other.unrecorded,
        )


@dataclass
class Overview:
    """What `show` prints of a file; the shares are by template and role, in the order of their first operator.

    other_bits: the operators whose weights are not of the header's data type, by their bits.
    """

    file: str
    header: Header
    binding: Mapping[str, int]
    templates: dict[str, Template] = field(default_factory=dict)
    shares: dict[str, dict[str, Share]] = field(default_factory=dict)
    schedule: list[Schedule] = field(default_factory=list)
    schedule_lines: int = 0
    other_bits: dict[int, list[str]] = field(default_factory=dict)
    warnings: tuple[Problem, ...] = ()


def overview(path: str | Path, binding: Mapping[str, int] | None = None) -> Overview:
    """Read a trace for showing it; InputError with every problem of the file, or a binding that does not fit.

    binding: values of symbols; T is 1024 and others are 1 if they are not given.
    """
    with expecting(TRACE, path):
        return _overview(path, binding)


def _overview(path: str | Path, binding: Mapping[str, int] | None) -> Overview:
    findings = Findings(str(path))
    found: Overview | None = None
    unfit: list[Problem] = []
    for record in checked_records(path, findings):
        match record:
            case Header():
                found = Overview(str(path), record, _complete(record, binding or {}))
            case Template() if found:
                found.templates[record.id] = record
                found.shares[record.id] = {}
            case OpRecord() if found and record.template in found.templates:
                unfit += _share(found, record)[: MOST_PROBLEMS - len(unfit)]
            case Schedule() if found:
                found.schedule_lines += 1
                if found.schedule_lines <= _MOST_LINES:
                    found.schedule.append(record)
    if findings.problems or found is None:
        raise InputError(findings.problems)
    if unfit:
        raise InputError(unfit)
    found.warnings = findings.warnings
    return found


def _complete(header: Header, binding: Mapping[str, int]) -> dict[str, int]:
    """A value for every symbol of the header; InputError for a symbol it does not have."""
    for symbol in binding:
        if symbol not in header.symbols:
            message = f"the trace has no symbol {symbol!r}{did_you_mean(symbol, header.symbols)}"
            raise InputError(message, key="--bind")
    values = {symbol: binding.get(symbol, BINDING.get(symbol, 1)) for symbol in header.symbols}
    if values.get(QUERY, 1) > values.get(CONTEXT, 1):
        raise InputError(f"{values[QUERY]} query tokens, but a context of {values[CONTEXT]}", key="--bind")
    return values


def _share(found: Overview, op: OpRecord) -> list[Problem]:
    """Take in an operator; the problem it has at this binding, if there is one."""
    template = found.templates[op.template]
    try:
        cost = cost_of(op, found.header, found.binding)
    except KeyError:  # a symbol that is not declared: among the findings
        return []
    except ValueError as error:
        return [Problem(found.file, op.line, 1, "", f"at {_binding(found.binding)}: {error}")]
    bits = op.weight.bits
    if op.op in STORED_OPS and bits != DATA_TYPE_BITS[found.header.weights]:
        known = found.other_bits.setdefault(bits, [])
        known += [op.id] if op.id not in known else []
    share = found.shares[op.template].setdefault(op.role, Share())
    share.add(op, cost, template.count if op.scope == "block" else 1)
    return []


# ---- as text


def lines_of(found: Overview) -> Iterator[str]:
    """The overview as text of 80 columns."""
    yield from _header_lines(found)
    for id, shares in found.shares.items():
        yield ""
        yield from _template_lines(found, found.templates[id], shares)
    yield ""
    yield from _schedule_lines(found)


def _header_lines(found: Overview) -> Iterator[str]:
    header, model = found.header, found.header.model
    yield f"{found.file}: pimsim-trace {header.version}"
    heads = f"{model.heads} heads of {model.head_dim}"
    if model.kv_heads != model.heads:
        heads += f" ({model.kv_heads} of K and V)"
    sizes = f"{model.layers} layers, d_model {model.d_model}, d_ff {model.d_ff}"
    yield f"model       {model.name} ({model.family}): {sizes}"
    yield f"            {heads}, vocabulary {model.vocabulary}, {model.max_positions} positions"
    if model.parameters is not None:
        yield f"            {model.parameters:,} parameters"
    yield f"data types  weights {header.weights}, activations {header.activations}, K and V {header.kv}"
    for bits, names in sorted(found.other_bits.items()):
        more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
        yield f"            weights of {bits} bits: {', '.join(names[:_MOST_NAMES])}{more}"
    if header.routing is not None:
        yield f"routing     {', '.join(f'{weight:g}' for weight in header.routing) or 'uniform'}"
    for name, text in header.producer.items():
        yield f"{name[:11]:<12}{text}"
    if header.overhead:
        yield f"overhead    {header.overhead.aten} ATen operators, {header.overhead.kernels} kernels a step"


_COLUMNS = f"{'role':<11}{'operators':>10}{'weights':>17}{'MFLOP':>13}{'MB moved':>12}{'launches':>10}"


def _template_lines(found: Overview, template: Template, shares: Mapping[str, Share]) -> Iterator[str]:
    block = f"{template.layers} layer{'s' * (template.layers > 1)}"
    yield f"template {template.id}: block of {block} x {template.count}; one step at {_binding(found.binding)}"
    if template.model:
        model = template.model
        yield f"of another model: {model.name} ({model.family}), d_model {model.d_model}, vocabulary {model.vocabulary}"
    if template.weights_of:
        yield f"weights of template {template.weights_of}"
    yield _COLUMNS
    for role, share in shares.items():
        yield _share_line(role, share)
    yield _share_line("total", sum(shares.values(), Share()))


def _share_line(name: str, share: Share) -> str:
    cost = share.cost
    flops, size = f"{cost.flops / 1e6:,.3f}", f"{cost.moved_bytes / 1e6:,.3f}"
    launches = "-" if share.unrecorded else f"{share.aten:,}"
    return f"{name:<11}{share.operators:>10,}{cost.weights:>17,}{flops:>13}{size:>12}{launches:>10}"


def _schedule_lines(found: Overview) -> Iterator[str]:
    if not found.schedule_lines:
        yield "schedule    none"
        return
    columns = {name: [text(line) for line in found.schedule] for name, text in _ALWAYS.items()}
    more = {name: [text(line) for line in found.schedule] for name, text in _MORE.items()}
    columns |= {name: texts for name, texts in more.items() if any(texts)}
    columns["bindings"] = [_binding(line.bindings) for line in found.schedule]
    if len(columns) == len(_ALWAYS) + 1:
        widths = {"phase": 9, "steps": 16, "template": 14, "bindings": 0}
    else:
        widths = {name: max(map(len, (name, *texts))) + 2 for name, texts in columns.items()}
    for i in range(-1, len(found.schedule)):
        yield from _row({name: texts[i] if i >= 0 else name for name, texts in columns.items()}, widths)
    if found.schedule_lines > len(found.schedule):
        yield f"... and {found.schedule_lines - len(found.schedule):,} more lines"


def _row(cells: Mapping[str, str], widths: Mapping[str, int]) -> Iterator[str]:
    """The cells of a row on one line, or on several where the columns are wider than a screen."""
    line, at = "", 0
    for name, text in cells.items():
        if at + widths[name] > _WIDTH + 2 and line.strip():
            yield line.rstrip()
            line, at = " " * _INDENT, _INDENT
        line += f"{text:<{widths[name]}}"
        at += widths[name]
    yield line.rstrip()


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 3]}..."


def _accept(line: Schedule) -> str:
    """What a step keeps, as a column has it."""
    if not isinstance(line.accept, Acceptance):
        return "" if line.accept is None else str(line.accept)
    return f"{float(line.accept.mean):g}/step"


def _layers(line: Schedule) -> str:
    if isinstance(line.layers, tuple):
        return _ranges(line.layers)
    return "" if line.layers is None else f"first {line.layers}"


def _ranges(numbers: Sequence[int]) -> str:
    """Numbers that follow each other as one range: 0-2,5; of many the first."""
    parts: list[list[int]] = []
    for each in numbers:
        if parts and parts[-1][1] == each - 1:
            parts[-1][1] = each
        else:
            parts.append([each, each])
    texts = [str(first) if first == last else f"{first}-{last}" for first, last in parts]
    return ",".join(texts[:_MOST_NAMES]) + ",..." * (len(texts) > _MOST_NAMES)


def _tree(line: Schedule) -> str:
    return f"{len(line.tree)}, depth {max(depths_of(line.tree)) + 1}" if line.tree else ""


# Columns of every schedule, and those that it has if one of its lines says something.
_ALWAYS: Mapping[str, Callable[[Schedule], str]] = {
    "phase": lambda line: line.phase,
    "steps": lambda line: f"{line.first}" if line.steps == 1 else f"{line.first}..{line.last}",
    "template": lambda line: _short(line.template),
}
_MORE: Mapping[str, Callable[[Schedule], str]] = {
    "cycle": lambda line: _short(line.cycle),
    "layers": _layers,
    "accept": _accept,
    "tree": _tree,
    "fork": lambda line: str(line.fork or ""),
    "reorder": lambda line: f"{float(line.reorder):g}" if line.reorder else "",
}


def _binding(binding: Mapping[str, object]) -> str:
    return ", ".join(f"{symbol}={value}" for symbol, value in binding.items())


# ---- as JSON


def as_dict(found: Overview) -> dict[str, Any]:
    """The overview for programs."""
    return {
        "file": found.file,
        "version": found.header.version,
        "model": vars(found.header.model),
        "data_types": {
            "weights": found.header.weights,
            "activations": found.header.activations,
            "kv": found.header.kv,
            "other_bits": {str(bits): names for bits, names in sorted(found.other_bits.items())},
        },
        "binding": dict(found.binding),
        "templates": {
            id: {
                "layers": found.templates[id].layers,
                "count": found.templates[id].count,
                **_more_of(found.templates[id]),
                "roles": {role: _share_dict(share) for role, share in shares.items()},
                "total": _share_dict(sum(shares.values(), Share())),
            }
            for id, shares in found.shares.items()
        },
        "schedule_lines": found.schedule_lines,
        "warnings": [str(warning) for warning in found.warnings],
    }


def _more_of(template: Template) -> dict[str, Any]:
    """What a template says of other models and templates."""
    said = {"model": template.model and vars(template.model), "weights_of": template.weights_of}
    return {name: value for name, value in said.items() if value}


def _share_dict(share: Share) -> dict[str, Any]:
    launches = {} if share.unrecorded else {"aten": share.aten, "kernels": share.kernels}
    return {"operators": share.operators, **vars(share.cost), **launches}
