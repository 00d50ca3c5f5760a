"""Graphs of models that keep a state, made by hand from their sizes: a Mamba block of transformers' shape."""

from __future__ import annotations

from pimsim.workload.graph import Workload
from pimsim.workload.ops import Operator
from pimsim.workload.shapes import ModelShape


def mamba(
    d: int = 64, inner: int = 128, n: int = 16, taps: int = 4, rank: int = 8, layers: int = 2, state: str = ""
) -> Workload:
    """`layers` Mamba blocks; n: elements of the state of each of `inner` channels."""

    def linear(name: str, inputs: int, outputs: int, deps: str, take: int = 0) -> Operator:
        taken = ((deps, 0, take),) if take else ()
        return Operator(name, "ssm", "linear", "block", inputs, outputs, deps=(deps,), take=taken)

    own = inner * n + 2 * inner  # A, D and the bias of dt, which is added in the update
    kept = {"scope": "block", "role": "ssm", "outputs": inner, "state": state}
    operators = (
        Operator("norm", "norm", "rmsnorm", "block", d, d, deps=("input",)),
        linear("in_proj", d, 2 * inner, "norm"),
        Operator(
            "conv", op="conv", inputs=inner, deps=("in_proj",), take=(("in_proj", 0, inner),), kernel=taps, bias=True,
            **kept,  # type: ignore[arg-type]
        ),
        Operator("act", "activation", "silu", "block", inner, inner, deps=("conv",)),
        linear("x_proj", inner, rank + 2 * n, "act"),
        linear("dt_proj", rank, inner, "x_proj", take=rank),
        Operator(
            "mixer", op="ssm_update", inputs=inner * n, deps=("act", "x_proj", "dt_proj"), own_parameters=own,
            **kept,  # type: ignore[arg-type]
        ),
        Operator(
            "gate", "activation", "silu", "block", inner, inner, deps=("in_proj",), take=(("in_proj", inner, inner),)
        ),
        Operator("gated", "activation", "mul", "block", inner, inner, deps=("mixer", "gate")),
        linear("out_proj", inner, d, "gated"),
        Operator("residual", "residual", "add", "block", d, d, deps=("input", "out_proj")),
    )  # fmt: skip
    return Workload(ModelShape("mamba", layers, d, 1, 1, inner, 100, 64), operators, layers)


def block_parameters(workload: Workload) -> int:
    """Parameters of one block, as torch counts those of a Mamba block, by hand."""
    sizes = {operator.name: operator for operator in workload.operators}
    inner, d = sizes["conv"].outputs, sizes["norm"].inputs
    n, taps, rank = sizes["mixer"].inputs // inner, sizes["conv"].kernel, sizes["dt_proj"].inputs
    matrices = d * 2 * inner + inner * (rank + 2 * n) + rank * inner + inner + inner * d
    return d + matrices + inner * taps + inner + inner * n + inner
