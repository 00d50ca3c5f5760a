"""Mamba, Falcon-Mamba and Mamba-2 from their config.json alone, without torch: the operators that `states` tells of.

What a config.json leaves out is what the family's configuration class of transformers has for it
(tests/export/test_plain_states.py compares the two, and the files with recorded ones).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pimsim.errors import InputError
from pimsim.workload.export.plain import MOST_LAYERS, Reader
from pimsim.workload.graph import Workload
from pimsim.workload.ops import INPUT, Operator
from pimsim.workload.shapes import ModelShape

_MAMBA = {
    "vocab_size": 50280,
    "hidden_size": 768,
    "state_size": 16,
    "num_hidden_layers": 32,
    "expand": 2,
    "intermediate_size": None,
    "conv_kernel": 4,
    "use_bias": False,
    "use_conv_bias": True,
    "hidden_act": "silu",
    "time_step_rank": "auto",
    "tie_word_embeddings": True,
}
DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "mamba": _MAMBA,
    "falcon_mamba": _MAMBA,
    "mamba2": {
        "vocab_size": 32768,
        "hidden_size": 4096,
        "state_size": 128,
        "num_hidden_layers": 64,
        "num_heads": 128,
        "head_dim": 64,
        "n_groups": 8,
        "expand": 2,
        "conv_kernel": 4,
        "use_bias": False,
        "use_conv_bias": True,
        "hidden_act": "silu",
        "tie_word_embeddings": False,
    },
}
NO_LIMIT = 1 << 20  # positions of a model that knows none, and keeps as much whatever came before
_MIXER = "backbone.layers.{layer}.mixer."


def workload_of_config(name: str, kind: str, values: Mapping[str, Any], prefix: str = "") -> Workload:
    """The decode step of a model of a family of `DEFAULTS`.

    prefix: what stands before the keys in their file.  InputError has every problem, each with its key.
    """
    read = Reader(DEFAULTS[kind], values, prefix, {})
    layers = read.size("num_hidden_layers", MOST_LAYERS)
    try:
        operators = (*_begin(read), *(_mamba2(read) if kind == "mamba2" else _mamba(read, kind)), *_end(read))
        shape = _shape(name, kind, operators, layers)
    except ValueError as error:  # of an operator or the shape, which names what does not fit
        raise InputError(read.problems or f"sizes that a trace cannot hold: {error}") from error
    if read.problems:
        raise InputError(read.problems)
    return Workload(shape, operators, layers)


def _shape(name: str, kind: str, operators: tuple[Operator, ...], layers: int) -> ModelShape:
    """Without attention there is one head as wide as the model; the mixer is its feed-forward network."""
    known = {operator.name: operator for operator in operators}
    embed, out = known["embed"], known["ssm_out"]
    function = known["ssm_conv_act"].op
    return ModelShape(
        name, layers, embed.outputs, 1, 1, out.inputs, embed.inputs, NO_LIMIT, kind, norm="rmsnorm",
        activation=function, gated=True, biases=(), merged_qkv=False,
        tied=bool(known["lm_head"].tied),
    )  # fmt: skip


def _begin(read: Reader) -> Iterator[Operator]:
    width, rows = read.size("hidden_size"), read.size("vocab_size")
    yield Operator(
        "embed", "embed", "embedding", "once_before", rows, width, deps=(INPUT,), tables=(rows,),
        table_names=("backbone.embeddings.weight",),
    )  # fmt: skip
    yield _norm("ssm_norm", width, INPUT, "backbone.layers.{layer}.norm.weight")


def _end(read: Reader) -> Iterator[Operator]:
    width, tied = read.size("hidden_size"), read.flag("tie_word_embeddings")
    yield Operator("ssm_residual", "residual", "add", "block", width, width, deps=(INPUT, "ssm_out"))
    yield Operator(
        "final_norm", "norm", "rmsnorm", "once_after", width, width, deps=(INPUT,), weight="backbone.norm_f.weight"
    )
    yield Operator(
        "lm_head", "lm_head", "linear", "once_after", width, read.size("vocab_size"), tied="embed" if tied else "",
        deps=("final_norm",), weight="backbone.embeddings.weight" if tied else "lm_head.weight", layout="out_in",
    )  # fmt: skip


def _mamba(read: Reader, kind: str) -> Iterator[Operator]:
    """A state of `state_size` for each channel; A for each element of it, D and the bias of dt for each channel."""
    width, state = read.size("hidden_size"), read.size("state_size")
    inner = read.size_or_none("intermediate_size") or read.size("expand") * width
    rank = -(-width // 16) if read.any("time_step_rank") == "auto" else read.size("time_step_rank")
    yield _product("ssm_in", width, 2 * inner, "ssm_norm", "in_proj", read.flag("use_bias"))
    yield from _convolution(read, inner, 0)
    yield _product("ssm_x", inner, rank + 2 * state, "ssm_conv_act", "x_proj")
    made: tuple[str, ...] = ("ssm_conv_act", "ssm_x", "ssm_dt")
    take: tuple[tuple[str, int, int], ...] = (("ssm_x", rank, 2 * state),)
    step = "ssm_x"
    if kind == "falcon_mamba":
        parts = (("ssm_dt_norm", 0, rank), ("ssm_bc_norm", rank, state), ("ssm_bc_norm_2", rank + state, state))
        for name, first, size in parts:
            yield _norm(name, size, "ssm_x", "", affine="none", take=(("ssm_x", first, size),))
        made, take, step = ("ssm_conv_act", "ssm_bc_norm", "ssm_bc_norm_2", "ssm_dt"), (), "ssm_dt_norm"
    of_x = (("ssm_x", 0, rank),) if step == "ssm_x" else ()
    yield _product("ssm_dt", rank, inner, step, "dt_proj", take=of_x)
    yield _update(state * inner, inner, state * inner + 2 * inner, made, take)
    yield from _gate(inner, inner)
    yield _product("ssm_out", inner, width, "ssm_gate", "out_proj", read.flag("use_bias"))


def _mamba2(read: Reader) -> Iterator[Operator]:
    """A state of `state_size` for each channel of a head; A, D and the bias of dt for each head."""
    width, state, heads = read.size("hidden_size"), read.size("state_size"), read.size("num_heads")
    inner = read.size("expand") * width
    mixed = inner + 2 * read.size("n_groups") * state
    if not read.problems and inner != heads * read.size("head_dim"):
        read.wrong("num_heads", f"{heads} heads of {read.size('head_dim')} are not {inner}, expand * hidden_size")
    yield _product("ssm_in", width, inner + mixed + heads, "ssm_norm", "in_proj", read.flag("use_bias"))
    yield from _convolution(read, mixed, inner)
    yield _update(
        state * inner, inner, 3 * heads, ("ssm_in", "ssm_conv_act"), (("ssm_in", inner + mixed, heads),)
    )  # fmt: skip
    yield from _gate(inner, 0)
    yield _norm("ssm_gate_norm", inner, "ssm_gate", f"{_MIXER}norm.weight")
    yield _product("ssm_out", inner, width, "ssm_gate_norm", "out_proj", read.flag("use_bias"))


def _convolution(read: Reader, channels: int, first: int) -> Iterator[Operator]:
    """Over `channels` elements of the first product, from `first` on; and its activation."""
    yield Operator(
        "ssm_conv", "ssm", "conv", "block", channels, channels, bias=read.flag("use_conv_bias"),
        kernel=read.size("conv_kernel"), deps=("ssm_in",), take=(("ssm_in", first, channels),),
        weight=f"{_MIXER}conv1d.weight",
    )  # fmt: skip
    function = read.activation("hidden_act")
    yield Operator("ssm_conv_act", "activation", function, "block", channels, channels, deps=("ssm_conv",))


def _update(
    elements: int, channels: int, own: int, deps: tuple[str, ...], take: tuple[tuple[str, int, int], ...]
) -> Operator:
    return Operator(
        "ssm_update", "ssm", "ssm_update", "block", elements, channels, deps=deps, take=take, own_parameters=own
    )


def _gate(inner: int, first: int) -> Iterator[Operator]:
    """The SiLU of the gate, elements of the first product from `first` on, and what it is multiplied with."""
    take = (("ssm_in", first, inner),)
    yield Operator("ssm_gate_act", "activation", "silu", "block", inner, inner, deps=("ssm_in",), take=take)
    yield Operator("ssm_gate", "activation", "mul", "block", inner, inner, deps=("ssm_update", "ssm_gate_act"))


def _product(
    name: str, inputs: int, outputs: int, dep: str, module: str, bias: bool = False,
    take: tuple[tuple[str, int, int], ...] = (),
) -> Operator:  # fmt: skip
    return Operator(
        name, "ssm", "linear", "block", inputs, outputs, bias=bias, deps=(dep,), take=take,
        weight=f"{_MIXER}{module}.weight", layout="out_in",
    )  # fmt: skip


def _norm(
    name: str, width: int, dep: str, weight: str, affine: str = "", take: tuple[tuple[str, int, int], ...] = ()
) -> Operator:
    return Operator(
        name, "norm", "rmsnorm", "block", width, width, deps=(dep,), weight=weight, affine=affine, take=take
    )
