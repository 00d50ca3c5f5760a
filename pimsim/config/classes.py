"""The class of the configurations of each standard, and what rules between keys ask of it."""

from __future__ import annotations

from typing import Any

from pimsim.config.schema import AnyConfig, DeviceConfig
from pimsim.registry import Registry

SHIPPED: dict[str, type[AnyConfig]] = {}  # `standards` says which there are
CONFIGS: Registry[type[AnyConfig]] = Registry("standard", SHIPPED)


def is_of_a_grade(standard: str) -> bool:
    """Whether the times of a memory of this standard are those of a speed grade, see `MemoryConfig`."""
    memory: Any = CONFIGS[standard].model_fields["dram"].annotation
    return bool(memory.OF_A_GRADE)


def serves_host_alone(standard: str) -> bool:
    """Whether host traffic is all that a memory of this standard carries."""
    kind = CONFIGS[standard]
    return issubclass(kind, DeviceConfig) and kind.COMMAND == "pimsim traffic"
