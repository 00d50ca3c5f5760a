"""Multi-head latent attention (DeepSeek V2 and V3): K and V of each head are made of a vector that all share.

As its authors write it, `kv` (d of `latent` elements -> `nope` of K and `value` of V for each head) makes
K and V of each token once, and they are kept: heads of K of nope + rope elements, heads of V of `value`.

Absorbed, the latent vector itself is kept, and each head's part of `kv` goes to the other side of its
product:  q (W_UK c) = (q W_UK) c  and  W_UV (p c) = (W_UV p) c:

    q_latent   heads matrices of nope x latent: queries of the latent vector
    attention  one head of K for all: latent + rope elements; V is its first `latent` elements
    v_latent   heads matrices of latent x value: a head's result from that of the latent vector

source: DeepSeek-V2 paper, section 2.1.2 and appendix C
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pimsim.errors import InputError
from pimsim.workload.export.exported import EXPANDED
from pimsim.workload.export.fold import Folded
from pimsim.workload.ops import Operator

_KEYS = ("kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim")


@dataclass(frozen=True)
class Latent:
    """Elements: of the latent vector, and of a head: not rotated, rotated, of V."""

    latent: int
    nope: int
    rope: int
    value: int

    @property
    def kept(self) -> int:
        """Elements of the latent K of a token."""
        return self.latent + self.rope


def latent_of(config: Any) -> Latent | None:
    """The sizes of latent attention in a transformers configuration; None if it has none."""
    said = [getattr(config, key, None) for key in _KEYS]
    sizes = [size for size in said if isinstance(size, int)]
    return Latent(*sizes) if len(sizes) == len(_KEYS) else None


def restate(folded: Folded, sizes: Latent, mode: str) -> Folded:
    """The step with each rotation where it reads, and K and V kept as `mode` says (one of `exported.LATENT`).

    InputError if a layer is made otherwise.
    """
    known = {operator.name: operator for operator in folded.operators}
    made: dict[str, list[Operator]] = {}
    for name, operator in known.items():
        if operator.op == "attention":
            made |= _layer(known, name.removeprefix("attention"), sizes, mode)
    operators = tuple(other for o in folded.operators for other in made.get(o.name, [o]))
    if mode == EXPANDED:
        return replace(folded, operators=operators)
    unlaunched = tuple(replace(o, aten=None, kernels=None) for o in operators)
    return replace(folded, operators=unlaunched, overhead=None)


def _layer(known: dict[str, Operator], layer: str, sizes: Latent, mode: str) -> dict[str, list[Operator]]:
    """What stands in place of each operator of one layer that is written otherwise."""
    names = ("q", "kv_a", "kv_a_norm", "kv", "rope", "attention", "attn_out")
    parts = [known.get(f"{name}{layer}") for name in names]
    if any(part is None for part in parts):
        missing = next(name for name, part in zip(names, parts, strict=True) if part is None)
        raise InputError(f"latent attention without a {missing!r} in a layer; {', '.join(known)[:200]} are there")
    q, kv_a, norm, kv, rope, attention, out = (part for part in parts if part is not None)
    heads = attention.heads
    made = {norm.name: [replace(norm, take=((kv_a.name, 0, sizes.latent),))]}
    rotations = _rotations(rope, q, kv_a, heads, sizes)
    made[rope.name] = rotations
    q_rope, k_rope = rotations
    if mode == EXPANDED:
        deps = (q.name, q_rope.name, kv.name, k_rope.name)
        made[attention.name] = [replace(attention, deps=deps)]
        return made
    rows = heads * sizes.nope
    q_latent = Operator(
        f"q_latent{layer}", "qkv", "linear", q.scope, rows, heads * sizes.latent, deps=(q.name,), weight=kv.weight,
        layout=kv.layout, blocks=heads, take=((q.name, 0, rows),),
    )  # fmt: skip
    v_latent = Operator(
        f"v_latent{layer}", "attn_out", "linear", q.scope, heads * sizes.latent, heads * sizes.value,
        deps=(attention.name,), weight=kv.weight, layout=kv.layout, blocks=heads,
    )  # fmt: skip
    made[kv.name] = [q_latent]
    deps = (q_latent.name, q_rope.name, norm.name, k_rope.name)
    made[attention.name] = [
        replace(
            attention, inputs=(heads + 1) * sizes.kept, outputs=heads * sizes.latent, kv_heads=1, head_dim=sizes.kept,
            value_dim=sizes.latent, deps=deps,
        ),
        v_latent,
    ]  # fmt: skip
    made[rope.name] = [replace(q_rope, take=((q.name, rows, heads * sizes.rope),)), k_rope]
    made[out.name] = [replace(out, deps=_renamed(out.deps, attention.name, v_latent.name))]
    return made


def _rotations(rope: Operator, q: Operator, kv_a: Operator, heads: int, sizes: Latent) -> list[Operator]:
    """That of each head of q, and the one that all heads of K share; the launches of both are the first's."""
    layer, launch = rope.name.removeprefix("rope"), rope.aten
    of_q = replace(
        rope, name=f"q_rope{layer}", inputs=heads * sizes.rope, outputs=heads * sizes.rope, deps=(q.name,)
    )  # fmt: skip
    of_k = replace(
        rope, name=f"k_rope{layer}", inputs=sizes.rope, outputs=sizes.rope, deps=(kv_a.name,),
        take=((kv_a.name, sizes.latent, sizes.rope),), aten=None if launch is None else 0,
        kernels=None if launch is None else 0,
    )  # fmt: skip
    return [of_q, of_k]


def _renamed(names: Sequence[str], old: str, new: str) -> tuple[str, ...]:
    return tuple(_names(names, old, new))


def _names(names: Sequence[str], old: str, new: str) -> Iterator[str]:
    yield from (new if name == old else name for name in names)
