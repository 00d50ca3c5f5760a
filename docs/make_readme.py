"""The figures of the README and of the pages that show results: .venv/bin/python docs/make_readme.py (two minutes).

Runs `pimsim reproduce pim-gpt` and `pimsim reproduce devices`, and puts their tables between the markers of the README,
`docs/results.md` and `docs/marks.md`. A build of the docs fails if a page differs from what they give.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from blocks import filled

import pimsim
from pimsim.plots import style
from pimsim.reproduce import reproduction, sheets
from pimsim.reproduce.devices import found as marks
from pimsim.reproduce.devices import pages
from pimsim.reproduce.reproduction import Reproduction
from pimsim.reproduce.runs import TOKENS
from pimsim.reproduce.sheets import Sheet, number
from pimsim.reproduce.values import NEWER, T4, newer

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "images" / "latency_breakdown.png"
SHORT = ("gpt2-small", "gpt2-xl", "gpt3-xl")


def updated() -> Mapping[Path, str]:
    """The text of each page with its tables made anew."""
    found = reproduction.reproduce()
    blocks = {
        "README.md": short(found),
        "docs/results.md": sheets.markdown(found),
        "docs/marks.md": pages.markdown(marks.reproduce()),
    }
    return {
        ROOT / page: filled((ROOT / page).read_text(encoding="utf-8"), "make_readme", "results", block)
        for page, block in blocks.items()
    }


def short(found: Reproduction) -> str:
    """The one table of the README: a few models, and the machines at their limits."""
    head = ("model", "ms a token", "mJ a token", "T4", "A100", "H100")
    rows = tuple(_row(model, found) for model in SHORT)
    return Sheet("", head, rows).markdown().partition("\n\n")[2]


def _row(model: str, found: Reproduction) -> tuple[str, ...]:
    run, costs = found.models[model], newer(model)
    speedups = (
        run.speedup(T4, "roofline"),
        *(costs[name, "roofline"].latency_ns / TOKENS / run.token_ns for name in NEWER),
    )
    energy = run.energy_pJ["v2"] / run.tokens / 1e9
    return (model, number(run.token_ns / 1e6), number(energy), *(f"{number(speedup)}x" for speedup in speedups))


def main() -> None:
    """Update the pages and the picture of the README."""
    for page, text in updated().items():
        page.write_text(text, encoding="utf-8", newline="\n")
    result = pimsim.run(pimsim.load_config(ROOT / "configs" / "pim-gpt.yaml"))
    with style.drawing():
        axes = result.plot.latency_breakdown(style.new_figure().add_subplot())
        PICTURE.write_bytes(style.png(axes))


if __name__ == "__main__":
    main()
