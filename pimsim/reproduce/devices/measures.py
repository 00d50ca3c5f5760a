"""What marks are measured by, on any memory that multiplies.

inside   the columns that all units of the memory take, as bytes/s
outside  what a host reads over the pins
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pimsim import api
from pimsim.config.schema import AnyConfig, Config
from pimsim.config.shipped import find
from pimsim.devices.registry import device_of
from pimsim.dram.engine import FOREVER, Ints
from pimsim.dram.timing import Device
from pimsim.dram.traffic import DEPTH
from pimsim.mapping.plan import Plan
from pimsim.sim.observer import Executed
from pimsim.sim.run import simulate
from pimsim.traffic.run import simulate_traffic
from pimsim.workload.formats import in_formats
from pimsim.workload.graph import Workload
from pimsim.workload.ops import Operator
from pimsim.workload.shapes import ModelShape

_SHARED = ("channels", "bank_groups", "banks_per_group", "rows", "row_bytes", "column_bytes", "tCK_ps", "refresh")
# Columns of each channel that a host reads: in two runs, of which the difference is the pace between refreshes.
_FEW, _MANY = 64, 128


def multiplying(name: str, keys: Mapping[str, Any] | None = None) -> Config:
    """A shipped configuration that multiplies, with other keys and without machines; InputError if it is refused."""
    return api.language_model(api.load_config(find(name), {"baselines": (), **(keys or {})}))


def plain(config: AnyConfig, name: str) -> AnyConfig:
    """The same memory without units: configuration `name` with every key that both have as `config` has it."""
    own, given = api.load_config(find(name)).dram, config.dram
    keys = {f"dram.{key}": getattr(given, key) for key in _SHARED}
    keys |= {f"dram.io.{key}": getattr(given.io, key) for key in ("pins", "data_rate_Gbps")}
    times = (key for key in type(own.timing).model_fields if getattr(given.timing, key, None) is not None)
    keys |= {f"dram.timing.{key}": getattr(given.timing, key) for key in times}
    return api.load_config(find(name), keys)


def product(inputs: int, outputs: int) -> Workload:
    """The graph of y = W x alone: x of `inputs` elements, y of `outputs`."""
    shape = ModelShape("product", 1, inputs, 1, 1, outputs, 1, 1)
    return Workload(shape, (Operator("product", "ffn_up", "linear", "block", inputs, outputs, deps=("input",)),))


def product_ns(config: Config, inputs: int, outputs: int) -> float:
    """Time of one y = W x from rest, ns: x goes to the memory, and y back."""
    return simulate(_plan(config, inputs, outputs)).cycles * config.dram.tCK_ps / 1000


def _plan(config: Config, inputs: int, outputs: int) -> Plan:
    work = config.workload.model_copy(update={"output_tokens": 1, "prompt_tokens": 0})
    return api.prepare(
        config.model_copy(update={"workload": work}), graph=in_formats(config, product(inputs, outputs))
    ).plan


def reading_ns(config: AnyConfig, size_bytes: int, depth: int = DEPTH) -> float:
    """Time in which a host reads so many bytes one after another (`pimsim traffic`, pattern stream), ns.

    depth: places in the queue of a channel
    """
    return _reading(device_of(config), -(-size_bytes // config.dram.column_bytes), depth)


def _reading(device: Device, requests: int, depth: int = DEPTH) -> float:
    return simulate_traffic(device, requests=requests, depth=depth).ns


def speedup(config: Config, without: AnyConfig, inputs: int, outputs: int, depth: int = DEPTH) -> float:
    """Time in which a host reads a matrix of weights over the time in which the memory multiplies with it.

    without: the memory that the host reads from; depth: as `reading_ns`
    """
    return reading_ns(without, weight_bytes(config, inputs, outputs), depth) / product_ns(config, inputs, outputs)


def product_GBps(config: Config, inputs: int, outputs: int) -> float:
    """Bytes of weights over the time of a product: what a long product reaches inside."""
    return weight_bytes(config, inputs, outputs) / product_ns(config, inputs, outputs)


def weight_bytes(config: Config, inputs: int, outputs: int) -> int:
    """Bytes of a matrix of weights in the format that the configuration multiplies (`workload.weight_format`)."""
    return inputs * outputs * in_formats(config, product(inputs, outputs)).operators[0].bits // 8


def outside_GBps(config: AnyConfig) -> float:
    """The pace at which a host reads one column after another, between refreshes."""
    device = device_of(config)
    few, many = (_reading(device, device.channels * columns) for columns in (_FEW, _MANY))
    return (_MANY - _FEW) * device.channels * device.column_bytes / (many - few)


def inside_GBps(config: Config, inputs: int, outputs: int) -> float:
    """The pace at which all units take columns in the longest run of multiplications of y = W x."""
    device = device_of(config)
    per_clock = multiplications(config, inputs, outputs).columns_per_clock
    return per_clock * device.column_bytes * device.channels * 1000 / device.tCK_ps


def row_ns(config: Config, inputs: int, outputs: int) -> float:
    """The least time that y = W x takes a row that is multiplied whole: from its first column to the next row's, ns."""
    device = device_of(config)
    return multiplications(config, inputs, outputs).row_clocks(device.columns) * device.tCK_ps / 1000


def multiplications(config: Config, inputs: int, outputs: int) -> Multiplications:
    """The commands of y = W x that multiply."""
    plan, watcher = _plan(config, inputs, outputs), Multiplications(device_of(config))
    simulate(plan, observers=[watcher])
    return watcher


class Multiplications:
    """An observer: the commands of channel 0 that multiply, and where other commands stand between them."""

    window = (0, FOREVER)

    def __init__(self, device: Device) -> None:
        self._columns = np.array([device.columns_multiplied({c.name: 1}) for c in device.standard.commands])
        self._parts: list[Ints] = []

    def append(self, clk: Ints, channel: Ints, command: Ints, bank: Ints, row: Ints, column: Ints) -> None:
        """As `Observer`."""
        ours = channel == 0
        self._parts.append(np.stack((clk[ours], self._columns[command[ours]], row[ours]), axis=1))

    def execute(self, executed: Executed) -> None:
        """As `Observer`; instructions say nothing here."""

    @property
    def columns_per_clock(self) -> float:
        """Of the longest run with no other command between: its columns but the last over its clocks."""
        clk, columns, _ = np.concatenate(self._parts).T
        starts, ends = _runs(columns > 0)
        longest = int(np.argmax(ends - starts))
        first, last = int(starts[longest]), int(ends[longest]) - 1
        return float(columns[first:last].sum() / (clk[last] - clk[first]))

    def row_clocks(self, columns: int) -> int:
        """The least clocks from the first of so many commands in one row to the first in the next one."""
        clk, _, row = np.concatenate([part[part[:, 1] > 0] for part in self._parts]).T
        starts = np.concatenate(([0], np.flatnonzero(np.diff(row)) + 1))
        whole = np.diff(starts) >= columns
        return int(np.diff(clk[starts])[whole].min())


def _runs(flags: NDArray[np.bool_]) -> tuple[Ints, Ints]:
    """Where each run of true values starts, and where it has ended."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], flags.astype(np.int8), [0]))))
    return edges[::2], edges[1::2]
