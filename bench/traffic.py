"""Speed of host traffic: python bench/traffic.py.

A stream of reads with its periods skipped and with every request served, longer and longer; and
random reads and writes.  Ratios are to serving every request in the same run.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from dataclasses import dataclass

import pimsim
from pimsim.devices.registry import device_of
from pimsim.dram.streams import Stream
from pimsim.traffic.patterns import Pattern
from pimsim.traffic.run import Queues, Run


@dataclass(frozen=True)
class Served(Pattern):
    """A pattern of which no request is skipped."""

    def streams(self) -> tuple[int, dict[int, Stream]]:
        return 0, {}


def seconds(work: Callable[[], object]) -> float:
    """Processor time."""
    start = time.process_time()
    work()
    return time.process_time() - start


def bench(name: str) -> None:
    """Print what a memory takes."""
    device = device_of(pimsim.load_config(f"configs/{name}.yaml"))

    def run(kind: type[Pattern], pattern: str, requests: int, read_fraction: float) -> float:
        return seconds(lambda: Run(device, Queues()).result(kind(device, pattern, requests, read_fraction, None, 0)))

    n = (128 << 20) // device.column_bytes
    run(Pattern, "stream", 1000, 1.0)  # loads compiled code
    every = run(Served, "stream", n, 1.0)
    print(f"{name}: stream of 128 MiB, every request served: {every:.2f} s, {every / n * 1e9:.0f} ns each")
    for size in (128 << 20, 1 << 30, 10 << 30, 100 << 30):
        taken = run(Pattern, "stream", size // device.column_bytes, 1.0)
        ratio = every * size / (128 << 20) / taken
        print(f"{name}: stream of {size >> 20:,} MiB: {taken:.2f} s, {ratio:,.0f} times faster")
    taken = run(Pattern, "random", n // 4, 0.7)
    print(f"{name}: random reads and writes: {taken / (n // 4) * 1e9:.0f} ns each")


def main() -> None:
    """All plain memories."""
    for name in ("gddr6", "lpddr5x", "hbm3"):
        bench(name)
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10} MiB")


if __name__ == "__main__":
    main()
