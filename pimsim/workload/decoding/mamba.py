"""A Mamba model from its sizes: a state of each sequence in the place of K and V (Gu and Dao 2023)."""

from __future__ import annotations

from collections.abc import Iterator

from pimsim.workload.graph import Workload
from pimsim.workload.ops import INPUT, Operator
from pimsim.workload.shapes import ModelShape


def mamba(shape: ModelShape, state: int, taps: int, expand: int, rank: int) -> Workload:
    """The decode step: embedding, blocks, final norm and a tied LM head.

    state: elements of the state of each channel; taps: of the convolution; expand: channels over d_model;
    rank: of the product that makes the step sizes.
    """
    d, inner = shape.d_model, expand * shape.d_model
    token = Operator(
        "embed", "embed", "embedding", "once_before", shape.vocabulary, d, deps=(INPUT,), tables=(shape.vocabulary,),
        table_names=("backbone.embeddings.weight",),
    )  # fmt: skip
    last = (
        Operator("final_norm", "norm", "rmsnorm", "once_after", d, d, deps=(INPUT,)),
        Operator(
            "lm_head", "lm_head", "linear", "once_after", d, shape.vocabulary, deps=("final_norm",), tied="embed",
            layout="out_in",
        ),
    )  # fmt: skip
    return Workload(shape, (token, *_block(d, inner, state, taps, rank), *last), shape.layers)


def _block(d: int, inner: int, state: int, taps: int, rank: int) -> Iterator[Operator]:
    """x + out(scan(silu(conv(a))) * silu(b)), where a and b are the halves of one product of norm(x)."""

    def linear(name: str, inputs: int, outputs: int, dep: str, bias: bool = False, take: int = 0) -> Operator:
        taken = ((dep, 0, take),) if take else ()
        return Operator(name, "ssm", "linear", "block", inputs, outputs, bias, deps=(dep,), take=taken, layout="out_in")

    halves = {name: (("in_proj", first, inner),) for name, first in (("conv", 0), ("gate", inner))}
    yield Operator("norm", "norm", "rmsnorm", "block", d, d, deps=(INPUT,))
    yield linear("in_proj", d, 2 * inner, "norm")
    yield Operator(
        "conv", "ssm", "conv", "block", inner, inner, True, deps=("in_proj",), take=halves["conv"], kernel=taps
    )
    yield Operator("act", "activation", "silu", "block", inner, inner, deps=("conv",))
    yield linear("x_proj", inner, rank + 2 * state, "act")
    yield linear("dt_proj", rank, inner, "x_proj", take=rank)
    own = inner * state + 2 * inner  # A, D and the bias of the step sizes
    yield Operator(
        "mixer", "ssm", "ssm_update", "block", inner * state, inner, deps=("act", "x_proj", "dt_proj"),
        own_parameters=own,
    )  # fmt: skip
    yield Operator("gate", "activation", "silu", "block", inner, inner, deps=("in_proj",), take=halves["gate"])
    yield Operator("gated", "activation", "mul", "block", inner, inner, deps=("mixer", "gate"))
    yield linear("out_proj", inner, d, "gated")
    yield Operator("residual", "residual", "add", "block", d, d, deps=(INPUT, "out_proj"))
