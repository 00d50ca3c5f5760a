"""A configuration that runs one step alone: a decode step at a context, or a prompt at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pimsim import api
from pimsim.api import Loaded, Prepared
from pimsim.config.schema import Config
from pimsim.errors import InputError, Problem

_CHANGED = tuple(f"workload.{key}" for key in ("context", "prompt_tokens", "prefill_chunk", "output_tokens", "batch"))
Tell = Callable[[tuple[Problem, ...]], object]


def decoding(config: Config, context: int, batch: int | None = None) -> Loaded:
    """The run whose only step decodes at a context, counted with its own tokens; InputError if no step has it."""
    query = config.workload.query_tokens
    if context < query:
        raise InputError(f"a step of {query} tokens has a context of at least {query}, not {context}", key="--context")
    return _changed(config, context=context - query, prompt_tokens=0, output_tokens=query, **_of(batch))


def prefilling(config: Config, tokens: int, batch: int | None = None) -> Loaded:
    """The run whose only step takes a prompt of `tokens` at once."""
    return _changed(config, context=0, prompt_tokens=tokens, prefill_chunk=tokens, output_tokens=0, **_of(batch))


def _of(batch: int | None) -> dict[str, int]:
    return {} if batch is None else {"batch": batch}


def _changed(config: Config, **workload: Any) -> Loaded:
    return api.change(config, {f"workload.{key}": value for key, value in workload.items()})


def prepared(loaded: Loaded, tell: Tell | None = None) -> Prepared:
    """The run, as `api.prepare`; tell: of what is odd, but not that the step is another one than a trace's."""
    return api.prepare(loaded, tell and (lambda odd: tell(unknown(loaded, odd))))


def unknown(loaded: Loaded, odd: tuple[Problem, ...]) -> tuple[Problem, ...]:
    """What is odd about a run, but not that its step is another one than its trace's."""
    if loaded.trace is None:
        return odd
    from pimsim.workload.scheduled import trace_warnings

    assert isinstance(loaded.config, Config)
    known = {each for each in trace_warnings(loaded.config, loaded.trace) if each.key in _CHANGED}
    return tuple(each for each in odd if each not in known)


def plain(config: Config, what: str) -> Config:
    """The same; InputError if a trace says which steps there are, so that a context alone says too little."""
    from pimsim.workload.scheduled import requested_schedule
    from pimsim.workload.source import requested_trace

    trace = requested_trace(config)
    if trace is None or requested_schedule(config, trace) is None:
        return config
    raise InputError(f"{what} has plain decode steps, and the schedule of this trace has others", key="workload.trace")


def alone(config: Config, what: str) -> Config:
    """The same; InputError if several devices share the model."""
    if config.system.several:
        raise InputError(f"{what} is of one device; set system.devices=1, or leave it out", key="system.devices")
    return config
