"""The workload that a configuration asks for."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from pimsim.config.schema import Config, ModelConfig
from pimsim.errors import InputError, Problem
from pimsim.workload.models import MODELS, Workload, build
from pimsim.workload.shapes import ModelShape, llama
from pimsim.workload.trace.bind import Run, runs_of, workload_of
from pimsim.workload.trace.reader import load_trace
from pimsim.workload.trace.records import Trace

_SCHEDULED = ("prompt_tokens", "output_tokens", "query_tokens", "batch")


def requested_workload(config: Config) -> Workload:
    """The decode step of the model that `config` names, or of its trace; InputError if it has none."""
    work = config.workload
    if work.model_config_ is not None:
        return build(_custom(work.model_config_), work.lm_head)
    if work.trace is not None:
        return _recorded(work.trace_file, work.lm_head)
    if work.model is None:
        raise InputError("a model, a model_config or a trace is needed", key="workload")
    return build(MODELS[work.model], work.lm_head)


def _recorded(path: str, lm_head: bool) -> Workload:
    """The decode step of a trace, with or without what is around its blocks."""
    whole = workload_of(load_trace(path))
    if not whole.select("block"):
        raise InputError(f"{path} has no operators in its blocks", key="workload.trace")
    if lm_head and not whole.lm_head:
        raise InputError(f"{path} has no LM head", key="workload.lm_head")
    return whole if lm_head else whole.blocks_only()


def trace_warnings(config: Config) -> tuple[Problem, ...]:
    """Keys of the trace that this version does not know: kept, and without effect."""
    return load_trace(config.workload.trace_file).warnings if config.workload.trace is not None else ()


def scheduled(path: str, given: Collection[str]) -> tuple[dict[str, int], int]:
    """What the schedule of a trace says of the workload beyond the keys `given`, and the line that says it.

    A first decode step at context T with Q query tokens follows a prompt of T - Q tokens, whether
    the schedule has its prefill or not.  InputError for a trace that is wrong, or a schedule that
    is needed and that no run can follow.
    """
    trace = load_trace(path)
    if set(_SCHEDULED) <= set(given):
        return {}, 1
    runs = runs_of(trace)
    decode = [run for run in runs if run.phase == "decode"]
    if not decode:
        return {}, 1
    problems = [*_gaps(trace, decode), *_wrong_prompt(trace, runs, decode[0])]
    if problems:
        raise InputError(problems)
    first = decode[0]
    values = (first.context - first.tokens, sum(run.steps * run.tokens for run in decode), first.tokens, first.batch)
    return {key: value for key, value in zip(_SCHEDULED, values, strict=True) if key not in given}, first.line


def _gaps(trace: Trace, runs: Sequence[Run]) -> Iterator[Problem]:
    """Where steps do not follow each other: each adds its Q query tokens to the context, for the same sequences."""
    first, context = runs[0], runs[0].context
    for run in runs:
        if run.accept != run.tokens:
            yield _problem(trace, run, f"{run.accept} of {run.tokens} query tokens are accepted; a replay keeps all")
        elif (run.tokens, run.batch) != (first.tokens, first.batch):
            yield _problem(trace, run, f"Q {run.tokens} and B {run.batch} differ from {first.tokens} and {first.batch}")
        elif run.context != context or (run.steps > 1 and run.stride != run.tokens):
            at = f"begins at T = {run.context} and goes on by {run.stride}"
            yield _problem(trace, run, f"{at}; a replay goes on from {context} by {run.tokens}")
        context = run.context + run.steps * run.tokens


def _wrong_prompt(trace: Trace, runs: Sequence[Run], decode: Run) -> Iterator[Problem]:
    prompt = decode.context - decode.tokens
    prefill = [run for run in runs if run.phase == "prefill"]
    for run in prefill[-1:]:
        end = run.context + (run.steps - 1) * run.stride
        if (end, run.batch) != (prompt, decode.batch):
            what = f"the prefill ends at T = {end} with B = {run.batch}"
            yield _problem(trace, run, f"{what}; the first decode step follows T = {prompt} with B = {decode.batch}")


def _problem(trace: Trace, run: Run, message: str) -> Problem:
    return Problem(trace.file, run.line, 1, "schedule", message)


def _custom(m: ModelConfig) -> ModelShape:
    """The shape of a model that is not built in."""
    sizes = (m.name, m.layers, m.d_model, m.heads, m.kv_heads, m.d_ff, m.vocabulary, m.max_positions)
    head, window, biases = m.head_dim or 0, m.window or 0, ("qkv",) if m.family == "qwen2" else ()
    if m.family == "gpt2":
        return ModelShape(
            *sizes, head_size=head, window=window, tied=m.tied, experts=m.experts, active=m.active_experts
        )
    return llama(*sizes, m.family, m.tied, biases, window, m.experts, m.active_experts, head)
