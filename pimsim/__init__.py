"""pimsim: a cycle-accurate simulator of PIM-GPT, processing in memory for language models.

    import pimsim
    config = pimsim.load_config("pim-gpt", {"workload.model": "gpt2-small"})
    result = pimsim.run(config)
    print(result)
    result.summary["system"]["latency_per_token_ns"]

Importing this package loads nothing else; each name below is loaded when it is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what editors and mypy see
    from pimsim.api import load_config, load_result, run
    from pimsim.asic.function import Function
    from pimsim.asic.units import Pass
    from pimsim.catalogue import configurations, machines, models
    from pimsim.catalogue import devices as _devices
    from pimsim.comparison import Comparison
    from pimsim.config.schema import Config
    from pimsim.devices.device import Hardware
    from pimsim.errors import InputError
    from pimsim.extension import register
    from pimsim.results.result import Result
    from pimsim.results.saved import SavedResult
    from pimsim.sidebyside import compare
    from pimsim.sweep import run as _sweep
    from pimsim.sweep.result import SweepResult
    from pimsim.workload.shapes import ModelShape

    class _Package:  # a package that is called (`pimsim.called`)
        def __getattr__(self, name: str) -> Any: ...

    class _Devices(_Package):
        __call__ = staticmethod(_devices)

    class _Sweep(_Package):
        __call__ = staticmethod(_sweep)
        run = staticmethod(_sweep)

    devices: _Devices
    sweep: _Sweep

__version__ = "0.1.0"
__all__ = [
    "Comparison", "Config", "Function", "Hardware", "InputError", "ModelShape", "Pass", "Result", "SavedResult",
    "SweepResult", "__version__", "compare", "configurations", "devices", "load_config", "load_result", "machines",
    "models", "register", "run", "sweep",
]  # fmt: skip

_HOMES = {
    "Comparison": "pimsim.comparison",
    "Config": "pimsim.config.schema",
    "Function": "pimsim.asic.function",
    "Hardware": "pimsim.devices.device",
    "InputError": "pimsim.errors",
    "ModelShape": "pimsim.workload.shapes",
    "Pass": "pimsim.asic.units",
    "Result": "pimsim.results.result",
    "SavedResult": "pimsim.results.saved",
    "SweepResult": "pimsim.sweep.result",
    "compare": "pimsim.sidebyside",
    "configurations": "pimsim.catalogue",
    "load_config": "pimsim.api",
    "load_result": "pimsim.api",
    "machines": "pimsim.catalogue",
    "models": "pimsim.catalogue",
    "register": "pimsim.extension",
    "run": "pimsim.api",
}
_PACKAGES = ("devices", "sweep")


def __getattr__(name: str) -> Any:
    if name in _PACKAGES:
        return import_module(f"pimsim.{name}")
    if name not in _HOMES:
        import sys

        # Python tells the nearest name of `obj`, where somebody reads the error: imports of modules come by, too.
        raise AttributeError(f"module 'pimsim' has no attribute {name!r}", name=name, obj=sys.modules[__name__])
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
