"""The memories that there are, by the name of their standard: a line for each."""

from __future__ import annotations

from collections.abc import Mapping

from pimsim.config.schema import AnyConfig, Config, MacUnits, MemoryConfig
from pimsim.devices import aim, gddr6, hbm3, lpddr5x, pim_gpt
from pimsim.devices.device import Hardware
from pimsim.dram.spec import Standard
from pimsim.dram.timing import Device, resolve_as

HARDWARE: dict[str, Hardware] = {
    hardware.table.name: hardware
    for hardware in (
        pim_gpt.HARDWARE, gddr6.HARDWARE, aim.HARDWARE, aim.REFERENCE, lpddr5x.HARDWARE, hbm3.HARDWARE,
    )
}  # fmt: skip
STANDARDS: Mapping[str, Standard] = {name: hardware.table for name, hardware in HARDWARE.items()}


def device_of(config: AnyConfig) -> Device:
    """The device of a whole configuration, of any standard."""
    return resolve(config.dram, config.pim if isinstance(config, Config) else None)


def resolve(dram: MemoryConfig, pim: MacUnits | None = None) -> Device:
    """The device of a configuration, every timing in clocks; `pim` if it has MAC units that are configured."""
    hardware = HARDWARE[dram.standard]
    return resolve_as(hardware.table, dram, pim, hardware.cycles)
