"""The tokenizer of a model: where it is, and whether it is the model's."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pimsim.errors import InputError, Problem
from pimsim.files import open_input, parse_json, read_text
from pimsim.values.extra import library
from pimsim.values.tokens import ggml
from pimsim.values.tokens.tokenizer import Tokenizer
from pimsim.values.weights.gguf_file import MAGIC, GgufTensors
from pimsim.values.weights.model import Weights

TOKENIZER = "tokenizer.json"
_LARGEST = 1 << 28  # bytes
_SPECIAL = ("bos_token", "eos_token", "unk_token", "pad_token")
# Rows of a token table that no token has make it a multiple of something: of so much, and so large a part, at most.
_PADDED_TO, _PADDING = 1024, 0.5


def load_tokenizer(path: str | os.PathLike[str] | None, weights: Weights) -> Tokenizer:
    """The tokenizer in a file (a tokenizer.json, its folder, or a GGUF), or the one that came with the weights.

    InputError if there is none, it is broken, or it is another model's.
    """
    found = _beside(weights) if path is None else _given(Path(path))
    _check(found, weights)
    return found


def _given(path: Path) -> Tokenizer:
    if path.is_dir():
        path = path / TOKENIZER
    with open_input(path) as file:
        is_gguf = file.read(4) == MAGIC
    if not is_gguf:
        return _of_json(path)
    metadata = GgufTensors(path).metadata
    if not ggml.has_tokenizer(metadata):
        raise InputError(Problem(str(path), 1, 1, "tokenizer.ggml.model", "missing: this GGUF has no tokenizer"))
    return ggml.tokenizer_of(metadata, str(path))


def _beside(weights: Weights) -> Tokenizer:
    if ggml.has_tokenizer(weights.tensors.metadata):
        return ggml.tokenizer_of(weights.tensors.metadata, weights.file)
    path = Path(weights.file)
    folder = path if path.is_dir() else path.parent
    if not (folder / TOKENIZER).exists():
        why = f"no {TOKENIZER} beside {weights.file}; give one by --tokenizer, or ids by --prompt-ids"
        raise InputError(why, key="--tokenizer")
    return _of_json(folder / TOKENIZER)


def _of_json(path: Path) -> Tokenizer:
    text = read_text(path, _LARGEST)
    try:
        backend = library("tokenizers").Tokenizer.from_str(text)
    except InputError:
        raise
    except Exception as error:  # the library raises Exception itself
        why = f"is no {TOKENIZER} of the library `tokenizers`: {error}"
        raise InputError(Problem(str(path), 1, 1, "", why)) from error
    backend.no_padding()
    backend.no_truncation()
    said = _json(path.parent / "special_tokens_map.json") | _json(path.parent / "tokenizer_config.json")
    texts = {name: _text(said.get(name)) for name in _SPECIAL}
    ids = {name: backend.token_to_id(text) if text else None for name, text in texts.items()}
    ends = {ids["eos_token"], *_ends(path.parent / "config.json"), *_ends(path.parent / "generation_config.json")}
    size = max(backend.get_vocab(with_added_tokens=True).values(), default=-1) + 1
    return Tokenizer(
        backend, str(path), size, ids["bos_token"], frozenset(each for each in ends if each is not None),
        _template(path.parent, said), texts,
    )  # fmt: skip


def _json(path: Path) -> dict[str, Any]:
    """An object in a file that may be missing."""
    if not path.exists():
        return {}
    found = parse_json(read_text(path, _LARGEST).encode(), path)
    return found if isinstance(found, dict) else {}


def _text(token: Any) -> str:
    """A special token, which is a text or an object with one."""
    content = token.get("content") if isinstance(token, dict) else token
    return content if isinstance(content, str) else ""


def _ends(path: Path) -> set[int]:
    ends = _json(path).get("eos_token_id")
    return {each for each in (ends if isinstance(ends, list) else [ends]) if type(each) is int}


def _template(folder: Path, said: Mapping[str, Any]) -> str:
    """The chat template, which is a file of its own in newer models; of several the one named "default"."""
    alone = folder / "chat_template.jinja"
    if alone.exists():
        return read_text(alone, _LARGEST)
    found = said.get("chat_template") or _json(folder / "chat_template.json").get("chat_template")
    if isinstance(found, list):
        found = next(
            (each.get("template") for each in found if isinstance(each, dict) and each.get("name") == "default"), ""
        )
    return found if isinstance(found, str) else ""


def _check(tokenizer: Tokenizer, weights: Weights) -> None:
    """InputError if ids of the tokenizer are beyond the model's table, or far fewer than it has."""
    rows, tokens = weights.shape.vocabulary, tokenizer.vocabulary
    if not 0 <= rows - tokens < min(_PADDED_TO, max(1, _PADDING * rows)):
        what = f"has {tokens:,} tokens, the model's table {rows:,}"
        why = f"{what}: it is another model's; give the right one by --tokenizer"
        raise InputError(Problem(tokenizer.file, 1, 1, "", why))
