"""The operator graphs of the built-in families: a decode step from a `ModelShape` (no torch).

GPT-2 is a pre-LayerNorm block with one matrix for q, k and v; Llama, Qwen2, Mistral and
Mixtral are one family: RMSNorm, three matrices for q, k and v, rotary positions, a gated FFN,
and in Mixtral a router with several FFNs.  Operators stand in the order in which the
models' reference code runs them.
"""

from __future__ import annotations

from pimsim.workload.graph import Workload
from pimsim.workload.launches import with_launches
from pimsim.workload.ops import INPUT, Operator
from pimsim.workload.shapes import MODELS, ModelShape

__all__ = ["MODELS", "ModelShape", "Workload", "build"]

# Names of the weights in checkpoints by operator.  GPT-2 stores k x m, the others m x k.
_GPT2_NAMES = {
    "embed": "transformer.wte.weight transformer.wpe.weight",
    "attn_norm": "transformer.h.{layer}.ln_1.weight",
    "qkv": "transformer.h.{layer}.attn.c_attn.weight",
    "attn_out": "transformer.h.{layer}.attn.c_proj.weight",
    "ffn_norm": "transformer.h.{layer}.ln_2.weight",
    "ffn_up": "transformer.h.{layer}.mlp.c_fc.weight",
    "ffn_down": "transformer.h.{layer}.mlp.c_proj.weight",
    "final_norm": "transformer.ln_f.weight",
}
_LLAMA_NAMES = {
    "embed": "model.embed_tokens.weight",
    "attn_norm": "model.layers.{layer}.input_layernorm.weight",
    "q": "model.layers.{layer}.self_attn.q_proj.weight",
    "k": "model.layers.{layer}.self_attn.k_proj.weight",
    "v": "model.layers.{layer}.self_attn.v_proj.weight",
    "attn_out": "model.layers.{layer}.self_attn.o_proj.weight",
    "ffn_norm": "model.layers.{layer}.post_attention_layernorm.weight",
    "ffn_gate": "model.layers.{layer}.mlp.gate_proj.weight",
    "ffn_up": "model.layers.{layer}.mlp.up_proj.weight",
    "ffn_down": "model.layers.{layer}.mlp.down_proj.weight",
    "final_norm": "model.norm.weight",
    "lm_head": "lm_head.weight",
}
_MIXTRAL_NAMES = {
    "router": "model.layers.{layer}.block_sparse_moe.gate.weight",
    "ffn_gate": "model.layers.{layer}.block_sparse_moe.experts.{expert}.w1.weight",
    "ffn_up": "model.layers.{layer}.block_sparse_moe.experts.{expert}.w3.weight",
    "ffn_down": "model.layers.{layer}.block_sparse_moe.experts.{expert}.w2.weight",
}


def build(shape: ModelShape, lm_head: bool) -> Workload:
    """The decode step of a model; `lm_head` adds embedding, final norm and LM head around the blocks."""
    builder = _Builder(shape)
    block = (*builder.attention(), *builder.ffn())
    return with_launches(Workload(shape, (*builder.before(), *block, *builder.after()) if lm_head else block))


class _Builder:
    """Makes the operators of one shape."""

    def __init__(self, shape: ModelShape) -> None:
        self.shape = shape
        self.gpt2 = shape.family == "gpt2"
        mixtral = _MIXTRAL_NAMES if shape.experts > 1 else {}
        self.names = (_GPT2_NAMES if self.gpt2 else _LLAMA_NAMES) | mixtral

    def attention(self) -> tuple[Operator, ...]:
        """x + attention(norm(x))."""
        shape, d = self.shape, self.shape.d_model
        q, kv = shape.q_width, shape.kv_width
        if shape.merged_qkv:
            made = [self._linear("qkv", "qkv", d, q + 2 * kv, "attn_norm")]
        else:
            widths = {"q": q, "k": kv, "v": kv}
            made = [self._linear(name, "qkv", d, width, "attn_norm") for name, width in widths.items()]
        deps = tuple(operator.name for operator in made)
        if shape.rope:
            rotated = q + kv
            made.append(Operator("rope", "rope", "rope", "block", rotated, rotated, deps=deps[:2]))
            deps = ("rope", deps[-1])
        attention = Operator(
            "attention", "attn", "attention", "block", q + 2 * kv, q, heads=shape.heads, kv_heads=shape.kv_heads,
            head_dim=shape.head_dim, window=shape.window, deps=deps,
        )  # fmt: skip
        return (
            self._norm("attn_norm", INPUT),
            *made,
            attention,
            self._linear("attn_out", "attn_out", q, d, "attention"),
            Operator("attn_residual", "residual", "add", "block", d, d, deps=(INPUT, "attn_out")),
        )

    def ffn(self) -> tuple[Operator, ...]:
        """x + ffn(norm(x)), or the weighted sum of the FFNs that a router chooses."""
        shape, d = self.shape, self.shape.d_model
        last = "ffn_down"
        ffn = [
            self._norm("ffn_norm", "attn_residual"),
            *self._router(),
            *(self._gated() if shape.gated else self._up()),
        ]
        ffn.append(self._linear("ffn_down", "ffn_down", shape.d_ff, d, ffn[-1].name, experts=True))
        if shape.experts > 1:
            last = "expert_sum"
            deps = ("ffn_down", "router_topk")
            ffn.append(
                Operator(last, "residual", "add", "block", d, d, deps=deps, experts=shape.experts, active=shape.active)
            )
        return (*ffn, Operator("ffn_residual", "residual", "add", "block", d, d, deps=("attn_residual", last)))

    def _router(self) -> list[Operator]:
        """Logits of every expert, their softmax, and the `active` largest divided by their sum."""
        n, active = self.shape.experts, self.shape.active
        if n == 1:
            return []
        return [
            self._linear("router", "router", self.shape.d_model, n, "ffn_norm"),
            Operator("router_softmax", "router", "softmax", "block", n, n, deps=("router",)),
            Operator("router_topk", "router", "topk", "block", n, active, deps=("router_softmax",)),
        ]

    def _up(self) -> list[Operator]:
        shape = self.shape
        return [
            self._linear("ffn_up", "ffn_up", shape.d_model, shape.d_ff, "ffn_norm", experts=True),
            self._wide("ffn_act", shape.activation, "ffn_up"),
        ]

    def _gated(self) -> list[Operator]:
        shape = self.shape
        return [
            self._linear("ffn_gate", "ffn_gate", shape.d_model, shape.d_ff, "ffn_norm", experts=True),
            self._wide("ffn_act", shape.activation, "ffn_gate"),
            self._linear("ffn_up", "ffn_up", shape.d_model, shape.d_ff, "ffn_norm", experts=True),
            self._wide("ffn_mul", "mul", "ffn_act", "ffn_up"),
        ]

    def before(self) -> tuple[Operator, ...]:
        """Token embedding, plus the position embedding if positions are learned."""
        shape = self.shape
        tables = (shape.vocabulary,) if shape.rope else (shape.vocabulary, shape.max_positions)
        embed = Operator(
            "embed", "embed", "embedding", "once_before", sum(tables), shape.d_model, deps=(INPUT,), tables=tables,
            table_names=tuple(self.names["embed"].split()),
        )  # fmt: skip
        return (embed,)

    def after(self) -> tuple[Operator, ...]:
        """Final norm and the LM head, whose matrix may be the token embedding's."""
        shape = self.shape
        head = Operator(
            "lm_head", "lm_head", "linear", "once_after", shape.d_model, shape.vocabulary, "lm_head" in shape.biases,
            tied="embed" if shape.tied else "", deps=("final_norm",), layout="out_in",
            weight=self.names["embed"].split()[0] if shape.tied else "lm_head.weight",
        )  # fmt: skip
        return self._norm("final_norm", INPUT, "once_after"), head

    def _norm(self, name: str, dep: str, scope: str = "block") -> Operator:
        d = self.shape.d_model
        return Operator(name, "norm", self.shape.norm, scope, d, d, deps=(dep,), weight=self.names.get(name, ""))

    def _linear(self, name: str, role: str, inputs: int, outputs: int, dep: str, experts: bool = False) -> Operator:
        shape = self.shape
        return Operator(
            name, role, "linear", "block", inputs, outputs, bias=role in shape.biases, deps=(dep,),
            experts=shape.experts if experts else 1, active=shape.active if experts else 1,
            weight=self.names.get(name, ""), layout="in_out" if self.gpt2 else "out_in",
        )  # fmt: skip

    def _wide(self, name: str, op: str, *deps: str) -> Operator:
        """An element-wise operator of the FFN, which every active expert has."""
        wide, experts, active = self.shape.d_ff, self.shape.experts, self.shape.active
        return Operator(name, "activation", op, "block", wide, wide, deps=deps, experts=experts, active=active)
