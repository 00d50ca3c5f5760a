"""Measured kernel times of the package `aiconfigurator-core` (NVIDIA, Apache-2.0), an optional extra.

Its tables hold times of products, attention and all-reduces that were measured on A100, H100 and H200 with serving
software, and it interpolates between them.  A machine's file names the table (`kernels`).  What it estimates, it says
(its `source` is not "silicon"), and that is not taken.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.metadata import version
from typing import Any

from pimsim.baselines.devices import BaselineDevice
from pimsim.errors import InputError

KEY = "baseline_kernels"
PACKAGE = "aiconfigurator-core"
_NS_PER_MS = 1e6
_MEASURED = "silicon"
# How the package names a product, by the format of the weights and the data type of the product.
_PRODUCTS = {
    ("", ""): "bfloat16",
    ("int8", ""): "int8_wo",
    ("int4", ""): "int4_wo",
    ("int8", "int8"): "sq",
    ("fp8_e4m3", "fp8"): "fp8",
}
_CACHES = {"": "bfloat16", "int8": "int8", "fp8_e4m3": "fp8"}


def kernel_times(device: BaselineDevice) -> Package | None:
    """The measured times of a machine's kernels, None if its file names no table.

    Raises InputError, with how to install it, if the package is not there, or lacks the table.
    """
    return None if device.kernels is None else _package(device.kernels.system, device.kernels.software)


@cache
def _package(system: str, software: str) -> Package:
    return Package(system, software)


class Package:
    """A table of the package, asked for one kernel at a time."""

    def __init__(self, system: str, software: str) -> None:
        self._common, engine, self._operations = (
            _part(name) for name in ("sdk.common", "sdk.engine", "sdk.operations")
        )
        tables = _part("sdk.perf_database").get_database(system, software, "current")
        if tables is None:
            raise InputError(f"{PACKAGE} {version(PACKAGE)} has no table of {software} on {system}", KEY)
        self.source = f"{PACKAGE} {version(PACKAGE)}: {system}, {software} {tables.version}"
        self._written = engine.build_ops_json
        self._engine = engine.EngineHandle.for_database(tables)

    def product(self, vectors: int, inputs: int, outputs: int, weights: str, product: str) -> float | None:
        """As `KernelTimes.product`."""
        name = _PRODUCTS.get((weights, product))
        if name is None:
            return None
        mode = self._common.GEMMQuantMode[name]
        return self._ask(self._operations.GEMM("product", 1, outputs, inputs, mode), vectors, 1)

    def attention(self, batch: int, tokens: int, heads: int, kv_heads: int, head_dim: int, kv: str) -> float | None:
        """As `KernelTimes.attention`."""
        if kv not in _CACHES:
            return None
        mode = self._common.KVCacheQuantMode[_CACHES[kv]]
        kernel = self._operations.GenerationAttention("attention", 1, heads, kv_heads, mode, head_size=head_dim)
        return self._ask(kernel, batch, tokens)

    def all_reduce(self, vectors: int, width: int, cards: int) -> float | None:
        """As `KernelTimes.all_reduce`."""
        return self._ask(self._operations.CustomAllReduce("sum", 1, width, cards), vectors, 1)

    def _ask(self, kernel: Any, vectors: int, context: int) -> float | None:
        """ns; None where the package has no measurement that is near enough."""
        given = {"is_context": False, "batch_size": vectors, "s": context}
        try:
            ((_, milliseconds, _, source),) = self._engine.evaluate_ops_json(self._written([kernel]), **given)
        except Exception as error:
            if type(error).__name__ == "PerfDataNotAvailableError":
                return None
            raise
        return milliseconds * _NS_PER_MS if source == _MEASURED else None


def _part(name: str) -> Any:
    try:
        return import_module(f"aiconfigurator_core.{name}")
    except ImportError as error:
        raise InputError(
            f"measured kernels need {PACKAGE}, which is not there ({error}): pip install 'pimsim[kernels]'", KEY
        ) from None
