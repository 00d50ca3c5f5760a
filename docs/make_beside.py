"""A GPU beside AiM: the tables of docs/beside.md.

python docs/make_beside.py
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from blocks import filled, table

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import pimsim  # noqa: E402

PAGE = ROOT / "docs/beside.md"
MEMORY, STEPS, CONTEXT = "aim", 8, 1000
MODELS, MACHINES, BATCHES = ("llama-3.2-1b", "gpt3-xl"), ("gpu-h100", "gpu-a100"), (1, 2, 8, 64)
PROMPTS = (16, 128, 1024)

Summary = Mapping[str, Any]
Cell = tuple[float, float]  # us of a step, mJ of a step of all sequences


def run(changes: Mapping[str, Any]) -> Summary:
    """The summary of a run."""
    given = {"schedule": "overlap", "workload.lm_head": True, **changes}
    return pimsim.run(pimsim.load_config(MEMORY, given)).summary


def modes(machine: str, batch: int) -> dict[str, dict[str, Any]]:
    """What is asked for, by the head of its column."""
    halves = {"placement.sub_batches": 2} if batch > 1 else {}
    return {
        "memory": {},
        "`linear`": {"placement.linear": machine},
        "`linear`, 2 sub-batches": {"placement.linear": machine, **halves},
        "`attention`": {"placement.attention": machine},
        "`auto`": {"placement.linear": "auto", "placement.attention": "auto", "placement.machine": machine},
    }


def cells(model: str, machine: str, batch: int) -> dict[str, Cell]:
    """Every mode, and the machine alone."""
    work = {"workload.model": model, "workload.batch": batch, "workload.context": CONTEXT,
            "workload.output_tokens": STEPS, "baselines": [machine]}  # fmt: skip
    found: dict[str, Cell] = {}
    for name, asked in modes(machine, batch).items():
        summary = run({**work, **asked})
        alone = summary["baselines"][machine]["compiled"]
        found[name] = _cell(summary["system"]["latency_per_step_ns"] * STEPS, summary["system"]["energy_pJ"])
        found["machine"] = _cell(alone["latency_ns"], alone["energy_pJ"])
    if batch == 1:
        del found["`linear`, 2 sub-batches"]
    return found


def _cell(ns: float, pJ: float) -> Cell:
    return ns / STEPS / 1000, pJ / STEPS / 1e9


def steps() -> str:
    """Time and energy of a step in each mode; the fastest in bold."""
    heads = ("memory", "machine", *list(modes("", 2))[1:])
    rows = []
    for model in MODELS:
        for machine in MACHINES:
            for batch in BATCHES:
                found = cells(model, machine, batch)
                fastest = min(found.values())[0]
                texts = (_text(found.get(head), fastest) for head in heads)
                rows.append((model, f"`{machine}`", str(batch), *texts))
    return table(("model", "machine", "batch", *heads), rows)


def _text(cell: Cell | None, fastest: float) -> str:
    if cell is None:
        return ""
    text = f"{cell[0]:,.0f}; {cell[1]:,.0f}"
    return f"**{text}**" if cell[0] <= fastest * 1.0005 else text


def prompts() -> str:
    """Time until the first token."""
    return table(("prompt", "memory", "`prefill`", "the same, `kv: shared`", "`auto`"), _prompts())


def _prompts() -> Iterator[tuple[str, ...]]:
    for tokens in PROMPTS:
        work = {"workload.model": MODELS[0], "workload.prompt_tokens": tokens, "workload.output_tokens": 1,
                "baselines": [], "placement.machine": MACHINES[0]}  # fmt: skip
        asked: list[dict[str, Any]] = [{}, {"placement.prefill": MACHINES[0]}]
        asked += [{**asked[1], "placement.kv": "shared"}, {"placement.prefill": "auto"}]
        found = [run({**work, **each}) for each in asked]
        times = [f"{summary['system']['ttft_ns'] / 1e6:,.2f}" for summary in found]
        times[-1] += f" ({found[-1]['placement']['prompt']})"
        yield f"{tokens:,}", *times


def main() -> None:
    """Write the tables into the page."""
    page = PAGE.read_text(encoding="utf-8")
    for name, make in (("steps", steps), ("prompts", prompts)):
        page = filled(page, "make_beside", name, make())
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
