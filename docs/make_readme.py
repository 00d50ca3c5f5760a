"""README's result tables and picture: .venv/bin/python docs/make_readme.py (a minute).

Runs `pimsim reproduce pim-gpt` and puts what README shows between its markers.
"""

from __future__ import annotations

from pathlib import Path

import pimsim
from pimsim.plots import style
from pimsim.reproduce.reproduction import reproduce
from pimsim.reproduce.sheets import markdown

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
IMAGES = ROOT / "docs" / "images"
BEGIN, END = "<!-- docs/make_readme.py: begin -->", "<!-- docs/make_readme.py: end -->"
# The comparison with what the other machines can do at best comes first, what was published last.
SHOWN = ("Speedup", "Energy ratio", "Newer GPUs", "Simulated system", "What limits each model", "Published figures")


def main() -> None:
    """Update README.md and the picture at its top."""
    text = markdown(reproduce(), SHOWN)
    before, rest = README.read_text(encoding="utf-8").split(BEGIN)
    README.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{rest.split(END)[1]}", encoding="utf-8")
    result = pimsim.run(pimsim.load_config(ROOT / "configs" / "pim-gpt.yaml"))
    with style.drawing():
        axes = result.plot.latency_breakdown(style.new_figure().add_subplot())
        style.write_png(axes, IMAGES / "latency_breakdown.png")


if __name__ == "__main__":
    main()
