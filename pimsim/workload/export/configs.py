"""Where a model's configuration comes from: a config.json, a folder with one, or a name in a small table.

The network is never asked: what is not a file here and not in the table is an error.
"""

from __future__ import annotations

import json
import os
from importlib.resources import files
from pathlib import Path
from typing import Any

from pimsim.errors import InputError, Problem, did_you_mean

_TABLE = "configs"


def known() -> tuple[str, ...]:
    """Names of the built-in configurations."""
    folder = files(__package__) / _TABLE
    return tuple(sorted(entry.name.removesuffix(".json") for entry in folder.iterdir()))


def load(source: str) -> tuple[str, dict[str, Any]]:
    """The name and the configuration of a path or a built-in name; InputError if there is none."""
    path = Path(source)
    if path.is_dir():
        path = path / "config.json"
    if path.is_file():
        name = path.stem if path.name != "config.json" else path.resolve().parent.name
        return name, _parse(path.read_bytes(), str(path))
    if source in known():
        return source, _parse((files(__package__) / _TABLE / f"{source}.json").read_bytes(), source)
    raise InputError(
        f"no file {source!r} here and no built-in configuration of that name{did_you_mean(source, known())}; built in: "
        f"{', '.join(known())}. Nothing is downloaded",
        key="--hf-config",
    )


def _parse(content: bytes, file: str) -> dict[str, Any]:
    try:
        parsed = json.loads(content)
    except json.JSONDecodeError as error:
        raise InputError(Problem(file, error.lineno, error.colno, "", f"not JSON: {error.msg}")) from error
    except UnicodeDecodeError as error:
        raise InputError(Problem(file, 1, 1, "", "not UTF-8 text")) from error
    if not isinstance(parsed, dict) or not isinstance(parsed.get("model_type"), str):
        raise InputError(Problem(file, 1, 1, "model_type", "missing: a Hugging Face config.json names its kind of model"))
    if "auto_map" in parsed:
        raise InputError(
            Problem(file, 1, 1, "auto_map", "the model needs code of its own, which is not run; only models of transformers")
        )
    return parsed


def transformers_config(source: str, parsed: dict[str, Any]) -> Any:
    """The configuration object of transformers; InputError for an unknown kind or a wrong value."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    import transformers
    from transformers import AutoConfig
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

    kind = parsed["model_type"]
    if kind not in CONFIG_MAPPING_NAMES:
        raise InputError(
            Problem(
                source,
                1,
                1,
                "model_type",
                f"transformers {transformers.__version__} has no {kind!r}{did_you_mean(kind, CONFIG_MAPPING_NAMES)}",
            )
        )
    values = {key: value for key, value in parsed.items() if key != "model_type"}
    try:
        return AutoConfig.for_model(kind, **values)
    except Exception as error:  # each configuration class raises what it likes
        message = " ".join(str(error).split())[:300]
        raise InputError(Problem(source, 1, 1, kind, f"transformers refuses the configuration: {message}")) from error
