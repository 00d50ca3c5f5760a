"""A configuration with everything in its place: what the instructions of any step are planned from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Self

from pimsim.asic.units import Units
from pimsim.config.schema import Config
from pimsim.dram.timing import Device
from pimsim.mapping.beside import Machine
from pimsim.mapping.fabric import Fabric
from pimsim.mapping.grid import Grid
from pimsim.mapping.memory import Memory
from pimsim.mapping.operands import Operand
from pimsim.mapping.routing import Routing
from pimsim.mapping.work import Work
from pimsim.workload.graph import Workload
from pimsim.workload.schedule import Shared


def first_row(context: int, sequence: int) -> int:
    """Any token, where values do not matter: the time of a row is that of the first."""
    return 0


@dataclass
class Placed:
    """The device, the workload and where it lies, and the work of which steps are made.

    batch: sequences of a step.  depths: of each token of a step those before it on its path (None: all before it).
    branches: of each sequence, the tokens that lie in caches of others (`workload.schedule.Stage`).
    tokens: the id of the token at a context, of a sequence, whose row of the embedding is read.
    fabric: the links to other devices, if the model is shared among several.
    machine: another machine beside the memory, if it has a part of the work (`mapping.beside`).
    fills: its attentions append K and V, and do no more.
    first: the sequence with which the `batch` begins, of those that have K and V.
    sub_batches: equal parts of the batch whose operators alternate.
    rows: of each bank that are taken, with what other parts of the batch keep (0: as `memory` says).
    groups: of a matrix and a number of inputs, those that share an open row (`mapping.reuse`), as far as was asked.
    """

    config: Config
    device: Device
    workload: Workload
    units: Units
    grid: Grid
    memory: Memory
    operands: tuple[Operand, ...]
    routing: Routing
    functions: Mapping[str, str]
    batch: int = 1
    fabric: Fabric | None = None
    rows: int = 0
    machine: Machine | None = None
    fills: bool = False
    first: int = 0
    sub_batches: int = 1
    depths: tuple[int, ...] | None = None
    branches: tuple[tuple[Shared, ...], ...] = ()
    tokens: Callable[[int, int], int] = first_row
    groups: dict[tuple[str, int], Sequence[int]] = field(default_factory=dict)
    _works: dict[str, tuple[int, Work]] = field(default_factory=dict)
    _kept: dict[tuple[str, int], Work] = field(default_factory=dict)

    @cached_property
    def lanes(self) -> Sequence[Self]:
        """The same for each of the equal parts of the batch, which share the SRAM."""
        if self.sub_batches == 1:
            return (self,)
        batch = self.batch // self.sub_batches
        memory = replace(self.memory, room=self.memory.room // self.sub_batches)
        return [
            replace(self, batch=batch, first=number * batch, sub_batches=1, memory=memory)
            for number in range(self.sub_batches)
        ]

    def cached(self, kind: str, key: int, make: Callable[[], Work]) -> Work:
        """The work of `kind`, made again only when `key` changes."""
        known = self._works.get(kind)
        if known is None or known[0] != key:
            known = self._works[kind] = (key, make())
        return known[1]

    def kept(self, kind: str, key: int, make: Callable[[], Work]) -> Work:
        """The same, for many keys at once: those of short programs are kept, of long ones the latest."""
        if (found := self._kept.get((kind, key))) is None:
            found = self.cached(kind, key, make)
            if len(found.program) <= _SHORT:
                if len(self._kept) == _MOST:
                    self._kept.clear()
                self._kept[kind, key] = found
        return found


# rows of a program that is kept, and how many are
_SHORT, _MOST = 64, 1 << 12
