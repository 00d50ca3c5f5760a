"""Plain values to a configuration, or every problem with them at once, by dotted key."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, PydanticUndefined

from pimsim.config import placing, rules
from pimsim.config.devices import CONFIGS, standard_of
from pimsim.config.rule import show
from pimsim.config.schema import AnyConfig, Config, exact_numbers
from pimsim.errors import InputError, Problem, did_you_mean
from pimsim.registry import not_loaded

# pydantic's error types in this program's words; {0} is what was given.
_WORDS = {
    "missing": "required key is missing",
    "int_type": "must be a whole number, not {0}",
    "is_instance_of": "must be a number, not {0}",
    "decimal_type": "must be a number, not {0}",
    "decimal_max_digits": "must have at most {max_digits} digits, not {0}",
    "finite_number": "must be a finite number, not {0}",
    "bool_type": "must be true or false, not {0}",
    "string_type": "must be text, not {0}",
    "string_too_short": "must not be empty",
    "string_unicode": "has half a surrogate pair, which no text may have",
    "model_type": "must be a mapping of keys, not {0}",
    "dict_type": "must be a mapping of keys, not {0}",
    "tuple_type": "must be a list, not {0}",
    "greater_than": "must be more than {gt}, not {0}",
    "greater_than_equal": "must be at least {ge}, not {0}",
    "less_than_equal": "must be at most {le}, not {0}; is the unit right?",
    "multiple_of": "must be a multiple of {multiple_of}, not {0}",
}


def validate(values: Mapping[str, Any], names: rules.Names) -> AnyConfig:
    """The configuration that `values` describe, of the class that `dram.standard` asks for.

    names: the names that exist, by key ("workload.model", "baselines").  InputError has
    every problem, by key and without a place.
    """
    return _validated(class_of(values), values, names)


def _validated(kind: type[AnyConfig], values: Mapping[str, Any], names: rules.Names) -> AnyConfig:
    found: list[tuple[str, str]] = []
    config: AnyConfig | None = None
    try:
        config = kind.model_validate(dict(values))
        flat = flatten(config)
    except ValidationError as error:
        found += _field_problems(error, kind)
        flat = dict(flat_values(values, kind))
    wrong = {key for key, _ in found}
    usable = {key: value for key, value in flat.items() if not _is_wrong(key, wrong)}
    unknown = list(rules.unknown_names(usable, names))
    found += [*rules.broken(usable, kind.RULES), *unknown, *rules.repeated(usable)]
    found += rules.wrong_pairs(usable)
    found += placing.wrong(usable, [key for key, _ in unknown])
    if issubclass(kind, Config):
        found += rules.workload_source(_given(values), wrong, kind.NEEDS_WORK)
    if found or config is None:
        raise InputError(Problem("", 0, 0, key, message) for key, message in found)
    return config


def value_problems(values: Mapping[str, Any], names: rules.Names) -> list[tuple[str, str]]:
    """(key, message) of each value that is wrong by itself, whatever the others are."""
    kind = class_of(values)
    try:
        return list(rules.unknown_names(flatten(kind.model_validate(dict(values))), names))
    except ValidationError as error:
        flat = dict(flat_values(values, kind))
        return [*_field_problems(error, kind), *rules.unknown_names(flat, names)]


def class_of(values: Mapping[str, Any]) -> type[AnyConfig]:
    """The class for `values`: that of their standard, or without one the class that they are nearest to."""
    standard = standard_of(values)
    return CONFIGS[standard] if standard else min(CONFIGS.values(), key=lambda kind: _error_count(values, kind))


def _error_count(values: Mapping[str, Any], kind: type[AnyConfig]) -> int:
    try:
        kind.model_validate(dict(values))
    except ValidationError as error:
        return error.error_count()
    return 0


def standard_name(kind: type[AnyConfig]) -> str:
    """The `dram.standard` whose configurations are of class `kind`."""
    return next(name for name, known in CONFIGS.items() if known is kind)


def check_rules(config: AnyConfig, names: rules.Names) -> None:
    """InputError if a configuration made in Python is not as `validate` would have it: pydantic checks no copy."""
    _validated(type(config), _values(config), names)


def _values(section: BaseModel) -> dict[str, Any]:
    """What a section has by the keys of a file, sections in it as mappings."""
    found = {key: getattr(section, name) for key, name in keys(type(section)).items() if hasattr(section, name)}
    return {key: _values(value) if isinstance(value, BaseModel) else value for key, value in found.items()}


def _given(values: Mapping[str, Any]) -> list[str]:
    workload = values.get("workload")
    return [key for key, value in workload.items() if value is not None] if isinstance(workload, Mapping) else []


def _is_wrong(key: str, wrong: set[str]) -> bool:
    """A key is wrong if it, something in it, or the mapping it is in has a problem."""
    return any(bad == key or bad.startswith(f"{key}.") or key.startswith(f"{bad}.") for bad in wrong)


def _field_problems(error: ValidationError, kind: type[AnyConfig]) -> Iterator[tuple[str, str]]:
    for details in error.errors(include_url=False):
        # a default that could not be computed: the key it depends on is reported
        if details["type"] != "default_factory_not_called":
            yield ".".join(str(part) for part in details["loc"]), _message(details, kind)


def _message(details: ErrorDetails, kind: type[AnyConfig]) -> str:
    given, error, context, loc = details["input"], details["type"], details.get("ctx", {}), details["loc"]
    if error == "extra_forbidden":
        return _unknown_key(loc, kind)
    if loc == ("dram", "standard") and error == "literal_error":
        *others, last = map(repr, CONFIGS)
        return _choice_message(given, f"{', '.join(others)} or {last}") + not_loaded()
    if error == "literal_error":
        return _choice_message(given, context["expected"])
    words = _WORDS[error].format(_show(given), **context) if error in _WORDS else details["msg"]
    optional = [name for name, other in CONFIGS.items() if ".".join(map(str, loc)) not in required_keys(other)]
    return f"{words}; dram.standard {standard_name(kind)} needs it" if error == "missing" and optional else words


def _unknown_key(loc: tuple[int | str, ...], kind: type[AnyConfig]) -> str:
    """What is said of a key that configurations of class `kind` do not have."""
    path = ".".join(map(str, loc))
    users = [name for name, other in CONFIGS.items() if path in all_keys(other)]
    if users:
        return f"not used by dram.standard {standard_name(kind)}; used by {', '.join(users)}"
    return f"unknown key{_nearest_key(loc, kind)}"


def _choice_message(given: Any, expected: str) -> str:
    options = [option.strip("'") for option in expected.replace(" or ", ", ").split(", ")]
    hint = did_you_mean(given, options) if isinstance(given, str) else ""
    return f"must be {expected}, not {_show(given)}{hint}"


_OTHER_NAMES = {"tRFCab": "tRFC_ns", "tRCD": "tRCDRD_ns", "tCCD": "tCCDS_ns", "tRRD": "tRRDS_ns", "tWTR": "tWTRS_ns"}


def _nearest_key(loc: tuple[int | str, ...], kind: type[AnyConfig]) -> str:
    name, section = str(loc[-1]), section_at(loc[:-1], kind)
    siblings = [*keys(section)] + ([] if len(loc) > 1 else ["extends"])
    time = re.sub("^n(?=[A-Z])", "t", name.removesuffix("_ns"))  # nCL, clocks: a configuration gives tCL_ns
    for known in (_OTHER_NAMES.get(time), f"{time}_ns"):
        if known in siblings:
            return f"; did you mean {known!r}?"
    elsewhere = [path for path in all_keys(kind) if path.rpartition(".")[2] == name]
    return f"; did you mean {elsewhere[0]!r}?" if elsewhere else did_you_mean(name, siblings)


def _show(value: Any) -> str:
    """A value as a user wrote it, short and on one line."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, tuple | list):
        return "a list"
    text = repr(value) if isinstance(value, str) else show(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def keys(section: type[BaseModel]) -> dict[str, str]:
    """The fields of a section: key in a file to attribute in Python."""
    return {field.alias or name: name for name, field in section.model_fields.items()}


def subsection(section: type[BaseModel], name: str) -> type[BaseModel] | None:
    """The section that the field `name` holds, None if it holds a value."""
    annotation = section.model_fields[name].annotation
    for kind in (annotation, *get_args(annotation)):
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return kind
    return None


def section_at(loc: tuple[int | str, ...], kind: type[BaseModel]) -> type[BaseModel]:
    """The section of `kind` at a path of keys."""
    section = kind
    for part in loc:
        section = subsection(section, keys(section)[str(part)]) or section
    return section


def all_keys(section: type[BaseModel], path: str = "") -> Iterator[str]:
    """Every dotted key of the schema, sections included."""
    for key, name in keys(section).items():
        yield f"{path}{key}"
        inner = subsection(section, name)
        if inner is not None:
            yield from all_keys(inner, f"{path}{key}.")


def required_keys(section: type[BaseModel], path: str = "") -> Iterator[str]:
    """Every dotted key that must be given, as soon as the section that it is in is."""
    for key, name in keys(section).items():
        inner = subsection(section, name)
        if section.model_fields[name].is_required():
            yield f"{path}{key}"
        if inner is not None:
            yield from required_keys(inner, f"{path}{key}.")


def flatten(section: BaseModel, path: str = "", given: bool = False) -> dict[str, Any]:
    """The values of a section by dotted key, in the order of the schema; given: without what was left to a default."""
    flat: dict[str, Any] = {}
    for key, name in keys(type(section)).items():
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            flat.update(flatten(value, f"{path}{key}.", given))
        elif not given or name in section.model_fields_set:
            flat[f"{path}{key}"] = value
    return flat


def flat_values(values: Mapping[str, Any], section: type[BaseModel], path: str = "") -> Iterator[tuple[str, Any]]:
    """As `flatten`, of plain values that may be wrong; keys without value or default are left out."""
    values = exact_numbers(section, values)
    for key, name in keys(section).items():
        field, inner = section.model_fields[name], subsection(section, name)
        value = values.get(key, field.default)
        if inner is not None and isinstance(value, Mapping):
            yield from flat_values(value, inner, f"{path}{key}.")
        elif inner is not None and key not in values and not field.is_required() and field.default is PydanticUndefined:
            yield from flat_values({}, inner, f"{path}{key}.")
        elif value is not PydanticUndefined:
            yield f"{path}{key}", value
