"""Instructions of the programs as rows of arrays, which the compiled host takes as they are.

Everything here returns an array (n, COLUMNS), see `devices.aim.compiled.layout`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pimsim.devices.aim.compiled import layout
from pimsim.devices.aim.instructions import Ints
from pimsim.devices.aim.isa import OPERATIONS, mask_of
from pimsim.reproduce.cent.models import BANKS, CHANNELS, Place

_NUMBERS = {name: number for number, name in enumerate(OPERATIONS)}
_BURST = 16  # values of a column


def one(name: str, mask: int = 0, size: int = 1, bank: int = -1, row: int = -1) -> Ints:
    """One instruction; of EWADD `size` is the length."""
    return np.array([[_NUMBERS[name], mask, -1, size, bank, row, 0, 0]], np.int64)


def times(lines: Ints, count: int) -> Ints:
    """The same so often."""
    return np.tile(lines, (count, 1))


def on_rows(line: Ints, rows: Sequence[int] | Ints) -> Ints:
    """One instruction on each of these rows."""
    lines = times(line, len(rows))
    lines[:, layout.C_ROW] = rows
    return lines


def host(kind: str, place: Place, numbers: Sequence[int] | Ints, row: int, size: int) -> Ints:
    """`size` values of each of these banks read (R) or written (W) by the host, in every block of the device.

    numbers: of the banks of a block, those of its first device first; those of others are as their channels.
    """
    channel, bank = np.divmod(np.asarray(numbers) % (CHANNELS * BANKS), BANKS)
    burst = np.zeros((len(bank), place.blocks, layout.COLUMNS), np.int64)
    burst[..., layout.C_OPERATION] = _NUMBERS[f"{kind} MEM"]
    burst[..., layout.C_CHANNEL] = channel[:, None] + place.channels * np.arange(place.blocks)
    burst[..., layout.C_BANK] = bank[:, None]
    burst[..., layout.C_SIZE], burst[..., layout.C_ROW] = 1, row
    return times(burst.reshape(-1, layout.COLUMNS), -(-size // _BURST))


def product(mask: int, size: int, row: int) -> Ints:
    """A row of every bank times the global buffer: bias, `size` columns, result."""
    return np.concatenate([one("WR_BIAS", mask), one("MAC_ABK", mask, size, row=row), one("RD_MAC", mask)])


def whole(channels: int) -> int:
    """The mask of as many groups of so many channels as a device has; of all channels if a group has more."""
    return mask_of(CHANNELS if channels > CHANNELS else CHANNELS // channels * channels)
