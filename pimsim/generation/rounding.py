"""What a model's logits depend on: the part of a plan that the level fast is given, and a key of it.

The level fast is given a plan in which all else is not there: to read another key of the configuration, a clock or an
address is an error.  So two plans with equal keys give equal logits, to the bit, with the same weights and tokens.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, cast

from pimsim.mapping.packing import Packing
from pimsim.mapping.placed import Placed
from pimsim.mapping.wires import Cuts
from pimsim.values.fast.model import Fast
from pimsim.values.weights.model import Weights
from pimsim.workload.graph import Workload


@dataclass(frozen=True)
class _Asic:
    taylor_terms: int
    newton_steps: int
    range_reduction: str


@dataclass(frozen=True)
class _Pim:
    lanes: int


@dataclass(frozen=True)
class _Values:
    accumulate: str


@dataclass(frozen=True)
class _Config:
    asic: _Asic
    pim: _Pim
    values: _Values


@dataclass(frozen=True)
class _Grid:
    width: int


@dataclass(frozen=True)
class _Packed:
    """packing: of numbers of other formats in the columns of a memory (None: BF16)."""

    packing: Packing | None


@dataclass(frozen=True)
class _Matrix:
    grid: _Packed
    sums: Cuts
    takes_addend: bool


@dataclass(frozen=True)
class _Keys:
    grid: _Packed
    sums: Cuts


@dataclass(frozen=True)
class _Weighed:
    by_context: tuple[Cuts, ...]

    def sums(self, tokens: int) -> Cuts:
        """How the sums over so many tokens are cut."""
        return self.by_context[tokens - 1]


@dataclass(frozen=True)
class _Memory:
    matrices: Mapping[str, _Matrix]
    keys: Mapping[str, _Keys]
    values: Mapping[str, _Weighed]


@dataclass(frozen=True)
class Rounding:
    """A plan's operators, how its sums are cut and rounded, and how its ASIC computes; nothing else of it."""

    workload: Workload
    config: _Config
    grid: _Grid
    memory: _Memory
    functions: Mapping[str, str]

    @classmethod
    def of(cls, plan: Placed, tokens: int) -> Rounding:
        """That of a plan that has its whole configuration, for sequences of up to `tokens` tokens."""
        config, memory = plan.config, plan.memory
        asic = _Asic(**{field.name: getattr(config.asic, field.name) for field in fields(_Asic)})
        return cls(
            plan.workload,
            _Config(asic, _Pim(config.pim.lanes), _Values(config.values.accumulate)),
            _Grid(plan.grid.width),
            _Memory(
                {
                    name: _Matrix(_Packed(layout.grid.packing), layout.sums, layout.takes_addend)
                    for name, layout in memory.matrices.items()
                },
                {name: _Keys(_Packed(layout.grid.packing), layout.sums) for name, layout in memory.keys.items()},
                {name: _Weighed(tuple(map(of.sums, range(1, tokens + 1)))) for name, of in memory.values.items()},
            ),
            dict(plan.functions),
        )

    @property
    def key(self) -> Hashable:
        """Equal for equal logits: all that is in it."""
        return _frozen(self)

    def fast(self, weights: Weights) -> Fast:
        """The model with its weights; InputError as `Fast`."""
        return Fast(cast(Placed, self), weights)  # it asks a plan for nothing that is not here


def _frozen(value: Any) -> Hashable:
    """A value as one that can be compared; of what is made here every part."""
    if isinstance(value, Mapping):
        return tuple((name, _frozen(part)) for name, part in sorted(value.items()))
    if is_dataclass(value) and type(value).__module__ == __name__:
        return tuple(_frozen(getattr(value, field.name)) for field in fields(value))
    return cast(Hashable, value)
