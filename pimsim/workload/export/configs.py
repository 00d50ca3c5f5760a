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

# What the text part of a multimodal model is where its configuration does not say so, by kind of the whole.
# source: the classes' own defaults in transformers 5.24 (tests/export/test_parts.py compares them)
TEXT_PARTS = {
    "aya_vision": "cohere2",
    "cohere2_vision": "cohere2",
    "deepseek_vl": "llama",
    "gemma3": "gemma3_text",
    "granite_speech": "granite",
    "idefics3": "llama",
    "internvl": "qwen2",
    "llava": "llama",
    "llava_next": "llama",
    "llava_next_video": "llama",
    "llava_onevision": "qwen2",
    "mistral3": "mistral",
    "paligemma": "gemma",
    "qwen2_5_vl": "qwen2_5_vl_text",
    "qwen2_vl": "qwen2_vl_text",
    "qwen3_vl": "qwen3_vl_text",
    "smolvlm": "llama",
    "vipllava": "llama",
}
# Text parts that are another family's decoder but for the positions that they rotate by.
SAME_DECODER = {"qwen2_5_vl_text": "qwen2", "qwen2_vl_text": "qwen2", "qwen3_vl_text": "qwen3"}
HEADS_FILL_IT = (
    "qwen2_5_vl_text",
    "qwen2_vl_text",
)  # of them: heads have hidden_size / heads elements, whatever is said
_TEXT, _TIED = "text_config", "tie_word_embeddings"
# Wholes whose LM head is tied if either they or their text part say so; of others, what the whole says counts.
# source: the classes' `__post_init__` in transformers 5.24 (older files have it in the text part alone)
TIED_BY_EITHER = ("llava", "llava_next_video", "llava_onevision", "qwen2_5_vl", "qwen2_vl")
# What such a part has to say of itself, since the other family's defaults are not its own.
NEEDED = (
    "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "vocab_size",
    "max_position_embeddings",
)  # fmt: skip


def known() -> tuple[str, ...]:
    """Names of the built-in configurations."""
    folder = files(__package__) / _TABLE
    return tuple(sorted(entry.name.removesuffix(".json") for entry in folder.iterdir()))


@dataclass(frozen=True)
class Part:
    """The configuration of a decoder.

    whole: the kind of the multimodal model that it is the text part of ("" if it is all there is).
    prefix: what stands before its keys in the file.  own_code: the file names code that would come with the model.
    """

    kind: str
    values: dict[str, Any]
    whole: str = ""
    prefix: str = ""
    own_code: bool = False

    @property
    def note(self) -> str:
        """What a user should know of the choice; "" if there was none."""
        return f"the text part ({self.kind}) of a {self.whole}" if self.whole else ""


@dataclass(frozen=True)
class Source:
    """A configuration as it was found: the model's name, the file (or built-in name), what is in it."""

    name: str
    file: str
    content: bytes
    parsed: dict[str, Any]

    def part(self) -> Part:
        """What is exported: all of it, or the text part of a multimodal model; InputError if the part is none."""
        whole, text = self.parsed["model_type"], self.parsed.get(_TEXT)
        values = {key: value for key, value in self.parsed.items() if key not in ("model_type", "auto_map")}
        if text is None and whole not in TEXT_PARTS:
            return Part(whole, values, own_code="auto_map" in self.parsed)
        if text is not None and not isinstance(text, dict):
            raise InputError("must be an object: the configuration of the text part", key=_TEXT)
        flat = (
            text is None and TEXT_PARTS[whole] in SAME_DECODER and "hidden_size" in values
        )  # as Qwen2-VL was published
        values = values if flat else dict(text or {})
        kind = values.pop("model_type", None) or TEXT_PARTS.get(whole)
        if not isinstance(kind, str):
            raise InputError(f"does not say its kind (model_type), and neither does {whole!r}", key=_TEXT)
        if kind in HEADS_FILL_IT:
            values.pop("head_dim", None)
        if _TIED in self.parsed and not (whole in TIED_BY_EITHER and values.get(_TIED) is True):
            values[_TIED] = self.parsed[_TIED]
        decoder, prefix = SAME_DECODER.get(kind, kind), "" if flat else f"{_TEXT}."
        missing = [key for key in NEEDED if key not in values] if decoder != kind else []
        if missing:
            raise InputError(
                Problem("", 0, 0, prefix + key, f"missing: a {kind} is read as a {decoder}, whose default is another")
                for key in missing
            )
        return Part(decoder, values, whole, prefix)

    def has(self, key: str) -> bool:
        """True if a key (dots between keys) has a value."""
        value: Any = self.parsed
        for part in key.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        return value is not None

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
    return parsed


def _place(content: bytes, key: str) -> tuple[int, int]:
    """Line and column, both from 1, of a quoted key; of `a.b` the first "b" after "a"."""
    text, at = content.decode("utf-8"), 0
    for part in key.split("."):
        found = text.find(f'"{part}"', at)
        if not part or found < 0:
            break
        at = found
    return text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)


def transformers_config(part: Part) -> Any:
    """The configuration object of transformers for a text part; InputError for an unknown kind or a wrong value."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    import transformers
    from transformers import AutoConfig
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

    transformers.logging.set_verbosity_error()  # its warnings are about tokens and weights, of which there are none
    if part.kind not in CONFIG_MAPPING_NAMES:
        near = did_you_mean(part.kind, CONFIG_MAPPING_NAMES)
        own = "; the configuration names code of its own (auto_map), which is never run" if part.own_code else ""
        raise InputError(
            f"transformers {transformers.__version__} has no {part.kind!r}{near}{own}", key=f"{part.prefix}model_type"
        )
    try:
        return AutoConfig.for_model(part.kind, **part.values)
    except Exception as error:  # each configuration class raises what it likes
        message = " ".join(str(error).split())[:300]
        raise InputError(f"transformers refuses the configuration of a {part.kind}: {message}") from error
