"""The rows that an energy table may have: in which unit each is, and what it may be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from pimsim.formats import PAIRS


@dataclass(frozen=True)
class Kind:
    """What a row may be: its unit, and its largest value.

    positive  0 is none either; whole: 0 or 1, and nothing between
    """

    unit: str = "1"
    most: Fraction | None = None
    positive: bool = False
    whole: bool = False

    def wrong(self, value: Fraction) -> str:
        """What is wrong with a value; "" if nothing is."""
        if value < 0 or (self.positive and value == 0):
            return f"must be {'more than' if self.positive else 'at least'} 0, not {show(value)}"
        if self.most is not None and value > self.most:
            return f"must be at most {self.most}, not {show(value)}"
        return f"must be 0 or 1, not {show(value)}" if self.whole and value.denominator > 1 else ""


_SHARE = Kind(most=Fraction(1))
_OPERATION = Kind("pJ", positive=True)

# What every table has, in rows of its own or of those that it extends.
NEEDED: Mapping[str, Kind] = {
    "all_bank_read_factor": Kind(),
    "mac_routing_applied": Kind(most=Fraction(1), whole=True),
    "asic_add_share": _SHARE,
    "asic_multiply_share": _SHARE,
    "asic_sram_share": _SHARE,
    "asic_leakage_share": _SHARE,
    "asic_idle_adders": _SHARE,
    "asic_idle_multipliers": _SHARE,
    "multiply_int8": _OPERATION,
    "multiply_fp16": _OPERATION,
    "add_int32": _OPERATION,
    "add_fp32": _OPERATION,
}
# What a table may have besides: what a pair of formats takes, in the place of the formula (`pairs`).
FACTOR = "mac_"
ROWS: Mapping[str, Kind] = {**NEEDED, **{f"{FACTOR}{pair}": Kind(positive=True) for pair in PAIRS}}

# Shares of one whole, which are at most 1 together.
WHOLES: tuple[tuple[str, ...], ...] = (
    ("asic_leakage_share", "asic_add_share", "asic_multiply_share", "asic_sram_share"),
    ("asic_idle_adders", "asic_idle_multipliers"),
)


def show(value: Fraction) -> str:
    """A value as a file has it."""
    return f"{float(value):g}"
