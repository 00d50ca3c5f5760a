"""Models as the hub has them: a config.json, and safetensors beside it in one file or several."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pimsim.errors import InputError, Problem, did_you_mean
from pimsim.files import open_input, parse_json, read_bytes
from pimsim.values.extra import library
from pimsim.values.weights.constants import DEFAULTS, constants_of
from pimsim.values.weights.model import Weights
from pimsim.values.weights.slots import Key, Piece, Slot, found
from pimsim.values.weights.tensors import Tensors
from pimsim.workload.export import configs
from pimsim.workload.export.plain import shape_of_config
from pimsim.workload.ops import Operator
from pimsim.workload.shapes import ModelShape

CONFIG, WHOLE, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
_LARGEST_INDEX = 1 << 28  # bytes
DTYPES = ("F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2")
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
    """A tensor in a file: its name there, its number format and the open file."""

    name: str
    dtype: str
    path: Path
    file: Any


class Safetensors(Tensors):
    """The tensors of one file or several, by the names of the graph."""

    def __init__(self, file: str, paths: list[Path], beside: tuple[Path, ...]) -> None:
        self.file = file
        self.files = (*paths, *beside)
        self._stored: dict[str, _Stored] = {}
        shapes = {}
        safetensors = library("safetensors")
        library("ml_dtypes")  # which tells numpy what BF16 and FP8 are
        for path in paths:
            opened = _opened(safetensors, path)
            for name in opened.keys():  # noqa: SIM118 (it is no mapping)
                part = opened.get_slice(name)
                own = _own_name(name)
                if own in shapes:
                    raise InputError(
                        Problem(str(path), 1, 1, name, f"is there twice, also in {self._stored[own].path}")
                    )
                self._stored[own] = _Stored(name, part.get_dtype(), path, opened)
                shapes[own] = tuple(part.get_shape())
        self.shapes = shapes

    def raw(self, name: str, part: int | None = None) -> Any:
        """As numpy has it."""
        stored = self._stored[name]
        if stored.dtype not in DTYPES:
            message = f"has numbers of kind {stored.dtype}, which is not supported; supported: {', '.join(DTYPES)}"
            raise InputError(Problem(str(stored.path), 1, 1, name, message))
        try:
            return stored.file.get_tensor(stored.name) if part is None else stored.file.get_slice(stored.name)[part]
        except Exception as error:  # the library's own class, or the system's
            raise InputError(Problem(str(stored.path), 1, 1, name, f"cannot be read: {error}")) from error


def _opened(safetensors: Any, path: Path) -> Any:
    with open_input(path):  # a regular file that is there
        pass
    try:
        return safetensors.safe_open(path, "np")
    except Exception as error:  # the library's own class, or the system's
        why = f"is no safetensors file, or a part of one: {error}; get the file again"
        raise InputError(Problem(str(path), 1, 1, "", why)) from error


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
    tensors = Safetensors(str(paths[0]), paths, (*index, folder / CONFIG))
    slots = found(shape, tensors, _naming(shape, tensors.shapes), lambda name: _harmless(name, shape))
    weights = Weights(shape, constants, str(path), tensors, slots)
    _check_head(weights)
    return weights


def _unknown(kind: str) -> str:
    return f"weights of a {kind!r} cannot be read{did_you_mean(kind, DEFAULTS)}; known: {', '.join(DEFAULTS)}"


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


def _naming(shape: ModelShape, there: Mapping[str, Any]) -> Any:
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
