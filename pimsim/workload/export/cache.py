"""Where a model of transformers takes its cache of K and V."""

from __future__ import annotations

import inspect
import re
import typing
from typing import Any

from transformers.cache_utils import Cache


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
