"""GDDR6-AiM: its two tables, its instruction programs and their replay, and language models on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pimsim.devices.aim import table
from pimsim.devices.device import Hardware

if TYPE_CHECKING:
    from pimsim.config.schema import Config
    from pimsim.mapping.layouts import Layouts


def _layouts(config: Config) -> Layouts:
    from pimsim.devices.aim.layouts import layouts  # not for programs, which say themselves where things lie

    return layouts(config)


HARDWARE = Hardware(table.STANDARD, layouts=_layouts, masks={"WDM": "WR", "WDMA16": "WRA16"})
REFERENCE = Hardware(table.REFERENCE)
