"""Models that encode a source and decode from it (T5, BART), recorded as three steps.

    encode   the source, all of it at once: each token attends to all (mask "block")
    first    the decoder's first token; K and V of the encoder's vectors are made, once, for all steps
    decode   a step of the decoder: its cross attentions read what `first` has kept

Operators of the encoder have names of their own (`encoder_q`), but for the token table, which both have.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from transformers import AutoModelForSeq2SeqLM, EncoderDecoderCache
from transformers.modeling_outputs import BaseModelOutput

from pimsim.errors import InputError
from pimsim.workload.export import naming, verify
from pimsim.workload.export.cache import cache_argument
from pimsim.workload.export.charge import charge
from pimsim.workload.export.exported import Exported, Source, Wanted
from pimsim.workload.export.fold import Folded, fold
from pimsim.workload.export.lower import Lowering
from pimsim.workload.export.model import RecordedCache, StepRecording, build, dispatched
from pimsim.workload.export.shape import shape_of
from pimsim.workload.graph import Workload
from pimsim.workload.ops import INPUT, Operator

ENCODER = "encoder_"
_SHARED = ("embed", INPUT)
_BUILDERS = AutoModelForSeq2SeqLM


@dataclass(frozen=True)
class _Pair:
    """A model with its two stacks; layers: names of their lists of layers."""

    module: Any
    encoder: Any
    layers: tuple[str, str]
    counts: tuple[int, int]
    cache: str


def has_encoder(config: Any) -> bool:
    """True for a configuration of a model that encodes a source."""
    return bool(getattr(config, "is_encoder_decoder", False)) and type(config) in _BUILDERS._model_mapping


def run(name: str, config: Any, wanted: Wanted, versions: str) -> Exported:
    """Build, record and check; InputError for a model that is made otherwise, or without tokens of a source."""
    if not wanted.prompt:
        raise InputError(f"a {config.model_type} encodes a source: say how many tokens it has", "--prompt")
    pair = _pair(build(_BUILDERS, config))
    source, more = wanted.prompt, wanted.prompt + 3
    folded, read = _steps(pair, source, wanted.query, wanted.batch)
    other, _ = _steps(pair, more, wanted.query + 1, wanted.batch + 1)
    for key, one in folded.items():
        _compare(one, other[key], source, more)
    verify.check_read(read, [str(n) for n, _ in pair.module.named_parameters(remove_duplicate=False)])
    works = {key: _workload(name, pair, key, one) for key, one in folded.items()}
    parameters = sum(parameter.numel() for parameter in pair.module.parameters())
    encoded = Source(works["encode"], works["first"], source)
    return Exported(works["decode"], None, parameters, {"launches": versions}, source=encoded)


def _pair(module: Any) -> _Pair:
    encoder, decoder = module.get_encoder(), module.get_decoder()
    names = {id(part): name for name, part in module.named_modules()}
    lists = [_layers(stack, names[id(stack)], module) for stack in (encoder, decoder)]
    cache = cache_argument(module)
    if not cache:
        raise InputError(f"module {type(module).__name__}: takes no cache of K and V")
    return _Pair(module, encoder, (lists[0][0], lists[1][0]), (lists[0][1], lists[1][1]), cache)


def _layers(stack: Any, prefix: str, module: Any) -> tuple[str, int]:
    """Name and length of the outermost list of layers of a stack."""
    found = [(n, len(m)) for n, m in stack.named_modules() if isinstance(m, torch.nn.ModuleList) and n]
    if not found:
        raise InputError(f"module {prefix} of {type(module).__name__}: no list of layers found in it")
    name, count = min(found, key=lambda each: each[0].count("."))
    return f"{prefix}.{name}", count


# ---- recording


def _steps(pair: _Pair, source: int, tokens: int, batch: int) -> tuple[dict[str, Folded], set[str]]:
    """The operators of each step, and the parameters that they read."""
    read: set[str] = set()
    folded = {}
    for key, recording in _record(pair, source, tokens, batch).items():
        layers = pair.layers[0] if key == "encode" else pair.layers[1]
        folded[key] = _read(pair, recording, layers, read)
    return folded, read


def _record(pair: _Pair, source: int, tokens: int, batch: int) -> dict[str, StepRecording]:
    ids = torch.zeros(batch, source, dtype=torch.long, device="meta")
    recorder, flops, made = dispatched(pair.module, pair.layers[0], partial(pair.encoder, ids))
    steps = {
        "encode": StepRecording("prefill", source, source, batch, tuple(recorder.events), flops, mask="block"),
    }
    hidden, cache = made[0], EncoderDecoderCache(RecordedCache(), RecordedCache())
    context = 0
    for key, count in (("first", 1), ("decode", tokens)):
        options = {
            "encoder_outputs": BaseModelOutput(last_hidden_state=hidden),
            "decoder_input_ids": torch.zeros(batch, count, dtype=torch.long, device="meta"),
            pair.cache: cache,
            "use_cache": True,
        }
        recorder, flops, _ = dispatched(pair.module, pair.layers[1], partial(pair.module, **options), (hidden,))
        context += count
        steps[key] = StepRecording(
            "decode", context, count, batch, tuple(recorder.events), flops, source=source, entering=recorder.entering
        )
    return steps


def _read(pair: _Pair, recording: StepRecording, layers: str, read: set[str]) -> Folded:
    shapes = {n: tuple(p.shape) for n, p in pair.module.named_parameters(remove_duplicate=False)}
    table = pair.module.get_input_embeddings().weight
    token_table = next(str(name) for name, parameter in pair.module.named_parameters() if parameter is table)
    lowering = Lowering(recording, shapes, token_table)
    nodes = lowering.nodes
    naming.assign(nodes)
    verify.check_flops(nodes, lowering.aux_flops, recording)
    verify.check_context(nodes, recording)
    read.update(*(node.parameters for node in nodes))
    return fold(nodes, layers, charge(recording.events, lowering.owners, lowering.sources))


def _compare(one: Folded, other: Folded, source: int, more: int) -> None:
    """Raise ExportError unless two recordings differ in nothing but the tokens of the source."""

    def bare(operator: Operator, tokens: int) -> Operator:
        of_source = {n: 1 for n in ("tokens", "appended", "kv_constant") if getattr(operator, n) == tokens}
        return replace(operator, aten=None, kernels=None, **of_source)  # type: ignore[arg-type]

    for a, b in zip(one.operators, other.operators, strict=True):
        if bare(a, source) != bare(b, more):
            raise verify.ExportError(f"two recordings give different operators: {a} and {b}")


# ---- workloads


def _workload(name: str, pair: _Pair, key: str, folded: Folded) -> Workload:
    count = pair.counts[0] if key == "encode" else pair.counts[1]
    aten, kernels = folded.overhead or (None, None)
    shape = shape_of(name, pair.module.config, folded.operators, count)
    operators = folded.operators
    if key == "encode":
        names = {o.name: o.name if o.name in _SHARED else f"{ENCODER}{o.name}" for o in operators} | {INPUT: INPUT}
        operators = tuple(_renamed(operator, names) for operator in operators)
    return Workload(shape, operators, folded.count, overhead_aten=aten, overhead_kernels=kernels)


def _renamed(operator: Operator, names: Mapping[str, str]) -> Operator:
    take = tuple((names[name], first, size) for name, first, size in operator.take)
    return replace(
        operator, name=names[operator.name], deps=tuple(names[dep] for dep in operator.deps), take=take
    )  # fmt: skip
