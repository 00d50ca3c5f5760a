"""Kinds of ATen operators, and the modules that are one operator however they write it."""

from __future__ import annotations

from dataclasses import dataclass

from pimsim.workload.export.recorder import Call, Event
from pimsim.workload.ops import ACTIVATIONS, NORMS

PRODUCTS = {"mm", "addmm", "bmm", "baddbmm", "_grouped_mm", "convolution", "_convolution", "einsum", "mv", "addmv"}
# Copies: the eager artefacts that pass data through (views do too).
COPIES = {
    "clone",
    "_to_copy",
    "cat",
    "stack",
    "index",
    "repeat",
    "copy_",
    "index_select",
    "constant_pad_nd",
}
# A module without modules and parameters that dispatches exactly these, copies aside, is one activation.
_ACTIVATIONS = {frozenset({name}): name for name in ACTIVATIONS} | {
    frozenset({"mul", "pow", "add", "tanh"}): "gelu",  # tanh approximation, written out
    frozenset({"mul", "add", "tanh"}): "gelu",  # the same with x * x * x
    frozenset({"mul", "div", "erf", "add"}): "gelu",  # the exact one, written out
}


@dataclass(frozen=True)
class Group:
    """What a module is, if it is one operator, and the parameters it reads.

    gated: a norm that first multiplies what it takes with the SiLU of a second value.
    """

    op: str
    parameters: tuple[str, ...]
    gated: bool = False


def groups(events: tuple[Event, ...]) -> dict[Call, Group]:
    """The calls of modules that are one operator."""
    dispatched: dict[Call, list[Event]] = {}
    for event in events:
        if event.call.leaf and event.region is None:
            dispatched.setdefault(event.call, []).append(event)
    return {
        call: Group(
            kind,
            tuple(dict.fromkeys(n for e in inside for v in e.inputs for n in v.parameters)),
            kind in NORMS and any(event.op == "silu" for event in inside),
        )
        for call, inside in dispatched.items()
        if (kind := _kind(inside))
    }


def _kind(events: list[Event]) -> str:
    ops = {event.op for event in events if event.kernel and event.op not in COPIES}
    if ops & PRODUCTS or "embedding" in ops:
        return ""
    if "native_layer_norm" in ops:
        return "layernorm"
    if ops & {"rsqrt", "_fused_rms_norm", "rms_norm"}:
        return "layernorm" if "sub" in ops else "rmsnorm"
    return _ACTIVATIONS.get(frozenset(ops), "")
