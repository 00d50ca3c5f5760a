"""The channels that an instruction drives, and the queues in front of them.

Channels that have done the same share the state and the queue of the first of them, their
owner.  They part where an instruction drives some of them, and join when they are equal again.
"""

from __future__ import annotations

from typing import Any

from pimsim.devices.aim.compiled.layout import C_CHANNEL, C_MASK, PLACES, Q_ASKED, Q_CLOCKS, QUEUE_ENTRIES
from pimsim.devices.aim.compiled.queued import accesses_of, calm
from pimsim.dram.compiler import jit
from pimsim.dram.kernel.arrays import clear, copy
from pimsim.dram.kernel.bounds import normalise
from pimsim.dram.kernel.channels import same
from pimsim.dram.kernel.numbers import NEVER, NONE, ZERO
from pimsim.dram.kernel.refresh import refresh_due
from pimsim.dram.kernel.state import R_CLK, R_OPEN, R_SINCE, state_of

_LAST_BIT = 31  # of a mask: channel 0


@jit
def drives(asked, channel):
    """Whether an instruction drives a channel."""
    in_mask = channel <= _LAST_BIT and (asked[C_MASK] >> (_LAST_BIT - channel)) & 1
    return in_mask or channel == asked[C_CHANNEL]


@jit
def count_owned(owners, owned):
    """How many channels share the state of each, itself included."""
    clear(owned)
    for channel in range(len(owners)):
        owned[owners[channel]] += 1


@jit
def choose(states, queues, accesses, owners, owned, chosen, asked):
    """Mark in `chosen` the owners that an instruction drives: with all that they own, as the others part."""
    clear(chosen)
    for channel in range(len(owners)):
        if drives(asked, channel):
            chosen[owners[channel]] += 1
    for owner in range(len(owners)):
        if 0 < chosen[owner] < owned[owner]:
            own = _part(states, queues, accesses, owners, owned, asked, owner)
            chosen[owner], chosen[own] = ZERO, owned[own]


@jit
def owner_of_one(states, queues, accesses, owners, owned, asked):
    """The owner of the only channel that an instruction drives; nothing else has its state then."""
    owner = owners[asked[C_CHANNEL]]
    return _part(states, queues, accesses, owners, owned, asked, owner) if owned[owner] > 1 else owner


@jit
def _part(states, queues, accesses, owners, owned, asked, owner):
    """Part the channels of an owner that an instruction drives from the others; return the owner of the former."""
    stays = drives(asked, owner)
    new: Any = NONE
    for channel in range(owner + 1, len(owners)):
        if owners[channel] == owner and drives(asked, channel) != stays:
            if new < 0:
                new = channel
                copy(states[new], states[owner])
                copy(queues[new], queues[owner])
                copy(accesses[new], accesses[owner])
            owners[channel] = new
            owned[new] += 1
            owned[owner] -= 1
    return owner if stays else new


@jit
def join(d, states, queues, accesses, owners, owned, opened, clk, queued):
    """Let channels that are equal from clock `clk` on share a state; return whether any do that did not.

    `opened` collects the clocks with a bank open.  Nothing comes before `clk` any more, so
    what was asked for is gone from a queue if the latest command issued by then.
    """
    joined = False
    for channel in range(len(owners)):
        s = state_of(states[channel])
        if owners[channel] != channel or s.reg[R_CLK] > clk or refresh_due(d, s, clk - 1):
            continue
        if queued and not calm(accesses_of(accesses[channel]), clk):
            continue
        if s.reg[R_OPEN] > 0:
            opened[d.commands] += owned[channel] * (clk - s.reg[R_SINCE])
            s.reg[R_SINCE] = clk
        normalise(d, s, clk)
        for other in range(channel):
            if owners[other] == other and same(d, state_of(states[other]), s):
                _give(owners, owned, channel, other)
                joined = True
                break
    return joined


@jit
def _give(owners, owned, owner, other):
    """All channels of an owner share the state of another one."""
    for channel in range(owner, len(owners)):
        if owners[channel] == owner:
            owners[channel] = other
    owned[other] += owned[owner]
    owned[owner] = 0


@jit
def enqueue(queue, clk, spacing, n):
    """Note that `n` commands issued, the first at clock `clk`."""
    asked = queue[Q_ASKED]
    for k in range(max(n - PLACES, ZERO), n):
        queue[Q_CLOCKS + (asked + k) % PLACES] = clk + k * spacing
    queue[Q_ASKED] = asked + n


@jit
def entered(queue):
    """The clock at which the latest command entered: it was let in by the one QUEUE_ENTRIES before it."""
    before = queue[Q_ASKED] - 1 - QUEUE_ENTRIES
    return NEVER if before < 0 else queue[Q_CLOCKS + before % PLACES] + 1
