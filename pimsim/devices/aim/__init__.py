"""GDDR6-AiM: its two tables, its instruction programs and their replay, and language models on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pimsim.devices.aim import table
from pimsim.devices.device import Hardware

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pimsim.config.devices.aim import AimUnits
    from pimsim.config.schema import Config, MemoryConfig
    from pimsim.dram.formats import Variant
    from pimsim.mapping.layouts import Layouts


def _layouts(config: Config) -> Layouts:
    from pimsim.devices.aim.layouts import layouts  # not for programs, which say themselves where things lie

    return layouts(config)


def _mac_cycles(dram: MemoryConfig, pim: AimUnits, cycles: Mapping[str, int]) -> Mapping[str, int]:
    if not pim.formats:
        return {}
    from pimsim.devices.aim.formats import mac_cycles

    return mac_cycles(dram, pim, cycles)


def _variants(pairs: tuple[str, ...]) -> Sequence[Variant]:
    from pimsim.devices.aim.formats import variants

    return variants(pairs)


HARDWARE = Hardware(table.STANDARD, _mac_cycles, _layouts, masks={"WDM": "WR", "WDMA16": "WRA16"}, formats=_variants)
REFERENCE = Hardware(table.REFERENCE)
