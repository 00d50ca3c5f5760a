"""What the configuration's schema says of a key: whether it exists, and what it holds."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from decimal import Decimal
from functools import cache
from typing import Any, get_args

from pimsim import api
from pimsim.config.devices import CONFIGS
from pimsim.config.schema import Config
from pimsim.config.validate import all_keys, keys, section_at
from pimsim.errors import did_you_mean
from pimsim.formats import wrong_pair
from pimsim.registry import derived
from pimsim.sweep.expressions import NUMBER, TEXT, TRUTH

_OF_PAIRS = "pim.formats."  # keys that are names of pairs: the lanes of each
_NAMED = ("workload.model",)  # texts of a table that is not the schema's
_KINDS = {bool: TRUTH, int: NUMBER, Decimal: NUMBER, str: TEXT}


@derived
@cache
def known_keys() -> tuple[str, ...]:
    """Every dotted key of a configuration that runs a language model."""
    return tuple(dict.fromkeys(key for kind in _kinds() for key in all_keys(kind)))


def _kinds() -> tuple[type[Config], ...]:
    """The classes of configurations that run a language model."""
    return tuple(kind for kind in CONFIGS.values() if issubclass(kind, Config))


def unknown(key: str, others: Collection[str] = ()) -> str | None:
    """What is said of a key that does not exist; None if it does. others: what else may stand there."""
    if key.startswith(_OF_PAIRS):
        return wrong_pair(key.removeprefix(_OF_PAIRS))
    if key in known_keys():
        return None
    last = key.rpartition(".")[2]
    elsewhere = [known for known in known_keys() if known.rpartition(".")[2] == last]
    return f"unknown key{did_you_mean(key, [*elsewhere, *known_keys(), *others])}"


def kind_of(key: str) -> str | None:
    """NUMBER, TEXT or TRUTH; None for a section, a list, or more than one of them."""
    kinds = {_KINDS.get(kind) for kind in _types(key)}
    return kinds.pop() if len(kinds) == 1 else None


def choices(key: str) -> tuple[str, ...]:
    """The texts that the key may hold; empty if any will do."""
    named = tuple(api.known_names().get(key, ())) if key in _NAMED else ()
    values = (value for annotation in _annotations(key) for value in _leaf_values(annotation))
    return named or tuple(dict.fromkeys(value for value in values if isinstance(value, str)))


def is_whole(key: str) -> bool:
    """Whether the key holds whole numbers only."""
    return _types(key) == {int}


@derived
@cache
def _types(key: str) -> frozenset[Any]:
    return frozenset(kind for annotation in _annotations(key) for kind in _leaf_types(annotation)) - {type(None)}


def _annotations(key: str) -> Iterator[Any]:
    """The annotation of a key in each class that has it."""
    if key.startswith(_OF_PAIRS):
        yield int
    *path, last = key.split(".")
    for kind in _kinds():
        if key in all_keys(kind):
            section = section_at(tuple(path), kind)
            yield section.model_fields[keys(section)[last]].annotation


def _leaf_values(annotation: Any) -> Iterator[Any]:
    """The values of the literals in an annotation."""
    for part in get_args(annotation):
        if get_args(part):
            yield from _leaf_values(part)
        else:
            yield part


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
