"""The host and the channels of the open AiM simulator, clock by clock: host accesses have queues of their own.

This is the readable reading of `compiled.queued`; the two agree to the clock, on any program.  What happens in one
clock, in this order (source: AiM reference simulator, its published runs of CENT):

1. The host.  What a channel refused is offered to it again; in a clock in which the last of it is taken, nothing is
   decoded.  Otherwise the next instruction is decoded, and its requests are offered to their channels.  A channel has
   queues of QUEUE_ENTRIES for reads, for writes and for requests of instructions.  It refuses a request while a host
   access is queued, and an access while a request is.  A read that comes while a write is queued is lost.
2. Each channel.  One finished read, SYNC or EOC leaves, in the order in which they were begun.  Then at most one
   command issues:
   a. of the accesses whose row was opened for them (`begun`), the first one whose next command may issue;
   b. else the next command of the oldest request, if there is one.  SYNC and EOC leave once no write is in flight;
   c. else, of the queued writes or reads, the first one whose next command may issue.  Writes have their turn when
      there are more than MANY_WRITES of them or no reads, and lose it at fewer than FEW_WRITES.
   A PRE for a bank of an access that has begun is not sent in b and c, and nothing else is in its place.

At EOC what has begun is lost.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from pimsim.devices.aim.compiled.layout import FEW_WRITES, MANY_WRITES, QUEUE_ENTRIES
from pimsim.devices.aim.engines import TwinChannels
from pimsim.devices.aim.frontend import NoEndError, lower
from pimsim.devices.aim.isa import HOST_OPERATIONS, AimInstruction
from pimsim.dram.program import Request
from pimsim.dram.spec import Does, Needs
from pimsim.dram.timing import Device
from pimsim.dram.twin.controller import Controller, Move

_BARRIERS = ("SYNC", "EOC")


@dataclass(frozen=True)
class Wanted:
    """One command that a channel is asked for, or a barrier (no command); blocks: the host waits for its end."""

    command: str
    bank: int = -1
    row: int = -1
    column: int = -1
    is_access: bool = False
    blocks: bool = False


@dataclass
class QueuedChannel:
    """A channel with its queues; `commands` of its controller is what it issued."""

    controller: Controller
    reads: deque[Wanted] = field(default_factory=deque)
    writes: deque[Wanted] = field(default_factory=deque)
    requests: deque[Wanted] = field(default_factory=deque)
    begun: list[Wanted] = field(default_factory=list)
    leaving: deque[tuple[int, bool]] = field(default_factory=deque)  # from when on, and whether the host waits for it
    refused: deque[Wanted] = field(default_factory=deque)
    writing: bool = False
    written: int = 0  # no write is in flight from here on

    # -- offers ---------------------------------------------------------------------------

    def offer(self, wanted: Wanted) -> bool:
        """Whether the channel takes it."""
        if not wanted.is_access:
            return self._enter(self.requests, wanted, not (self.reads or self.writes))
        if wanted.command == "WR":
            return self._enter(self.writes, wanted, not self.requests)
        lost = bool(self.writes) and not self.requests
        return lost or self._enter(self.reads, wanted, not self.requests)

    def _enter(self, queue: deque[Wanted], wanted: Wanted, open_: bool) -> bool:
        taken = open_ and len(queue) < QUEUE_ENTRIES
        if taken:
            queue.append(wanted)
        return taken

    def offer_again(self) -> None:
        """Offer what was refused, in order, up to the first that is refused again."""
        while self.refused and self.offer(self.refused[0]):
            self.refused.popleft()

    # -- a clock --------------------------------------------------------------------------

    def tick(self, clk: int) -> int:
        """One clock; how many things that the host waits for have ended."""
        ended = 0
        if self.leaving and self.leaving[0][0] <= clk:
            ended = int(self.leaving.popleft()[1])
        if not self._serve_begun(clk):
            if self.requests:
                self._serve_request(clk)
            else:
                self._serve_queue(clk)
        return ended

    def _serve_begun(self, clk: int) -> bool:
        """Whether an access that has begun issues a command."""
        for wanted in self.begun:
            move, ready = self._next(wanted)
            if ready <= clk:
                self._issue(move, clk, wanted)
                if move.command == wanted.command:
                    self.begun.remove(wanted)
                return True
        return False

    def _serve_request(self, clk: int) -> None:
        wanted = self.requests[0]
        if not wanted.command:
            if self.written <= clk:
                self.requests.popleft()
                self.leaving.append((clk + 1, True))
            return
        move, ready = self._next(wanted)
        if ready <= clk and self._may_go(move):
            self._issue(move, clk, wanted)
            if move.command == wanted.command:
                self.requests.popleft()

    def _serve_queue(self, clk: int) -> None:
        if self.writing:
            self.writing = not (len(self.writes) < FEW_WRITES and self.reads)
        else:
            self.writing = len(self.writes) > MANY_WRITES or not self.reads
        queue = self.writes if self.writing else self.reads
        for wanted in queue:
            move, ready = self._next(wanted)
            if ready <= clk:
                break
        else:
            return
        if not self._may_go(move):
            return
        self._issue(move, clk, wanted)
        if move.command == wanted.command:
            queue.remove(wanted)
        elif move.command == self.controller.device.standard.roles.open_bank:
            queue.remove(wanted)
            self.begun.append(wanted)

    def _next(self, wanted: Wanted) -> tuple[Move, int]:
        """The next command on the way to what is wanted, and the first clock at which it may issue."""
        return self.controller.next_move(wanted.command, wanted.bank, wanted.row, wanted.column)

    def _may_go(self, move: Move) -> bool:
        closes = move.command == self.controller.device.standard.roles.close_bank
        return not (closes and any(wanted.bank == move.bank for wanted in self.begun))

    def _issue(self, move: Move, clk: int, wanted: Wanted) -> None:
        device = self.controller.device
        in_row = move._replace(column=move.column % device.columns) if move.column >= 0 else move
        self.controller.issue(in_row, clk, Move(wanted.command, wanted.bank, wanted.row, wanted.column))
        command = device.standard.command(move.command)
        if move.command != wanted.command:
            return
        end = clk + device.completion(command)
        if wanted.blocks or command.does is Does.READ:
            self.leaving.append((end, wanted.blocks))
        else:
            self.written = max(self.written, end)


def readable_channels(device: Device) -> TwinChannels:
    """The channels of a device, with the host that it has before them."""
    return QueuedChannels(device) if device.standard.queued_accesses else TwinChannels(device)


class QueuedChannels(TwinChannels):
    """All channels of a device with the host before them."""

    def __init__(self, device: Device) -> None:
        super().__init__(device)
        self.channels = [QueuedChannel(Controller(device)) for _ in range(device.channels)]
        self._groups = [(frozenset({number}), channel.controller) for number, channel in enumerate(self.channels)]

    def execute(self, program: Iterable[AimInstruction]) -> int:
        """As `frontend.execute`."""
        coming, clk, waits, ended = lower(program, self.device), 0, 0, False
        while not ended or waits:
            clk += 1
            if any(channel.refused for channel in self.channels):
                for channel in self.channels:
                    channel.offer_again()
            elif not waits:
                instruction, request = next(coming, (None, None))
                if instruction is None:
                    raise NoEndError
                waits = self._hand_on(instruction, request)
                ended = instruction.name == "EOC"
            waits -= sum(channel.tick(clk) for channel in self.channels)
        return clk

    def _hand_on(self, instruction: AimInstruction, request: Request | None) -> int:
        """Offer the requests of an instruction; how many of its ends the host waits for."""
        driven: Sequence[int]
        if instruction.name in _BARRIERS:
            driven, wanted = range(self.device.channels), [Wanted("", blocks=True)]
        elif request is None:
            return 0
        else:
            driven, wanted = instruction.channels, self._wanted(instruction, request)
        for channel in driven:
            self.channels[channel].refused.extend(wanted)
            self.channels[channel].offer_again()
        return len(driven) if wanted[0].blocks else 0

    def _wanted(self, instruction: AimInstruction, request: Request) -> list[Wanted]:
        """The commands of an instruction: all of them in the row that it names."""
        _, number, bank, linear, size, _, hold, _ = request
        command = self.device.standard.commands[number]
        row = linear // self.device.columns if command.needs is Needs.OPEN else -1
        is_access = instruction.name in HOST_OPERATIONS
        return [Wanted(command.name, bank, row, column, is_access, hold > 0) for column in range(size)]
