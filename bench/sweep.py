"""How sweeps scale on this machine: python bench/sweep.py [scaling] [shared] [many] [memory].

scaling   points a second with 2 workers over those with 1, on points of about half a second
shared    what points cost that a simulation serves already, over what they cost without: GPT3-XL, 1,024 tokens
many      10,000 points of gpt2-small, 4 tokens each, on 2 workers, files included
memory    the parent's memory after 1,000 and after 10,000 cheap points, on 2 workers

Each is measured several times where it is a ratio; the best is closest to a machine of one's own.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pimsim
import pimsim.sweep
from pimsim.config.schema import AnyConfig
from pimsim.sweep.kept import Kept
from pimsim.sweep.point import evaluate_point

CONFIG = Path(__file__).parent.parent / "configs" / "pim-gpt.yaml"
POINT_S, POINTS = 0.5, 24
TINY = {"name": "tiny", "layers": 1, "d_model": 64, "heads": 1}


def main(parts: list[str]) -> None:
    """Print what `parts` name, or everything."""
    for name, part in (("scaling", scaling), ("shared", shared), ("many", many), ("memory", memory)):
        if not parts or name in parts:
            part()


def sweep_of(points: int, **overrides: Any) -> dict[str, Any]:
    """A sweep of as many points, that differ by the clock of the ASIC: each is a simulation."""
    settings = {"baselines": [], **{key.replace("__", "."): value for key, value in overrides.items()}}
    axis = {"range": [0.1, round(0.1 + (points - 1) / 10_000, 4), 0.0001]}
    return {"base": str(CONFIG), "set": settings, "axes": {"asic.clock_GHz": axis}}


def run(sweep: dict[str, Any], workers: int, every: int = 1) -> list[tuple[int, float, int]]:
    """(points finished, seconds, bytes of this process) at every n-th point."""
    seen: list[tuple[int, float, int]] = []

    def note(done: int, total: int) -> None:
        if done % every == 0 or done == total:
            seen.append((done, time.perf_counter(), resident_bytes()))

    with tempfile.TemporaryDirectory() as folder:
        pimsim.sweep.run(sweep, out=folder, workers=workers, progress=note)
    return seen


def resident_bytes() -> int:
    """Memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def rate(sweep: dict[str, Any], workers: int) -> float:
    """Points a second once every worker has warmed up, until the last of them is without work."""
    seen = run(sweep, workers)
    (first, start, _), (last, end, _) = seen[2 * workers], seen[-workers]
    return (last - first) / (end - start)


def scaling(repeats: int = 3) -> None:
    """2 workers over 1."""
    tokens = tokens_for(POINT_S)
    sweep = sweep_of(POINTS, workload__model="gpt3-xl", workload__output_tokens=tokens)
    found = [(rate(sweep, 1), rate(sweep, 2)) for _ in range(repeats)]
    for one, two in found:
        print(f"points of {1 / one:.2f} s: {one:.2f}/s with 1 worker, {two:.2f}/s with 2: {two / one:.2f} times")
    print(f"best of {repeats}: {max(two / one for one, two in found):.2f} times")
    before = time.process_time()
    run(sweep, 2)
    used = (time.process_time() - before) / POINTS
    print(f"the parent uses {1000 * used:.1f} ms of processor time a point, start and files included")


def tokens_for(seconds: float) -> int:
    """Tokens of gpt3-xl that take so long to simulate."""
    overrides = {"workload.model": "gpt3-xl", "workload.output_tokens": 400, "baselines": []}
    config = pimsim.load_config(CONFIG, overrides)
    pimsim.run(config)
    return max(1, round(400 * seconds / min(pimsim.run(config).wall_s for _ in range(3))))


XL = {"baselines": ["gpu-t4"], "workload.model": "gpt3-xl", "workload.output_tokens": 1024}
SMALL = {"baselines": ["gpu-t4"], "workload.model": "gpt2-small", "workload.output_tokens": 4}
# 200 points, and the simulations that serve them
AXES: Mapping[int, Mapping[str, Any]] = {
    200: {"asic.clock_GHz": {"range": [0.5, 2.49, 0.01]}},
    20: {
        "asic.power_mW": {"range": [100, 280, 20]},
        "dram.channels": [8, 16],
        "asic.clock_GHz": {"range": [0.5, 1.4, 0.1]},
    },
    1: {"asic.power_mW": {"range": [1000, 1199, 1]}},
}
# 10,000 points of 50 simulations
MANY = {
    "asic.power_mW": {"range": [100, 139, 1]},
    "dram.power.VDD_V": [1.1, 1.2, 1.25, 1.3, 1.35],
    "dram.channels": [8, 16],
    "asic.clock_GHz": [0.25, 0.5, 1, 2, 4],
    "dram.timing.tRCDRD_ns": [10, 11, 12, 13, 14],
}


def shared(repeats: int = 3) -> None:
    """Processor time of points that one simulation serves, over that of points that are simulated."""
    pimsim.run(pimsim.load_config(CONFIG, {**XL, "workload.output_tokens": 4}))  # compiled code is loaded
    for simulations, axes in AXES.items():
        sweep = {"base": str(CONFIG), "set": XL, "axes": axes}
        start = time.perf_counter()
        run(sweep, 2, 200)
        print(
            f"200 points of {simulations} simulations, 2 workers, files included: {time.perf_counter() - start:.1f} s"
        )
    alike = [pimsim.load_config(CONFIG, {**XL, "asic.power_mW": 300 + i}) for i in range(10)]
    kept, found = Kept(), []
    evaluate_point(alike[0], kept)
    for _ in range(repeats):
        with_it, without = _processor_s(alike, kept), _processor_s(alike[:2], Kept(0))
        found.append(without / with_it)
    print(f"a point that needs no simulation of its own: {max(found):.0f} times cheaper, best of {repeats}")


def _processor_s(configs: Sequence[AnyConfig], kept: Kept) -> float:
    """Seconds a point."""
    start = time.process_time()
    for config in configs:
        evaluate_point(config, kept)
    return (time.process_time() - start) / len(configs)


def many() -> None:
    """10,000 points of gpt2-small."""
    start = time.perf_counter()
    run({"base": str(CONFIG), "set": SMALL, "axes": MANY}, 2, 10_000)
    print(f"10,000 gpt2-small points of 4 tokens, 2 workers, files included: {time.perf_counter() - start:.0f} s")


def memory() -> None:
    """The parent over 10,000 points."""
    seen = run(sweep_of(10_000, workload__model_config=TINY, workload__output_tokens=1), 2, 1000)
    for done, _, held in seen:
        print(f"parent after {done:6,} points: {held / 2**20:.1f} MiB")
    (first, start, _), (last, end, _) = seen[1], seen[-1]
    print(f"{(last - first) / (end - start):.0f} points/s")


if __name__ == "__main__":
    main(sys.argv[1:])
