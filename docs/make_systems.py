"""Language models on 1 to 64 devices, beside GPUs: the tables and the picture of docs/systems.md.

    python docs/make_systems.py            write them
    python docs/make_systems.py --check    say whether the page has them

A row is the best split of so many devices that fits: for one sequence the one with the shortest step, for several the
one with the most tokens a second.  Splits are all products of tensor, pipeline and expert that divide the devices;
what is left over are replicas.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from blocks import filled, table  # noqa: E402

from pimsim import InputError, load_config  # noqa: E402
from pimsim.api import run_keeping  # noqa: E402
from pimsim.plots import style  # noqa: E402
from pimsim.results.headline import number  # noqa: E402
from pimsim.results.result import Result  # noqa: E402
from pimsim.sweep.kept import Kept  # noqa: E402

PAGE, PICTURE = ROOT / "docs/systems.md", ROOT / "docs/images/systems.png"
MODELS = {"llama-3-8b": 1, "llama-3-70b": 1, "mixtral-8x7b": 8}  # with their experts
MEMORIES = ("pim-gpt", "aim")
GPUS = ("gpu-h100", "gpu-h100x2", "gpu-h100x4", "gpu-h100x8")
DEVICES = (1, 2, 4, 8, 16, 32, 64)
EXPERTS = (1, 2, 4, 8)  # of 8
BATCHES = (1, 16)
CONTEXT, TOKENS = 1024, 32


@dataclass(frozen=True)
class Split:
    """How many devices share what; all of them together are replicas of that."""

    tensor: int
    pipeline: int
    expert: int
    replicas: int

    @property
    def devices(self) -> int:
        """Of all replicas."""
        return self.tensor * self.pipeline * self.expert * self.replicas

    @property
    def keys(self) -> dict[str, int]:
        """What a configuration says of it."""
        ways = {f"system.{way}": getattr(self, way) for way in ("tensor", "pipeline", "expert")}
        return {"system.devices": self.devices, **ways}

    def __str__(self) -> str:
        ways = (("T", self.tensor), ("P", self.pipeline), ("E", self.expert), ("R", self.replicas))
        return " ".join(f"{letter}{n}" for letter, n in ways if n > 1) or "-"


@dataclass(frozen=True)
class Point:
    """What so many devices, or GPUs, make of a batch; memory: the share of it that is used."""

    split: str
    token_ms: float
    tokens_per_s: float
    token_mJ: float
    memory: float


def splits(model: str, devices: int, batch: int) -> Iterator[Split]:
    """All that so many devices can be, each replica with as many sequences as every other one."""
    for tensor, expert in product(DEVICES, EXPERTS if MODELS[model] > 1 else (1,)):
        for pipeline in (p for p in DEVICES if devices % (tensor * expert * p) == 0):
            replicas = devices // (tensor * expert * pipeline)
            if batch % replicas == 0:
                yield Split(tensor, pipeline, expert, replicas)


def settings(model: str, batch: int) -> dict[str, Any]:
    """What all rows of a table share."""
    return {
        "workload.model": model, "workload.lm_head": True, "workload.context": CONTEXT,
        "workload.output_tokens": TOKENS, "workload.batch": batch,
    }  # fmt: skip


@cache
def best(model: str, memory: str, devices: int, batch: int) -> Point | None:
    """The best split that fits, None if none does."""
    keep, found = Kept(), list[Point]()
    for split in splits(model, devices, batch):
        config = load_config(memory, {**settings(model, batch), "baselines": [], **split.keys})
        try:
            found.append(_point(str(split), run_keeping(config, keep)))
        except InputError:
            continue  # it does not fit, or does not divide
    if batch == 1:
        return min(found, key=lambda point: point.token_ms, default=None)
    return max(found, key=lambda point: point.tokens_per_s, default=None)


def _point(split: str, result: Result) -> Point:
    """Of a pipeline the rate once it is full."""
    system, devices = result.summary["system"], result.summary.get("devices", {})
    step = devices.get("sequence_step_ns") or system["latency_per_step_ns"]
    rate = devices.get("steady_tokens_per_s") or system["tokens_per_s"]
    return Point(split, step / 1e6, rate, system["energy_per_token_pJ"] / 1e9, _memory(result))


def _memory(result: Result) -> float:
    """The share that is used, of the device that stores most."""
    if "devices" not in result.summary:
        assert result.plan is not None
        return result.plan.memory.rows / result.config.dram.rows
    shares = [share for share in result.summary["devices"]["shares"] if share["capacity_bytes"]]
    return max(share["memory_bytes"] / share["capacity_bytes"] for share in shares)


@cache
def gpus(model: str, batch: int) -> dict[str, Point]:
    """The bound of each GPU, or group of GPUs, that holds the model."""
    config = load_config("aim", {**settings(model, batch), "baselines": list(GPUS), "system.devices": 64,
                                 "system.tensor": 8, "system.pipeline": 8})  # fmt: skip
    machines = run_keeping(config, Kept()).summary["baselines"]
    return {name: _gpu(found, batch) for name, found in machines.items() if found["fits"]}


def _gpu(found: dict[str, Any], batch: int) -> Point:
    bound = found["roofline"]
    step_ns, energy_pJ = bound["latency_ns"] / TOKENS, bound["energy_pJ"] / TOKENS / batch
    used = bound["required_bytes"] / bound["capacity_bytes"]
    return Point("-", step_ns / 1e6, batch * 1e9 / step_ns, energy_pJ / 1e9, used)


def row(model: str, memory: str, devices: int) -> list[str] | None:
    """A line of a table, None where nothing fits."""
    points = [best(model, memory, devices, batch) for batch in BATCHES]
    return _cells(memory, str(devices), points) if any(points) else None


def _cells(name: str, count: str, points: Iterable[Point | None]) -> list[str]:
    """One sequence: split, ms and mJ a token; several: split, tokens/s, ms and mJ a token; memory in use."""
    one, many = points
    cells = [name, count]
    cells += [one.split, number(one.token_ms), f"{one.token_mJ:,.0f}"] if one else ["does not fit", "", ""]
    rates = (number(many.tokens_per_s), number(many.token_ms), f"{many.token_mJ:,.0f}") if many else ()
    cells += [many.split, *rates] if many else ["does not fit", "", "", ""]
    most = many or one
    return [*cells, f"{100 * most.memory:.0f} %" if most else ""]


HEAD = (
    "system", "devices", "split, 1", "ms a token, 1", "mJ a token, 1", f"split, {BATCHES[1]}",
    f"tokens/s, {BATCHES[1]}", f"ms a token, {BATCHES[1]}", f"mJ a token, {BATCHES[1]}", "memory",
)  # fmt: skip


def model_table(model: str) -> str:
    """Rows of both memories, and of the GPUs."""
    rows = [found for memory, devices in product(MEMORIES, DEVICES) if (found := row(model, memory, devices))]
    several = gpus(model, BATCHES[1])
    for name, one in gpus(model, 1).items():
        rows.append(_cells(name, name.partition("h100")[2].lstrip("x") or "1", [one, several.get(name)]))
    return table(HEAD, rows)


EQUAL = {"pim-gpt": 16, "aim": 4}  # as much memory as 64 GiB; an H100 has 80 GB
MANY = (1, 4, 16, 64)


def batch_table() -> str:
    """The first model by batch, on about as much memory of each kind: who wins when."""
    model, rows = next(iter(MODELS)), []
    for batch in MANY:
        points = {f"{count} {name}": best(model, name, count, batch) for name, count in EQUAL.items()}
        points["1 gpu-h100"] = gpus(model, batch).get("gpu-h100")
        rows.append([batch, *(f"{number(point.tokens_per_s)}, {point.token_mJ:,.0f}" if point else "does not fit"
                              for point in points.values())])  # fmt: skip
    names = [f"{count} {name}" for name, count in EQUAL.items()]
    return table(["batch", *(f"{name}: tokens/s, mJ" for name in (*names, "1 gpu-h100, bound"))], rows)


def picture(file: Path) -> None:
    """Tokens a second over devices: a line for each memory, dotted what twice the devices could make at most."""
    with style.drawing():
        figure = style.new_figure(5.4)
        axes = figure.subplots(len(BATCHES), len(MODELS), sharex=True, squeeze=False)
        for (i, batch), (j, model) in product(enumerate(BATCHES), enumerate(MODELS)):
            _draw(axes[i][j], model, batch)
        for j, model in enumerate(MODELS):
            axes[0][j].set_title(model)
            axes[-1][j].set_xlabel("devices or GPUs")
        for i, batch in enumerate(BATCHES):
            axes[i][0].set_ylabel(f"tokens/s, batch {batch}")
        axes[0][0].plot([], [], ":", color=style.GREY, linewidth=1, label="ideal")
        axes[0][0].legend(fontsize=7.5)
        file.write_bytes(style.png(axes[0][0]))


def _draw(ax: Any, model: str, batch: int) -> None:
    for memory, colour in zip(MEMORIES, style.SERIES, strict=False):
        found = {n: point for n in DEVICES if (point := best(model, memory, n, batch))}
        counts, rates = list(found), [point.tokens_per_s for point in found.values()]
        ax.plot(counts, rates, "o-", color=colour, label=memory, markersize=4)
        ax.plot(counts, [rates[0] * n / counts[0] for n in counts], ":", color=colour, linewidth=1)
    found = gpus(model, batch)
    counts = [int(name.partition("h100")[2].lstrip("x") or 1) for name in found]
    ax.plot(counts, [point.tokens_per_s for point in found.values()], "s--", color=style.GREY, label="H100, bound",
            markersize=4)  # fmt: skip
    ax.set_xscale("log", base=2)
    ax.set_yscale("log")
    ax.set_xticks((1, 4, 16, 64), ("1", "4", "16", "64"))
    style.log_ticks(ax.yaxis)
    ax.grid(axis="y")


def page() -> str:
    """The page with its tables made anew."""
    text = PAGE.read_text(encoding="utf-8")
    for model in MODELS:
        text = filled(text, "make_systems", model, model_table(model))
    return filled(text, "make_systems", "batches", batch_table())


def main(asked: list[str]) -> int:
    """Write the tables into the page, and the picture beside it; --check: 1 where the page has others."""
    made = page()
    if "--check" in asked:
        return int(made != PAGE.read_text(encoding="utf-8"))
    PAGE.write_text(made, encoding="utf-8")
    picture(PICTURE)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
