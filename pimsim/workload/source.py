"""The workload that a configuration asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pimsim.config.schema import Config, ModelConfig
from pimsim.errors import InputError
from pimsim.workload.formats import in_formats
from pimsim.workload.models import MODELS, Workload, build
from pimsim.workload.shapes import ModelShape, llama

if TYPE_CHECKING:  # what reads traces: not for those who run a model by its name
    from pimsim.workload.trace.records import Trace


def requested_trace(config: Config) -> Trace | None:
    """The trace that `config` names, checked; None if it names none, InputError if it is wrong."""
    if config.workload.trace is None:
        return None
    from pimsim.workload.trace.reader import load_trace

    return load_trace(config.workload.trace_file)


def requested_workload(config: Config, trace: Trace | None = None) -> Workload:
    """The decode step of the model that `config` names, or of its trace; InputError if it has none.

    trace: that of the config, if it has been read.
    """
    return in_formats(config, _requested(config, trace))


def _requested(config: Config, trace: Trace | None) -> Workload:
    work = config.workload
    if work.model_config_ is not None:
        return build(_custom(work.model_config_), work.lm_head)
    if trace := trace or requested_trace(config):
        return _recorded(trace, work.lm_head)
    if work.model is None:
        raise InputError("a model, a model_config or a trace is needed", key="workload")
    return build(MODELS[work.model], work.lm_head)


def with_model(config: Config, shape: ModelShape) -> Config:
    """The configuration with a model in the place of the one that it names, for which tokens are computed.

    Its LM head, biases and norms are simulated, and `asic.range_reduction` is ln2 unless it was given.
    """
    model = {"model": shape.name, "trace": None, "model_config_": None, "lm_head": True, "biases": True}
    work = config.workload.model_copy(update=model)
    if "range_reduction" in config.asic.model_fields_set:
        return config.model_copy(update={"workload": work})
    asic = config.asic.model_copy(update={"range_reduction": "ln2"})
    return config.model_copy(update={"workload": work, "asic": asic})


def _recorded(trace: Trace, lm_head: bool) -> Workload:
    """The decode step of a trace, with or without what is around its blocks."""
    from pimsim.workload.trace.bind import workload_of

    whole = workload_of(trace)
    if not whole.select("block"):
        raise InputError(f"{trace.file} has no operators in its blocks", key="workload.trace")
    if lm_head and not whole.lm_head:
        raise InputError(f"{trace.file} has no LM head", key="workload.lm_head")
    return whole if lm_head else whole.blocks_only()


def _custom(m: ModelConfig) -> ModelShape:
    """The shape of a model that is not built in."""
    sizes = (m.name, m.layers, m.d_model, m.heads, m.kv_heads, m.d_ff, m.vocabulary, m.max_positions)
    head, window, biases = m.head_dim or 0, m.window or 0, ("qkv",) if m.family == "qwen2" else ()
    if m.family == "gpt2":
        return ModelShape(
            *sizes, head_size=head, window=window, tied=m.tied, experts=m.experts, active=m.active_experts
        )
    return llama(*sizes, m.family, m.tied, biases, window, m.experts, m.active_experts, head)
