"""What Q inputs of an open row take, and what a step takes that verifies Q tokens: python bench/row_reuse.py [--write].

Prints the tables of `docs/mapping.md`; `--write` puts them there.  The first has the shares of a prototype beside
them, which opens each row when it is due.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pimsim
from pimsim.asic.units import Units as Asic
from pimsim.devices.pim_gpt import layouts
from pimsim.devices.registry import device_of
from pimsim.dram.engine import Engine
from pimsim.mapping.memory import supply_grid

ROOT = Path(__file__).parent.parent
SIZE, ROW_BYTES = 2048, 2048
INPUTS = (2, 4, 8, 16)
# By column of the table: its head, and the keys for Q inputs.
COLUMNS: Mapping[str, Any] = {
    "the buffer shared by Q": lambda q: {},
    "a buffer for each": lambda q: {"pim.global_buffer_bytes": q * ROW_BYTES},
    "+ Q accumulators": lambda q: {"pim.global_buffer_bytes": q * ROW_BYTES, "pim.accumulators": q},
    "+ Q MAC units": lambda q: {"pim.global_buffer_bytes": q * ROW_BYTES, "pim.units_per_bank": q},
}
PROTOTYPE = {
    2: (0.963, 0.898, 0.866, 0.522),
    4: (1.042, 0.847, 0.799, 0.283),
    8: (1.275, 0.821, 0.765, 0.163),
    16: (1.778, 0.808, 0.754, 0.108),
}
# Of the second table: a step of Q tokens of GPT3-XL at 512 tokens, against a step of one.
STEPS: Mapping[str, Mapping[str, Any]] = {
    "as shipped": {},
    "mapping.verify: auto": {"mapping.verify": "auto"},
    "+ a buffer of 8 KB, 8 accumulators": {
        "mapping.verify": "auto", "pim.global_buffer_bytes": 8192, "pim.accumulators": 8,
    },
    "+ 2 units": {
        "mapping.verify": "auto", "pim.global_buffer_bytes": 8192, "pim.accumulators": 4, "pim.units_per_bank": 2,
    },
    "+ 4 units": {
        "mapping.verify": "auto", "pim.global_buffer_bytes": 8192, "pim.accumulators": 2, "pim.units_per_bank": 4,
    },
}  # fmt: skip
TOKENS = (2, 4, 8)


def clocks(keys: Mapping[str, Any], inputs: int) -> int:
    """Of a product of 2,048 x 2,048 with so many inputs."""
    config = pimsim.load_config(ROOT / "configs" / "pim-gpt.yaml", {"dram.refresh": "none", **keys})
    device = device_of(config)
    grid, made = supply_grid(config, device, Asic(config.asic)), layouts(config)
    if inputs == 1:
        work = made.matrix(grid, SIZE, SIZE).multiply()
    else:
        work = made.shared(grid, SIZE, SIZE, inputs).multiply(count=inputs)
    engine = Engine(device)
    return engine.run(work.program, work.spans, 0, 0, engine.new_totals())


def shares() -> Iterator[tuple[str, ...]]:
    """Shares of Q separate products, those of the prototype in brackets."""
    one = clocks({}, 1)
    for q in INPUTS:
        found = (clocks(keys(q), q) / q / one for keys in COLUMNS.values())
        yield str(q), *(f"{share:.3f} ({other:.3f})" for share, other in zip(found, PROTOTYPE[q], strict=True))


def summary(keys: Mapping[str, Any], tokens: int, *baselines: str) -> Mapping[str, Any]:
    """Of a step that takes so many tokens at once."""
    given = {"workload.context": 512, "workload.output_tokens": tokens, "workload.query_tokens": tokens}
    config = pimsim.load_config(
        ROOT / "configs" / "pim-gpt.yaml", {"baselines": list(baselines), "workload.model": "gpt3-xl", **given, **keys}
    )
    return pimsim.run(config).summary


def ns(keys: Mapping[str, Any], tokens: int) -> float:
    """That it takes."""
    return float(summary(keys, tokens)["system"]["latency_ns"])


def overtaken(keys: Mapping[str, Any]) -> int:
    """Tokens from which on a T4 at its roofline is as fast: it gets no better with more of them."""
    low, high = 1, 64  # it is slower at the first, and faster at the last
    while high - low > 1:
        tokens = (low + high) // 2
        found = summary(keys, tokens, "gpu-t4")
        faster = found["baselines"]["gpu-t4"]["roofline"]["latency_ns"] <= found["system"]["latency_ns"]
        low, high = (low, tokens) if faster else (tokens, high)
    return high


def steps() -> Iterator[tuple[str, ...]]:
    """How many steps of one token a step of Q tokens takes."""
    one = ns({}, 1)
    for name, keys in STEPS.items():
        yield name, *(f"{ns(keys, tokens) / one:.2f}" for tokens in TOKENS), str(overtaken(keys))


def table(head: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main(*arguments: str) -> None:
    tables = {
        "row-reuse": table(("Q", *COLUMNS), shares()),
        "verification": table(("units", *(f"{tokens} tokens" for tokens in TOKENS), "a T4 from"), steps()),
    }
    page = ROOT / "docs" / "mapping.md"
    text = page.read_text(encoding="utf-8")
    for name, made in tables.items():
        print(made, end="\n\n")
        begin, end = f"<!-- {name} -->\n", f"\n<!-- end of {name} -->"
        first, last = text.index(begin) + len(begin), text.index(end)
        text = text[:first] + made + text[last:]
    if "--write" in arguments:
        page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
