"""The sizes of a model, read off its operators."""

from __future__ import annotations

from typing import Any

from pimsim.workload.export.plain_states import NO_LIMIT
from pimsim.workload.ops import ACTIVATIONS, Operator
from pimsim.workload.shapes import LINEARS, ModelShape

POSITION_BIAS = "position_bias"  # the name of a table of what is added to scores by distance
# Tokens that BLOOM was trained with, where its configuration does not say it (`seq_length`).
# source: recalled: BLOOM paper, table 3
_TRAINED = 2048


def shape_of(name: str, config: Any, operators: tuple[Operator, ...], layers: int) -> ModelShape:
    """The shape of a model of `layers` layers with these operators; what no operator shows comes from `config`."""
    embedding = _first(operators, name="embed")
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
        _positions(config, operators),
        family=config.model_type,
        head_size=0 if heads * head_dim == embedding.outputs else head_dim,
        window=max(o.window for o in operators),
        norm=_first(operators, role="norm").op,
        activation=activations[0],
        gated=any(o.op == "mul" for o in operators),
        biases=tuple(role for role in LINEARS if any(o.role == role and o.bias for o in operators)),
        merged_qkv=any(o.name.startswith("qkv") for o in operators),
        rope=any(o.op == "rope" for o in operators),
        tied=any(o.tied for o in operators if o.role == "lm_head"),
        experts=down.experts,
        active=down.active,
    )


def _heads(operators: tuple[Operator, ...], width: int) -> tuple[int, int, int]:
    """Heads, heads of K and V, and elements of one; a model without attention has one as wide as itself."""
    attention = next((o for o in operators if o.op == "attention"), None)
    return (1, 1, width) if attention is None else (attention.heads, attention.kv_heads, attention.head_dim)


def _positions(config: Any, operators: tuple[Operator, ...]) -> int:
    """The longest context; of models with ALiBi the one that they were trained with."""
    if all(operator.op != "attention" for operator in operators):
        return NO_LIMIT
    relative = any(operator.name == POSITION_BIAS for operator in operators)
    for name in ("max_position_embeddings", "max_seq_len", "seq_length", "n_positions"):
        if (value := getattr(config, name, None)) is not None:
            return int(value)
    return NO_LIMIT if relative else _TRAINED


def _first(operators: tuple[Operator, ...], **wanted: str) -> Operator:
    return next(o for o in operators if all(getattr(o, key) == value for key, value in wanted.items()))
