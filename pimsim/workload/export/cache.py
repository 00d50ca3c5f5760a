"""Where a model of transformers takes its cache, and what the cache keeps."""

from __future__ import annotations

import inspect
import re
import typing
from typing import Any

from transformers.cache_utils import Cache, CacheLayerMixin


def cache_argument(module: Any) -> str:
    """The argument of a module's forward pass that takes a cache of transformers; "" if there is none.

    It is known by its type: its name changes (`past_key_values` was `past_key_value`, and is `cache` since 5.24).
    """
    arguments = inspect.signature(module.forward).parameters.values()
    return next((a.name for a in arguments if is_cache(a.annotation)), "")


def is_cache(annotation: Any) -> bool:
    """True for `Cache`, a kind of it, and a union with one of them."""
    if isinstance(annotation, str):  # of a module that does not evaluate its annotations
        return "Cache" in re.split(r"\W+", annotation)
    if isinstance(annotation, type):
        return issubclass(annotation, Cache)
    return any(is_cache(part) for part in typing.get_args(annotation))


def tokens_kept(cache: Any) -> int | None:
    """Tokens whose K and V a cache holds; None if it holds none of any token, but states alone."""
    first = next((layer for layer in cache.layers if isinstance(layer, CacheLayerMixin)), None)
    return None if first is None else int(first.get_seq_length())


def states_of(cache: Any) -> dict[int, tuple[int, ...]]:
    """The shape of what each layer keeps of a sequence beside K and V: of the state, not of a convolution's columns."""
    kept = {i: getattr(layer, "recurrent_states", None) or {} for i, layer in enumerate(cache.layers)}
    return {i: tuple(state.shape[1:]) for i, states in kept.items() for state in states.values() if state is not None}
