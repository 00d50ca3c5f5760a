"""Models as the hub has them: a config.json, and safetensors beside it in one file or several."""

from __future__ import annotations

import json
import mmap
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from pimsim.errors import InputError, Problem
from pimsim.files import open_input, parse_json, read_bytes
from pimsim.values.extra import library
from pimsim.values.weights.constants import DEFAULTS, constants_of
from pimsim.values.weights.model import Weights
from pimsim.values.weights.slots import Key, Naming, Piece, Slot, found
from pimsim.values.weights.tensors import Tensors
from pimsim.workload.export import configs
from pimsim.workload.export.plain import shape_of_config
from pimsim.workload.ops import Operator
from pimsim.workload.shapes import ModelShape

CONFIG, WHOLE, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
_LARGEST_INDEX = 1 << 28  # bytes
# Kinds of numbers by what safetensors calls them (the last three are of `ml_dtypes`).
KINDS = {
    "F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": ml_dtypes.bfloat16,
    "F8_E4M3": ml_dtypes.float8_e4m3fn, "F8_E5M2": ml_dtypes.float8_e5m2,
}  # fmt: skip
_SHARD = re.compile(r"(.*)-\d+-of-\d+\.safetensors")

# Beginnings of names in a file, and what the graph's names have instead; the first that fits.
_PREFIXES = (
    ("model.language_model.", "model."),
    ("language_model.model.", "model."),
    ("language_model.lm_head.", "lm_head."),
    ("layers.", "model.layers."),
    ("embed_tokens.", "model.embed_tokens."),
    ("norm.", "model.norm."),
    ("h.", "transformer.h."),
    ("wte.", "transformer.wte."),
    ("wpe.", "transformer.wpe."),
    ("ln_f.", "transformer.ln_f."),
)
# What no step of a text model reads.
_HARMLESS = re.compile(
    r".*\.rotary_emb\.inv_freq|transformer\.h\.\d+\.attn\.(bias|masked_bias)"
    r"|(model\.)?(vision_tower|vision_model|visual|multi_modal_projector)\..*"
)
_MIXTRAL = {"router": "gate", "ffn_up": ("w1", "w3"), "ffn_down": ("w2",)}
_HEAD = "lm_head.weight"


@dataclass(frozen=True)
class _Stored:
    """A tensor in a file: its name there, its number format, and its bytes."""

    name: str
    kind: str
    path: Path
    data: memoryview


class Safetensors(Tensors):
    """The tensors of one file or several, by the names of the graph."""

    def __init__(self, file: str, paths: list[Path], beside: tuple[Path, ...]) -> None:
        self.file = file
        self.files = (*paths, *beside)
        self._stored: dict[str, _Stored] = {}
        shapes: dict[str, tuple[int, ...]] = {}
        for path in paths:
            for stored, shape in _tensors(path):
                own = _own_name(stored.name)
                if own in shapes:
                    why = f"is there twice, also in {self._stored[own].path}"
                    raise InputError(Problem(str(path), 1, 1, stored.name, why))
                self._stored[own], shapes[own] = stored, shape
        self.shapes = shapes

    def file_of(self, name: str) -> str:
        """The file that a tensor is in."""
        return str(self._stored[name].path)

    def refuse(self, names: Iterable[str]) -> None:
        """InputError if a tensor has numbers of a kind that is not read."""
        problems = []
        for name in names:
            if (kind := self._stored[name].kind) not in KINDS:
                why = f"has numbers of kind {kind}, which is not supported; convert them to one of {', '.join(KINDS)}"
                problems.append(Problem(self.file_of(name), 1, 1, name, why))
        if problems:
            raise InputError(problems)

    def raw(self, name: str, part: int | None = None) -> Any:
        """As numpy has it."""
        stored = self._stored[name]
        values = np.frombuffer(stored.data, np.dtype(KINDS[stored.kind])).reshape(self.shapes[name])
        return values if part is None else values[part]


def _tensors(path: Path) -> Iterator[tuple[_Stored, tuple[int, ...]]]:
    """Every tensor of a file, and its shape.

    The library says whether the file is right.  Where the tensors are is read from the header, which says it (8
    bytes with its length, JSON, data): the library would copy them, and knows no FP8 of numpy.
    """
    with open_input(path) as file:
        try:
            with library("safetensors").safe_open(path, "np"):
                mapped = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        except InputError:
            raise
        except Exception as error:  # the library's own class, or the system's
            why = f"is no safetensors file, or a part of one: {error}; get the file again"
            raise InputError(Problem(str(path), 1, 1, "", why)) from error
    start = 8 + int.from_bytes(mapped[:8], "little")
    for name, said in json.loads(bytes(mapped[8:start])).items():
        if name != "__metadata__":
            first, last = said["data_offsets"]
            yield _Stored(name, said["dtype"], path, mapped[start + first : start + last]), tuple(said["shape"])


def _own_name(name: str) -> str:
    """A name of a file as the graph has it."""
    for start, own in _PREFIXES:
        if name.startswith(start):
            return own + name.removeprefix(start)
    return name


def load(path: Path) -> Weights:
    """The model of a file, its folder or its index; InputError if it is none, or does not fit its config.json."""
    folder = path if path.is_dir() else path.parent
    paths, index = _files(path, folder)
    config = _config(folder)
    try:
        part = config.part()
        if part.kind not in DEFAULTS:
            raise InputError(_unknown(part.kind), key=f"{part.prefix}model_type")
        shape = shape_of_config(config.name, part.kind, part.values, part.prefix)
        constants = constants_of(shape, part.values, part.prefix)
    except InputError as error:
        raise error.located(config.locate) from error
    tensors = Safetensors(str((*index, *paths)[0]), paths, (*index, folder / CONFIG))
    slots = found(shape, tensors, _naming(shape), lambda name: _harmless(name, shape))
    tensors.refuse(dict.fromkeys(piece.tensor for slot in slots.values() for piece in slot))
    weights = Weights(shape, constants, str(path), tensors, slots)
    _check_head(weights)
    return weights


def _unknown(kind: str) -> str:
    return f"weights of a {kind!r} cannot be read; known: {', '.join(DEFAULTS)}"


def _config(folder: Path) -> configs.Source:
    if not (folder / CONFIG).exists():
        why = f"missing: it says which model the weights are of; put the model's {CONFIG} beside them"
        raise InputError(Problem(str(folder / CONFIG), 1, 1, "", why))
    return configs.load(str(folder / CONFIG))


def _files(path: Path, folder: Path) -> tuple[list[Path], tuple[Path, ...]]:
    """The files with tensors, and the index that names them if there is one."""
    shard = _SHARD.fullmatch(path.name)
    if path.is_dir():
        there = sorted(folder.glob("*.safetensors"))
        index = folder / INDEX
        if not index.exists():
            if len(there) == 1:
                return there, ()
            if folder / WHOLE in there:
                return [folder / WHOLE], ()
            what = f"has {len(there)} files *.safetensors and no {INDEX}; name one" if there else "has no *.safetensors"
            raise InputError(Problem(str(path), 1, 1, "", what))
    elif path.name.endswith(".json"):
        index = path
    elif shard:
        index = folder / f"{shard[1]}.safetensors.index.json"
        if not index.exists():
            why = f"is one of several files, and {index.name}, which names them, is not beside it"
            raise InputError(Problem(str(path), 1, 1, "", why))
    else:
        return [path], ()
    return _named(index), (index,)


def _named(index: Path) -> list[Path]:
    """The files that an index names."""
    said = parse_json(read_bytes(index, _LARGEST_INDEX), index)
    names = said.get("weight_map") if isinstance(said, dict) else None
    if not isinstance(names, dict) or not names or not all(isinstance(name, str) for name in names.values()):
        raise InputError(Problem(str(index), 1, 1, "weight_map", "must say in which file each tensor is"))
    files = sorted(set(names.values()))
    if outside := [name for name in files if os.path.basename(name) != name or name in ("", ".", "..")]:
        raise InputError(Problem(str(index), 1, 1, "weight_map", f"names {outside[0]!r}, which is not beside it"))
    missing = [name for name in files if not (index.parent / name).exists()]
    if missing:
        raise InputError(
            Problem(str(index), 1, 1, "weight_map", f"names {name}, which is not there") for name in missing
        )
    return [index.parent / name for name in files]


def _harmless(name: str, shape: ModelShape) -> bool:
    return bool(_HARMLESS.fullmatch(name)) or (name == _HEAD and shape.tied)


def _check_head(weights: Weights) -> None:
    """A head that is stored although it is tied has to be the token table."""
    stored = weights.tensors.shapes.get(_HEAD)
    if not weights.shape.tied or stored is None:
        return
    head, table = weights.tensors.read(_HEAD), weights.table(0)
    if head.shape != table.shape or (head != table).any():
        why = 'is not the token table, though "tie_word_embeddings" says so; say false if the head is its own'
        raise InputError(Problem(weights.tensors.file, 1, 1, _HEAD, why))


def _naming(shape: ModelShape) -> Naming:
    """Where the slots of a family are: the names are the graph's own."""
    more = 1.0 if shape.family.startswith("gemma") else 0.0

    def naming(key: Key, operator: Operator, sizes: tuple[int, ...]) -> list[Slot]:
        if key.kind == "table":
            return [(Piece(operator.table_names[key.expert], sizes),)]
        name = re.sub(r"\{layer(\+\d+)?\}", str(key.layer), operator.weight)
        if key.kind == "bias":
            return [(Piece(name.removesuffix("weight") + "bias", sizes),)]
        if key.kind == "gain":
            return [(Piece(name, sizes, more=more),)]
        if operator.layout == "in_out":
            return [(Piece(name, sizes[::-1], turned=True),)]
        if shape.experts > 1 and key.name in _MIXTRAL:
            return _of_experts(key, shape, name, sizes)
        return [(Piece(name, sizes),)]

    return naming


def _of_experts(key: Key, shape: ModelShape, name: str, sizes: tuple[int, ...]) -> list[Slot]:
    """As newer files have them, all experts in one tensor, and one by one as Mixtral was published."""
    old = f"model.layers.{key.layer}.block_sparse_moe."
    if key.name == "router":
        return [(Piece(name, sizes),), (Piece(f"{old}gate.weight", sizes),)]
    names = _MIXTRAL[key.name]
    each = (sizes[0] // len(names), sizes[1])
    return [
        (Piece(name, (shape.experts, *sizes), part=key.expert),),
        tuple(Piece(f"{old}experts.{key.expert}.{own}.weight", each) for own in names),
    ]
