"""The operator graphs of the built-in families: a decode step from a `ModelShape` (no torch).

GPT-2 is a pre-LayerNorm block with one matrix for q, k and v; Llama, Qwen2, Mistral and
Mixtral are one family: RMSNorm, three matrices for q, k and v, rotary positions, a gated FFN,
and in Mixtral a router with several FFNs, whose gate and up are one matrix.  Qwen3 adds norms
of q and k, Gemma 2 and 3 norms after attention and FFN and windows in some layers; Phi-3 has
one matrix for q, k and v, and one for gate and up.  Operators stand in the order in which the
models' reference code runs them.
"""

from __future__ import annotations

from dataclasses import replace

from pimsim.workload.attributes import attributes_of
from pimsim.workload.graph import Workload
from pimsim.workload.launches import with_launches
from pimsim.workload.layers import in_one_block
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
# Of those that have a norm after attention and FFN, the names of the norms are others.
_POST_NORM_NAMES = {
    "attn_post_norm": "model.layers.{layer}.post_attention_layernorm.weight",
    "ffn_norm": "model.layers.{layer}.pre_feedforward_layernorm.weight",
    "ffn_post_norm": "model.layers.{layer}.post_feedforward_layernorm.weight",
}
_QK_NORM_NAMES = {
    "q_norm": "model.layers.{layer}.self_attn.q_norm.weight",
    "k_norm": "model.layers.{layer}.self_attn.k_norm.weight",
}
_MERGED_NAMES = {
    "qkv": "model.layers.{layer}.self_attn.qkv_proj.weight",
    "ffn_up": "model.layers.{layer}.mlp.gate_up_proj.weight",
}
_MIXTRAL_NAMES = {
    "router": "model.layers.{layer}.mlp.gate.weight",
    "ffn_up": "model.layers.{layer}.mlp.experts.gate_up_proj",
    "ffn_down": "model.layers.{layer}.mlp.experts.down_proj",
}


def build(shape: ModelShape, lm_head: bool) -> Workload:
    """The decode step of a model; `lm_head` adds embedding, final norm and LM head around the blocks."""
    builder = _Builder(shape)
    windows = shape.windows or (shape.window,)
    block = tuple(in_one_block([(*builder.attention(window), *builder.ffn()) for window in windows]))
    operators = (*builder.before(), *block, *builder.after()) if lm_head else block
    return with_launches(Workload(shape, operators, shape.layers // len(windows)))


def _llama_names(shape: ModelShape) -> dict[str, str]:
    """Names of the weights of Llama's kind, with those of the parts that not all of them have."""
    return {
        **_LLAMA_NAMES,
        **_QK_NORM_NAMES,
        **(_POST_NORM_NAMES if shape.post_norms else {}),
        **(_MERGED_NAMES if shape.merged_gate else {}),
        **(_MIXTRAL_NAMES if shape.experts > 1 else {}),
    }


def _once(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


class _Builder:
    """Makes the operators of one shape."""

    def __init__(self, shape: ModelShape) -> None:
        self.shape = shape
        self.gpt2 = shape.family == "gpt2"
        self.names = _GPT2_NAMES if self.gpt2 else _llama_names(shape)

    def attention(self, window: int) -> tuple[Operator, ...]:
        """x + attention(norm(x)), or x + norm(attention(norm(x)))."""
        shape, d = self.shape, self.shape.d_model
        q, kv = shape.q_width, shape.kv_width
        if shape.merged_qkv:
            made = [self._linear("qkv", "qkv", d, q + 2 * kv, "attn_norm")]
            deps: tuple[str, ...] = ("qkv", "qkv", "qkv")
        else:
            made, deps = self._three(q, kv)
        if shape.rope:
            rotated = (shape.heads + shape.kv_heads) * shape.rotary
            made.append(Operator("rope", "rope", "rope", "block", rotated, rotated, deps=_once(deps[:2])))
            deps = ("rope", "rope", deps[2])
        attention = Operator(
            "attention", "attn", "attention", "block", q + 2 * kv, q, heads=shape.heads, kv_heads=shape.kv_heads,
            head_dim=shape.head_dim, deps=_once(deps), **(attributes_of(shape, "attention") | {"window": window}),
        )  # fmt: skip
        out = self._linear("attn_out", "attn_out", q, d, "attention")
        post = self._post_norm("attn_post_norm", "attn_out")
        last = (out, *post)[-1].name
        residual = Operator("attn_residual", "residual", "add", "block", d, d, deps=(INPUT, last))
        return (self._norm("attn_norm", INPUT), *made, attention, out, *post, residual)

    def _three(self, q: int, kv: int) -> tuple[list[Operator], tuple[str, ...]]:
        """Products that make q, k and v, with the norms of the first two, and the names of what leaves them."""
        shape = self.shape
        products = [self._linear(n, "qkv", shape.d_model, w, "attn_norm") for n, w in (("q", q), ("k", kv), ("v", kv))]
        if not shape.qk_norm:
            return products, ("q", "k", "v")
        norms = [
            Operator(
                f"{name}_norm", "norm", shape.norm, "block", shape.head_dim, shape.head_dim, rows=heads, deps=(name,),
                weight=self.names.get(f"{name}_norm", ""),
            ) for name, heads in (("q", shape.heads), ("k", shape.kv_heads))
        ]  # fmt: skip
        if shape.qk_norm == "each":
            made = [products[0], norms[0], products[1], norms[1], products[2]]
        else:
            made = [*products, *norms]
        return made, ("q_norm", "k_norm", "v")

    def ffn(self) -> tuple[Operator, ...]:
        """x + ffn(norm(x)), the FFN's result normalised or not, or the weighted sum of those that a router chooses."""
        shape, d = self.shape, self.shape.d_model
        norm = self._norm("ffn_norm", "attn_residual")
        ffn = (
            self._gated() if shape.gated else [*self._up(shape.d_ff), self._wide("ffn_act", shape.activation, "ffn_up")]
        )
        down = self._expert("ffn_down", "ffn_down", shape.d_ff, d, ffn[-1].name)
        mixed = [] if shape.experts == 1 else [
            Operator(
                "expert_sum", "residual", "add", "block", d, d, deps=("ffn_down", "router_topk"),
                experts=shape.experts, active=shape.active,
            )
        ]  # fmt: skip
        post = self._post_norm("ffn_post_norm", (down, *mixed)[-1].name)
        last = (down, *mixed, *post)[-1].name
        residual = Operator("ffn_residual", "residual", "add", "block", d, d, deps=("attn_residual", last))
        return (norm, *self._router(), *ffn, down, *mixed, *post, residual)

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

    def _up(self, width: int) -> list[Operator]:
        return [self._expert("ffn_up", "ffn_up", self.shape.d_model, width, "ffn_norm")]

    def _gated(self) -> list[Operator]:
        """Gate and up: two products, or one of both."""
        shape = self.shape
        if shape.experts > 1 or shape.merged_gate:
            both = self._up(2 * shape.d_ff)
            factors = ("ffn_up", "ffn_act") if shape.merged_gate else ("ffn_act", "ffn_up")
            return [*both, self._wide("ffn_act", shape.activation, "ffn_up"), self._wide("ffn_mul", "mul", *factors)]
        return [
            self._linear("ffn_gate", "ffn_gate", shape.d_model, shape.d_ff, "ffn_norm"),
            self._wide("ffn_act", shape.activation, "ffn_gate"),
            *self._up(shape.d_ff),
            self._wide("ffn_mul", "mul", "ffn_act", "ffn_up"),
        ]

    def before(self) -> tuple[Operator, ...]:
        """Token embedding, plus the position embedding if positions are learned, and its scale if it has one."""
        shape = self.shape
        tables = (shape.vocabulary,) if shape.rope else (shape.vocabulary, shape.max_positions)
        embed = Operator(
            "embed", "embed", "embedding", "once_before", sum(tables), shape.d_model, deps=(INPUT,), tables=tables,
            table_names=tuple(self.names["embed"].split()),
        )  # fmt: skip
        d = shape.d_model
        scale = Operator("embed_scale", "scale", "scale", "once_before", d, d, deps=("embed",))
        return (embed, scale) if shape.embed_scale else (embed,)

    def after(self) -> tuple[Operator, ...]:
        """Final norm and the LM head, whose matrix may be the token embedding's."""
        shape = self.shape
        head = Operator(
            "lm_head", "lm_head", "linear", "once_after", shape.d_model, shape.vocabulary, "lm_head" in shape.biases,
            tied="embed" if shape.tied else "", deps=("final_norm",), layout="out_in",
            weight=self.names["embed"].split()[0] if shape.tied else "lm_head.weight",
        )  # fmt: skip
        n = shape.vocabulary
        cap = Operator("lm_head_tanh", "activation", "tanh", "once_after", n, n, deps=("lm_head",))
        return (self._norm("final_norm", INPUT, "once_after"), head, *([cap] if shape.logit_softcap else []))

    def _post_norm(self, name: str, dep: str) -> list[Operator]:
        return [self._norm(name, dep)] if self.shape.post_norms else []

    def _norm(self, name: str, dep: str, scope: str = "block") -> Operator:
        d = self.shape.d_model
        return Operator(name, "norm", self.shape.norm, scope, d, d, deps=(dep,), weight=self.names.get(name, ""))

    def _linear(self, name: str, role: str, inputs: int, outputs: int, dep: str) -> Operator:
        return Operator(
            name, role, "linear", "block", inputs, outputs, bias=role in self.shape.biases, deps=(dep,),
            weight=self.names.get(name, ""), layout="in_out" if self.gpt2 else "out_in",
        )  # fmt: skip

    def _expert(self, name: str, role: str, inputs: int, outputs: int, dep: str) -> Operator:
        """A product of the FFN, which starts when the router has chosen if there is one."""
        shape = self.shape
        deps = (dep, "router_topk") if shape.experts > 1 else (dep,)
        linear = self._linear(name, role, inputs, outputs, dep)
        return replace(linear, deps=deps, experts=shape.experts, active=shape.active)

    def _wide(self, name: str, op: str, *deps: str) -> Operator:
        """An element-wise operator of the FFN, which every active expert has."""
        wide, experts, active = self.shape.d_ff, self.shape.experts, self.shape.active
        return Operator(name, "activation", op, "block", wide, wide, deps=deps, experts=experts, active=active)
