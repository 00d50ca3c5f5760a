"""Launches of one eager decode step, as the exporter recorded them, for the families that are built in.

Counted are ATen operators (views included) and device kernels of a step of one sequence
and one query token.  They depend on a family and on the kind of its attention, not on sizes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from pimsim.workload.graph import Workload
from pimsim.workload.shapes import ModelShape

RECORDED_WITH = "torch 2.13.0, transformers 5.24.0, eager attention"

Counts = Mapping[str, tuple[int, int]]  # by operator: ATen operators, kernels

# source: measured: pimsim trace export --hf-config gpt2-small, with RECORDED_WITH
_GPT2: Counts = {
    "overhead": (27, 12),
    "embed": (3, 3),
    "attn_norm": (1, 1),
    "qkv": (10, 1),
    "attention": (20, 7),
    "attn_out": (3, 1),
    "attn_residual": (1, 1),
    "ffn_norm": (1, 1),
    "ffn_up": (3, 1),
    "ffn_act": (8, 8),
    "ffn_down": (3, 1),
    "ffn_residual": (1, 1),
    "final_norm": (3, 1),
    "lm_head": (4, 1),
}
# source: measured: as above, a Llama with as many heads of K and V as query heads
_LLAMA: Counts = {
    "overhead": (36, 21),
    "embed": (1, 1),
    "attn_norm": (8, 8),
    "q": (9, 2),
    "k": (9, 2),
    "v": (6, 1),
    "rope": (10, 8),
    "attention": (22, 9),
    "attn_out": (4, 1),
    "attn_residual": (1, 1),
    "ffn_norm": (8, 8),
    "ffn_gate": (4, 1),
    "ffn_act": (1, 1),
    "ffn_up": (4, 1),
    "ffn_mul": (1, 1),
    "ffn_down": (4, 1),
    "ffn_residual": (1, 1),
    "final_norm": (9, 8),
    "lm_head": (4, 1),
}
# source: measured: llama-3.2-1b, qwen2.5-0.5b; K and V are repeated for grouped queries
_GROUPED: Counts = {**_LLAMA, "attention": (30, 11)}
# source: measured: mistral-7b; the mask and the cache know the window
_WINDOWED: Counts = {**_GROUPED, "attention": (32, 11), "overhead": (41, 26)}
# source: measured: mixtral-8x7b; experts as grouped products, sorted by the router's choice
_EXPERTS: Counts = {
    **_GROUPED,
    "ffn_norm": (10, 8),
    "router": (3, 2),
    "router_softmax": (1, 1),
    "router_topk": (17, 13),
    "ffn_up": (3, 1),
    "ffn_down": (2, 1),
    "expert_sum": (5, 3),
}


def with_launches(workload: Workload) -> Workload:
    """The same step with recorded launches, or as it was if nothing like it has been recorded."""
    counts = _counts(workload.shape)
    if any(operator.name not in counts for operator in workload.operators):
        return workload
    operators = tuple(
        replace(operator, aten=counts[operator.name][0], kernels=counts[operator.name][1])
        for operator in workload.operators
    )
    aten, kernels = counts["overhead"]
    return replace(workload, operators=operators, overhead_aten=aten, overhead_kernels=kernels)


def _counts(shape: ModelShape) -> Counts:
    grouped = shape.kv_heads < shape.heads
    if shape.family == "gpt2":
        return {} if grouped or shape.window or shape.activation != "gelu" else _GPT2
    if shape.family == "mixtral":
        return {} if shape.window or not grouped else _EXPERTS
    if shape.family not in ("llama", "qwen2", "mistral"):
        return {}
    if shape.window:
        return _WINDOWED if grouped else {}
    return _GROUPED if grouped else _LLAMA
