"""The configuration's JSON Schema (draft 2020-12), for editors that check YAML as it is written."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core.core_schema import DecimalSchema

from pimsim.config.devices import CONFIGS
from pimsim.config.rules import Names
from pimsim.config.schema import LATER, REASON, Config

DRAFT = "https://json-schema.org/draft/2020-12/schema"
_PARTIAL = "Partial"
_LIMITS = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum"}
_DROPPED = {"title", REASON, LATER}


class _Generator(GenerateJsonSchema):
    """Decimals as numbers: they have no other spelling in a configuration."""

    def decimal_schema(self, schema: DecimalSchema) -> JsonSchemaValue:
        given = {name: schema.get(limit) for limit, name in _LIMITS.items()}
        return {"type": "number"} | {name: _number(limit) for name, limit in given.items() if limit is not None}

    def encode_default(self, dft: Any) -> Any:
        return _number(dft) if isinstance(dft, Decimal) else super().encode_default(dft)


def _number(value: Any) -> int | float:
    return int(value) if value == int(value) else float(value)


def json_schema(names: Names | None = None) -> dict[str, Any]:
    """The schema of a configuration file; one that `extends` another may leave out any key.

    names: the names that exist, by key, offered where they are given.
    """
    sections = _sections()
    for key, known in (names or {}).items():
        _offer(sections, key, known)
    partial = {f"{_PARTIAL}{name}": _partial(section) for name, section in sections.items()}
    for kind in CONFIGS.values():
        partial[f"{_PARTIAL}{kind.__name__}"]["properties"]["extends"] = {
            "type": "string",
            "description": "Another configuration file, relative to this one, that this one adds to and overrides.",
        }
    return {
        "$schema": DRAFT,
        "title": "pimsim configuration",
        "type": "object",
        "if": {"required": ["extends"]},
        "then": {
            "if": _standard(),
            "then": _by_standard(_PARTIAL),
            "else": {"anyOf": [{"$ref": f"#/$defs/{_PARTIAL}{kind.__name__}"} for kind in CONFIGS.values()]},
        },
        "else": {**_standard(), **_by_standard("")},
        "$defs": _clean(sections | partial),
    }


def _sections() -> dict[str, Any]:
    """Every section of every standard's configuration, by the name of its class."""
    sections: dict[str, Any] = {}
    for kind in CONFIGS.values():
        schema = kind.model_json_schema(by_alias=True, schema_generator=_Generator)
        sections |= schema.pop("$defs") | {kind.__name__: schema}
    workload = sections["WorkloadConfig"]
    workload["required"].remove("output_tokens")  # a trace may say it
    workload["if"] = {"required": ["trace"], "properties": {"trace": {"type": "string"}}}
    workload["else"] = {"required": ["output_tokens"]}
    return sections


def _standard(name: str | None = None) -> dict[str, Any]:
    """A file that gives the standard `name`, or any standard, or the file of one."""
    either: dict[str, Any] = {"anyOf": [{"enum": list(CONFIGS)}, {"type": "string", "pattern": r"\.ya?ml$"}]}
    standard = either if name is None else {"const": name}
    dram = {"type": "object", "required": ["standard"], "properties": {"standard": standard}}
    return {"required": ["dram"], "properties": {"dram": dram}}


def _by_standard(prefix: str) -> dict[str, Any]:
    """The schema of the standard that a file gives."""
    return {
        "allOf": [
            {"if": _standard(name), "then": {"$ref": f"#/$defs/{prefix}{kind.__name__}"}}
            for name, kind in CONFIGS.items()
        ]
    }


def _offer(sections: Mapping[str, Any], key: str, known: Collection[str]) -> None:
    """Put `known` in the place of free text at `key`."""
    section, _, name = key.rpartition(".")
    tops = [kind.__name__ for kind in CONFIGS.values() if issubclass(kind, Config)]
    for owner in [f"{section.capitalize()}Config"] if section else tops:
        target = sections[owner]["properties"][name]
        for text in target.get("anyOf", ()):
            if text.get("type") == "string":
                text["enum"] = list(known)
        if "items" in target or target.get("type") == "string":
            target.get("items", target)["examples"] = list(known)  # files may be named as well


def _partial(section: Any) -> Any:
    """A copy in which no key is required, and which refers to such copies."""
    if isinstance(section, list):
        return [_partial(item) for item in section]
    if not isinstance(section, dict):
        return section
    copy = {key: _partial(value) for key, value in section.items() if key != "required"}
    if isinstance(section.get("$ref"), str):
        copy["$ref"] = section["$ref"].replace("#/$defs/", f"#/$defs/{_PARTIAL}")
    return copy


def _clean(value: Any) -> Any:
    """Without what only this program reads."""
    if isinstance(value, list):
        return [_clean(item) for item in value]
    if isinstance(value, dict):
        return {key: _clean(item) for key, item in value.items() if key not in _DROPPED}
    return value
