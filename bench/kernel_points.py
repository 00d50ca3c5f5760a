"""Prints steps of measured kernels beside the compiled formula, as docs/baselines.md shows them.

python bench/kernel_points.py            print the table; needs the extra `kernels`
python bench/kernel_points.py --write    and put it into docs/baselines.md
"""

from __future__ import annotations

import sys
from pathlib import Path

from pimsim import baselines
from pimsim.workload.models import MODELS, build

DOCUMENT = Path(__file__).parent.parent / "docs" / "baselines.md"
BEGIN, END = "<!-- kernel_points: begin -->", "<!-- kernel_points: end -->"
CONTEXT = 512
MACHINES = ("gpu-a100", "gpu-h100", "gpu-h200", "gpu-h100x4")
SHOWN = ("gpt2-small", "gpt2-xl", "llama-3-8b")


def table() -> str:
    """The Markdown table."""
    lines = ["| machine | model | formula, ms | kernels, ms | formula off by | tables |", "|---|---|---|---|---|---|"]
    return "\n".join(lines + [_row(machine, model) for machine in MACHINES for model in SHOWN])


def _row(machine: str, model: str) -> str:
    found = baselines.evaluate(machine, build(MODELS[model], lm_head=True), [CONTEXT], kernels=True)["measured_kernels"]
    formula, kernels = found["formula_latency_ns"], found["latency_ns"]
    cells = (machine, model, f"{formula / 1e6:.2f}", f"{kernels / 1e6:.2f}", f"{formula / kernels - 1:+.0%}")
    return f"| {' | '.join((*cells, found['source']))} |"


def main() -> None:
    """Print the table, or write it."""
    made = table()
    print(made)
    if "--write" in sys.argv[1:]:
        before, rest = DOCUMENT.read_text(encoding="utf-8").split(BEGIN)
        DOCUMENT.write_text(f"{before}{BEGIN}\n{made}\n{END}{rest.split(END)[1]}", encoding="utf-8")


if __name__ == "__main__":
    main()
