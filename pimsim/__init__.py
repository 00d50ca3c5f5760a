"""pimsim: a cycle-accurate simulator of PIM-GPT, processing in memory for language models.

    import pimsim
    config = pimsim.load_config("configs/pim-gpt.yaml", {"workload.model": "gpt2-small"})
    result = pimsim.run(config)
    result.summary["system"]["latency_per_token_ns"]

Importing this package loads nothing else; each name below is loaded when it is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pimsim.api import load_config, run
    from pimsim.asic.function import Function
    from pimsim.asic.units import Pass
    from pimsim.config.schema import Config
    from pimsim.devices.device import Hardware
    from pimsim.errors import InputError
    from pimsim.extension import register
    from pimsim.results.result import Result
    from pimsim.workload.shapes import ModelShape

__version__ = "0.1.0"
__all__ = [
    "Config", "Function", "Hardware", "InputError", "ModelShape", "Pass", "Result", "__version__", "load_config",
    "register", "run",
]  # fmt: skip

_HOMES = {
    "Config": "pimsim.config.schema",
    "Function": "pimsim.asic.function",
    "Hardware": "pimsim.devices.device",
    "InputError": "pimsim.errors",
    "ModelShape": "pimsim.workload.shapes",
    "Pass": "pimsim.asic.units",
    "Result": "pimsim.results.result",
    "load_config": "pimsim.api",
    "register": "pimsim.extension",
    "run": "pimsim.api",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'pimsim' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
