"""Sizes and kinds of decoder-only transformers, and the models that are built in (no torch)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pimsim.registry import Registry
from pimsim.workload.attributes import Attributes
from pimsim.workload.ops import NORMS, OPS

QK_NORMS = ("", "each", "after")
LINEARS = ("qkv", "attn_out", "ffn_up", "ffn_gate", "ffn_down", "lm_head")


@dataclass(frozen=True)
class ModelShape(Attributes):
    """The sizes of a decoder-only transformer, and which variant of each part it has.

    The defaults are those of GPT-2; `family` names checkpoints and says nothing else.

    kv_heads   heads of K and V; fewer than `heads` means grouped-query attention
    head_size  elements of a head (0: d_model / heads)
    windows    the `window` of each layer of the block that repeats (empty: `window`, in every layer)
    norm, activation   of `ops.NORMS` and `ops.ACTIVATIONS` (or a function that was registered)
    gated      the FFN multiplies act(gate) by up
    biases     which of LINEARS have a bias ("qkv" is the three of them)
    merged_qkv one matrix makes q, k and v; merged_gate: one makes gate and up
    qk_norm    of QK_NORMS: heads of q and k are normalised, each after its product or both after those of q, k and v
    post_norms what attention and FFN make is normalised before it is added
    rope       positions are rotations of q and k, not rows of a table
    rotated    elements of a head that are rotated (0: all)
    logit_softcap   logits pass through cap * tanh(x / cap)
    embed_scale  the token's embedding is scaled
    tied       the LM head is the token table
    experts, active   FFNs in a block, and how many a token uses (1: no router)

    Raises ValueError if a size is below 1, `heads` does not divide `d_model` and there is no
    `head_size`, `kv_heads` does not divide `heads`, or a kind is unknown.
    """

    name: str
    layers: int
    d_model: int
    heads: int
    kv_heads: int
    d_ff: int
    vocabulary: int
    max_positions: int
    family: str = "gpt2"
    head_size: int = 0
    norm: str = "layernorm"
    activation: str = "gelu"
    gated: bool = False
    biases: tuple[str, ...] = ("qkv", "attn_out", "ffn_up", "ffn_down")
    merged_qkv: bool = True
    rope: bool = False
    tied: bool = True
    experts: int = 1
    active: int = 1
    windows: tuple[int, ...] = ()
    merged_gate: bool = False
    qk_norm: str = ""
    post_norms: bool = False
    rotated: int = 0
    logit_softcap: bool = False
    embed_scale: bool = False

    def __post_init__(self) -> None:
        problem = next(self._problems(), None)
        if problem:
            raise ValueError(f"model {self.name!r}: {problem}")

    def _problems(self) -> Iterator[str]:
        for key in ("layers", "d_model", "heads", "kv_heads", "d_ff", "vocabulary", "max_positions", "experts"):
            if getattr(self, key) < 1:
                yield f"{key} must be at least 1, got {getattr(self, key)}"
        if not self.head_size and self.d_model % self.heads:
            yield f"heads ({self.heads}) must divide d_model ({self.d_model})"
        if self.heads % self.kv_heads:
            yield f"kv_heads ({self.kv_heads}) must divide heads ({self.heads})"
        if min(self.head_size, self.window, *self.windows) < 0:
            yield "head_size and window must be at least 0"
        if self.layers % len(self.windows or (0,)):
            yield f"windows of {len(self.windows)} layers do not repeat in {self.layers}"
        if self.norm not in NORMS or not _is_activation(self.activation):
            yield f"unknown norm or activation: {self.norm}, {self.activation}"
        if self.qk_norm not in QK_NORMS:
            yield f"unknown qk_norm {self.qk_norm!r}"
        if not set(self.biases) <= set(LINEARS):
            yield f"unknown linear in biases {self.biases}; known: {', '.join(LINEARS)}"
        if not 1 <= self.active <= self.experts:
            yield f"{self.active} of {self.experts} experts are active"
        if not 0 <= self.rotated <= self.head_dim:
            yield f"{self.rotated} elements of a head of {self.head_dim} are rotated"

    @property
    def head_dim(self) -> int:
        """Elements of one attention head."""
        return self.head_size or self.d_model // self.heads

    @property
    def rotary(self) -> int:
        """Elements of one head that are rotated."""
        return self.rotated or self.head_dim

    @property
    def q_width(self) -> int:
        """Elements of a token's query."""
        return self.heads * self.head_dim

    @property
    def kv_width(self) -> int:
        """Elements of a token's keys, and of its values."""
        return self.kv_heads * self.head_dim


def _is_activation(name: str) -> bool:
    return name in OPS and OPS[name].activation and OPS[name].experts


def _gpt(name: str, layers: int, d_model: int, heads: int, positions: int) -> ModelShape:
    """A GPT-2 or GPT-3 shape: d_ff = 4 d_model, byte-pair vocabulary of 50,257."""
    return ModelShape(name, layers, d_model, heads, heads, 4 * d_model, 50257, positions)


def llama(
    name: str, layers: int, d_model: int, heads: int, kv_heads: int, d_ff: int, vocabulary: int, max_positions: int,
    family: str = "llama", tied: bool = False, biases: tuple[str, ...] = (), window: int = 0, experts: int = 1,
    active: int = 1, head_size: int = 0,
) -> ModelShape:  # fmt: skip
    """A model of Llama's kind: RMSNorm, rotary positions, a FFN gated by SiLU, no biases unless named."""
    return ModelShape(
        name, layers, d_model, heads, kv_heads, d_ff, vocabulary, max_positions, family, head_size,
        norm="rmsnorm", activation="silu", gated=True, biases=biases, merged_qkv=False, rope=True, tied=tied,
        experts=experts, active=active, window=window,
    )  # fmt: skip


def _qwen(name: str, layers: int, d_model: int, heads: int, kv_heads: int, d_ff: int) -> ModelShape:
    """A small Qwen2.5: Llama's kind with biases on q, k and v, and a tied LM head."""
    return llama(
        name, layers, d_model, heads, kv_heads, d_ff, 151936, 32768, family="qwen2", tied=True, biases=("qkv",)
    )


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
    # inferred: 16 heads of 128 fit the data-movement figures; the GPT-3 paper prints 24, which does not divide 2048
    _gpt("gpt3-xl", 24, 2048, 16, 2048),
    # source: recalled: GPT-3 paper, table 2.1
    _gpt("gpt3-2.7b", 32, 2560, 32, 2048),
    _gpt("gpt3-6.7b", 32, 4096, 32, 2048),
    # derived: 40 heads of 128 make 5120; the GPT-3 paper prints d_model 5140
    _gpt("gpt3-13b", 40, 5120, 40, 2048),
    _gpt("gpt3-175b", 96, 12288, 96, 2048),
    # source: recalled: config.json of meta-llama/Llama-3.2-1B (1,235,814,400 parameters)
    llama("llama-3.2-1b", 16, 2048, 32, 8, 8192, 128256, 131072, tied=True),
    # source: recalled: config.json of Qwen/Qwen2.5-0.5B, -1.5B and -3B (494,032,768; 1,543,714,304; 3,085,938,688);
    # positions: 32768 tokens of context, as the model cards say
    _qwen("qwen2.5-0.5b", 24, 896, 14, 2, 4864),
    _qwen("qwen2.5-1.5b", 28, 1536, 12, 2, 8960),
    _qwen("qwen2.5-3b", 36, 2048, 16, 2, 11008),
    # source: recalled: config.json of mistralai/Mistral-7B-v0.1, which has the window (7,241,732,096 parameters)
    llama("mistral-7b", 32, 4096, 32, 8, 14336, 32000, 32768, family="mistral", window=4096),
    # source: recalled: config.json of meta-llama/Meta-Llama-3-8B (8,030,261,248 parameters)
    llama("llama-3-8b", 32, 4096, 32, 8, 14336, 128256, 8192),
    # source: recalled: config.json of meta-llama/Meta-Llama-3-70B (70,553,706,496 parameters)
    llama("llama-3-70b", 80, 8192, 64, 8, 28672, 128256, 8192),
    # source: recalled: config.json of meta-llama/Llama-3.1-405B, 8 heads of K and V (405,853,388,800 parameters)
    llama("llama-3.1-405b", 126, 16384, 128, 8, 53248, 128256, 131072),
    # source: recalled: config.json of mistralai/Mixtral-8x7B-v0.1 (46,702,792,704 parameters)
    llama("mixtral-8x7b", 32, 4096, 32, 8, 14336, 32000, 32768, family="mixtral", experts=8, active=2),
)
MODELS: Registry[ModelShape] = Registry("model", {shape.name: shape for shape in _SHAPES})
