"""Operators that keep a state: where the states lie, and in which pieces they go through the SRAM.

A state of S elements belongs to C channels, S / C elements each, one channel behind the other.  In DRAM there is one
for each sequence and copy of the operator; a token reads all of it, the ASIC updates it, and all of it is written.
What the SRAM has no room for at once goes through it in pieces of whole channels and whole columns.  With
`"state": "sram"` all states stay in the SRAM from the first step to the last, and nothing else has their room.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import gcd
from typing import NamedTuple

from pimsim.config.schema import Config
from pimsim.dram.timing import ELEMENT_BYTES
from pimsim.errors import InputError
from pimsim.mapping.grid import Grid, ceil_div
from pimsim.mapping.operands import beside
from pimsim.mapping.regions import Use, Wanted
from pimsim.mapping.vectors import VectorLayout
from pimsim.mapping.work import Work
from pimsim.workload.graph import Workload
from pimsim.workload.ops import Operator

SRAM = "sram"


class Update(NamedTuple):
    """Work of the ASIC on the state of one token: the arguments of `asic.units.Units.cost`."""

    kind: str
    n: int
    vectors: int
    ways: int


class Piece(NamedTuple):
    """Elements of a state that go through the SRAM together, from `first` on, and what updates them."""

    first: int
    elements: int
    update: Update


def update_of(operator: Operator, channels: int) -> Update:
    """What the ASIC does for so many channels of a state: of one token, or of several that are updated together."""
    if operator.op == "conv":
        return Update(operator.op, channels, 1, operator.kernel)
    return Update(operator.op, operator.inputs // operator.outputs, channels, 1)


@dataclass(frozen=True)
class State:
    """The state of an operator, of one sequence and copy, in DRAM.

    beside: elements of the SRAM that the other values of one token take meanwhile.
    """

    operator: Operator
    layout: VectorLayout
    beside: int

    def pieces(self, vectors: int, room: int) -> tuple[Piece, ...]:
        """The pieces of a token's update, where a step has so many vectors and the SRAM `room` elements for all of it.

        A piece has at least a column of every channel of the memory, as what arrives together has.
        """
        channels, each = self.operator.outputs, self.layout.elements // self.operator.outputs
        grid = self.layout.grid
        whole = grid.width // gcd(each, grid.width)  # channels that fill whole columns
        least = ceil_div(grid.width * grid.channels, whole * each)
        free = room - vectors * self.beside
        some = channels if self.layout.elements <= free else whole * max(least, free // (whole * each))
        firsts = range(0, channels, some)
        counts = [min(some, channels - first) for first in firsts]
        return tuple(
            Piece(first * each, count * each, update_of(self.operator, count))
            for first, count in zip(firsts, counts, strict=True)
        )

    def read(self, piece: Piece) -> Work:
        """A piece comes over the pins."""
        return self.layout.read(piece.first, piece.elements)

    def write(self, piece: Piece) -> Work:
        """A piece goes back to where it lay."""
        return self.layout.write(piece.first, piece.elements)


def states_of(grid: Grid, workload: Workload) -> dict[str, State]:
    """The states that lie in DRAM, by the name of their operator."""
    return {
        o.name: State(o, VectorLayout(grid, o.state_elements), beside(workload, o))
        for o in workload.operators
        if o.state_elements and o.state != SRAM
    }


def state_name(operator: Operator, sequence: int) -> str:
    """The region of the states of one sequence of the batch: a copy for each copy of the operator."""
    return f"state.{operator.name}.{sequence}"


def wanted_states(use: Use, states: Mapping[str, State]) -> Iterator[Wanted]:
    """The regions of the states of a graph, sequence by sequence; those of one model's graphs are there once."""
    for sequence in range(use.batch):
        for state in states.values():
            copies, used = _copies(use, state.operator, sequence)
            yield Wanted(state_name(state.operator, sequence), state.layout.rows, copies, used)


def _copies(use: Use, operator: Operator, sequence: int) -> tuple[list[Hashable], list[int] | None]:
    """Every copy of a state of a sequence, by its place in the stack of its model, and which of them run."""
    alike = [o.name for o in use.workload.select(operator.scope) if o.op == operator.op]
    which = (operator.scope, alike.index(operator.name), operator.state_elements, sequence)
    return use.copies_of(operator, ("state", use.workload.shape, operator.op, *which))


# ---- states in the SRAM


def room_beside_states(config: Config, uses: Sequence[Use]) -> int:
    """Elements that the ASIC's SRAM holds beside the states that stay in it, of all graphs.

    InputError if they are more than it holds, with what would fit.
    """
    kept, there = _elements_in_sram(uses), int(config.asic.sram_KiB * 1024) // ELEMENT_BYTES
    if kept > there:
        raise _too_many(uses, kept, there)
    return there - kept


def _elements_in_sram(uses: Sequence[Use]) -> int:
    found: dict[Hashable, int] = {}
    for use in uses:
        for operator in _in_sram(use):
            for sequence in range(use.batch):
                copies, _ = _copies(use, operator, sequence)
                found |= dict.fromkeys(copies, operator.state_elements)
    return sum(found.values())


def _in_sram(use: Use) -> list[Operator]:
    return [operator for operator in use.workload.operators if operator.state == SRAM]


def _too_many(uses: Sequence[Use], kept: int, there: int) -> InputError:
    names = list(dict.fromkeys(operator.name for use in uses for operator in _in_sram(use)))
    batch = max(use.batch for use in uses)
    of = f"{batch} sequences" if batch > 1 else "one sequence"
    fits = [f"asic.sram_KiB={ceil_div(kept * ELEMENT_BYTES, 1024)}"]
    if len(uses) == 1 and (fewer := there * batch // kept):
        fits.append(f"workload.batch={fewer}")
    what = (
        f"the states of {_some(names)} are to stay in the SRAM: all copies of {of} take {kept * ELEMENT_BYTES:,} bytes"
    )
    fits.append('"state": "dram" of some of them')
    return InputError(
        f"{what}, and it has {there * ELEMENT_BYTES:,}; it would fit with {' or '.join(fits)}", key="asic.sram_KiB"
    )


def _some(names: list[str]) -> str:
    """The first few of many names."""
    shown = ", ".join(map(repr, names[:3]))
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"
