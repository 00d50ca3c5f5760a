"""Plain GDDR6: the keys of its configuration."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pimsim.config.schema import (
    HOST_TRAFFIC,
    REFRESH_GAP_NS,
    DeviceConfig,
    JedecTimings,
    LongTime,
    MemoryConfig,
    Time,
    default,
)


class Gddr6Timings(JedecTimings):
    """Timing parameters of GDDR6 in ns, under their JEDEC names."""

    DEFAULTS = {
        "tRFCpb": lambda times, _: times["tRFC"] / 2,
        "tRREFD": lambda *_: REFRESH_GAP_NS,
        "tPPD": lambda _, clock: clock,
    }

    tRFCpb_ns: LongTime | None = default(
        None, "Duration of a per-bank refresh, ns.", "half of tRFC_ns (adjacent: GDDR6 has 106 against 211 clocks)"
    )
    tRREFD_ns: Time | None = default(
        None,
        "Per-bank refresh to a refresh or an activation of another bank, ns.",
        "16 ns, 2 clocks or more (assumed: above the 8.55 ns of a grade of 14 Gb/s)",
    )
    tPPD_ns: Time | None = default(None, "Precharge to precharge, ns.", "1 clock (adjacent: GDDR6)")


class Gddr6Memory(MemoryConfig):
    """Plain GDDR6."""

    OF_A_GRADE = True
    KNOWN_AS = ("GDDR6",)

    standard: Literal["gddr6"] = Field(description="Table of commands and timing constraints.")
    refresh: Literal["all_bank", "per_bank", "none"] = Field(description="Refresh scheme.")
    timing: Gddr6Timings = Field(description="Timing parameters, ns.")


class Gddr6Config(DeviceConfig):
    """Plain GDDR6: host traffic alone."""

    COMMAND = HOST_TRAFFIC

    dram: Gddr6Memory = Field(description="The memory.")
