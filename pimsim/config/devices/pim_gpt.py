"""PIM-GPT: the keys of its configuration."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field

from pimsim.config.devices.gddr6 import Gddr6Timings
from pimsim.config.schema import (
    Config,
    LongTime,
    MacCount,
    MacFormats,
    MacPower,
    MacShape,
    MacUnits,
    PimMemory,
    Section,
    default,
)


class TimingConfig(Gddr6Timings):
    """Timing parameters of PIM-GPT's device in ns, under their JEDEC names."""

    DEFAULTS = {**Gddr6Timings.DEFAULTS, "tFAWAB": lambda *_: Decimal(0)}

    tFAWAB_ns: LongTime | None = default(
        None,
        "All-bank activation to the next activation, ns: a limit of the supply.",
        "no limit (adjacent: GDDR6-AiM feeds it from capacitors)",
    )


class DramConfig(PimMemory):
    """PIM-GPT's memory."""

    WHOLE_BITS = False  # its data rate and its clock are from different sources
    MASKS_WRITES = True

    standard: Literal["gddr6-pim"] = Field(description="Table of commands and timing constraints.")
    refresh: Literal["all_bank", "per_bank", "none"] = Field(description="Refresh scheme.")
    timing: TimingConfig = Field(description="Timing parameters, ns.")


class MacPipeline(Section):
    """How deep a MAC unit is."""

    pipeline_stages: Annotated[int, Field(ge=1, le=64)] | None = default(
        None,
        "MAC clocks from the last operands that enter a unit, a column's last beat, until its sum can be read.",
        "multiplier, adder tree and accumulator: 2 + log2(lanes) (assumed)",
    )


# pydantic takes the fields of the last base first
class PimConfig(MacUnits, MacPower, MacCount, MacFormats, MacPipeline, MacShape):
    """Multiply-accumulate units of PIM-GPT's memory: one per bank, unless told otherwise."""

    SHARES_ROWS = True


class PimGptConfig(Config):
    """PIM-GPT."""

    dram: DramConfig = Field(description="The memory.")
    pim: PimConfig = Field(description="Multiply-accumulate units in the memory.")
