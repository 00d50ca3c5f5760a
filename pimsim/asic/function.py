"""A function of the ASIC that is not built in: what it costs, and what a trace may then say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pimsim.asic.units import Pass, Passes
from pimsim.config.schema import AsicConfig

# Sizes at which a function is tried: an element, and vectors.
_TRIED = ((1, 1), (768, 1), (64, 12))


@dataclass(frozen=True)
class Function:
    """A function that maps the elements of vectors one by one, of an operator of the same name.

    passes      of (ASIC, n, vectors): the sweeps over `vectors` vectors of n elements, as `asic.units` has them
    streams     it can work on the results of the memory as they arrive
    operations  nominal arithmetic operations per element, for what baselines take
    launches    ATen operators of an eager framework, where a baseline's file has no count
    """

    name: str
    passes: Passes
    streams: bool = True
    operations: int = 1
    launches: int = 1

    def problems(self) -> Iterator[str]:
        """What is wrong with it, found by trying it."""
        if min(self.operations, self.launches) < 1:
            yield "operations and launches must be at least 1"
        asic = AsicConfig(
            clock_GHz=Decimal(1), sram_KiB=Decimal(128), adders=256, multipliers=128, power_mW=Decimal(300)
        )
        for n, vectors in _TRIED:
            try:
                found: Any = self.passes(asic, n, vectors)
            except Exception as error:  # another's program
                yield f"passes(asic, {n}, {vectors}) raises {type(error).__name__}: {error}"
                return
            if not isinstance(found, list | tuple) or not found or not all(isinstance(one, Pass) for one in found):
                yield f"passes(asic, {n}, {vectors}) must be a list of `Pass`, not {found!r}"
                return
            for one in found:
                counts = (one.adds, one.multiplies, one.reads, one.writes, one.depth)
                if not all(type(count) is int and count >= 0 for count in counts):
                    yield f"passes(asic, {n}, {vectors}): {one} must have whole numbers of at least 0"
                    return
