"""Models as GGUF has them: sizes and constants in the metadata, tensors by llama.cpp's names.

The metadata is said in the keys of a config.json, and read as one.  What the two store differently:
Llama's rows of q and k are in the order of llama.cpp's rotation, in which neighbours turn together;
Gemma's norms have their 1 in them; GPT-2's matrices are (outputs, inputs); a head that is the token
table is not there; experts are in one tensor, in old files one by one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pimsim.errors import InputError, Problem
from pimsim.values.weights.constants import constants_of
from pimsim.values.weights.gguf_file import GgufTensors
from pimsim.values.weights.model import Constants, Weights
from pimsim.values.weights.rotary import Rotary
from pimsim.values.weights.slots import Key, Naming, Piece, Slot, found
from pimsim.workload.export.plain import shape_of_config
from pimsim.workload.ops import Operator
from pimsim.workload.shapes import ModelShape

# What llama.cpp calls an architecture: the kind of a config.json.
KINDS = {
    "llama": "llama",
    "qwen2": "qwen2",
    "qwen3": "qwen3",
    "gemma": "gemma",
    "gemma2": "gemma2",
    "gemma3": "gemma3_text",
    "gpt2": "gpt2",
    "phi3": "phi3",
}
_PAIRS = ("llama", "mixtral")  # of neighbours, in q and k
# Keys of a config.json by keys of the metadata, which have the architecture before them.
_GPT2_KEYS = {
    "n_embd": "embedding_length",
    "n_layer": "block_count",
    "n_head": "attention.head_count",
    "n_inner": "feed_forward_length",
    "n_positions": "context_length",
    "layer_norm_epsilon": "attention.layer_norm_epsilon",
}
_LLAMA_KEYS = {
    "hidden_size": "embedding_length",
    "intermediate_size": "feed_forward_length",
    "num_hidden_layers": "block_count",
    "num_attention_heads": "attention.head_count",
    "num_key_value_heads": "attention.head_count_kv",
    "max_position_embeddings": "context_length",
    "rms_norm_eps": "attention.layer_norm_rms_epsilon",
}
_MAY_BE_MISSING = ("n_inner", "num_key_value_heads")
_CAPS = {"attn_logit_softcapping": "attn_logit_softcapping", "final_logit_softcapping": "final_logit_softcapping"}
_EXPERTS = {"num_local_experts": "expert_count", "num_experts_per_tok": "expert_used_count"}
# Of kinds of scaling the keys of a config.json by those below `rope.scaling`.
_SCALING = {
    "factor": "factor",
    "original_max_position_embeddings": "original_context_length",
    "beta_fast": "yarn_beta_fast",
    "beta_slow": "yarn_beta_slow",
}
_BASE = 1e4  # source: llama.cpp's defaults, of all architectures
_GEMMA2_PATTERN, _GEMMA3_PATTERN = 2, 6  # source: llama.cpp: every so many layers one sees everything
# Layers of the models whose scores are scaled by d_model / heads in place of head_dim (source: llama.cpp: the 27B).
_SCALED_BY_WIDTH = {"gemma2": 46, "gemma3": 62}
_REFUSED_TENSORS = {"rope_factors_long.weight": "longrope", "rope_factors_short.weight": "longrope"}

_NAMES = {
    "attn_norm": "attn_norm",
    "q": "attn_q",
    "k": "attn_k",
    "v": "attn_v",
    "qkv": "attn_qkv",
    "q_norm": "attn_q_norm",
    "k_norm": "attn_k_norm",
    "attn_out": "attn_output",
    "attn_post_norm": "post_attention_norm",
    "ffn_norm": "ffn_norm",
    "router": "ffn_gate_inp",
    "ffn_gate": "ffn_gate",
    "ffn_up": "ffn_up",
    "ffn_down": "ffn_down",
    "ffn_post_norm": "post_ffw_norm",
}
_AROUND = {"final_norm": "output_norm", "lm_head": "output"}
_TABLES = ("token_embd.weight", "position_embd.weight")
_HEAD, _FACTORS = "output.weight", "rope_freqs.weight"


def load(path: Path) -> Weights:
    """The model of a GGUF file; InputError if it is broken, of an unknown architecture, or does not fit itself."""
    tensors = GgufTensors(path)
    metadata = tensors.metadata
    if metadata.get("split.count", 1) not in (0, 1):
        why = "is one of several files: merge them with `llama-gguf-split --merge`"
        raise InputError(Problem(tensors.file, 1, 1, "split.count", why))
    said = _Said(tensors)
    try:
        shape = shape_of_config(path.stem, said.kind, said.values)
        constants = _with_factors(said.scaled(constants_of(shape, said.values)), tensors)
    except InputError as error:
        raise said.renamed(error) from error
    slots = found(shape, tensors, _naming(shape), lambda name: _is_harmless(name, shape))
    return Weights(shape, constants, tensors.file, tensors, slots)


def _is_harmless(name: str, shape: ModelShape) -> bool:
    """What has been read already, is the token table once more, or is read by no step."""
    return name == _FACTORS or (name == _HEAD and shape.tied) or name.endswith(".attn_rot_embd.weight")


class _Said:
    """The metadata in the keys of a config.json."""

    def __init__(self, tensors: GgufTensors) -> None:
        self._tensors = tensors
        self._keys: dict[str, str] = {}
        self.architecture = self._architecture()
        experts = self._get("expert_count") or 0
        self.kind = "mixtral" if experts and self.architecture == "llama" else KINDS[self.architecture]
        self.values = self._values()

    def renamed(self, error: InputError) -> InputError:
        """The same problems at the keys of the metadata."""
        return InputError(
            replace(problem, file=self._tensors.file, line=1, column=1, key=self._keys.get(problem.key, problem.key))
            for problem in error.problems
        )

    def scaled(self, constants: Constants) -> Constants:
        """The constants with the scale of scores that the metadata has or llama.cpp makes."""
        scale = self._get("attention.scale")
        if isinstance(scale, float) and math.isfinite(scale) and scale > 0:
            return replace(constants, attention_scale=scale)
        if (
            self.architecture in _SCALED_BY_WIDTH
            and self.values["num_hidden_layers"] == _SCALED_BY_WIDTH[self.architecture]
        ):
            per_head = self.values["hidden_size"] // self.values["num_attention_heads"]
            return replace(constants, attention_scale=float(per_head) ** -0.5)
        return constants

    def _architecture(self) -> str:
        found = self._tensors.metadata.get("general.architecture")
        if not isinstance(found, str) or found not in KINDS:
            known = f"known: {', '.join(KINDS)}"
            why = f"weights of a {found!r} cannot be read; {known}" if found else f"missing; {known}"
            raise InputError(Problem(self._tensors.file, 1, 1, "general.architecture", why))
        return found

    def _values(self) -> dict[str, Any]:
        there = self._tensors.shapes
        gpt2 = self.kind == "gpt2"
        values = self._taken(_GPT2_KEYS if gpt2 else _LLAMA_KEYS)
        if _TABLES[0] not in there:
            raise InputError(Problem(self._tensors.file, 1, 1, _TABLES[0], "missing: the table of tokens"))
        values["vocab_size"] = there[_TABLES[0]][0]
        values["tie_word_embeddings"] = _HEAD not in there or self._tensors.same(_HEAD, _TABLES[0])
        if gpt2:
            return values
        values |= self._heads(values) | self._rope()
        values["attention_bias"] = "blk.0.attn_q.bias" in there
        values["mlp_bias"] = "blk.0.ffn_gate.bias" in there
        values["sliding_window"] = self._renamed("sliding_window", "attention.sliding_window") or None
        if self.kind == "mixtral":
            values |= self._taken(_EXPERTS)
        if self.kind in ("gemma2", "gemma3_text"):
            values |= self._of_gemma(values)
        if self.kind in ("llama", "gemma"):  # llama.cpp has no window in them
            values["sliding_window"] = None
        return values

    def _heads(self, values: Mapping[str, Any]) -> dict[str, Any]:
        head = self._renamed("head_dim", "attention.key_length")
        if head is None:
            width, heads = values["hidden_size"], values["num_attention_heads"]
            both = type(width) is int and type(heads) is int and heads > 0
            head = width // heads if both else None
        if self._get("attention.value_length") not in (None, head):
            why = f"heads of v with {self._get('attention.value_length')} elements, of k with {head}: not supported"
            raise InputError(Problem(self._tensors.file, 1, 1, f"{self.architecture}.attention.value_length", why))
        rotated = self._get("rope.dimension_count")
        whole = type(rotated) is not int or type(head) is not int or rotated == head or not head
        share = {} if whole else {"partial_rotary_factor": rotated / head}
        if share and self.kind != "phi3":
            self._keys["partial_rotary_factor"] = f"{self.architecture}.rope.dimension_count"
        return {"head_dim": head, **share, "query_pre_attn_scalar": head}

    def _rope(self) -> dict[str, Any]:
        """Base and scaling, which are those of llama.cpp if the file says nothing."""
        for name, kind in _REFUSED_TENSORS.items():
            if name in self._tensors.shapes:
                raise InputError(
                    Problem(self._tensors.file, 1, 1, name, f"rope scaling of kind {kind} is not supported")
                )
        values: dict[str, Any] = {"rope_theta": _BASE}
        if (base := self._renamed("rope_theta", "rope.freq_base")) is not None:
            values["rope_theta"] = base
        if self.kind == "gemma3_text":
            base = self._renamed("rope_local_base_freq", "rope.freq_base_swa")
            values["rope_local_base_freq"] = _BASE if base is None else base
        old = self._get("rope.scale_linear")
        kind = self._get("rope.scaling.type") or ("linear" if self._get("rope.scaling.factor") or old else "none")
        if kind == "none":
            return values
        scaling: dict[str, Any] = {"rope_type": kind}
        self._keys["rope_scaling.rope_type"] = f"{self.architecture}.rope.scaling.type"
        for key, own in _SCALING.items():
            if (value := self._renamed(f"rope_scaling.{key}", f"rope.scaling.{own}")) is not None:
                scaling[key] = value
        scaling.setdefault("factor", old)
        for key in ("attn_factor", "yarn_attn_factor", "yarn_ext_factor", "yarn_log_multiplier"):
            if self._get(f"rope.scaling.{key}") not in (None, 0, 1, -1):
                why = "is not supported"
                raise InputError(Problem(self._tensors.file, 1, 1, f"{self.architecture}.rope.scaling.{key}", why))
        return values | {"rope_scaling": scaling}

    def _of_gemma(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Caps, and which layers have the window."""
        made: dict[str, Any] = {key: self._renamed(key, own) or None for key, own in _CAPS.items()}
        layers = values["num_hidden_layers"]
        pattern = self._get("attention.sliding_window_pattern")
        if isinstance(pattern, list):
            windowed = [bool(each) for each in pattern]
        else:
            every = pattern or (_GEMMA2_PATTERN if self.kind == "gemma2" else _GEMMA3_PATTERN)
            countable = type(layers) is int and type(every) is int and 0 < layers <= len(self._tensors.shapes)
            windowed = [bool((i + 1) % every) for i in range(layers)] if countable else []
        kinds = ["sliding_attention" if each else "full_attention" for each in windowed]
        self._keys["layer_types"] = f"{self.architecture}.attention.sliding_window_pattern"
        return made | {"layer_types": kinds}

    def _taken(self, keys: Mapping[str, str]) -> dict[str, Any]:
        """What the metadata has to say, by keys of a config.json."""
        values = {key: self._renamed(key, own) for key, own in keys.items()}
        missing = [keys[key] for key, value in values.items() if value is None and key not in _MAY_BE_MISSING]
        if missing:
            raise InputError(
                Problem(self._tensors.file, 1, 1, f"{self.architecture}.{own}", "missing") for own in missing
            )
        return values

    def _renamed(self, key: str, own: str) -> Any:
        """A value, whose key is remembered for messages; a list of equal numbers is one number."""
        self._keys[key] = f"{self.architecture}.{own}"
        value = self._get(own)
        if isinstance(value, list) and value and all(each == value[0] for each in value):
            return value[0]
        return value

    def _get(self, own: str) -> Any:
        return self._tensors.metadata.get(f"{self.architecture}.{own}")


def _with_factors(constants: Constants, tensors: GgufTensors) -> Constants:
    """Frequencies divided by the factors that a file may have of them (Llama 3's scaling)."""
    if _FACTORS not in tensors.shapes or not constants.rotary:
        return constants
    factors = tensors.read(_FACTORS).astype(np.float64)
    pairs = len(constants.rotary[0].frequencies)
    if factors.shape != (pairs,) or factors.min() <= 0:
        raise InputError(Problem(tensors.file, 1, 1, _FACTORS, f"must be {pairs} numbers above 0"))

    def slowed(rotary: Rotary) -> Rotary:
        turns = np.asarray(rotary.frequencies, np.float64) / factors
        return replace(rotary, frequencies=tuple(float(turn) for turn in turns.astype(np.float32)))

    return replace(constants, rotary=tuple(map(slowed, constants.rotary)))


def _naming(shape: ModelShape) -> Naming:
    pairs = {"q": shape.heads, "k": shape.kv_heads} if shape.family in _PAIRS else {}

    def naming(key: Key, operator: Operator, sizes: tuple[int, ...]) -> list[Slot]:
        if key.kind == "table":
            return [(Piece(_TABLES[key.expert], sizes),)]
        if operator.tied:
            return [(Piece(_TABLES[0], sizes),)]
        base = _AROUND.get(key.name) or f"blk.{key.layer}.{_NAMES[key.name]}"
        if operator.experts > 1 and key.kind == "matrix":
            return _of_experts(key, shape, sizes)
        name = f"{base}.{'bias' if key.kind == 'bias' else 'weight'}"
        return [(Piece(name, sizes, pairs=0 if key.kind == "gain" else pairs.get(key.name, 0)),)]

    return naming


def _of_experts(key: Key, shape: ModelShape, sizes: tuple[int, ...]) -> list[Slot]:
    """All experts in one tensor, gate and up apart or together, or each in its own."""
    block, expert = f"blk.{key.layer}.", key.expert
    names = ("ffn_gate", "ffn_up") if key.name == "ffn_up" else ("ffn_down",)
    each = (sizes[0] // len(names), sizes[1])
    stacked = (shape.experts, *each)
    choices = [
        tuple(Piece(f"{block}{name}_exps.weight", stacked, part=expert) for name in names),
        tuple(Piece(f"{block}{name}.{expert}.weight", each) for name in names),
    ]
    together = Piece(f"{block}ffn_gate_up_exps.weight", (shape.experts, *sizes), part=expert)
    return [*choices, (together,)] if key.name == "ffn_up" else choices
