"""The memories that there are, by the name of their standard: a line for each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pimsim.config.devices import CONFIGS
from pimsim.config.schema import AnyConfig, Config, MacUnits, MemoryConfig
from pimsim.devices.device import ONE_UNIT, Hardware
from pimsim.dram.spec import Standard
from pimsim.dram.timing import Device, MoreCycles, resolve_as
from pimsim.errors import InputError
from pimsim.registry import Deferred, Registry

_SHIPPED: Mapping[str, Hardware] = Deferred(
    {
        "gddr6-pim": "pimsim.devices.pim_gpt:HARDWARE",
        "gddr6": "pimsim.devices.gddr6:HARDWARE",
        "aim": "pimsim.devices.aim:HARDWARE",
        "aim-reference": "pimsim.devices.aim:REFERENCE",
        "lpddr5x": "pimsim.devices.lpddr5x:HARDWARE",
        "lpddr5x-pim": "pimsim.devices.lpddr5x_pim:HARDWARE",
        "hbm3": "pimsim.devices.hbm3:HARDWARE",
        "hbm2-pim": "pimsim.devices.hbm2_pim:HARDWARE",
    }
)
HARDWARE: Registry[Hardware] = Registry("standard", _SHIPPED)


class _Tables(Mapping[str, Standard]):
    """The tables of all hardware."""

    def __getitem__(self, name: str) -> Standard:
        return HARDWARE[name].table

    def __iter__(self) -> Iterator[str]:
        return iter(HARDWARE)

    def __len__(self) -> int:
        return len(HARDWARE)


STANDARDS: Mapping[str, Standard] = _Tables()


def device_of(config: AnyConfig) -> Device:
    """The device of a whole configuration, of any standard."""
    return resolve(config.dram, config.pim if isinstance(config, Config) else None)


def resolve(dram: MemoryConfig, pim: MacUnits | None = None) -> Device:
    """The device of a configuration, every timing in clocks; `pim` if it has MAC units that are configured."""
    hardware = HARDWARE[dram.standard]
    if HARDWARE.origin(dram.standard) is not None:
        _check_class(dram)
    return resolve_as(_table(hardware, dram, pim), dram, pim, _complete(hardware))


def _complete(hardware: Hardware) -> MoreCycles | None:
    """What the MAC units of a device add to its cycles; InputError if that is not all that it says it computes."""
    more = hardware.cycles

    def checked(dram: MemoryConfig, pim: Any, cycles: Mapping[str, int]) -> Mapping[str, int]:
        found: Mapping[str, int] = more(dram, pim, cycles) if more is not None else {}
        if missing := [name for name in hardware.computed if name not in found]:
            what = f"{dram.standard} says that it computes {', '.join(missing)}, and does not"
            raise InputError(what, key="dram.standard")
        return found

    return None if more is None else checked


def _table(hardware: Hardware, dram: MemoryConfig, pim: MacUnits | None) -> Standard:
    """The table that a configuration asks for."""
    masked, pairs = dram.write_mask != "none", tuple(pim.formats) if pim else ()
    if masked and not hardware.masks:  # of another package: its class may say that it has some
        raise InputError(f"must be none: {dram.standard} has no writes with a mask", key="dram.write_mask")
    if pairs and hardware.formats is None:
        raise InputError(f"{dram.standard} multiplies one pair of formats: leave them out", key="pim.formats")
    units = pim.shape if pim else ONE_UNIT
    if units != ONE_UNIT and hardware.units is None:
        what = f"{dram.standard} has one MAC unit a bank, with one accumulator, and one buffer: leave them at 1"
        raise InputError(what, key="pim.units_per_bank")
    return hardware.table_for(masked, pairs, units)


def _check_class(dram: MemoryConfig) -> None:
    """InputError if what the standard's name means is no longer what it meant when `dram` was made."""
    made_now: Any = CONFIGS[dram.standard].model_fields["dram"].annotation
    if not isinstance(dram, made_now):
        what = f"{dram.standard!r} was registered anew since this configuration was loaded: load it again"
        raise InputError(what, key="dram.standard")
