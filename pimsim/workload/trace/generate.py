"""Traces of the built-in models, made without torch."""

from __future__ import annotations

from pimsim.errors import InputError, did_you_mean
from pimsim.registry import not_loaded
from pimsim.workload.launches import RECORDED_WITH
from pimsim.workload.models import MODELS, build
from pimsim.workload.trace.bind import trace_of
from pimsim.workload.trace.records import Trace

# What the folder `traces` holds.
SHIPPED = (
    "gpt2-small",
    "gpt2-medium",
    "gpt2-large",
    "gpt2-xl",
    "gpt3-small",
    "gpt3-medium",
    "gpt3-large",
    "gpt3-xl",
    "llama-3.2-1b",
    "qwen2.5-0.5b",
    "mistral-7b",
    "llama-3-8b",
)


def generated(name: str, prompt: int = 0, steps: int = 1024, batch: int = 1, tokens: int = 1) -> Trace:
    """The trace of a built-in model; InputError if there is no such model.

    Launches are those of a step of one sequence and one query token, whatever is asked for.
    """
    if name not in MODELS:
        raise InputError(f"no model {name!r}{did_you_mean(name, MODELS)}{not_loaded()}", key="--model")
    workload = build(MODELS[name], lm_head=True)
    recorded = workload.overhead_aten is not None
    producer = {"launches": RECORDED_WITH} if recorded else {}
    return trace_of(workload, prompt, steps, batch, tokens, producer=producer)
