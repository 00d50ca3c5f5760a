"""Energy of a token, from the commands of its programs and the clocks with a row open.  All energies in mJ.

`Standby` is a switch: the table counts one channel's standby of each device, as its 32 channels are divided
by twice and counted once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from pimsim.reproduce.cent.models import CHANNELS, Split
from pimsim.reproduce.cent.times import CLOCKS_PER_MS

# Powers of a channel, mW; times, ns.
_ACTIVATION, _ROW_CYCLE = 66.3, 44.5
_READING, _WRITING, _COLUMN, _MULTIPLY = 438.15, 553.15, 1.25, 1.0
_ACTIVE, _PRECHARGED = 263.75, 183.15
_PJ_PER_BIT, _LINK_PJ_PER_BIT = 5.5, 4.4
_COLUMN_BITS = 256
# Powers of the memory controller, mW.
_COLUMN_COMMAND, _ANY_COMMAND = 267.7082056, 381.0445262
# Powers of the device's logic, mW: at rest, and while something is read from it or written to it.
_BUFFER_REST, _SHARED_REST, _INSTRUCTION_REST = 0.06702101898, 0.6917736525, 18.81731768
_UNITS_REST = {"red": 5620, "exp": 12800, "vec": 6540}  # of 32 each, in 1e-9
_BUFFER_READ, _BUFFER_WRITE = 0.2785010052, 0.3254884575
_SHARED_READ, _SHARED_WRITE = 3.207188769, 3.754155771
_INSTRUCTION, _CORE, _REDUCE, _EXPONENT, _VECTOR = 70.13266856, 3.96, 0.2882, 0.5939, 0.381
_CONTROLLER = 0.5 * (45748.8 / 1e9 + 0.24656 + 5.73577)

_DATA = ("RD", "WR", "WRGB", "RDMAC16", "RDAF16", "WRMAC16", "WRA16")  # on the pins
_COLUMNS = (*_DATA, "MAC16", "AF16", "EWMUL16", "RDCP", "WRCP")
_LINES = ("W MEM", "R MEM")


class Standby(Enum):
    """How the standby of a device's channels is counted: as the table does, or all of it."""

    AS_PUBLISHED = "as_published"
    CORRECTED = "corrected"

    @property
    def channels(self) -> int:
        """How many channels of each device it counts."""
        return 1 if self is Standby.AS_PUBLISHED else CHANNELS


@dataclass(frozen=True)
class Run:
    """What a program did on a device.

    cycles: until the host sees its end.  commands: by name, over all channels.  instructions: by name.
    open_cycles: those with a row open, summed over the channels.
    """

    cycles: int
    commands: Mapping[str, int]
    instructions: Mapping[str, int]
    open_cycles: int

    @property
    def closed_cycles(self) -> int:
        """Cycles with all rows closed, summed over the channels."""
        return CHANNELS * self.cycles - self.open_cycles


def components(split: Split, context: int, run: Run, standby: Standby = Standby.CORRECTED) -> dict[str, float]:
    """Energy of a program on its device, by component; the near-memory units count for every program."""
    return _of_commands(run) | _of_standby(run, standby) | _of_links(split, run) | _of_logic(split, context, run)


def device_mJ(split: Split, context: int, run: Run, standby: Standby = Standby.CORRECTED) -> float:
    """Energy of a program on its device."""
    return sum(components(split, context, run, standby).values())


def token_mJ(
    split: Split, context: int, block: Run, weights: Run | None, standby: Standby = Standby.CORRECTED
) -> float:
    """Energy of a token; embedding and head, and what idles, cost nothing.

    weights: what each other device of a stage ran (None: there are none).
    """
    main = device_mJ(split, context, block, standby)
    if split.in_pipeline:
        return main * split.devices_used
    others = device_mJ(split, context, weights, standby) if weights else 0.0
    return (main + (split.tensor - 1) * others) * split.shape.blocks


def _of_commands(run: Run) -> dict[str, float]:
    def count(*names: str) -> int:
        return sum(run.commands[name] for name in names)

    reads = count("RD", "RDCP", "RDMAC16", "RDAF16") + 16 * count("AF16")
    writes = count("WR", "WRCP", "WRMAC16") + 16 * count("WRA16")
    multiplied = count("MAC16") + count("EWMUL16") / 4 + count("MAC") / 16
    return {
        "act_pre": _ACTIVATION * _ROW_CYCLE * (count("ACT") + 16 * count("ACT16")) / 1e9,
        "rd": _READING * _COLUMN * reads / 1e9,
        "wr": _WRITING * _COLUMN * writes / 1e9,
        "pim": 3 * _READING * _MULTIPLY * multiplied / 1e9,
        "dq": _PJ_PER_BIT * _COLUMN_BITS * count(*_DATA) / 1e9,
        "gb_rd": _BUFFER_READ * count("WRCP") / 1000 / CLOCKS_PER_MS,
        "gb_wr": _BUFFER_WRITE * count("WRGB", "RDCP") / 1000 / CLOCKS_PER_MS,
    }


def _of_standby(run: Run, standby: Standby) -> dict[str, float]:
    share = standby.channels / CHANNELS / 1000 / CLOCKS_PER_MS
    return {"act_stby": _ACTIVE * run.open_cycles * share, "pre_stby": _PRECHARGED * run.closed_cycles * share}


def _of_links(split: Split, run: Run) -> dict[str, float]:
    """Links count values, where bits are meant; SYNC and EOC count as commands of the memory controller."""
    shape = split.shape
    values = shape.dim if split.in_pipeline else 10 * shape.dim + 2 * shape.ffn
    columns = sum(run.commands[name] for name in _COLUMNS)
    every = sum(run.commands.values()) + run.instructions["SYNC"] + run.instructions["EOC"]
    controller = (_COLUMN_COMMAND * columns + _ANY_COMMAND * every) / 2
    return {"pcie": _LINK_PJ_PER_BIT * values / 1e9, "mem_ctr": controller / 1000 / CLOCKS_PER_MS}


def _of_logic(split: Split, context: int, run: Run) -> dict[str, float]:
    """The device's buffers and units: at rest while the program runs, and at work."""
    shape, seconds = split.shape, run.cycles / CLOCKS_PER_MS / 1000
    norm, scores, heads = shape.dim / 256, context * shape.heads / 16, shape.heads
    rotary = (1 + 1 / shape.group) * shape.dim
    read, written = _SHARED_READ, _SHARED_WRITE
    shared = (
        2 * (norm + 2) * (2 * read + written) + (3 * scores + 2 * heads) * read + (2 * scores + 2 * heads) * written
    )
    own = sum(count for name, count in run.instructions.items() if name not in _LINES)
    issued = own + 2 * (norm + 2) + 2 * scores + 2 * heads + rotary
    at_work = {
        "sb": shared + rotary / 16 * (read + 2 * written),
        "ib": _INSTRUCTION * issued,
        "rv": _CORE * (52 + 19 * heads + rotary * 0.375),
        "red": (2 + heads) * _REDUCE,
        "exp": scores * _EXPONENT,
        "vec": (2 * norm + scores) * _VECTOR,
    }
    return {
        "gb_stt": _BUFFER_REST * CHANNELS * seconds,
        "sb_stt": _SHARED_REST * seconds,
        "ib_stt": _INSTRUCTION_REST * seconds,
        **{f"{name}_stt": power / 1e9 * 32 * seconds for name, power in _UNITS_REST.items()},
        **{name: value / 1000 / CLOCKS_PER_MS for name, value in at_work.items()},
        "dv_ctr": _CONTROLLER * seconds,
    }
