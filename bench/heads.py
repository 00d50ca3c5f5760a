"""What attention by heads does under each schedule, and to a slow ASIC: python bench/heads.py [--write].

Rows: three of the paper's models, as the figures of `pimsim reproduce` take them.  Exposed is the share of the latency
in which the ASIC's arithmetic is waited for; slower is the time with the ASIC at 100 MHz over that at 1 GHz, each in
its own way (paper: at most 1.20).  --write puts the table into docs/mapping.md.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from page import table

import pimsim
from pimsim import load_config

ROOT = Path(__file__).parent.parent
PAGE, CONFIG = ROOT / "docs" / "mapping.md", ROOT / "configs" / "pim-gpt.yaml"
BEGIN, END = "<!-- made by bench/heads.py -->", "<!-- until here -->"
HEAD = ("model", "schedule", "`mapping.attention`", "exposed, 1 GHz", "exposed, 100 MHz", "slower at 100 MHz")
MODELS, SCHEDULES, WAYS = ("gpt3-xl", "gpt2-xl", "gpt2-small"), ("paper", "overlap"), ("whole", "per_head")


def row(model: str, schedule: str, way: str) -> list[str]:
    """One row of the table."""
    runs = []
    for clock in (1, 0.1):
        keys = {"workload.model": model, "schedule": schedule, "mapping.attention": way, "asic.clock_GHz": clock}
        runs.append(pimsim.run(load_config(CONFIG, {**keys, "baselines": []})).summary["system"])
    exposed = [f"{100 * run['non_vmm_fraction']:.2f} %" for run in runs]
    return [model, f"`{schedule}`", way, *exposed, f"{runs[1]['cycles'] / runs[0]['cycles']:.3f}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the table into docs/mapping.md")
    write = parser.parse_args().write
    rows = [row(model, schedule, way) for model in MODELS for schedule in SCHEDULES for way in WAYS]
    made = table(HEAD, rows, markdown=write)
    if not write:
        print(made)
        return
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n\n{made}\n\n{END}{rest.split(END, 1)[1]}", encoding="utf-8")


if __name__ == "__main__":
    main()
