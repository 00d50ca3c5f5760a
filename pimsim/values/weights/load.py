"""The weights of a model from a file: which reader it is for."""

from __future__ import annotations

import os
from pathlib import Path

from pimsim.errors import InputError, Problem
from pimsim.files import open_input
from pimsim.values.weights import ggml, hub
from pimsim.values.weights.gguf_file import MAGIC
from pimsim.values.weights.model import Weights

_PICKLES = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")


def load_weights(path: str | os.PathLike[str]) -> Weights:
    """The model in a file: safetensors with a config.json beside it (the file, its folder or its index), or GGUF.

    Tensors are found and their shapes compared, but read when they are asked for.  Raises InputError for what
    is no such file, is broken, of a family or a number format that is not known, or has tensors that are
    missing, of another shape, or left over.
    """
    path = Path(path)
    if path.is_dir():
        only = sorted(path.glob("*.gguf"))
        return ggml.load(only[0]) if len(only) == 1 and not any(path.glob("*.safetensors*")) else hub.load(path)
    with open_input(path) as file:
        head = file.read(8)
    if head.startswith(_PICKLES):
        why = "is a pickle of PyTorch, which can run code: save the model as safetensors (`save_pretrained` does)"
        raise InputError(Problem(str(path), 1, 1, "", why))
    return ggml.load(path) if head.startswith(MAGIC) else hub.load(path)
