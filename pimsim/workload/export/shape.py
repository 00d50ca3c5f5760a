"""The sizes of a model, read off its operators."""

from __future__ import annotations

from typing import Any

from pimsim.workload.ops import ACTIVATIONS, Operator
from pimsim.workload.shapes import LINEARS, ModelShape

NO_LIMIT = 1 << 20  # positions of a model that has none: no run here goes beyond


def shape_of(name: str, config: Any, operators: tuple[Operator, ...], layers: int) -> ModelShape:
    """The shape of a model of `layers` layers with these operators; what no operator shows comes from `config`."""
    embedding = _first(operators, op="embedding")
    heads, kv_heads, head_dim = _heads(operators, embedding.outputs)
    down = next((o for o in operators if o.role == "ffn_down"), None) or _first(operators, name="ssm_out")
    activations = [o.op for o in operators if o.role == "activation" and o.op in ACTIVATIONS]
    if not activations:
        raise ValueError(f"no activation of {', '.join(ACTIVATIONS)} in a decoder layer")
    return ModelShape(
        name,
        layers,
        embedding.outputs,
        heads,
        kv_heads,
        down.inputs,
        embedding.tables[0],
        int(getattr(config, "max_position_embeddings", NO_LIMIT)),
        family=config.model_type,
        head_size=0 if heads * head_dim == embedding.outputs else head_dim,
        window=max(o.window for o in operators),
        norm=_first(operators, role="norm").op,
        activation=activations[0],
        gated=any(o.op == "mul" for o in operators),
        biases=tuple(role for role in LINEARS if any(o.role == role and o.bias for o in operators)),
        merged_qkv=any(o.name.startswith("qkv") for o in operators),
        rope=any(o.op == "rope" for o in operators),
        tied=any(o.tied for o in operators),
        experts=down.experts,
        active=down.active,
    )


def _heads(operators: tuple[Operator, ...], width: int) -> tuple[int, int, int]:
    """Heads, heads of K and V, and elements of one; a model without attention has one as wide as itself."""
    attention = next((o for o in operators if o.op == "attention"), None)
    return (1, 1, width) if attention is None else (attention.heads, attention.kv_heads, attention.head_dim)


def _first(operators: tuple[Operator, ...], **wanted: str) -> Operator:
    return next(o for o in operators if all(getattr(o, key) == value for key, value in wanted.items()))
