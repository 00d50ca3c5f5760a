"""Makes the pictures of `plots.md`: python docs/make_plots.py (from the project's folder, a minute)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pimsim
from pimsim.plots import Plots, style, sweep

ROOT = Path(__file__).parents[1]
CONFIG = ROOT / "configs" / "pim-gpt.yaml"
IMAGES = ROOT / "docs" / "images"
DRAFTS = ROOT / "configs" / "studies" / "traces" / "speculative.jsonl"
DRAFTED = {"workload.model": None, "workload.trace": str(DRAFTS), "baselines": []}
SMALL = {"workload.model": "gpt2-small", "workload.output_tokens": 8}
LATENCY, ENERGY = "system.latency_per_token_ns", "system.energy_per_token_pJ"


def simulate(point: dict[str, Any]) -> dict[str, Any]:
    """A row as a sweep's results have it."""
    system = pimsim.run(pimsim.load_config(CONFIG, {**SMALL, "baselines": [], **point})).summary["system"]
    return {"status": "ok", **point, **{f"system.{k}": v for k, v in system.items() if not isinstance(v, dict)}}


def grid() -> list[dict[str, Any]]:
    """Channels by MAC clock."""
    return [simulate({"dram.channels": n, "pim.clock_GHz": c}) for n in (1, 2, 4, 8, 16) for c in (0.25, 0.5, 1, 2)]


def bars() -> list[dict[str, Any]]:
    """One key at a time, as `pimsim.sweep`'s sensitivity has it."""
    keys: dict[str, list[Any]] = {
        "pim.clock_GHz": [0.5, 2],
        "dram.timing.tRCDRD_ns": [9, 18],
        "dram.io.data_rate_Gbps": [8, 20],
        "asic.clock_GHz": [0.5, 2],
        "dram.refresh": ["none"],
    }
    base = simulate({})[LATENCY]
    found = []
    for key, values in keys.items():
        figures = [(base, None), *((simulate({key: value})[LATENCY], value) for value in values)]
        low, high = min(figures, key=lambda pair: pair[0]), max(figures, key=lambda pair: pair[0])
        ends = {"low": low[0], "high": high[0], "low_at": low[1], "high_at": high[1]}
        found.append({"objective": LATENCY, "key": key, "base": base, **ends})
    return found


def overlaid(results: list[Any]) -> Any:
    """Two runs on one axes."""
    ax = None
    for result in results:
        ax = result.plot.latency_breakdown(ax)
    return ax


def main() -> None:
    """Write every picture into docs/images."""
    result = pimsim.run(pimsim.load_config(CONFIG, SMALL))
    aim = pimsim.run(pimsim.load_config(ROOT / "configs" / "aim.yaml", SMALL))
    drafts = pimsim.run(pimsim.load_config(CONFIG, DRAFTED))
    rows, changes = grid(), bars()
    pictures: dict[str, Callable[[], Any]] = {
        **{name: getattr(result.plot, name) for name in Plots(result).available() if name != "latency_breakdown"},
        "causes": result.plot.latency_breakdown,  # latency_breakdown.png is the README's
        "utilisation": result.plot.utilisation,
        "parts": drafts.plot.parts,
        "overlay": lambda: overlaid([result, aim]),
        "pareto": lambda: sweep.pareto(rows, LATENCY, ENERGY, label="dram.channels"),
        "heatmap": lambda: sweep.heatmap(rows, "dram.channels", "pim.clock_GHz", LATENCY),
        "scaling": lambda: sweep.scaling(rows, "dram.channels", LATENCY, group="pim.clock_GHz"),
        "tornado": lambda: sweep.tornado(changes),
    }
    for name, draw in pictures.items():
        with style.drawing():
            (IMAGES / f"{name}.png").write_bytes(style.png(draw()))
    with style.drawing("single-column"):
        (IMAGES / "roofline_single_column.png").write_bytes(style.png(result.plot.roofline()))


if __name__ == "__main__":
    main()
