"""The DRAM standards that a configuration may name, and the keys of each.

A standard is a row of `CONFIGS`: a class whose `dram.timing` has exactly the times that
the standard's tables in `pimsim.dram` use (a test compares them), and which has the
sections that its command reads.  The loader picks the class by `dram.standard`.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import Field

from pimsim.config.schema import (
    BankTimings,
    ColumnTimings,
    Config,
    DeviceConfig,
    Gddr6Timings,
    IoConfig,
    JedecTimings,
    LongTime,
    MemoryConfig,
    RowTimings,
    Time,
)

# A time that a device may not have: 0 asks for nothing.
TimeOrNone = Annotated[Decimal, Field(ge=0, le=1000, max_digits=15, allow_inf_nan=False)]
LongTimeOrNone = Annotated[Decimal, Field(ge=0, le=10_000, max_digits=15, allow_inf_nan=False)]


class Gddr6Memory(MemoryConfig):
    """Plain GDDR6."""

    standard: Literal["gddr6"] = Field(description="Table of commands and timing constraints.")
    refresh: Literal["all_bank", "per_bank", "none"] = Field(description="Refresh scheme.")
    timing: Gddr6Timings = Field(description="Timing parameters, ns.")


class Gddr6Config(DeviceConfig):
    """Plain GDDR6: host traffic alone."""

    COMMAND = "pimsim traffic"

    dram: Gddr6Memory = Field(description="The memory.")


class Lpddr5xTimings(ColumnTimings, BankTimings):
    """Timing parameters of LPDDR5X, ns: tRP is tRPpb, tRTP is tRBTP, tCL and tCWL are RL and WL."""

    tRPab_ns: Time = Field(description="Precharge of all banks to the next activation, ns.")
    tRRD_ns: Time = Field(description="Activation to activation of another bank, ns.")
    tFAW_ns: Time = Field(description="Window for four activations, ns.")
    tRFCpb_ns: LongTime = Field(description="Duration of a per-bank refresh, of a pair of banks, ns.")
    tpbR2act_ns: Time = Field(description="Per-bank refresh to an activation in another pair of banks, ns.")
    tpbR2pbR_ns: Time = Field(description="Per-bank refresh to that of another pair of banks, ns.")
    tPPD_ns: Time = Field(description="Precharge to precharge, ns.")
    tWCKDQO_ns: Time = Field(description="Data that is read, behind WCK, at most, ns.")


class Lpddr5xMemory(MemoryConfig):
    """Plain LPDDR5X."""

    standard: Literal["lpddr5x"] = Field(description="Table of commands and timing constraints.")
    bank_groups: int = Field(ge=2, le=16, multiple_of=2, description="Bank groups per channel; pairs of them.")
    refresh: Literal["all_bank", "per_bank", "none"] = Field(description="Refresh scheme.")
    timing: Lpddr5xTimings = Field(description="Timing parameters, ns.")


class Lpddr5xConfig(DeviceConfig):
    """Plain LPDDR5X: host traffic alone."""

    COMMAND = "pimsim traffic"

    dram: Lpddr5xMemory = Field(description="The memory.")


class Hbm3Timings(JedecTimings):
    """Timing parameters of HBM3 in ns, under their JEDEC names."""

    tRFCpb_ns: LongTime = Field(description="Duration of a per-bank refresh, ns.")
    tRREFD_ns: Time = Field(description="Per-bank refresh to a refresh or an activation of another bank, ns.")


class Hbm3Io(IoConfig):
    """The pins of one channel, half of them each pseudo-channel's."""

    pins: int = Field(ge=2, le=1024, multiple_of=2, description="Data pins per channel, of both pseudo-channels.")


class Hbm3Memory(MemoryConfig):
    """Plain HBM3."""

    standard: Literal["hbm3"] = Field(description="Table of commands and timing constraints.")
    bank_groups: int = Field(
        ge=2, le=16, multiple_of=2, description="Bank groups per channel, of both pseudo-channels."
    )
    refresh: Literal["all_bank", "per_bank", "none"] = Field(description="Refresh scheme.")
    timing: Hbm3Timings = Field(description="Timing parameters, ns.")
    io: Hbm3Io = Field(description="Pins of one channel.")


class Hbm3Config(DeviceConfig):
    """Plain HBM3: host traffic alone."""

    COMMAND = "pimsim traffic"

    dram: Hbm3Memory = Field(description="The memory.")


class AimReferenceTimings(ColumnTimings, RowTimings):
    """Timing parameters of AiM as the reference simulator uses them, ns; its refresh may take no time."""

    tRFC_ns: LongTimeOrNone = Field(description="Duration of an all-bank refresh, ns; 0: none.")

    tRCDRDMAC_ns: Time = Field(description="Activation of a row to a MAC in it, ns.")
    tRCDEWMUL_ns: Time = Field(description="Activation of a row to an element-wise multiplication in it, ns.")
    tRCDRDAF_ns: Time = Field(description="Activation of a row to an activation function in it, ns.")
    tRCDRDCP_ns: Time = Field(description="Activation of a row to a copy from it, ns.")
    tRCDWRCP_ns: Time = Field(description="Activation of a row to a copy into it, ns.")
    tCLREG_ns: TimeOrNone = Field(description="Read of the accumulators to its first data on the pins, ns.")
    tCWLREG_ns: TimeOrNone = Field(description="Write of the accumulators to its first data on the pins, ns.")
    tCWLGB_ns: TimeOrNone = Field(description="Write of the global buffer to its first data on the pins, ns.")
    tWPRE_ns: TimeOrNone = Field(description="Write preamble, ns.")
    tMODCH_ns: Time = Field(description="Change of the register mode to the next command, ns.")


class AimTimings(AimReferenceTimings):
    """As the reference simulator's, and what it leaves out."""

    tRFC_ns: LongTime = Field(description="Duration of an all-bank refresh, ns.")
    tFAW_ns: Time = Field(description="Window for four activations of single banks, ns; all-bank activation is exempt.")
    tMACDRAIN_ns: TimeOrNone = Field(description="MAC's last column until its sum can be read, ns; 0: at once.")
    tAF_ns: Time = Field(description="Activation function to the next one, ns.")


class AimMemory(MemoryConfig):
    """GDDR6-AiM, right by default."""

    standard: Literal["aim"] = Field(description="Table of commands and timing constraints.")
    refresh: Literal["all_bank", "none"] = Field(description="Refresh scheme.")
    timing: AimTimings = Field(description="Timing parameters, ns.")


class AimReferenceMemory(MemoryConfig):
    """GDDR6-AiM as the reference simulator has it."""

    standard: Literal["aim-reference"] = Field(description="Table of commands and timing constraints.")
    refresh: Literal["all_bank", "none"] = Field(description="Refresh scheme.")
    timing: AimReferenceTimings = Field(description="Timing parameters, ns.")


class AimConfig(DeviceConfig):
    """GDDR6-AiM: instruction programs."""

    COMMAND = "pimsim replay"

    dram: AimMemory = Field(description="The memory.")


class AimReferenceConfig(DeviceConfig):
    """GDDR6-AiM as the reference simulator has it: instruction programs."""

    COMMAND = "pimsim replay"

    dram: AimReferenceMemory = Field(description="The memory.")


CONFIGS: Mapping[str, type[Config] | type[DeviceConfig]] = {
    "gddr6-pim": Config,
    "gddr6": Gddr6Config,
    "aim": AimConfig,
    "aim-reference": AimReferenceConfig,
    "lpddr5x": Lpddr5xConfig,
    "hbm3": Hbm3Config,
}


def standard_of(values: Mapping[str, Any]) -> str | None:
    """The standard that plain values name; None if they name none that exists."""
    dram = values.get("dram")
    name = dram.get("standard") if isinstance(dram, Mapping) else None
    return name if isinstance(name, str) and name in CONFIGS else None
