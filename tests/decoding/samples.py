"""Every ready-made schedule, small: by name, with the model it is of."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pimsim.workload.decoding import caches, drafts, heads, hypotheses, layers
from pimsim.workload.decoding.source import Source, source_of
from pimsim.workload.decoding.steps import Asked
from pimsim.workload.trace.records import Schedule, Trace

ASKED = Asked(prompt=8, tokens=20)
IMAGE = Asked(prompt=0)


def model(name: str) -> Source:
    """A built-in model."""
    return source_of(name, "--target")


def _of(builder: Callable[..., Trace], name: str = "gpt2-small") -> Callable[[], Trace]:
    return lambda: builder(model(name), ASKED)


SAMPLES: Mapping[str, Callable[[], Trace]] = {
    "speculative": lambda: drafts.speculative(model("gpt2-medium"), ASKED, model("gpt2-small")),
    "speculative a tree": lambda: drafts.speculative(
        model("gpt2-medium"), ASKED, model("gpt2-small"), tree="recycling-80"
    ),
    "speculative looked up": lambda: drafts.speculative(
        model("gpt2-small"), ASKED, acceptance="spec-bench-lookup", drafts=3
    ),
    "recycling": _of(drafts.recycling),
    "swift": _of(drafts.swift),
    "medusa": _of(heads.medusa),
    "medusa llama": _of(heads.medusa, "llama-3.2-1b"),
    "hydra": _of(heads.hydra),
    "hydra llama": _of(heads.hydra, "llama-3.2-1b"),
    "eagle": _of(heads.eagle),
    "eagle llama": _of(heads.eagle, "llama-3.2-1b"),
    "kangaroo": _of(heads.kangaroo),
    "kangaroo mistral": _of(heads.kangaroo, "mistral-7b"),
    "layer-skip": _of(layers.layer_skip),
    "early-exit": _of(layers.early_exit),
    "beams": _of(hypotheses.beams),
    "superposed": _of(hypotheses.superposed),
    "duo-attention": _of(caches.duo_attention),
    "duo-attention qwen": _of(caches.duo_attention, "qwen2.5-0.5b"),
    "drop-prefix": _of(caches.drop_prefix),
    "block-transformer": _of(caches.block_transformer),
    "next-scale": lambda: caches.next_scale(model("var-d16"), IMAGE),
}


def told(line: Schedule) -> tuple[str, int, str, int]:
    """Template, steps, context and query tokens of a line."""
    return line.template, line.steps, str(line.bindings["T"]), line.bindings["Q"].constant
