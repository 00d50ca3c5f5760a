"""What the configuration's schema says of a key: whether it exists, and what it holds."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from typing import Any, get_args

from pimsim.config.schema import Config
from pimsim.config.validate import all_keys, keys, section_at
from pimsim.errors import did_you_mean
from pimsim.sweep.expressions import NUMBER, TEXT, TRUTH

_KINDS = {bool: TRUTH, int: NUMBER, Decimal: NUMBER, str: TEXT}


@cache
def known_keys() -> tuple[str, ...]:
    """Every dotted key of a configuration that runs a language model."""
    return tuple(all_keys(Config))


def unknown(key: str) -> str | None:
    """What is said of a key that does not exist; None if it does."""
    if key in known_keys():
        return None
    last = key.rpartition(".")[2]
    elsewhere = [known for known in known_keys() if known.rpartition(".")[2] == last]
    return f"unknown key{did_you_mean(key, [*elsewhere, *known_keys()])}"


def kind_of(key: str) -> str | None:
    """NUMBER, TEXT or TRUTH; None for a section, a list, or more than one of them."""
    kinds = {_KINDS.get(kind) for kind in _types(key)}
    return kinds.pop() if len(kinds) == 1 else None


def is_whole(key: str) -> bool:
    """Whether the key holds whole numbers only."""
    return _types(key) == {int}


@cache
def _types(key: str) -> frozenset[Any]:
    *path, last = key.split(".")
    section = section_at(tuple(path), Config)
    annotation = section.model_fields[keys(section)[last]].annotation
    return frozenset(_leaf_types(annotation)) - {type(None)}


def _leaf_types(annotation: Any) -> Iterator[Any]:
    inner = get_args(annotation)
    if not inner:
        yield annotation if isinstance(annotation, type) else type(annotation)
    elif getattr(annotation, "__origin__", None) is tuple:
        yield tuple
    else:
        for part in inner:
            if isinstance(part, type) or get_args(part) or isinstance(part, str | int):
                yield from _leaf_types(part)
