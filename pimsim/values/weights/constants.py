"""The numbers of a model that are no sizes, from the keys of a config.json.

What a config.json leaves out is what the family's configuration class of transformers has for it, as in
`workload/export/plain.py`, which reads the sizes.
"""

from __future__ import annotations

import math
import reprlib
from collections.abc import Mapping
from typing import Any

from pimsim.errors import InputError, Problem
from pimsim.values.weights.model import Constants
from pimsim.values.weights.rotary import SCALINGS, Rotary, rotary_of
from pimsim.workload.shapes import ModelShape

_LLAMA = {"rms_norm_eps": 1e-6, "rope_theta": 1e4}
_GEMMA2 = _LLAMA | {"query_pre_attn_scalar": 256, "attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0}
# What a family has where its file says nothing (source: the classes of transformers 5.24).
DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "gpt2": {"layer_norm_epsilon": 1e-5, "activation_function": "gelu_new", "scale_attn_weights": True},
    "llama": _LLAMA,
    "mistral": _LLAMA,
    "mixtral": {"rms_norm_eps": 1e-5, "rope_theta": 1e6},
    "qwen2": _LLAMA,
    "qwen3": _LLAMA,
    "gemma": _LLAMA,
    "gemma2": _GEMMA2,
    "gemma3_text": _GEMMA2
    | {"rope_theta": 1e6, "rope_local_base_freq": 1e4, "attn_logit_softcapping": None, "final_logit_softcapping": None},
    "phi3": {"rms_norm_eps": 1e-5, "rope_theta": 1e4},
}
_ERF = ("gelu", "gelu_python")  # of what is a gelu to a graph
# The key of the activation by family, "hidden_act" of the others.
_ACTIVATIONS = {"gpt2": "activation_function", **dict.fromkeys(("gemma2", "gemma3_text"), "hidden_activation")}
_FULL, _WINDOWED = "full_attention", "sliding_attention"
_ROPE = ("rope_parameters", "rope_scaling")  # the newer name first

# What changes the numbers and is not carried out: keys by the values that change nothing.
_REFUSED: Mapping[str, tuple[Any, ...]] = {
    "scale_attn_by_inverse_layer_idx": (None, False),
    "use_bidirectional_attention": (None, False),
    "norm_topk_prob": (None, True),
    "quantization_config": (None,),
}


def constants_of(shape: ModelShape, values: Mapping[str, Any], prefix: str = "") -> Constants:
    """The numbers of a model of a family of `DEFAULTS`; InputError has every problem, each with its key.

    values: of the config.json, or of its text part, with `prefix` before the keys.
    """
    return _Reader(shape, values, prefix).constants()


class _Reader:
    def __init__(self, shape: ModelShape, values: Mapping[str, Any], prefix: str) -> None:
        self.shape = shape
        self._values = values
        self._defaults = DEFAULTS[shape.family]
        self._prefix = prefix
        self._problems: list[Problem] = []

    def constants(self) -> Constants:
        """All of them."""
        for key, harmless in _REFUSED.items():
            if self._values.get(key) not in harmless:
                self._wrong(key, f"{reprlib.repr(self._values[key])} is not supported where weights are computed with")
        gpt2 = self.shape.family == "gpt2"
        made = Constants(
            self._number("layer_norm_epsilon" if gpt2 else "rms_norm_eps"),
            self._attention_scale(),
            self._number("attn_logit_softcapping") if self.shape.softcap else 0.0,
            self._number("final_logit_softcapping") if self.shape.logit_softcap else 0.0,
            math.sqrt(self.shape.d_model) if self.shape.embed_scale else 1.0,
            self._gelu(),
            self._rotary() if self.shape.rope else (),
        )
        if self._problems:
            raise InputError(self._problems)
        return made

    def _attention_scale(self) -> float:
        if self._get("query_pre_attn_scalar") is not None:
            return float(self._number("query_pre_attn_scalar") ** -0.5)
        return float(self.shape.head_dim**-0.5) if self._get("scale_attn_weights") in (None, True) else 1.0

    def _gelu(self) -> str:
        # Gemma's first files say "gelu" and mean the one with tanh.
        said = self._get(_ACTIVATIONS.get(self.shape.family, "hidden_act"))
        return "erf" if said in _ERF and self.shape.family != "gemma" else "tanh"

    def _rotary(self) -> tuple[Rotary, ...]:
        """Of each layer: those with a window may turn otherwise (Gemma 3)."""
        said: dict[str, Any] = {}
        for key in reversed(_ROPE):
            if self._values.get(key):
                said |= self._object(self._values[key], key)
        local = self._get("rope_local_base_freq") is not None
        theta = {_FULL: "rope_theta", _WINDOWED: "rope_local_base_freq" if local else "rope_theta"}
        by_kind = {_FULL: said, _WINDOWED: {} if local else said}
        if said.keys() & by_kind.keys():
            by_kind = {kind: self._object(said.get(kind), f"{said['']}.{kind}") for kind in by_kind}
        windows = self.shape.windows or (self.shape.window,)
        kinds = [_WINDOWED if window else _FULL for window in windows]
        made = {kind: self._rotation(by_kind[kind], theta[kind]) for kind in sorted(set(kinds))}
        return tuple(made[kinds[i % len(kinds)]] for i in range(self.shape.layers))

    def _rotation(self, said: Mapping[str, Any], theta: str) -> Rotary:
        place = said.get("", "")
        kind = said.get("rope_type", said.get("type", "default"))
        base = (
            self._number_of(said["rope_theta"], f"{place}.rope_theta") if "rope_theta" in said else self._number(theta)
        )
        if not isinstance(kind, str) or kind not in SCALINGS:
            self._wrong(f"{place}.rope_type", f"{reprlib.repr(kind)} is not supported; known: {', '.join(SCALINGS)}")
            return Rotary(())
        partial = said.get("partial_rotary_factor", self._get("partial_rotary_factor"))
        if partial not in (None, 1, 1.0) and self.shape.rotary == self.shape.head_dim:
            self._wrong("partial_rotary_factor", f"a {self.shape.family} rotates whole heads")
        numbers: dict[str, Any] = dict(said)
        for key in SCALINGS[kind][1]:
            value = said.get(key, self.shape.max_positions if key == "original_max_position_embeddings" else None)
            numbers[key] = self._number_of(value, f"{place}.{key}")
        if self._problems:
            return Rotary(())
        try:
            return rotary_of(self.shape.rotary, base, kind, numbers)
        except (ArithmeticError, TypeError, ValueError) as error:
            self._wrong(place, f"makes no frequencies: {error}")
            return Rotary(())

    def _object(self, given: Any, place: str) -> dict[str, Any]:
        """An object with its place, which is under the key that no object has."""
        if given is not None and not isinstance(given, dict):
            self._wrong(place, f"must be an object, not {reprlib.repr(given)}")
            given = {}
        return {"": place} | (given or {})

    def _get(self, key: str) -> Any:
        return self._values.get(key, self._defaults.get(key))

    def _number(self, key: str) -> float:
        return self._number_of(self._get(key), key)

    def _number_of(self, value: Any, key: str) -> float:
        """A number above 0."""
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if number and 0 < value < 1e30:
            return float(value)
        self._wrong(key, "missing" if value is None else f"must be a number above 0, not {reprlib.repr(value)}")
        return 1.0

    def _wrong(self, key: str, message: str) -> None:
        self._problems.append(Problem("", 0, 0, self._prefix + key, message))
