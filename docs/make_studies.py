"""The page of ways of decoding and its pictures, and the traces of `configs/studies`: .venv/bin/python
docs/make_studies.py (a minute).

Runs `pimsim reproduce decode` and puts figures, answers and the table of mechanisms between the markers of
`docs/decoding.md`, and a few of the mechanisms into the README; `--traces` writes the traces alone.
"""

from __future__ import annotations

import sys
from pathlib import Path

from blocks import filled

from pimsim.plots.looks import Order
from pimsim.plots.pictures import save
from pimsim.reproduce.decoding.found import Found, reproduce
from pimsim.reproduce.decoding.jobs import H100, PIM, trace_of
from pimsim.reproduce.decoding.pages import commands, sentences, sheets
from pimsim.reproduce.decoding.pictures import pictures
from pimsim.reproduce.decoding.table import ROWS
from pimsim.reproduce.sheets import Sheet, number
from pimsim.workload.trace.writer import dump_trace

ROOT = Path(__file__).resolve().parent.parent
PAGE, README = ROOT / "docs" / "decoding.md", ROOT / "README.md"
IMAGES = ROOT / "docs" / "images" / "decoding"
TRACES = ROOT / "configs" / "studies" / "traces"


# What the README shows, in words.
SHOWN = {
    "eagle": "EAGLE-2: a tree of drafts is checked in one step",
    "speculative": "a small model drafts, the model checks",
    "layer-skip": "half of the layers are left out",
    "superposed": "one pass makes three texts",
}


def traces() -> dict[str, str]:
    """The text of the trace of each mechanism, by the name of its file."""
    return {f"{row.mechanism}.jsonl": dump_trace(trace_of(row.job.made)) for row in ROWS if row.job.made}


def parts(found: Found) -> dict[str, str]:
    """What stands between the markers."""
    figures, _ = sheets(found)
    answers = [
        f"### {title}\n\n{sentence}\n\n![{title}](images/decoding/{answer.study.name}.png)"
        for (title, sentence), answer in zip(sentences(found), found.answers, strict=True)
    ]
    return {"mechanisms": commands(found), "answers": "\n\n".join(answers), "figures": figures.markdown()}


def surprise(found: Found) -> str:
    """What stands in the README: how the mechanisms that a GPU gains most from do, beside some that leave work out."""
    gains = {gain.row.mechanism: gain.gains for gain in found.gains}
    head, sides = ("tokens kept per second, relative to plain decoding", "PIM-GPT", "H100"), (PIM, H100)
    rows = tuple((SHOWN[name], *(f"{number(gains[name][side])}x" for side in sides)) for name in SHOWN)
    return Sheet("", head, rows).markdown().partition("\n\n")[2]


def updated(text: str, made: dict[str, str]) -> str:
    """The page with other parts between its markers."""
    for name, part in made.items():
        text = filled(text, "make_studies", name, part)
    return text


def main() -> None:
    """Update the page, its pictures and the traces."""
    TRACES.mkdir(parents=True, exist_ok=True)
    for name, text in traces().items():
        (TRACES / name).write_text(text, encoding="utf-8")
    if "--traces" in sys.argv[1:]:
        return
    found = reproduce()
    IMAGES.mkdir(parents=True, exist_ok=True)
    save(pictures(found), IMAGES, Order())
    for page, made in ((PAGE, parts(found)), (README, {"decoding": surprise(found)})):
        page.write_text(updated(page.read_text(encoding="utf-8"), made), encoding="utf-8")


if __name__ == "__main__":
    main()
