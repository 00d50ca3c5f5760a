"""The operators of a model's step, checked at several contexts, query tokens and batches."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pimsim.workload.export import naming, verify
from pimsim.workload.export.charge import charge
from pimsim.workload.export.fold import Folded, fold
from pimsim.workload.export.lower import Lowering
from pimsim.workload.export.model import Model, StepRecording, record
from pimsim.workload.export.node import Node
from pimsim.workload.export.written import WRITTEN

# Tokens before the step that is recorded, if the user asks for none; any would do.
_CONTEXT = 16


@dataclass(frozen=True)
class Steps:
    """A decode step, and the prefill before it if there is one."""

    decode: Folded
    prefill: Folded | None
    parameters: int


def steps_of(model: Model, prompt: int, tokens: int, batch: int) -> Steps:
    """Record and check: the step asked for gives the launches; others must give the same operators.

    prompt: tokens of the prompt (0: none, the step is recorded after a few).
    tokens: query tokens of a decode step.  batch: sequences.
    """
    recorded = [_read(model, r) for r in record(model, prompt or _CONTEXT, tokens, batch)]
    prefill, decode = recorded
    others = [(prompt + _CONTEXT + 5, tokens + 2, batch + 1)]
    window = max((operator.window for operator in decode.operators), default=0)
    if window:
        others.append((window + 3, tokens, batch))
    for other in others:
        _compare(decode, _read(model, record(model, *other)[-1]))
    return Steps(decode, prefill if prompt else None, _parameters(model))


def _read(model: Model, recording: StepRecording) -> Folded:
    """The operators of one recording, checked against torch's FLOPs and the model's parameters."""
    shapes = {n: tuple(p.shape) for n, p in model.module.named_parameters(remove_duplicate=False)}
    lowering = Lowering(recording, shapes, _token_table(model), model.config.model_type in WRITTEN)
    nodes = lowering.nodes
    naming.assign(nodes)
    verify.check_flops(nodes, lowering.aux_flops, recording)
    verify.check_parameters(nodes, shapes)
    verify.check_context(nodes, recording)
    overhead = charge(recording.events, lowering.owners, lowering.sources)
    return fold(_without_softcap_parts(nodes), model.layers, overhead)


def _token_table(model: Model) -> str:
    table = model.module.get_input_embeddings().weight
    return next(str(name) for name, parameter in model.module.named_parameters() if parameter is table)


def _parameters(model: Model) -> int:
    return sum(parameter.numel() for parameter in model.module.parameters())


def _without_softcap_parts(nodes: list[Node]) -> list[Node]:
    """cap * tanh(x / cap) as one node: the scales around a tanh join it."""
    kept = list(nodes)
    for node in nodes:
        if node.op != "tanh":
            continue
        before = node.sources[0]
        after = [other for other in kept if node in other.sources]
        if before.op == "scale" and [o for o in kept if before in o.sources] == [node]:
            node.sources = before.sources
            _join(node, before, kept)
        if len(after) == 1 and after[0].op == "scale":
            for other in kept:
                other.sources = tuple(node if s is after[0] else s for s in other.sources)
            _join(node, after[0], kept)
    return kept


def _join(node: Node, part: Node, nodes: list[Node]) -> None:
    node.aten += part.aten
    node.kernels += part.kernels
    nodes.remove(part)


def _compare(one: Folded, other: Folded) -> None:
    """Raise ExportError if two recordings of the same model give different operators."""
    for a, b in zip(one.operators, other.operators, strict=False):
        if replace(a, aten=None, kernels=None) != replace(b, aten=None, kernels=None):
            raise verify.ExportError(f"two recordings give different operators: {a} and {b}")
    if (len(one.operators), one.period) != (len(other.operators), other.period):
        raise verify.ExportError("two recordings give different numbers of operators")
