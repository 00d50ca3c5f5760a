"""Plain HBM3: the keys of its configuration."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pimsim.config.schema import HOST_TRAFFIC, DeviceConfig, IoConfig, JedecTimings, LongTime, MemoryConfig, Time


class Hbm3Timings(JedecTimings):
    """Timing parameters of HBM3 in ns, under their JEDEC names."""

    tRFCpb_ns: LongTime = Field(description="Duration of a per-bank refresh, ns.")
    tRREFD_ns: Time = Field(description="Per-bank refresh to a refresh or an activation of another bank, ns.")


class Hbm3Io(IoConfig):
    """The pins of one channel, half of them each pseudo-channel's."""

    pins: int = Field(ge=2, le=1024, multiple_of=2, description="Data pins per channel, of both pseudo-channels.")


class Hbm3Memory(MemoryConfig):
    """Plain HBM3."""

    REFRESH_PARTS = 2  # pseudo-channels
    KNOWN_AS = ("HBM3",)

    standard: Literal["hbm3"] = Field(description="Table of commands and timing constraints.")
    bank_groups: int = Field(
        ge=2, le=16, multiple_of=2, description="Bank groups per channel, of both pseudo-channels."
    )
    refresh: Literal["all_bank", "per_bank", "none"] = Field(description="Refresh scheme.")
    timing: Hbm3Timings = Field(description="Timing parameters, ns.")
    io: Hbm3Io = Field(description="Pins of one channel.")


class Hbm3Config(DeviceConfig):
    """Plain HBM3: host traffic alone."""

    COMMAND = HOST_TRAFFIC

    dram: Hbm3Memory = Field(description="The memory.")
