"""A current or a power of another part, taken at the reference of PIM-GPT's: a warning.

The references of the schema belong to PIM-GPT's figures.  Who gives others, on a device that
differs from that reference, should say where they hold.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from operator import attrgetter

from pimsim.config.schema import AsicReference, Config, CurrentReference, MacReference, Section
from pimsim.errors import Problem


@dataclass(frozen=True)
class Sourced:
    """Figures whose reference is `reference`, by default `default`.

    figures  PIM-GPT's, by key (a test compares them with the shipped configuration)
    device   what the device has of what the reference says, by field of the reference
    """

    reference: str
    default: Section
    figures: Mapping[str, str]
    device: Mapping[str, str]


SOURCED: tuple[Sourced, ...] = (
    Sourced(
        "dram.power.reference",
        CurrentReference(),
        {
            f"dram.power.{name}_mA": value
            for name, value in (
                ("IDD0", "122"), ("IDD2N", "92"), ("IDD3N", "142"), ("IDD4R", "530"), ("IDD4W", "470"),
                ("IDD5B", "277"),
            )
        },
        {
            "rows": "dram.rows", "row_bytes": "dram.row_bytes", "column_bytes": "dram.column_bytes",
            "tCCD_ns": "dram.timing.tCCDS_ns", "tRC_ns": "dram.timing.tRC_ns", "tRFC_ns": "dram.timing.tRFC_ns",
        },
    ),
    Sourced(
        "pim.mac_power_reference",
        MacReference(),
        {"pim.mac_power_mW": "149.29"},
        {"lanes": "pim.lanes", "clock_GHz": "pim.clock_GHz"},
    ),
    Sourced(
        "asic.power_reference",
        AsicReference(),
        {"asic.power_mW": "304.59"},
        {name: f"asic.{name}" for name in ("adders", "multipliers", "sram_KiB", "sram_port_bytes", "clock_GHz")},
    ),
)  # fmt: skip


def reference_warnings(config: Config) -> Iterator[Problem]:
    """Figures that are not PIM-GPT's, at PIM-GPT's reference, on a device that differs from it."""
    for sourced in SOURCED:
        reference = attrgetter(sourced.reference)(config)
        others = [key for key, value in sourced.figures.items() if attrgetter(key)(config) != Decimal(value)]
        differ = [
            f"{field} {getattr(reference, field)} (here {attrgetter(key)(config)}, {key})"
            for field, key in sourced.device.items()
            if getattr(reference, field) != attrgetter(key)(config)
        ]
        if others and differ and reference == sourced.default:
            what = (
                f"{', '.join(others)}: other than PIM-GPT's, and taken to hold where those do, at {', '.join(differ)}; "
                "say where they hold if that is not so"
            )
            yield Problem("", 0, 0, sourced.reference, what)
