"""What devices send one another, in rounds, and what they add up in between.

A device begins a round when it is done with the one before: all messages of that round that
it receives are there, and it has done its additions.  It does not wait for others, nor for
what it sent itself to be gone.  Then it asks for all its messages of the round at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple


class Message(NamedTuple):
    """So many bytes from one device to another one."""

    src: int
    dst: int
    size_bytes: int


class Round(NamedTuple):
    """Messages, in the order in which they are served in a tie, and the elements that each device adds after them.

    adds: one for each device; empty: none adds anything.
    """

    messages: tuple[Message, ...]
    adds: tuple[int, ...] = ()


@dataclass(frozen=True)
class Program:
    """Rounds, one after the other.  algorithm: its name, for who reads the result."""

    devices: int
    rounds: tuple[Round, ...]
    algorithm: str = "given"

    def sums(self) -> set[int]:
        """How many elements are added up at a time."""
        return {elements for each in self.rounds for elements in each.adds} - {0}


class Turn(NamedTuple):
    """A round in which all devices do the same.

    sends: (offset, bytes), in their order: each device sends so many bytes to the device
    that is `offset` places after it.  adds: elements that each device then adds up.
    """

    sends: tuple[tuple[int, int], ...]
    adds: int = 0


@dataclass(frozen=True)
class Rotation:
    """Rounds in which all devices do the same; one of them says it for all."""

    devices: int
    turns: tuple[Turn, ...]
    algorithm: str = "given"

    def sums(self) -> set[int]:
        """How many elements are added up at a time."""
        return {turn.adds for turn in self.turns} - {0}

    @cached_property
    def program(self) -> Program:
        """Every message of it; in a tie the order is that of the sends, then of the devices."""
        return Program(self.devices, tuple(map(self._round, self.turns)), self.algorithm)

    def _round(self, turn: Turn) -> Round:
        n = self.devices
        messages = [Message(i, (i + offset) % n, size) for offset, size in turn.sends for i in range(n)]
        return Round(tuple(messages), (turn.adds,) * n if turn.adds else ())


def point_to_point(devices: int, messages: Iterable[tuple[int, int, int]]) -> Program:
    """Messages (from, to, bytes) that are all asked for at once."""
    return Program(devices, (Round(tuple(Message(*each) for each in messages)),))
