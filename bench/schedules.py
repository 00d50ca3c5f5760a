"""How long schedules take to simulate: cycles of a draft model and its target, beside plain decoding of the target.

    python bench/schedules.py [passes]

GPT2-small drafts four tokens, GPT3-XL sees five and keeps three of them.  All in this process, after one run that
compiles: loading, preparing and simulating, the best of three; not results, baselines or the start of Python.  The
cycles go three tokens at a time, so that their contexts end three times as far as those of plain decoding.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pimsim import api
from pimsim.api import load
from pimsim.sim.run import simulate

ROOT = Path(__file__).parents[1]
TARGET, DRAFT = (ROOT / "traces" / f"{name}.jsonl" for name in ("gpt3-xl", "gpt2-small"))
DRAFTS, KEPT, BEFORE = 4, 3, 128
Line = dict[str, Any]


def lines_of(path: Path, id: str) -> tuple[Line, list[Line]]:
    """The header of a shipped trace, and its template under another name."""
    header, *lines = map(json.loads, path.read_text().splitlines())
    named = {"template": "id", "op": "template"}
    graph = [{**line, named[line["type"]]: id} for line in lines if line["type"] in named]
    return header, graph


def schedule(passes: int) -> list[Line]:
    """Cycles: drafts one after another, and a step of the target over them."""

    def line(template: str, T: str, Q: int, accept: int) -> Line:
        bindings = {"T": T, "B": 1, "Q": Q}
        return {
            "type": "schedule", "phase": "decode", "steps": passes, "template": template, "bindings": bindings,
            "accept": accept, "cycle": "speculative",
        }  # fmt: skip

    drafts = [line("draft", f"kept+{BEFORE + n}", 1, 0) for n in range(1, DRAFTS + 1)]
    return [*drafts, line("target", f"kept+{BEFORE + DRAFTS + 1}", DRAFTS + 1, KEPT)]


def speculative(passes: int) -> str:
    """The file of a trace of both models."""
    header, target = lines_of(TARGET, "target")
    small, draft = lines_of(DRAFT, "draft")
    draft[0]["model"] = {**small["model"], "vocabulary": header["model"]["vocabulary"]}
    header.pop("checks", None)
    header["model"].pop("parameters", None)
    return _text([{**header, "version": "1.1"}, *target, *draft, *schedule(passes)])


def plain(passes: int) -> str:
    """The file of as many steps of the target alone, each of which keeps the token that it runs."""
    header, target = lines_of(TARGET, "target")
    bindings = {"T": f"step+{BEFORE + 1}", "B": 1, "Q": 1}
    header.pop("checks", None)
    line = {"type": "schedule", "phase": "decode", "steps": passes, "template": "target", "bindings": bindings}
    return _text([header, *target, line])


def _text(lines: list[Line]) -> str:
    return "".join(json.dumps(line) + "\n" for line in lines)


def measured(text: str) -> tuple[float, float, int]:
    """Seconds to load and prepare, seconds to simulate, and clocks."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "trace.jsonl"
        file.write_text(text)
        begin = time.perf_counter()
        given = load(ROOT / "configs" / "pim-gpt.yaml", {"workload.model": None, "workload.trace": str(file)})
        prepared = api.prepare(given)
        ready = time.perf_counter()
        tally = simulate(prepared.plan)
        return ready - begin, time.perf_counter() - ready, tally.cycles


def main() -> None:
    passes = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    for make in (speculative, plain):
        measured(make(2))
    ours, theirs = (min(measured(make(passes)) for _ in range(3)) for make in (speculative, plain))
    for name, (prepare, run, cycles) in (("cycles", ours), ("plain", theirs)):
        print(f"{passes:,} {name:7} {prepare:6.2f} s to prepare {run:6.2f} s to simulate {cycles:,} clocks")
    print(f"ratio {sum(ours[:2]) / sum(theirs[:2]):.1f}")


if __name__ == "__main__":
    main()
