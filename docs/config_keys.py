"""The reference of configuration keys, from the schema that checks every file (docs/make_tables.py writes it)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, get_args, get_origin

from blocks import table
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from pimsim.config.devices import CONFIGS
from pimsim.config.schema import REASON


def keys() -> str:
    """Every key of every standard's configuration."""
    parts: list[str] = []
    seen: dict[str, str] = {}
    for standard, kind in CONFIGS.items():
        parts.append(f"## Standard {standard}\n")
        parts.append((kind.__doc__ or "").split("\n\n")[0].strip() + "\n")
        for path, section in _sections(kind):
            body = table(("key", "type", "default", "what it is"), list(_rows(section)))
            title = f"### `{path or 'top level'}`"
            same = seen.get(f"{path}{body}")
            parts.append(f"{title}\n" if not same else f"{title}: as for {same}\n")
            parts.append("" if same else body + "\n")
            seen.setdefault(f"{path}{body}", standard)
    return "\n".join(parts).rstrip()


def _sections(kind: type[BaseModel], path: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    """A section and all sections in it, with their key paths."""
    yield path, kind
    for name, info in kind.model_fields.items():
        inner = _section(info.annotation)
        if inner:
            yield from _sections(inner, f"{path}.{info.alias or name}".lstrip("."))


def _section(annotation: Any) -> type[BaseModel] | None:
    """The section that a field holds, if it holds one."""
    kinds = [annotation, *get_args(annotation)]
    return next((k for k in kinds if isinstance(k, type) and issubclass(k, BaseModel)), None)


def _rows(section: type[BaseModel]) -> Iterator[tuple[str, str, str, str]]:
    for name, info in section.model_fields.items():
        if not _section(info.annotation):
            yield f"`{info.alias or name}`", _type(info), _default(info), info.description or ""


def _type(info: FieldInfo) -> str:
    bounds = [*info.metadata, *(m for arg in get_args(info.annotation) for m in getattr(arg, "__metadata__", ()))]
    words = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
    limits = [f"{word} {getattr(b, key)}" for b in _flat(bounds) for key, word in words.items() if _has(b, key)]
    return ", ".join([_name(info.annotation), *dict.fromkeys(limits)])


def _flat(bounds: list[Any]) -> Iterator[Any]:
    """Constraints, those inside a Field included."""
    for bound in bounds:
        yield from getattr(bound, "metadata", None) or [bound]


def _has(bound: Any, key: str) -> bool:
    return getattr(bound, key, None) is not None


def _name(annotation: Any) -> str:
    """A type in words."""
    if getattr(annotation, "__metadata__", None):
        return _name(get_args(annotation)[0])
    origin, args = get_origin(annotation), [a for a in get_args(annotation) if a not in (type(None), ...)]
    if str(origin) == "typing.Literal":
        return " or ".join(f"`{str(a).lower() if isinstance(a, bool) else a}`" for a in args)
    if origin is tuple:
        return f"list of {_name(args[0])}"
    if args:
        return " or ".join(map(_name, args))
    return {"Decimal": "number", "int": "whole number", "str": "text", "bool": "true or false"}.get(
        annotation.__name__, annotation.__name__
    )


def _default(info: FieldInfo) -> str:
    extra = info.json_schema_extra if isinstance(info.json_schema_extra, Mapping) else {}
    if REASON in extra:
        return ""  # the description ends with it
    if info.is_required():
        return "required"
    value = info.get_default()
    return "" if value in (None, PydanticUndefined) else f"`{value}`"
