"""Schedules made by hand, and what a step of a small model takes, written out operator by operator."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pimsim.workload.models import ModelShape, Workload, build
from pimsim.workload.schedule import Copied, Forked, Schedule, Stage

SHAPE = ModelShape("tiny", 2, 64, 4, 4, 256, 500, 64)  # 2 layers of 64, 4 heads of 16, d_ff 256
DRAFT = ModelShape("draft", 1, 32, 2, 2, 128, 500, 64)
GBps, TFLOPS, BYTES = 240.0, 65.0, 2  # a T4's roofline in fp16


def tiny(**changes: Any) -> Workload:
    """The blocks of a small GPT; changes: of its attention."""
    workload = build(SHAPE, lm_head=False)
    operators = tuple(replace(o, **changes) if o.op == "attention" else o for o in workload.operators)
    return replace(workload, operators=operators)


def schedule(
    stages: Sequence[Stage],
    steps: Iterable[tuple[int, int, int]],
    before: Mapping[int, tuple[Copied | Forked, ...]] | None = None,
    after: Mapping[int, tuple[Copied, ...]] | None = None,
    heads: Sequence[bool] = (),
) -> Schedule:
    """steps: of each the stage, the context, and the tokens that are kept."""
    stage, context, kept = np.array(list(steps), np.int64).T
    head = np.array(heads or [True] * len(stage), bool)
    return Schedule(tuple(stages), stage, context, kept, head, before or {}, after or {})


def plain(workload: Workload, contexts: Sequence[int], batch: int, tokens: int, prompt: int = 0) -> Schedule:
    """Plain decoding after a prompt that goes in token by token."""
    stages = [Stage("decode", "decode", workload, batch, tokens), Stage("decode", "prefill", workload, batch, 1)]
    prefill = [(1, contexts[0] - tokens - prompt + 1 + i, 1) for i in range(prompt)]
    heads = [i == prompt - 1 for i in range(prompt)] + [True] * len(contexts)
    return schedule(stages, [*prefill, *((0, context, tokens) for context in contexts)], heads=heads)


@dataclass(frozen=True)
class Work:
    """What a step of `tiny` asks for: vectors of all sequences, tokens read, scores, tokens written, tokens copied."""

    vectors: int
    read: int
    scores: int
    written: int
    copied: int = 0

    def layer(self, width: int = 64, ff: int = 256, heads: int = 4) -> list[tuple[float, float]]:
        """(elements, operations) of each operator of a block."""
        n = self.vectors
        products = ((width, 3 * width), (width, width), (width, ff), (ff, width))
        kv = 2 * width * (self.read + 2 * self.copied) + 2 * width * self.written
        return [
            *((k * m + m, (2 * k * m + m) * n) for k, m in products),
            (kv, self.scores * (4 * width + 6 * heads)),
            *((2 * width, 7 * width * n) for _ in range(2)),
            (0, 9 * ff * n),
            *((0, width * n) for _ in range(2)),
        ]

    def ns(self, layers: int = 2, share: float = 1.0, size: int = BYTES, peak: float = TFLOPS, **sizes: int) -> float:
        """A step on a T4: of each operator the longer of memory and arithmetic."""
        times = (max(e * size / (GBps * share), o / (peak * 1e3)) for e, o in self.layer(**sizes))
        return layers * sum(times)
