"""The sizes of a model, read off its operators."""

from __future__ import annotations

from typing import Any

from pimsim.workload.ops import ACTIVATIONS, Operator
from pimsim.workload.shapes import LINEARS, ModelShape

# Tokens that BLOOM was trained with, where its configuration does not say it (`seq_length`).
# source: recalled: BLOOM paper, table 3
_TRAINED = 2048


def shape_of(name: str, config: Any, operators: tuple[Operator, ...], layers: int) -> ModelShape:
    """The shape of a model of `layers` layers with these operators; what no operator shows comes from `config`."""
    attention = _first(operators, op="attention")
    embedding = _first(operators, op="embedding")
    down = _first(operators, role="ffn_down")
    activations = [o.op for o in operators if o.role == "activation" and o.op in ACTIVATIONS]
    if not activations:
        raise ValueError(f"no activation of {', '.join(ACTIVATIONS)} in a decoder layer")
    return ModelShape(
        name,
        layers,
        embedding.outputs,
        attention.heads,
        attention.kv_heads,
        down.inputs,
        embedding.tables[0],
        _positions(config),
        family=config.model_type,
        head_size=0 if attention.heads * attention.head_dim == embedding.outputs else attention.head_dim,
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


def _positions(config: Any) -> int:
    """The longest context; of models with ALiBi the one that they were trained with."""
    for name in ("max_position_embeddings", "max_seq_len", "seq_length", "n_positions"):
        if (value := getattr(config, name, None)) is not None:
            return int(value)
    return _TRAINED


def _first(operators: tuple[Operator, ...], **wanted: str) -> Operator:
    return next(o for o in operators if all(getattr(o, key) == value for key, value in wanted.items()))
