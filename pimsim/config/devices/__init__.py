"""The DRAM standards that a configuration may name, and the keys of each.

A standard is a row of `CONFIGS`: a class whose `dram.timing` has exactly the times that
the standard's tables in `pimsim.devices` use (a test compares them), and which has the
sections that its command reads, and rules of its own.  The loader picks the class by `dram.standard`.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from pimsim.config.refreshing import Turns, turns_of
from pimsim.config.schema import AnyConfig, MemoryConfig
from pimsim.registry import Deferred, Registry
from pimsim.units import to_cycles

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


def refresh_turns(standard: str, scheme: str, bank_groups: int, banks_per_group: int) -> Turns:
    """Refreshes until every bank of a channel has had one."""
    memory = _memory(standard)
    return turns_of(scheme, bank_groups, banks_per_group, memory.REFRESH_PARTS, memory.REFRESH_BANKS)


def in_lock_step(standard: str) -> bool:
    """Whether commands of a memory of this standard take a column of all banks, see `MemoryConfig`."""
    return _memory(standard).IN_LOCK_STEP


def clocks_of(standard: str, times: Mapping[str, Any], tCK_ps: int) -> dict[str, int]:
    """Times in ns by their JEDEC names (None: not given), as clocks; with the standard's defaults."""
    timing: Any = _memory(standard).model_fields["timing"].annotation
    given, clock = {name: time for name, time in times.items() if time is not None}, Decimal(tCK_ps) / 1000
    full = given | {name: own(given, clock) for name, own in timing.DEFAULTS.items() if times.get(name, 0) is None}
    return {"n" + name[1:]: to_cycles(time, tCK_ps) for name, time in full.items()}


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


def standard_of(values: Mapping[str, Any]) -> str | None:
    """The standard that plain values name; None if they name none that exists."""
    dram = values.get("dram")
    name = dram.get("standard") if isinstance(dram, Mapping) else None
    return name if isinstance(name, str) and name in CONFIGS else None
