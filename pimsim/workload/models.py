"""Model shapes and the operator graph of a pre-LayerNorm GPT decode step (no torch)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from pimsim.workload.ops import INPUT, Affine, Operator


@dataclass(frozen=True)
class ModelShape:
    """The sizes of a decoder-only transformer.

    kv_heads: heads of K and V; fewer than `heads` means grouped-query attention.
    Raises ValueError if a size is below 1, `heads` does not divide `d_model`, or
    `kv_heads` does not divide `heads`.
    """

    name: str
    layers: int
    d_model: int
    heads: int
    kv_heads: int
    d_ff: int
    vocabulary: int
    max_positions: int

    def __post_init__(self) -> None:
        for key in ("layers", "d_model", "heads", "kv_heads", "d_ff", "vocabulary", "max_positions"):
            if getattr(self, key) < 1:
                raise ValueError(f"model {self.name!r}: {key} must be at least 1, got {getattr(self, key)}")
        if self.d_model % self.heads:
            raise ValueError(f"model {self.name!r}: heads ({self.heads}) must divide d_model ({self.d_model})")
        if self.heads % self.kv_heads:
            raise ValueError(f"model {self.name!r}: kv_heads ({self.kv_heads}) must divide heads ({self.heads})")

    @property
    def head_dim(self) -> int:
        """Elements of one attention head."""
        return self.d_model // self.heads


def _gpt(name: str, layers: int, d_model: int, heads: int, positions: int) -> ModelShape:
    """A GPT-2 or GPT-3 shape: d_ff = 4 d_model, byte-pair vocabulary of 50,257."""
    return ModelShape(name, layers, d_model, heads, heads, 4 * d_model, 50257, positions)


_SHAPES = (
    # source: paper: PIM-GPT's eight models (layers, d_model, heads); vocabulary and positions: GPT-2 model cards
    _gpt("gpt2-small", 12, 768, 12, 1024),
    _gpt("gpt2-medium", 24, 1024, 16, 1024),
    _gpt("gpt2-large", 36, 1280, 20, 1024),
    _gpt("gpt2-xl", 48, 1600, 25, 1024),
    # source: paper: as above; positions 2048: GPT-3 paper, section 2.1
    _gpt("gpt3-small", 12, 768, 12, 2048),
    _gpt("gpt3-medium", 24, 1024, 16, 2048),
    _gpt("gpt3-large", 24, 1536, 16, 2048),
    # derived: 16 heads of 128; the GPT-3 paper prints 24, which does not divide 2048
    _gpt("gpt3-xl", 24, 2048, 16, 2048),
    # source: recalled: GPT-3 paper, table 2.1
    _gpt("gpt3-2.7b", 32, 2560, 32, 2048),
    _gpt("gpt3-6.7b", 32, 4096, 32, 2048),
    # derived: 40 heads of 128 make 5120; the GPT-3 paper prints d_model 5140
    _gpt("gpt3-13b", 40, 5120, 40, 2048),
    _gpt("gpt3-175b", 96, 12288, 96, 2048),
)
MODELS: dict[str, ModelShape] = {shape.name: shape for shape in _SHAPES}


@dataclass(frozen=True)
class Workload:
    """One decode step: `operators` in order; those of scope "block" run `shape.layers` times.

    Greedy choice of the next token is not an operator; whoever executes the LM
    head adds it.
    """

    shape: ModelShape
    operators: tuple[Operator, ...]

    @property
    def lm_head(self) -> bool:
        """True if the step goes from token to logits, False for decoder blocks only."""
        return any(operator.role == "lm_head" for operator in self.operators)

    def repeats(self, operator: Operator) -> int:
        """How often `operator` runs in one step."""
        return self.shape.layers if operator.scope == "block" else 1

    def select(self, scope: str) -> tuple[Operator, ...]:
        """The operators of one scope, in order."""
        return tuple(operator for operator in self.operators if operator.scope == scope)

    @property
    def parameters(self) -> int:
        """Parameters of every operator, biases and normalisation included, a tied matrix once."""
        return sum(o.parameters() * self.repeats(o) for o in self.operators)

    @property
    def matrix_parameters(self) -> int:
        """Weights that one step multiplies with (12 L d^2 for GPT blocks, + V d with the LM head)."""
        return sum(o.matrix * self.repeats(o) for o in self.operators)

    def operations(self) -> Affine:
        """Arithmetic operations of one step of one sequence, as a function of the context."""
        return sum((o.operations() * self.repeats(o) for o in self.operators), Affine(0))

    def macs(self) -> Affine:
        """Multiply-accumulates of matrix products in one step of one sequence."""
        return sum((o.macs() * self.repeats(o) for o in self.operators), Affine(0))

    def elements(self, batch: int = 1, biases: bool = False) -> Affine:
        """Elements across the bus in one step if memory only stored (see `Operator.elements`)."""
        return sum((o.elements(batch, biases) * self.repeats(o) for o in self.operators), Affine(0))

    def flops(self, context: int) -> int:
        """`operations` at one context."""
        return self.operations().at(context)

    def matrix_macs(self, context: int) -> int:
        """`macs` at one context."""
        return self.macs().at(context)

    def bytes(self, context: int, element_bytes: int = 2, batch: int = 1, biases: bool = False) -> int:
        """Bytes across the bus in one step if memory only stored: weights, K and V read, K and V written."""
        return self.elements(batch, biases).at(context) * element_bytes

    def total_flops(self, first: int, last: int) -> int:
        """Operations of one sequence over contexts first..last (a prompt P prefilled token by token: 1, P)."""
        return self.operations().total(first, last)

    def total_macs(self, first: int, last: int) -> int:
        """Multiply-accumulates of one sequence over contexts first..last."""
        return self.macs().total(first, last)

    def total_bytes(self, first: int, last: int, element_bytes: int = 2, batch: int = 1, biases: bool = False) -> int:
        """Bytes over contexts first..last when every token reads the weights again."""
        return self.elements(batch, biases).total(first, last) * element_bytes

    def operations_per_parameter(self, contexts: Iterable[int]) -> float:
        """Mean operations of a step over `contexts`, per matrix parameter; ValueError if there are none."""
        known = list(contexts)
        if not known:
            raise ValueError("operations_per_parameter needs at least one context")
        operations = self.operations()
        total = operations.constant * len(known) + operations.slope * sum(known)
        return total / (len(known) * self.matrix_parameters)

    def sha256(self) -> str:
        """Hash of the canonical JSON of the graph: layers and operators, not the model's name."""
        graph = {"layers": self.shape.layers, "operators": [asdict(o) for o in self.operators]}
        text = json.dumps(graph, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode("ascii")).hexdigest()


def _linear(name: str, inputs: int, outputs: int, dep: str, scope: str = "block") -> Operator:
    return Operator(name, name, "linear", scope, inputs, outputs, bias=True, deps=(dep,))


def _block(shape: ModelShape) -> tuple[Operator, ...]:
    """A pre-LayerNorm GPT block: x + attention(norm(x)), then x + ffn(norm(x))."""
    d, kv = shape.d_model, shape.kv_heads * shape.head_dim
    return (
        Operator("attn_norm", "norm", "layernorm", "block", d, d, deps=(INPUT,)),
        _linear("qkv", d, d + 2 * kv, "attn_norm"),
        Operator(
            "attention",
            "attn",
            "attention",
            "block",
            d + 2 * kv,
            d,
            heads=shape.heads,
            kv_heads=shape.kv_heads,
            head_dim=shape.head_dim,
            deps=("qkv",),
        ),
        _linear("attn_out", d, d, "attention"),
        Operator("attn_residual", "residual", "add", "block", d, d, deps=(INPUT, "attn_out")),
        Operator("ffn_norm", "norm", "layernorm", "block", d, d, deps=("attn_residual",)),
        _linear("ffn_up", d, shape.d_ff, "ffn_norm"),
        Operator("ffn_act", "activation", "gelu", "block", shape.d_ff, shape.d_ff, deps=("ffn_up",)),
        _linear("ffn_down", shape.d_ff, d, "ffn_act"),
        Operator("ffn_residual", "residual", "add", "block", d, d, deps=("attn_residual", "ffn_down")),
    )


def _before(shape: ModelShape) -> tuple[Operator, ...]:
    """Token and position embedding, one table below the other."""
    rows = shape.vocabulary + shape.max_positions
    return (Operator("embed", "embed", "embedding", "once_before", rows, shape.d_model, deps=(INPUT,)),)


def _after(shape: ModelShape) -> tuple[Operator, ...]:
    """Final LayerNorm and the LM head, whose matrix is the token embedding's."""
    d = shape.d_model
    return (
        Operator("final_norm", "norm", "layernorm", "once_after", d, d, deps=(INPUT,)),
        Operator("lm_head", "lm_head", "linear", "once_after", d, shape.vocabulary, tied="embed", deps=("final_norm",)),
    )


def build(shape: ModelShape, lm_head: bool) -> Workload:
    """The decode step of a pre-LayerNorm GPT; `lm_head` adds embedding, final norm and LM head around the blocks."""
    block = _block(shape)
    return Workload(shape, _before(shape) + block + _after(shape) if lm_head else block)
