"""Prints the eager models beside every measurement they can be held against, as docs/baselines.md shows it.

python bench/baseline_points.py            print the table
python bench/baseline_points.py --write    and put it into docs/baselines.md
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path

from pimsim import baselines
from pimsim.workload.models import MODELS, ModelShape, build

DOCUMENT = Path(__file__).parent.parent / "docs" / "baselines.md"
BEGIN, END = "<!-- baseline_points: begin -->", "<!-- baseline_points: end -->"
CONTEXT = 512  # the middle of the 1,000 tokens of the GPT-2 measurement; nothing below depends on it

# source: recalled: config.json of Qwen/Qwen2.5-7B
QWEN_7B = replace(
    MODELS["qwen2.5-3b"], name="qwen2.5-7b", layers=28, d_model=3584, heads=28, kv_heads=4, d_ff=18944,
    vocabulary=152064, tied=False,
)  # fmt: skip


@dataclass(frozen=True)
class Point:
    """A measurement: `used` is True if a constant of the device file rests on it."""

    device: str
    shape: ModelShape
    ms: float
    used: bool
    source: str


POINTS = (
    Point("gpu-t4", MODELS["gpt2-small"], 11.885, True, "J. Lages, hosted T4"),
    Point("gpu-t4-fused", MODELS["qwen2.5-0.5b"], 32.22, True, "public calibration notes"),
    Point("gpu-t4-fused", MODELS["qwen2.5-3b"], 48.00, True, "same notes, same constant"),
    Point("gpu-t4-fused", QWEN_7B, 66.0, False, "same notes, on two T4"),
)


def table() -> str:
    """The Markdown table."""
    lines = [
        "| device | model | ATen operators | us each | model, ms | measured, ms | off by | binds | measurement |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    return "\n".join(lines + [_row(point) for point in POINTS])


def _row(point: Point) -> str:
    device = baselines.load(point.device)
    result = baselines.evaluate(device, build(point.shape, lm_head=True), [CONTEXT])
    ms, model = result["latency_ns"] / 1e6, result["model"]
    binds = max(model["bound"], key=lambda part: float(model["bound"][part]))
    source = f"{point.source}; {'the constant rests on it' if point.used else 'not used for any constant'}"
    return (
        f"| {point.device} | {point.shape.name} | {model['aten_ops_per_step']:,} | {device.eager.op_time.value:g} "
        f"| {ms:.2f} | {point.ms:.2f} | {ms / point.ms - 1:+.1%} | {binds} | {source} |"
    )


def main() -> None:
    """Print the table; with --write also put it into the document."""
    text = table()
    print(text)
    if "--write" in sys.argv:
        before, rest = DOCUMENT.read_text(encoding="utf-8").split(BEGIN)
        after = rest.split(END)[1]
        DOCUMENT.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
