"""Address mapping: which bits of a byte address say channel, bank, row and column."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from pimsim.dram.timing import Device
from pimsim.errors import InputError

Ints = NDArray[np.int64]

DEFAULT = "RoBaCoBgCh"  # that of the patterns
FIELDS = {"ch": "channel", "ra": "rank", "bg": "bank group", "ba": "bank", "ro": "row", "co": "column"}
NEEDED = ("ch", "ba", "ro", "co")
_NAME = re.compile(f"(?:{'|'.join(FIELDS)})+", re.IGNORECASE)


class Mapping:
    """Takes byte addresses apart.

    name: the fields from the highest bits down, as RoBaRaCoCh: channel, row, column and bank,
    once each; bank group (without one the lowest bits of the bank say the group) and rank (no
    memory here has more than one) as one likes.  Below the lowest field are the bytes of a
    column; an address beyond the memory's size is taken modulo it.
    InputError if a name is none.
    """

    def __init__(self, name: str, device: Device) -> None:
        fields = [field.lower() for field in re.findall("..", name)]
        if not _NAME.fullmatch(name) or len(set(fields)) < len(fields) or not set(NEEDED) <= set(fields):
            what = (
                f"must be Ro, Ba, Co and Ch once each, Bg and Ra as you like, from the highest bits down, not {name!r}"
            )
            raise InputError(what, key="--mapping")
        if "bg" not in fields:
            fields.insert(fields.index("ba") + 1, "bg")
        self.device = device
        self._fields = fields
        self._sizes = {
            "ch": device.channels, "ra": 1, "bg": device.bank_groups, "ba": device.banks_per_group,
            "ro": device.rows, "co": device.columns,
        }  # fmt: skip

    def places(self, address: Ints) -> tuple[Ints, Ints, Ints, Ints]:
        """Channel, bank of the channel, row and column of byte addresses (n,)."""
        rest, found = address // self.device.column_bytes, {}
        for field in reversed(self._fields):
            rest, found[field] = np.divmod(rest, self._sizes[field])
        return found["ch"], found["bg"] * self.device.banks_per_group + found["ba"], found["ro"], found["co"]
