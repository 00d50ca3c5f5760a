"""A resolved configuration: as plain values, as YAML with the origin of each value, as a hash."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from pydantic import BaseModel

from pimsim.config.devices import CONFIGS
from pimsim.config.loader import DEFAULT, Origin
from pimsim.config.schema import LATER, AnyConfig
from pimsim.config.validate import keys

_BARE = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*")
_WORDS = {"null", "true", "false", "yes", "no", "on", "off", "y", "n"}  # text only when quoted, for some reader


def resolved_dict(config: AnyConfig) -> dict[str, Any]:
    """Every key and value in the schema's order, as JSON's types; a whole decimal is an int."""
    return _plain(config, _number)


def config_sha256(config: AnyConfig, energy_sha256: str = "") -> str:
    """SHA-256 of what is simulated: canonical JSON without `engine`, which changes no result.

    Decimals are hashed as their shortest text, so 12 and 12.0 are the same.  Keys that came
    later are left out where they have their default, so that a hash stays what it was.  Of a standard
    that is not shipped, its table is a part; energy_sha256: what tells an energy table that is not shipped.
    """
    content = _without_later(config, _plain(config, _decimal_text))
    del content["engine"]
    registered = CONFIGS.origin(config.dram.standard)
    if registered is not None:  # a name that says nothing by itself
        content["dram"]["table_sha256"] = registered.digest
    if formats := content.get("pim", {}).get("formats"):
        content["pim"]["formats"] = list(formats.items())  # their order says which one is the memory's own
    if energy_sha256:
        content["energy"]["table_sha256"] = energy_sha256
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def dump_yaml(config: AnyConfig, provenance: Mapping[str, Origin] | None = None) -> str:
    """YAML that loads to an equal configuration; with `provenance`, each line says where its value is from.

    Files are named without their folder, so the text does not depend on the machine.
    """
    lines = list(_lines(_plain(config, _decimal_text), provenance or {}))
    width = max(len(text) for text, comment in lines if comment) if provenance else 0
    return "".join(f"{text:<{width}}  # {comment}\n" if comment else f"{text}\n" for text, comment in lines)


def _plain(section: BaseModel, convert: Any) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    for key, name in keys(type(section)).items():
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            plain[key] = _plain(value, convert)
        elif isinstance(value, tuple):
            plain[key] = list(value)
        else:
            plain[key] = convert(value) if isinstance(value, Decimal) else value
    return plain


def _number(value: Decimal) -> int | float:
    return int(value) if value % 1 == 0 else float(value)  # exact: the schema allows 15 digits


def _without_later(section: BaseModel, plain: dict[str, Any]) -> dict[str, Any]:
    """The values of a section but those of later keys that are left at their default."""
    kept = dict(plain)
    for key, name in keys(type(section)).items():
        value, field = getattr(section, name), type(section).model_fields[name]
        extra = field.json_schema_extra
        if isinstance(value, BaseModel):
            kept[key] = _without_later(value, plain[key])
            if plain[key] and not kept[key]:  # a section of later keys alone
                del kept[key]
        elif isinstance(extra, dict) and extra.get(LATER) and value == field.get_default():
            del kept[key]
    return kept


class _Text(str):
    """The text of a number: quoted in JSON, not in YAML."""


def _decimal_text(value: Decimal) -> _Text:
    return _Text(f"{value.normalize():f}")


def _lines(values: Mapping[str, Any], provenance: Mapping[str, Origin], path: str = "") -> Iterator[tuple[str, str]]:
    indent = "  " * path.count(".")
    for key, value in values.items():
        inner = f"{path}{key}"
        if isinstance(value, dict) and value:
            yield f"{indent}{key}:", ""
            yield from _lines(value, provenance, f"{inner}.")
        else:
            origin = provenance.get(inner)
            written = origin.written if origin else ""
            yield f"{indent}{key}: {_scalar(written or value)}", _comment(origin)


def on_one_line(value: Any) -> str:
    """A plain value as YAML that loads to an equal one, on one line, as after `--set KEY=`."""
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{_scalar(key)}: {on_one_line(inner)}' for key, inner in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(on_one_line, value))}]"
    return _scalar(_decimal_text(value) if isinstance(value, Decimal) else value)


def _scalar(value: Any) -> str:
    if isinstance(value, _Text) or (isinstance(value, str) and _BARE.fullmatch(value) and value.lower() not in _WORDS):
        return str(value)
    if isinstance(value, list):
        return f"[{', '.join(map(_scalar, value))}]"
    return f'"{"".join(map(_escaped, value))}"' if isinstance(value, str) else json.dumps(value)


def _escaped(character: str) -> str:
    """A character inside quotes; YAML reads no surrogates, so JSON's escapes do not do."""
    return character if character.isprintable() and character not in '"\\' else f"\\U{ord(character):08X}"


def _comment(origin: Origin | None) -> str:
    if origin is None:
        return ""
    reason = f": {origin.reason}" if origin.reason else ""
    if origin.label == DEFAULT:
        return f"default{reason}"
    return f"source: {origin.label}{reason} [{origin.place}]" if origin.label else f"[{origin.place}]"
