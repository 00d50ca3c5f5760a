"""How sweeps scale on this machine: python bench/sweep.py [scaling] [thousand] [memory].

scaling   points a second with 2 workers over those with 1, on points of about half a second
thousand  1,000 points of gpt2-small, 32 tokens each, on 2 workers
memory    the parent's memory after 1,000 and after 10,000 cheap points, on 2 workers

Each is measured several times where it is a ratio; the best is closest to a machine of one's own.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pimsim
import pimsim.sweep

CONFIG = Path(__file__).parent.parent / "configs" / "pim-gpt.yaml"
POINT_S = 0.5
TINY = {"name": "tiny", "layers": 1, "d_model": 64, "heads": 1}


def main(parts: list[str]) -> None:
    """Print what `parts` name, or everything."""
    for name, part in (("scaling", scaling), ("thousand", thousand), ("memory", memory)):
        if not parts or name in parts:
            part()


def sweep_of(points: int, **overrides: Any) -> dict[str, Any]:
    """A sweep of as many points, that differ by a clock."""
    settings = {"baselines": [], **{key.replace("__", "."): value for key, value in overrides.items()}}
    axis = {"range": [1000, 1000 + points - 1, 1]}
    return {"base": str(CONFIG), "set": settings, "axes": {"asic.power_mW": axis}}


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
    sweep = sweep_of(24, workload__model="gpt3-xl", workload__output_tokens=tokens)
    found = [(rate(sweep, 1), rate(sweep, 2)) for _ in range(repeats)]
    for one, two in found:
        print(f"points of {1 / one:.2f} s: {one:.2f}/s with 1 worker, {two:.2f}/s with 2: {two / one:.2f} times")
    print(f"best of {repeats}: {max(two / one for one, two in found):.2f} times")


def tokens_for(seconds: float) -> int:
    """Tokens of gpt3-xl that take so long to simulate."""
    overrides = {"workload.model": "gpt3-xl", "workload.output_tokens": 400, "baselines": []}
    config = pimsim.load_config(CONFIG, overrides)
    pimsim.run(config)
    return max(1, round(400 * seconds / min(pimsim.run(config).wall_s for _ in range(3))))


def thousand() -> None:
    """1,000 points of gpt2-small."""
    start = time.perf_counter()
    run(sweep_of(1000, workload__model="gpt2-small", workload__output_tokens=32, baselines=["gpu-t4"]), 2, 1000)
    print(f"1,000 gpt2-small points of 32 tokens, 2 workers, files included: {time.perf_counter() - start:.0f} s")


def memory() -> None:
    """The parent over 10,000 points."""
    seen = run(sweep_of(10_000, workload__model_config=TINY, workload__output_tokens=1), 2, 1000)
    for done, _, held in seen:
        print(f"parent after {done:6,} points: {held / 2**20:.1f} MiB")
    (first, start, _), (last, end, _) = seen[1], seen[-1]
    print(f"{(last - first) / (end - start):.0f} points/s")


if __name__ == "__main__":
    main(sys.argv[1:])
