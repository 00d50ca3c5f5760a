"""Files to traces and traces to files, with a list of what was lost on the way."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from pimsim.errors import InputError, Problem
from pimsim.files import write_bytes
from pimsim.kinds import PROFILE, expecting
from pimsim.workload.graph import Workload
from pimsim.workload.interchange import chakra, communication
from pimsim.workload.interchange.calls import Call, read_bytes, read_json_calls
from pimsim.workload.interchange.recognise import Found, recognise
from pimsim.workload.interchange.schema import COLLECTIVES
from pimsim.workload.trace.bind import trace_of
from pimsim.workload.trace.cost import cost_of, operator_of
from pimsim.workload.trace.reader import load_trace
from pimsim.workload.trace.records import BATCH, CONTEXT, DATA_TYPE_BITS, QUERY, Header, OpRecord, Template, Trace
from pimsim.workload.trace.writer import dump_trace

_CONTEXT = 1024  # of a template that no step runs


@dataclass(frozen=True)
class Imported:
    """A trace, what kind of file it came from, and what that file does not say."""

    trace: Trace
    source: str
    notes: tuple[str, ...]


def import_file(path: str, name: str, steps: int) -> Imported:
    """The trace in a profile or a Chakra ET.

    name: of the model, `steps`: decode steps to schedule; both for profiles, which have
    neither.  InputError if the file is none of the formats or its model none of the families.
    """
    with expecting(PROFILE, path):
        return _import_file(path, name, steps)


def _import_file(path: str, name: str, steps: int) -> Imported:
    data = read_bytes(path)
    if data.lstrip()[:1] in (b"{", b"["):
        source, calls = read_json_calls(data, path)
        return _imported(calls, source, path, name, steps, ())
    file = chakra.read_chakra(data, path)
    lost = tuple(chakra.other_nodes(file, communication.told))
    if not file.is_ours:
        return _imported(chakra.calls_of(file), "Chakra ET", path, name, steps, lost)
    return Imported(_checked(chakra.lines_of(communication.taken_out(file)), path), "Chakra ET", lost)


def _checked(lines: list[chakra.Line], path: str) -> Trace:
    """The trace of these lines; InputError for what is wrong with them, placed in the file they came from."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "trace.jsonl"
        copy.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="ascii")
        try:
            return load_trace(copy)
        except InputError as error:
            raise InputError(_moved(problem, path) for problem in error.problems) from None


def _moved(problem: Problem, path: str) -> Problem:
    """A problem of the copy: its line is a record of the file."""
    key = f"record {problem.line}" + (f": {problem.key}" if problem.key else "")
    return Problem(path, 1, 1, key, problem.message)


def _imported(calls: list[Call], source: str, path: str, name: str, steps: int, lost: tuple[str, ...]) -> Imported:
    found = recognise(calls, path, name)
    if found.queries > 1:
        prompt = found.queries
        if found.context != prompt:
            raise InputError(
                Problem(path, 1, 1, "", f"a step of {prompt} tokens at context {found.context} is no prompt")
            )
    else:
        prompt = found.context - 1
    trace = trace_of(found.workload, prompt=prompt, steps=steps, batch=found.batch, producer={"import": source})
    return Imported(trace, source, (*lost, *found.notes, *_not_recorded(found)))


def _not_recorded(found: Found) -> tuple[str, ...]:
    views = ", ".join(f"{name} {count}" for name, count in found.silent.most_common())
    return (
        "launches and times are left out: baselines use their own counts of operators",
        f"calls that are part of an operator or move data: {views}",
    )


def export_chakra(trace: Trace, path: str) -> tuple[str, ...]:
    """Write a trace as Chakra ET; what the format cannot say, a line each.

    Sizes are those of the last step that a template runs.
    """
    bindings = {template.id: _binding(trace, template) for template in trace.templates}
    records = {(template.id, op.id): op for template in trace.templates for op in template.ops}

    def costs(template: str, op: str) -> tuple[int, int]:
        record, binding = records[template, op], bindings[template]
        if record.op in COLLECTIVES:
            return 0, _sent_bytes(record, trace.header, binding)
        cost = cost_of(record, trace.header, binding)
        return cost.flops, cost.weight_bytes + cost.kv_bytes

    data = chakra.to_chakra([json.loads(line) for line in dump_trace(trace).splitlines()], costs)
    write_bytes(path, data)
    contexts = ", ".join(f"{template} at T = {binding[CONTEXT]}" for template, binding in bindings.items())
    return (*chakra.NOT_EXPRESSED, f"contexts of the sizes: {contexts}")


def _sent_bytes(record: OpRecord, header: Header, binding: Mapping[str, int]) -> int:
    """What a device has for the others: the inputs of a collective, of all sequences and tokens of a step."""
    operator = operator_of(record, binding)
    vectors = binding[BATCH] * (operator.tokens or binding[QUERY])
    return -(-vectors * operator.inputs * DATA_TYPE_BITS[header.activations] // 8)


def _binding(trace: Trace, template: Template) -> Mapping[str, int]:
    runs = [line for line in trace.schedule if line.template == template.id]
    return runs[-1].binding(runs[-1].last) if runs else {CONTEXT: _CONTEXT, BATCH: 1, QUERY: 1}


def export_share(workload: Workload, path: str, context: int, batch: int = 1) -> tuple[str, ...]:
    """Write the decode step at a context of one device of several that share a model, as `export_chakra`.

    workload: what the device runs, with the collectives that it takes part in.  Heads and the width of the
    feed-forward network are told as the device has them.
    """
    trace = trace_of(workload, prompt=context - 1, steps=1, batch=batch)
    model = trace.header.model
    for operator in workload.operators:
        if operator.op == "attention":
            model = replace(model, heads=operator.heads, kv_heads=operator.kv_heads)
        elif operator.role == "ffn_down" and operator.op == "linear":
            model = replace(model, d_ff=operator.inputs)
    model = replace(model, config_sha256=model.sizes_sha256)
    return export_chakra(replace(trace, header=replace(trace.header, model=model)), path)
