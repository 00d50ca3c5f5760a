"""Llama-3-8B in number formats on memories, beside two GPUs: the table and the picture of docs/formats.md.

    python docs/make_formats.py

A memory has as many packages as the model needs, of the sizes that exist.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from pimsim import InputError, api, load_config  # noqa: E402
from pimsim.config.schema import Config  # noqa: E402
from pimsim.plots import style  # noqa: E402

PAGE, PICTURE = ROOT / "docs/formats.md", ROOT / "docs/images/formats.png"
TRACE, TOKENS = ROOT / "traces/llama-3-8b.jsonl", 256
GPUS = ("gpu-a100", "gpu-h100")
FORMATS = ("16 bits", "FP8", "INT8", "INT4, groups of 128, INT8")
INT4 = {"workload.weight_format": "int4", "workload.weight_group": 128, "workload.kv_format": "int8"}
KEYS: dict[str, dict[str, Any]] = {
    "16 bits": {},
    "FP8": {f"workload.{what}_format": "fp8_e4m3" for what in ("weight", "kv", "activation")},
    "INT8": {f"workload.{what}_format": "int8" for what in ("weight", "kv", "activation")},
    "INT4, groups of 128, INT8": {**INT4, "workload.activation_format": "int8"},
}
# The units of the extensions: as many multipliers as a column feeds.
UNITS: dict[str, dict[str, int]] = {
    "FP8": {"fp8_e4m3xfp8_e4m3": 32},
    "INT8": {"int8xint8": 32},
    "INT4, groups of 128, INT8": {"int4xint8": 64, "int8xint8": 32},
}


@dataclass(frozen=True)
class Memory:
    """A memory: channels of a package, its most packages, and whether further formats are an extension of it."""

    name: str
    channels: int
    most: int
    extended: bool = False
    keys: dict[str, Any] = field(default_factory=dict)


MEMORIES = (
    Memory("pim-gpt", 8, 8, extended=True),
    Memory("aim", 2, 32, extended=True),
    Memory("lpddr5x-pim", 4, 16),
    Memory("hbm2-pim", 16, 8),
)


@dataclass(frozen=True)
class Row:
    """One line: of a memory in a format, or of a GPU."""

    memory: str
    format: str
    packages: int
    capacity_GB: float
    used_GB: float
    latency_ms: float
    energy_mJ: float


def config_of(memory: Memory, kind: str, packages: int) -> Config:
    """A memory of so many packages, in a format; InputError if it has too many channels for one ASIC here."""
    keys = {**memory.keys, **KEYS[kind], "dram.channels": memory.channels * packages, "baselines": list(GPUS)}
    if memory.extended and kind in UNITS:
        keys["pim.formats"] = UNITS[kind]
    work = {
        "workload.model": None,
        "workload.lm_head": True,
        "workload.trace": str(TRACE),
        "workload.output_tokens": TOKENS,
    }
    return load_config(str(ROOT / "configs" / f"{memory.name}.yaml"), {**keys, **work, "schedule": "overlap"})


def rows_of(memory: Memory, kind: str) -> tuple[list[Row], str]:
    """The row of a memory with the fewest packages that hold the model, and of the GPUs; else why there is none."""
    packages = 1
    while packages <= memory.most:
        try:
            config = config_of(memory, kind, packages)
            result = api.run(config)
            break
        except InputError as error:
            why = error.problems[0].message
            if "rows" not in why:
                return [], why
            packages *= 2
    else:
        channels = memory.channels * memory.most
        return [], f"it needs more than {memory.most} packages, and {channels} channels are the most for one ASIC here"
    dram, system = result.config.dram, result.summary["system"]
    banks = dram.channels * dram.bank_groups * dram.banks_per_group
    size = [rows * dram.row_bytes * banks / 1e9 for rows in (dram.rows, result.plan.memory.rows)]  # type: ignore[union-attr]
    found = [Row(memory.name, kind, packages, *size, *_figures(system))]
    if memory is MEMORIES[0]:
        found += [_gpu(result.summary["baselines"][name], name, kind) for name in GPUS]
    return found, ""


def _figures(system: dict[str, Any]) -> tuple[float, float]:
    return system["latency_per_token_ns"] / 1e6, system["energy_per_token_pJ"] / 1e9


def _gpu(baseline: dict[str, Any], name: str, kind: str) -> Row:
    bound, needs = baseline["roofline"], baseline["required_bytes"] / 1e9
    figures = bound["latency_ns"] / TOKENS / 1e6, bound["energy_pJ"] / TOKENS / 1e9
    return Row(name, kind, 1, baseline["capacity_bytes"] / 1e9, needs, *figures)


def table(rows: list[Row], refused: list[tuple[str, str, str]]) -> str:
    """The rows as Markdown, and below them what a memory does not multiply."""
    head = "| memory | format | packages | capacity, GB | used, GB | ms a token | mJ a token |"
    lines = [head, "| --- | --- | ---: | ---: | ---: | ---: | ---: |"]
    for row in sorted(rows, key=lambda row: (FORMATS.index(row.format), row.memory.startswith("gpu"))):
        figures = f"{row.capacity_GB:.0f} | {row.used_GB:.1f} | {row.latency_ms:.2f} | {row.energy_mJ:,.0f}"
        lines.append(f"| {row.memory} | {row.format} | {row.packages} | {figures} |")
    lines += [""] + [f"- *{memory}, {kind}*: {why}." for memory, kind, why in refused]
    return "\n".join(lines).rstrip()


def picture(rows: list[Row], file: Path) -> None:
    """Latency, energy and memory in use: a line for each memory and GPU over the formats."""
    names = list(dict.fromkeys(row.memory for row in sorted(rows, key=lambda row: row.memory.startswith("gpu"))))
    shown = (("latency_ms", "ms a token"), ("energy_mJ", "mJ a token"), ("used_GB", "GB in use"))
    with style.drawing():
        figure = style.new_figure(7.5)
        axes = figure.subplots(3, 1, sharex=True)
        for ax, (what, unit) in zip(axes, shown, strict=True):
            for n, name in enumerate(names):
                own = {row.format: getattr(row, what) for row in rows if row.memory == name}
                dashed = "--" if name.startswith("gpu") else "-"
                at = [FORMATS.index(kind) for kind in own]
                ax.plot(at, list(own.values()), "o", linestyle=dashed, color=style.SERIES[n], label=name, markersize=4)
            ax.set_ylabel(unit)
            ax.grid(axis="y")
            if what == "used_GB":
                ax.set_ylim(0)
            else:
                ax.set_yscale("log")
                style.log_ticks(ax.yaxis)
        axes[-1].set_xticks(range(len(FORMATS)), [kind.partition(",")[0] for kind in FORMATS])
        axes[0].set_title("Llama-3-8B, a token, by number format")
        axes[0].legend(ncols=len(names), loc="upper left", bbox_to_anchor=(-0.1, -0.02), columnspacing=1, fontsize=7.5)
        figure.align_ylabels(axes)
        file.write_bytes(style.png(axes[0]))


def made() -> tuple[str, list[Row]]:
    """The table, and its rows."""
    rows, refused = list[Row](), list[tuple[str, str, str]]()
    for memory in MEMORIES:
        for kind in FORMATS:
            found, why = rows_of(memory, kind)
            rows += found
            if why:
                refused.append((memory.name, kind, why))
    return table(rows, refused), rows


def main() -> None:
    """Write the table into the page, and the picture beside it."""
    text, rows = made()
    page = PAGE.read_text()
    begin, end = "<!-- docs/make_formats.py: begin -->", "<!-- docs/make_formats.py: end -->"
    PAGE.write_text(re.sub(f"{begin}.*?{end}", f"{begin}\n{text}\n{end}", page, flags=re.S))
    picture(rows, PICTURE)


if __name__ == "__main__":
    main()
