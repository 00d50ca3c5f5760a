"""GDDR6-AiM with MAC units for further formats: an extension. What is published multiplies BF16 alone.

A pair of formats has a MAC command of its own, which takes the beats of its column; sums of integers are read whole,
in two bursts.  WR_BIAS writes 16-bit numbers, so that sums of integers do not go on from each other in the banks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import ceil

from pimsim.config.devices.aim import AimUnits
from pimsim.config.schema import MemoryConfig
from pimsim.dram.formats import Variant
from pimsim.dram.spec import Does, TimingConstraint
from pimsim.formats import INTEGER_SUM_BITS, NATIVE_PAIR, PAIRS, SUM_BITS
from pimsim.mapping.grid import Grid

MULTIPLY, GIVE, GIVE_WHOLE = "MAC16", "RDMAC16", "RDMAC32"
WIDE = INTEGER_SUM_BITS // SUM_BITS  # bursts of whole integers


def mac_cycles(dram: MemoryConfig, pim: AimUnits, cycles: Mapping[str, int]) -> dict[str, int]:
    """Clocks between columns of each pair, and until its sum is there; and those of whole integers on the pins.

    A column takes a MAC cycle for each beat, and never less than tCCDL; its last beat enters the pipeline of
    `tMACDRAIN_ns` so much later.
    """
    clocks_per_mac = Fraction(1000) / (Fraction(pim.clock_GHz) * dram.tCK_ps)
    found = {}
    for name, lanes in _further(pim.formats).items():
        beats = -(-(dram.column_bytes * 8 // PAIRS[name].stored.bits) // lanes)
        found[f"nMAC_{name}"] = max(cycles["nCCDL"], ceil(beats * clocks_per_mac))
        found[f"nMACDRAIN_{name}"] = cycles["nMACDRAIN"] + ceil((beats - 1) * clocks_per_mac)
    return found | ({"nBL32": WIDE * cycles["nBL"]} if _exact(tuple(pim.formats)) else {})


def _further(formats: Mapping[str, int]) -> dict[str, int]:
    return {name: lanes for name, lanes in formats.items() if name in PAIRS and name != NATIVE_PAIR}


def _exact(pairs: tuple[str, ...]) -> bool:
    return any(PAIRS[name].exact for name in pairs if name in PAIRS)


def variants(pairs: tuple[str, ...]) -> Sequence[Variant]:
    """The commands for pairs of formats, and the read of whole integers."""
    further = [name for name in pairs if name != NATIVE_PAIR]
    all_of = ("MAC", MULTIPLY, *map(multiply_of, further))
    found = [
        Variant(
            multiply_of(name),
            MULTIPLY,
            {"nMACDRAIN": f"nMACDRAIN_{name}"},
            {"pair": name, "lasts": f"nMAC_{name}"},
            (
                TimingConstraint(
                    "channel", (multiply_of(name),), all_of, f"nMAC_{name}", source="extension: beats of a column"
                ),
            ),
        )
        for name in further
    ]
    if _exact(pairs):
        changes = {"moves": f"{WIDE} * banks * element", "does": Does.GIVE_WHOLE}
        found.append(Variant(GIVE_WHOLE, GIVE, {"nBL": "nBL32"}, changes))
    return found


def multiply_of(pair: str) -> str:
    """The command that multiplies a pair of formats in all banks."""
    return MULTIPLY if pair in ("", NATIVE_PAIR) else f"{MULTIPLY}_{pair}"


def commands(grid: Grid) -> tuple[str, str]:
    """The commands that multiply in the formats of a grid, and that read their sums."""
    return multiply_of(grid.pair), GIVE_WHOLE if grid.whole_sums else GIVE


def by_rows(grid: Grid) -> Grid:
    """The grid with no more of the buffer in use than a row has columns, those of scales included."""
    columns, packing = min(grid.buffer_columns, grid.device.columns), grid.packing
    while packing and columns > 1:
        groups = packing.groups(packing.step - 1, columns * packing.width) if packing.group else 0
        if columns + packing.side_columns(groups) <= grid.device.columns:
            break
        columns -= 1
    return grid.with_buffer(columns)


def adds_up(grid: Grid, in_banks: bool) -> bool:
    """Whether the accumulators add up partial sums: not integers, and not sums that the ASIC scales."""
    return in_banks and not grid.whole_sums and not (grid.packing is not None and grid.packing.drained)
