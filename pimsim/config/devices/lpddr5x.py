"""Plain LPDDR5X: the keys of its configuration."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from pimsim.config.rule import REOPEN, Rule, at_least, reopening
from pimsim.config.schema import HOST_TRAFFIC, BankTimings, ColumnTimings, DeviceConfig, LongTime, MemoryConfig, Time


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

    KNOWN_AS = ("LPDDR5", "LPDDR5X")
    REFRESH_BANKS = 2

    standard: Literal["lpddr5x"] = Field(description="Table of commands and timing constraints.")
    bank_groups: int = Field(ge=2, le=16, multiple_of=2, description="Bank groups per channel; pairs of them.")
    refresh: Literal["all_bank", "per_bank", "none"] = Field(description="Refresh scheme.")
    timing: Lpddr5xTimings = Field(description="Timing parameters, ns.")


def _pairs_leave_time(
    tREFI: Any, refresh: str, tRFCpb: Any, tpbR2act: Any, tpbR2pbR: Any, groups: Any, banks: Any, *times: Any
) -> bool:
    """Whether there is time to open a row and use it between the refreshes of two pairs of banks."""
    interval = 2 * tREFI / (groups * banks)
    left = min(interval - tpbR2act, tREFI - tRFCpb)
    return refresh != "per_bank" or bool(interval >= tpbR2pbR and left > reopening(*times))


class Lpddr5xConfig(DeviceConfig):
    """Plain LPDDR5X: host traffic alone."""

    COMMAND = HOST_TRAFFIC
    RULES = (
        at_least("tFAW", "tRRD"),
        at_least("tRPab", "tRP"),
        Rule(
            (
                "dram.timing.tREFI_ns", "dram.refresh", "dram.timing.tRFCpb_ns", "dram.timing.tpbR2act_ns",
                "dram.timing.tpbR2pbR_ns", "dram.bank_groups", "dram.banks_per_group", *REOPEN,
            ),
            _pairs_leave_time,
            "{0} ns over {5} x {6} banks in pairs leaves no time for tpbR2pbR ({4} ns), or after tpbR2act ({3} ns) "
            "to open a row and use it before the next pair's refresh",
        ),
    )  # fmt: skip

    dram: Lpddr5xMemory = Field(description="The memory.")
