"""The shape of a model from its config.json alone, without torch, for the families that are built in.

What a config.json leaves out is what the family's configuration class of transformers has for it
(tests/export/test_plain.py compares the two).  Keys that change no operator are not looked at.
"""

from __future__ import annotations

import math
import reprlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pimsim.errors import InputError, Problem
from pimsim.workload import ops
from pimsim.workload.graph import Workload
from pimsim.workload.layers import period
from pimsim.workload.shapes import ModelShape

_LLAMA = {
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": None,
    "hidden_act": "silu",
    "vocab_size": 32000,
    "max_position_embeddings": 2048,
    "tie_word_embeddings": False,
    "head_dim": None,
    "attention_bias": False,
    "mlp_bias": False,
    "sliding_window": None,
}
_QWEN2 = _LLAMA | {
    "intermediate_size": 22016,
    "num_key_value_heads": 32,
    "vocab_size": 151936,
    "max_position_embeddings": 32768,
    "use_sliding_window": False,
    "sliding_window": 4096,
    "max_window_layers": 28,
}
_MISTRAL = _LLAMA | {
    "intermediate_size": 14336,
    "num_key_value_heads": 8,
    "max_position_embeddings": 131072,
    "sliding_window": 4096,
}
_GEMMA2 = {
    "hidden_size": 2304,
    "intermediate_size": 9216,
    "num_hidden_layers": 26,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "hidden_activation": "gelu_pytorch_tanh",
    "vocab_size": 256000,
    "max_position_embeddings": 8192,
    "tie_word_embeddings": True,
    "head_dim": 256,
    "attention_bias": False,
    "sliding_window": 4096,
    "attn_logit_softcapping": 50.0,
    "final_logit_softcapping": 30.0,
}
_GEMMA = {
    "hidden_size": 3072,
    "intermediate_size": 24576,
    "num_hidden_layers": 28,
    "num_attention_heads": 16,
    "num_key_value_heads": 16,
    "hidden_act": "gelu_pytorch_tanh",
    "vocab_size": 256000,
    "max_position_embeddings": 8192,
    "tie_word_embeddings": True,
    "head_dim": 256,
    "attention_bias": False,
    "sliding_window": None,
}
DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "gpt2": {
        "n_embd": 768,
        "n_layer": 12,
        "n_head": 12,
        "n_inner": None,
        "n_positions": 1024,
        "vocab_size": 50257,
        "activation_function": "gelu_new",
        "tie_word_embeddings": True,
    },
    "llama": _LLAMA,
    "qwen2": _QWEN2,
    "qwen3": _QWEN2 | {"head_dim": 128},
    "mistral": _MISTRAL,
    "mixtral": _MISTRAL | {"sliding_window": None, "num_local_experts": 8, "num_experts_per_tok": 2},
    "gemma": _GEMMA,
    "gemma2": _GEMMA2,
    "gemma3_text": _GEMMA2
    | {
        "vocab_size": 262208,
        "max_position_embeddings": 131072,
        "attn_logit_softcapping": None,
        "final_logit_softcapping": None,
        "use_bidirectional_attention": False,
        "sliding_window_pattern": 6,
    },
    "phi3": _LLAMA
    | {
        "hidden_size": 3072,
        "intermediate_size": 8192,
        "vocab_size": 32064,
        "max_position_embeddings": 4096,
    },
}
# Names that a configuration may use in place of its class's own; they win over them.
ALIASES = {
    "gpt2": {
        "n_embd": "hidden_size",
        "n_layer": "num_hidden_layers",
        "n_head": "num_attention_heads",
        "n_positions": "max_position_embeddings",
    },
    "mixtral": {"num_local_experts": "num_experts"},
}
# Activation functions of transformers by what a trace calls them; most have the same name.
ACTIVATIONS = {name: (name,) for name in ops.ACTIVATIONS} | {
    "gelu": ("gelu", "gelu_new", "gelu_python", "gelu_fast", "gelu_accurate", "gelu_pytorch_tanh", "gelu_python_tanh"),
    "silu": ("silu", "swish"),
}
LARGEST = 10**9  # of any size, and
MOST_LAYERS = 1 << 16  # more are typing errors; sums of what is smaller a trace can hold
_WINDOWED, _FULL = "sliding_attention", "full_attention"


def shape_of_config(name: str, kind: str, values: Mapping[str, Any], prefix: str = "") -> ModelShape:
    """The shape of a model of a family of `DEFAULTS`.

    prefix: what stands before the keys in their file.  InputError has every problem, each with its key.
    """
    read = Reader(DEFAULTS[kind], values, prefix, ALIASES.get(kind, {}))
    try:
        shape = (_gpt2 if kind == "gpt2" else _llama)(name, kind, read)
    except ValueError as error:  # of the shape, which names what does not fit
        raise InputError(read.problems or f"sizes that a trace cannot hold: {error}") from error
    if read.problems:
        raise InputError(read.problems)
    return shape


def prefill_of(decode: Workload, prompt: int) -> Workload:
    """The graph of a prefill: what follows the final norm runs for the last token of the prompt alone.

    Its launches are not those of a decode step, and not known.
    """
    per = "sequence" if prompt > 1 else "token"
    operators = tuple(
        replace(o, aten=None, kernels=None, per=per if o.scope == "once_after" and o.name != "final_norm" else o.per)
        for o in decode.operators
    )
    return replace(decode, operators=operators)


class Reader:
    """Values of a configuration with the family's defaults; what is wrong is noted in `problems`."""

    def __init__(
        self, defaults: Mapping[str, Any], values: Mapping[str, Any], prefix: str, aliases: Mapping[str, str]
    ) -> None:
        self.problems: list[Problem] = []
        self._defaults = defaults
        self._aliases = aliases
        self._values = values
        self._prefix = prefix

    def wrong(self, key: str, message: str) -> None:
        """Note a problem with a key."""
        self.problems.append(Problem("", 0, 0, self._prefix + self._given(key), message))

    def any(self, key: str) -> Any:
        """The value of a key, whatever it is."""
        return self._values.get(self._given(key), self._defaults.get(key))

    def size(self, key: str, most: int = LARGEST) -> int:
        """An integer of at least 1."""
        found = self.any(key)
        return found if self._is_size(key, found, most) else 1

    def size_or_none(self, key: str) -> int | None:
        """An integer of at least 1, or null."""
        found = self.any(key)
        return found if found is None or self._is_size(key, found) else None

    def integer(self, key: str) -> int:
        """Any integer."""
        found = self.any(key)
        return found if self._is(type(found) is int, key, "an integer") else 0

    def flag(self, key: str) -> bool:
        """True or false."""
        found = self.any(key)
        return found is True if self._is(isinstance(found, bool), key, "true or false") else False

    def activation(self, key: str) -> str:
        """What a trace calls an activation function."""
        found = self.any(key)
        known = {each: name for name, names in ACTIVATIONS.items() for each in names}
        return (
            known[found]
            if self._is(isinstance(found, str) and found in known, key, f"one of {', '.join(known)}")
            else "gelu"
        )

    def _given(self, key: str) -> str:
        alias = self._aliases.get(key, key)
        return alias if alias in self._values else key

    def _is_size(self, key: str, found: Any, most: int = LARGEST) -> bool:
        positive = self._is(type(found) is int and found >= 1, key, "an integer of at least 1")
        return positive and self._is(found <= most, key, f"at most {most:,}")

    def _is(self, right: bool, key: str, expected: str) -> bool:
        if not right:
            self.wrong(key, f"must be {expected}, not {reprlib.repr(self.any(key))}")
        return right


def _gpt2(name: str, kind: str, read: Reader) -> ModelShape:
    """LayerNorm, learned positions, one matrix for q, k and v, biases."""
    width = read.size("n_embd")
    if read.any("add_cross_attention"):
        read.wrong("add_cross_attention", "cross attention has no encoder here")
    return ModelShape(
        name,
        read.size("n_layer", MOST_LAYERS),
        width,
        read.size("n_head"),
        read.size("n_head"),
        read.size_or_none("n_inner") or 4 * width,
        read.size("vocab_size"),
        read.size("n_positions"),
        kind,
        activation=read.activation("activation_function"),
        tied=read.flag("tie_word_embeddings"),
    )


def _llama(name: str, kind: str, read: Reader) -> ModelShape:
    """RMSNorm, rotary positions, a gated FFN; the rest by family."""
    width, heads, layers = (
        read.size("hidden_size"),
        read.size("num_attention_heads"),
        read.size("num_hidden_layers", MOST_LAYERS),
    )
    gemma, later_gemma, phi3 = kind.startswith("gemma"), kind in ("gemma2", "gemma3_text"), kind == "phi3"
    head_dim = (read.size_or_none("head_dim") if DEFAULTS[kind]["head_dim"] is None else read.size("head_dim")) or (
        width // heads
    )
    windows = _windows(kind, layers, read)
    repeat = period(windows)
    if not read.problems and kind in ("llama", "gemma", "gemma2", "gemma3_text") and width % heads:
        read.wrong("num_attention_heads", f"{heads} must divide hidden_size, {width}")
    elif not read.problems and head_dim % 2:
        key = "head_dim" if read.any("head_dim") else "num_attention_heads"
        read.wrong(key, f"{head_dim} elements of a head cannot be rotated in pairs")
    rotated = 2 * math.ceil(int(head_dim * _partial(read)) / 2) if phi3 else head_dim  # in pairs
    experts = read.size("num_local_experts") if kind == "mixtral" else 1
    if kind == "mixtral" and experts == 1:
        read.wrong("num_local_experts", "must be at least 2: a router chooses among them")
    return ModelShape(
        name,
        layers,
        width,
        heads,
        read.size_or_none("num_key_value_heads") or heads,
        read.size("intermediate_size"),
        read.size("vocab_size"),
        read.size("max_position_embeddings"),
        kind,
        head_size=0 if head_dim * heads == width else head_dim,
        window=max(windows),
        windows=tuple(windows[:repeat]) if repeat > 1 else (),
        norm="rmsnorm",
        activation=read.activation("hidden_activation" if later_gemma else "hidden_act"),
        gated=True,
        biases=_biases(kind, read),
        merged_qkv=phi3,
        merged_gate=phi3,
        qk_norm={"qwen3": "each", "gemma3_text": "after"}.get(kind, ""),
        post_norms=later_gemma,
        rope=True,
        rotated=0 if rotated == head_dim else rotated,
        tied=read.flag("tie_word_embeddings"),
        experts=experts,
        active=read.size("num_experts_per_tok") if kind == "mixtral" else 1,
        softcap=kind == "gemma2" and read.any("attn_logit_softcapping") is not None,
        logit_softcap=later_gemma and read.any("final_logit_softcapping") is not None,
        embed_scale=gemma,
    )


def _biases(kind: str, read: Reader) -> tuple[str, ...]:
    """The products that have a bias."""
    if kind == "qwen2":
        return ("qkv",)
    attention = kind in ("llama", "qwen3", "gemma", "gemma2", "gemma3_text") and read.flag("attention_bias")
    ffn = kind == "llama" and read.flag("mlp_bias")
    return (*(("qkv", "attn_out") if attention else ()), *(("ffn_up", "ffn_gate", "ffn_down") if ffn else ()))


def _partial(read: Reader) -> float:
    """The share of a head that Phi-3 rotates; the newer place wins."""
    rope = read.any("rope_scaling") or read.any("rope_parameters") or {}
    places = (rope.get("partial_rotary_factor") if isinstance(rope, dict) else None, read.any("partial_rotary_factor"))
    found = next((value for value in places if value is not None), 1.0)
    if isinstance(found, bool) or not isinstance(found, int | float) or not 0 < found <= 1:
        read.wrong("partial_rotary_factor", f"must be above 0 and at most 1, not {found!r}")
        return 1.0
    return float(found)


def _windows(kind: str, layers: int, read: Reader) -> list[int]:
    """Tokens that each layer attends to at most, 0 for all."""
    window = read.size_or_none("sliding_window")
    if kind in ("llama", "gemma") and window:
        read.wrong("sliding_window", f"a {kind} has none")
    if kind in ("llama", "gemma", "mistral", "mixtral", "phi3"):
        everywhere = window or 0
        given = read.any("layer_types")
        if given is not None and not _all_are(given, _WINDOWED if everywhere else _FULL):
            read.wrong("layer_types", f"a {kind} has the same attention in every layer")
        return [everywhere] * layers
    kinds = read.any("layer_types")
    if kinds is None:
        kinds = _layer_types(kind, layers, window, read)
    elif not isinstance(kinds, list) or len(kinds) != layers or not set(map(str, kinds)) <= {_WINDOWED, _FULL}:
        read.wrong("layer_types", f"must be a list of {layers} of {_WINDOWED} and {_FULL}")
        kinds = [_FULL] * layers
    if kind.startswith("qwen") and not read.flag("use_sliding_window"):
        window = None
    if kind == "gemma3_text" and window and read.any("use_bidirectional_attention"):
        window = window // 2 + 1
    if window is None and _WINDOWED in kinds:
        read.wrong("sliding_window", f"{_WINDOWED} in layer_types needs one")
    return [(window or 0) if each == _WINDOWED else 0 for each in kinds]


def _all_are(kinds: Any, kind: str) -> bool:
    return isinstance(kinds, list) and kinds != [] and all(each == kind for each in kinds)


def _layer_types(kind: str, layers: int, window: int | None, read: Reader) -> list[str]:
    """Which layers have the window where the file does not say it."""
    pattern = 0
    if kind == "gemma2":
        pattern = 2
    elif kind == "gemma3_text":
        pattern = read.size("sliding_window_pattern")
    elif window is not None and read.flag("use_sliding_window"):
        first = read.integer("max_window_layers")
        return [_WINDOWED if i >= first else _FULL for i in range(layers)]
    return [_WINDOWED if pattern and (i + 1) % pattern else _FULL for i in range(layers)]
