"""LPDDR5X-PIM: the keys of its configuration."""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar, Literal

from pydantic import Field

from pimsim.config.devices.pim_gpt import PimConfig
from pimsim.config.rule import at_least
from pimsim.config.schema import (
    BankTimings,
    ColumnTimings,
    Config,
    LongTimeOrNone,
    MacShape,
    PimMemory,
    Time,
    default,
)


class Lpddr5xPimTimings(ColumnTimings, BankTimings):
    """Timing parameters of LPDDR5X-PIM, ns: tRP is tRPpb, tRTP is tRBTP, tCL and tCWL are RL and WL."""

    tRPab_ns: Time = Field(description="Precharge of all banks to the next activation, ns.")
    tRRD_ns: Time = Field(description="Activation to activation of another bank, ns.")
    tFAW_ns: Time = Field(description="Window for four activations of single banks, ns; all-bank activation is exempt.")
    tPPD_ns: Time = Field(description="Precharge to precharge, ns.")
    tWCKDQO_ns: Time = Field(description="Data that is read, behind WCK, at most, ns.")
    tMRD_ns: Time = Field(description="Mode register set, which changes the mode, to the next command, ns.")


class Lpddr5xPimMemory(PimMemory):
    """LPDDR5X-PIM."""

    standard: Literal["lpddr5x-pim"] = Field(description="Table of commands and timing constraints.")
    refresh: Literal["all_bank", "none"] = Field(description="Refresh scheme: banks that work in lock step rest so.")
    timing: Lpddr5xPimTimings = Field(description="Timing parameters, ns.")


class Registers(MacShape):
    """What a block keeps, and what it waits for."""

    global_buffer_bytes: int = Field(
        ge=2, le=1 << 20, description="Vector registers of a block, which all of a channel hold alike, bytes."
    )
    kept_outputs: int = default(
        64,
        "Outputs of a bank whose sums its block keeps until the input has ended.",
        "64 (assumed: a tile of 4,096 on 64 banks)",
        ge=1,
        le=4096,
    )
    fence_ns: LongTimeOrNone = default(
        Decimal(0),
        "Time that the host waits from the last input of a vector to the first product with it, ns.",
        "0 (published without; 150 with)",
    )


class Lpddr5xPimUnits(PimConfig, Registers):  # pydantic takes the fields of the last base first
    """Blocks of LPDDR5X-PIM, which multiply: one per bank."""

    SHARES_ROWS: ClassVar[bool] = False  # it has one input at a time

    @property
    def sums_at_once(self) -> int:
        """As `MacUnits`."""
        return self.kept_outputs


class Lpddr5xPimConfig(Config):
    """LPDDR5X-PIM: language models, with an ASIC beside it as PIM-GPT has one."""

    RULES = (at_least("tFAW", "tRRD"), at_least("tRPab", "tRP"))

    dram: Lpddr5xPimMemory = Field(description="The memory.")
    pim: Lpddr5xPimUnits = Field(description="Blocks that multiply, one per bank.")
