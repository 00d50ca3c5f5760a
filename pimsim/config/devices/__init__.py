"""The DRAM standards that a configuration may name, and the keys of each.

A standard is a row of `CONFIGS`: a class whose `dram.timing` has exactly the times that
the standard's tables in `pimsim.devices` use (a test compares them), and which has the
sections that its command reads, and rules of its own.  The loader picks the class by `dram.standard`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pimsim.config.schema import HOST_TRAFFIC, AnyConfig, DeviceConfig, MemoryConfig
from pimsim.registry import Deferred, Registry

_SHIPPED: Mapping[str, type[AnyConfig]] = Deferred(
    {
        "gddr6-pim": "pimsim.config.devices.pim_gpt:PimGptConfig",
        "gddr6": "pimsim.config.devices.gddr6:Gddr6Config",
        "aim": "pimsim.config.devices.aim:AimConfig",
        "aim-reference": "pimsim.config.devices.aim:AimReferenceConfig",
        "lpddr5x": "pimsim.config.devices.lpddr5x:Lpddr5xConfig",
        "lpddr5x-pim": "pimsim.config.devices.lpddr5x_pim:Lpddr5xPimConfig",
        "hbm3": "pimsim.config.devices.hbm3:Hbm3Config",
        "hbm2-pim": "pimsim.config.devices.hbm2_pim:Hbm2PimConfig",
    }
)

CONFIGS: Registry[type[AnyConfig]] = Registry("standard", _SHIPPED)


def _memory(standard: str) -> type[MemoryConfig]:
    memory: Any = CONFIGS[standard].model_fields["dram"].annotation
    return memory  # type: ignore[no-any-return]


def is_of_a_grade(standard: str) -> bool:
    """Whether the times of a memory of this standard are those of a speed grade, see `MemoryConfig`."""
    return _memory(standard).OF_A_GRADE


def refresh_parts(standard: str) -> int:
    """Parts of a channel that refresh by themselves, see `MemoryConfig`."""
    return _memory(standard).REFRESH_PARTS


def masks_writes(standard: str) -> bool:
    """Whether a memory of this standard has writes of some elements of a column, see `MemoryConfig`."""
    return _memory(standard).MASKS_WRITES


def known_as() -> dict[str, str]:
    """The standard of each name that other simulators have for a memory, see `MemoryConfig`.

    What is derived from a standard does not have its names.
    """
    return {called: name for name in CONFIGS for called in vars(_memory(name)).get("KNOWN_AS", ())}


def shares_rows(standard: str) -> bool:
    """Whether the MAC units of a memory of this standard may take several inputs in an open row, see `MacCount`."""
    pim: Any = CONFIGS[standard].model_fields.get("pim")
    return pim is not None and bool(pim.annotation.SHARES_ROWS)


def serves_host_alone(standard: str) -> bool:
    """Whether host traffic is all that a memory of this standard carries."""
    kind = CONFIGS[standard]
    return issubclass(kind, DeviceConfig) and kind.COMMAND == HOST_TRAFFIC


def standard_of(values: Mapping[str, Any]) -> str | None:
    """The standard that plain values name; None if they name none that exists."""
    dram = values.get("dram")
    name = dram.get("standard") if isinstance(dram, Mapping) else None
    return name if isinstance(name, str) and name in CONFIGS else None
