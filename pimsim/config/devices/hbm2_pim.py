"""HBM2-PIM: the keys of its configuration."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from pimsim.config.devices.pim_gpt import PimConfig
from pimsim.config.rule import Rule
from pimsim.config.schema import Config, JedecTimings, PimMemory, Time, TimeOrNone, default

PAIR = "fp16xfp16"


class Hbm2PimTimings(JedecTimings):
    """Timing parameters of HBM2 in ns, under their JEDEC names, and that of the modes."""

    tMODCH_ns: Time = Field(description="Change of the mode, single bank or all banks, to the next command, ns.")


class Hbm2PimMemory(PimMemory):
    """The dies of HBM2-PIM that multiply; a channel is a pseudo-channel of a stack."""

    standard: Literal["hbm2-pim"] = Field(description="Table of commands and timing constraints.")
    refresh: Literal["all_bank", "none"] = Field(description="Refresh scheme.")
    timing: Hbm2PimTimings = Field(description="Timing parameters, ns.")


class Hbm2PimUnits(PimConfig):
    """Units of HBM2-PIM, one for two banks: lanes that add up, each for itself, and registers."""

    SHARES_ROWS: ClassVar[bool] = False  # a product takes one input

    formats: dict[str, Annotated[int, Field(ge=1, le=512)]] = default(
        {PAIR: 16},
        "The pair of formats that a unit multiplies, with its lanes; there is no other.",
        "fp16xfp16: 16 (paper)",
        later=True,
    )
    registers: int = default(
        8,
        "Sums that a unit keeps: half of them of its even bank, half of its odd one.",
        "8 (paper: GRF_B)",
        ge=2,
        le=64,
    )
    fence_ns: TimeOrNone = default(
        Decimal(0),
        "What a fence of the host takes that keeps its commands in order, ns; 0: it keeps them in order by itself.",
        "0 (assumed: a controller that does not reorder)",
    )
    fence_commands: int = default(
        8, "Commands between two fences.", "8 (paper: as many as address-aligned operands tell apart)", ge=1, le=1024
    )


class Hbm2PimConfig(Config):
    """HBM2-PIM."""

    RULES = (
        Rule(
            ("pim.formats", "pim.lanes"),
            lambda formats, lanes: formats == {PAIR: lanes},
            lambda formats, lanes: f"must be {PAIR}: {lanes} (pim.lanes) alone, which is what the units multiply",
        ),
        Rule(("pim.registers",), lambda sums: sums % 2 == 0, "must be even, not {0}: a unit is for two banks"),
        Rule(
            ("dram.banks_per_group",),
            lambda banks: banks % 2 == 0,
            "must be even, not {0}: a unit is for an even bank and the odd one beside it",
        ),
        Rule(
            ("mapping.value_append",),
            lambda append: append == "single_bank",
            "must be single_bank, not {0}: what is written to all banks goes into the registers",
        ),
        Rule(
            ("mapping.attention",),
            lambda attention: attention == "whole",
            "must be whole, not {0}: there are no programs for some of the heads",
        ),
        Rule(
            ("mapping.values",),
            lambda split: split == "heads",
            "must be heads, not {0}: V split along tokens has no program for units whose lanes add up by themselves",
        ),
    )

    dram: Hbm2PimMemory = Field(description="The memory.")
    pim: Hbm2PimUnits = Field(description="Units in the memory, one for two banks.")
