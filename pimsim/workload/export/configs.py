"""Where a model's configuration comes from: a config.json, a folder with one, or a name in a small table.

The network is never asked: what is not a file here and not in the table is an error.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from pimsim.errors import InputError, Problem, did_you_mean
from pimsim.files import parse_json, read_bytes
from pimsim.kinds import HF_CONFIG, expecting

LARGEST = 1 << 24  # bytes of a config.json; some list every layer
_TABLE = "configs"
_ALIASES = {"gpt2": "gpt2-small"}  # names of the hub


def known() -> tuple[str, ...]:
    """Names of the built-in configurations."""
    folder = files(__package__) / _TABLE
    return tuple(sorted(entry.name.removesuffix(".json") for entry in folder.iterdir()))


@dataclass(frozen=True)
class Source:
    """A configuration as it was found: the model's name, the file (or built-in name), what is in it."""

    name: str
    file: str
    content: bytes
    parsed: dict[str, Any]

    def locate(self, key: str) -> tuple[str, int, int]:
        """Where a key stands; the start of the file if it is not there."""
        return self.file, *_place(self.content, key)


def load(source: str) -> Source:
    """What a path or a built-in name stands for; InputError if there is no such configuration."""
    path, source = Path(source), _ALIASES.get(source, source)
    if path.is_dir():
        path = path / "config.json"
    if path.is_file() or (path.exists() and source not in known()):
        name = path.stem if path.name != "config.json" else path.resolve().parent.name
        with expecting(HF_CONFIG, path):
            return _source(name, str(path), read_bytes(path, LARGEST))
    if source in known():
        return _source(source, source, (files(__package__) / _TABLE / f"{source}.json").read_bytes())
    raise InputError(
        f"no file {source!r} here, no built-in configuration of that name, and nothing is downloaded; built in: "
        f"{', '.join(known())}{did_you_mean(source, known())}"
    )


def _source(name: str, file: str, content: bytes) -> Source:
    return Source(name, file, content, _parse(content, file))


def _parse(content: bytes, file: str) -> dict[str, Any]:
    parsed = parse_json(content, file)
    if not isinstance(parsed, dict) or not isinstance(parsed.get("model_type"), str):
        raise InputError(
            Problem(file, 1, 1, "model_type", "missing: a Hugging Face config.json names its kind of model")
        )
    if "auto_map" in parsed:
        line, column = _place(content, "auto_map")
        message = "the model needs code of its own, which is not run; only models of transformers are exported"
        raise InputError(Problem(file, line, column, "auto_map", message))
    return parsed


def _place(content: bytes, key: str) -> tuple[int, int]:
    """Line and column of the first quoted `key`, both from 1."""
    text = content.decode("utf-8")
    at = max(text.find(f'"{key}"'), 0)
    return text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)


def transformers_config(parsed: dict[str, Any]) -> Any:
    """The configuration object of transformers; InputError for an unknown kind or a wrong value."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    import transformers
    from transformers import AutoConfig
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

    transformers.logging.set_verbosity_error()  # its warnings are about tokens and weights, of which there are none
    kind = parsed["model_type"]
    if kind not in CONFIG_MAPPING_NAMES:
        near = did_you_mean(kind, CONFIG_MAPPING_NAMES)
        raise InputError(f"transformers {transformers.__version__} has no {kind!r}{near}", key="model_type")
    values = {key: value for key, value in parsed.items() if key != "model_type"}
    try:
        return AutoConfig.for_model(kind, **values)
    except Exception as error:  # each configuration class raises what it likes
        message = " ".join(str(error).split())[:300]
        raise InputError(f"transformers refuses the configuration of a {kind}: {message}") from error
