"""The page of ways of decoding and its pictures, and the traces of `configs/studies`: .venv/bin/python
docs/make_studies.py (a minute).

Runs `pimsim reproduce decode` and puts figures, answers and the table of mechanisms between the markers of
`docs/decoding.md`; `--traces` writes the traces alone.
"""

from __future__ import annotations

import sys
from pathlib import Path

from pimsim.plots.looks import Order
from pimsim.plots.pictures import save
from pimsim.reproduce.decoding.found import Found, reproduce
from pimsim.reproduce.decoding.jobs import trace_of
from pimsim.reproduce.decoding.pages import commands, sentences, sheets
from pimsim.reproduce.decoding.pictures import pictures
from pimsim.reproduce.decoding.table import ROWS
from pimsim.workload.trace.writer import dump_trace

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "decoding.md"
IMAGES = ROOT / "docs" / "images" / "decoding"
TRACES = ROOT / "configs" / "studies" / "traces"
BEGIN, END = "<!-- {}: made by docs/make_studies.py -->", "<!-- {}: end -->"


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


def updated(text: str, made: dict[str, str]) -> str:
    """The page with other parts between its markers."""
    for name, part in made.items():
        begin, end = BEGIN.format(name), END.format(name)
        before, rest = text.split(begin)
        text = f"{before}{begin}\n\n{part}\n\n{end}{rest.split(end)[1]}"
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
    PAGE.write_text(updated(PAGE.read_text(encoding="utf-8"), parts(found)), encoding="utf-8")


if __name__ == "__main__":
    main()
