"""What a roofline shows, in numbers: rates of the PIM device, of each operator on it, and of the baselines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from pimsim.formats import NATIVE_PAIR

if TYPE_CHECKING:
    from pimsim.dram.timing import Device
    from pimsim.results.result import Result


class Point(NamedTuple):
    """intensity: operations per byte that the arithmetic reads; rate: 1e9 operations/s; part: of a schedule.

    share  of the time of its phase, 0 to 1
    """

    name: str
    intensity: float
    rate: float
    part: str = ""
    share: float = 0.0


def device_roof(
    device: Device, lanes: float, clock_GHz: float, pair: str = "", devices: int = 1
) -> tuple[float, float]:
    """(GB/s that the MAC units read from their banks, 1e9 operations/s that they make).

    A column of every bank that all units take at once each nMAC clocks; two operations per lane of it and MAC clock.
    """
    units = devices * device.channels * device.mac_columns
    bandwidth = units * device.column_bytes * 1000 / (device.mac_clocks(pair) * device.tCK_ps)
    return bandwidth, 2 * units * lanes * clock_GHz


def operator_points(result: Result, device: Device) -> list[Point]:
    """The decode operators that the MAC units run: 2 operations per MAC, over the columns read and over the latency.

    Where nothing is decoded, those of the prefill.
    """
    points = []
    decoded = result.tally.decode_cycles
    for row in result.tally.phase_rows("decode" if decoded else "prefill"):
        read = device.columns_multiplied(row.commands) * device.column_bytes
        if row.macs and read and row.cycles:
            rate = 2000 * row.macs / (row.cycles * device.tCK_ps)
            share = row.cycles / (decoded or result.tally.prefill_cycles)
            points.append(Point(row.operator, 2 * row.macs / read, rate, row.part, share))
    return points


def baseline_point(result: Result, baseline: Mapping[str, Any]) -> Point | None:
    """The whole decode on a baseline, eager: the same MACs, over the weights, K and V, and over its latency.

    None where nothing is decoded, or where a machine beside the memory has some of the MACs, which are not counted.
    """
    if not result.tally.decode_cycles or (result.arranged and result.arranged.there):
        return None
    from pimsim.results.metrics import bytes_without_pim  # not for those who draw what others have found

    macs = sum(row.macs for row in result.tally.phase_rows("decode"))
    batch_bytes = float(bytes_without_pim(result.config, result.workload, result.schedule))
    return Point("", 2 * macs / batch_bytes, 2 * macs / baseline["latency_ns"])


class Rates(NamedTuple):
    """What a roofline shows.

    pim        (GB/s, 1e9 operations/s) of the device; operators: what each reaches on it
    baselines  of each that is bounded by a roofline: name, (GB/s, 1e9 operations/s), the whole decode (None if the
               model does not fit it); None for one that has no such bound
    """

    pim: tuple[float, float]
    operators: list[Point]
    baselines: list[tuple[str, tuple[float, float], Point | None] | None]


def rates(result: Result) -> Rates:
    """The rates of the device and its operators, and those of the baselines."""
    from pimsim.workload.formats import main_pair  # not for those who draw what others have found

    device, pim = result.prices.device, result.config.pim
    own = main_pair(result.workload).name
    lanes = pim.pairs.get(own, pim.lanes) * float(pim.units_per_bank)
    named = own if own in pim.formats and own != NATIVE_PAIR else ""
    roof = device_roof(device, lanes, float(pim.clock_GHz), named, result.tally.devices)
    machines = [_machine(result, name, baseline) for name, baseline in result.baselines.items()]
    return Rates(roof, operator_points(result, device), machines)


def _machine(
    result: Result, name: str, baseline: Mapping[str, Any]
) -> tuple[str, tuple[float, float], Point | None] | None:
    bound = baseline["roofline"]
    if "bandwidth_GBps" not in bound:
        return None
    point = baseline_point(result, baseline) if baseline.get("fits", True) else None
    return name, (bound["bandwidth_GBps"], 1000 * bound["peak_TFLOPs"]), point
