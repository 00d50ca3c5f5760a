"""GDDR6-AiM: the keys of its configurations."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal

from pydantic import Field

from pimsim.config.rule import Rule
from pimsim.config.schema import (
    AsicConfig,
    Clock,
    ColumnTimings,
    Config,
    CurrentReference,
    DeviceConfig,
    LongTime,
    LongTimeOrNone,
    MacUnits,
    MemoryConfig,
    Number,
    PimMemory,
    PimPowerConfig,
    Power,
    RowTimings,
    Time,
    TimeOrNone,
    WorkloadConfig,
    default,
)


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


class AimPowerReference(CurrentReference):
    """The channel of GDDR6-AiM in which its currents hold."""

    tCCD_ns: Time = default(
        Decimal("1.25"), "Column to column at which IDD4R and IDD4W are measured, ns.", "1.25 (adjacent: CENT)"
    )
    tRC_ns: Time = default(Decimal("44.5"), "Row cycle at which IDD0 is measured, ns.", "44.5 (adjacent: CENT)")
    tRAS_ns: Time = default(Decimal(27), "Time of that cycle in which the row is open, ns.", "27 (adjacent)")
    tRFC_ns: LongTime = default(Decimal(210), "Refresh to refresh at which IDD5B is measured, ns.", "210 (adjacent)")


def _mA(value: str, description: str, power: str) -> Any:
    return default(Decimal(value), description, f"{value} (adjacent: CENT has {power})", le=5000)


class AimPower(PimPowerConfig):
    """GDDR6-AiM: the powers that CENT gives for a channel, as currents at 1.25 V."""

    VDD_V: Number = default(Decimal("1.25"), "Supply voltage, V.", "1.25 (adjacent: GDDR6)", le=5)
    IDD0_mA: Number = _mA("199.56", "One bank activating and precharging at tRC, mA.", "66.3 mW over precharge standby")
    IDD2N_mA: Number = _mA("146.52", "Precharge standby: all banks closed, mA.", "183.15 mW")
    IDD3N_mA: Number = _mA("211", "Active standby: a bank open, mA.", "263.75 mW")
    IDD4R_mA: Number = _mA("561.52", "Reading without gaps, mA.", "438.15 mW over active standby")
    IDD4W_mA: Number = _mA("653.52", "Writing without gaps, mA.", "553.15 mW over active standby")
    IDD5B_mA: Number = default(
        Decimal("331.52"),
        "Refreshing all banks without gaps, mA.",
        "331.52 (assumed: as much over precharge standby as PIM-GPT's, 185 mA)",
        le=5000,
    )
    reference: AimPowerReference = Field(
        default_factory=AimPowerReference, description="The channel in which the currents hold."
    )


class AimMemory(PimMemory):
    """GDDR6-AiM, right by default."""

    OF_A_GRADE = True
    MASKS_WRITES = True

    standard: Literal["aim"] = Field(description="Table of commands and timing constraints.")
    refresh: Literal["all_bank", "none"] = Field(description="Refresh scheme.")
    timing: AimTimings = Field(description="Timing parameters, ns.")
    power: AimPower = Field(
        default_factory=lambda: AimPower(), description="Supply voltage and currents of one channel's device."
    )


class AimUnits(MacUnits):
    """Multiply-accumulate units of GDDR6-AiM, one per bank; how deep they are says `dram.timing.tMACDRAIN_ns`."""

    lanes: int = default(16, "BF16 multipliers per MAC unit.", "16 (adjacent: AiM)", ge=1, le=512)
    clock_GHz: Clock = default(Decimal(1), "Clock of the MAC units, GHz.", "1 (adjacent: AiM)")
    global_buffer_bytes: int = default(
        2048, "Input buffer per channel, bytes; whole columns.", "2048 (adjacent: AiM)", ge=2, le=1 << 20
    )
    mac_power_mW: Power = default(
        Decimal("149.29"),
        "Power of the MAC units of `mac_power_reference` when busy, mW.",
        "149.29 (adjacent: PIM-GPT's synthesis; AiM's is not published)",
    )
    sums: Literal["asic", "banks"] = default(
        "banks",
        "Who adds up partial sums and biases: the ASIC, or the accumulators, which WR_BIAS writes.",
        "banks (adjacent: AiM)",
    )
    activation: Literal["asic", "banks"] = default(
        "banks",
        "Who runs the activation function behind a matrix product: the ASIC, or the table look-up of the banks (AF).",
        "banks (adjacent: AiM)",
    )
    softmax: Literal["asic", "banks"] = default(
        "asic",
        "Who scales the exponentials of a softmax: the ASIC, or the banks, element by element (EWMUL).",
        "asic (assumed: the scores need not go to the banks and back)",
    )


def _asic() -> AsicConfig:
    return AsicConfig(
        clock_GHz=Decimal(1), sram_KiB=Decimal(128), adders=256, multipliers=128, power_mW=Decimal("304.59")
    )


class AimReferenceMemory(MemoryConfig):
    """GDDR6-AiM as the reference simulator has it."""

    OF_A_GRADE = True

    standard: Literal["aim-reference"] = Field(description="Table of commands and timing constraints.")
    refresh: Literal["all_bank", "none"] = Field(description="Refresh scheme.")
    timing: AimReferenceTimings = Field(description="Timing parameters, ns.")


class AimConfig(Config):
    """GDDR6-AiM: language models, with an ASIC beside it as PIM-GPT has one, and instruction programs."""

    NEEDS_WORK = False  # a program may be replayed
    RULES = (
        Rule(
            ("pim.activation", "pim.sums"),
            lambda activation, sums: activation == "asic" or sums == "banks",
            "must be asic, not {0}: a function runs on whole sums, and the ASIC adds them up (pim.sums {1})",
        ),
    )

    dram: AimMemory = Field(description="The memory.")
    pim: AimUnits = Field(default_factory=lambda: AimUnits(), description="Multiply-accumulate units in the memory.")
    asic: AsicConfig = Field(default_factory=_asic, description="The chip beside the memory.")
    workload: WorkloadConfig = Field(
        default_factory=lambda: WorkloadConfig(output_tokens=1024), description="What is simulated."
    )


class AimReferenceConfig(DeviceConfig):
    """GDDR6-AiM as the reference simulator has it: instruction programs."""

    COMMAND = "pimsim replay"

    dram: AimReferenceMemory = Field(description="The memory.")
