"""How time and memory grow with the size of the work: python bench/scale.py [--full] [--markdown] [CURVE ...].

Each curve changes one thing: devices, layers, context, tokens, channels, batch, AiM instructions (on the
same channels, on mixed ones), requests of a host (a stream, at random).  A point runs in a
process of its own, forked from this one, so that its peak memory is its own; times are CPU
times, which others on the machine change little.  Below the points of a column stands its
exponent: the slope of log(column) over log(size), fitted to the upper half of the points; 1 is
linear, and what is above 1.1 has a mark.  `--full` goes to 10 million instructions and to 1 GiB
of requests, and takes minutes.

Last, one decode step of a model of 405 billion parameters on a device that holds it.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import multiprocessing
import resource
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from aim import mixed
from page import machine, run, show

import pimsim
from pimsim.cli import cli
from pimsim.devices.plan import compile_plan
from pimsim.dram.engine import Engine
from pimsim.mapping.plan import Plan
from pimsim.sim.run import simulate
from pimsim.sim.steps import decoded
from pimsim.sim.system import System

CONFIGS = Path(__file__).parent.parent / "configs"
MARKED = 1.1  # exponents above it
MEMORY = "peak MiB"
MOST_MEMORY = 12 << 30  # bytes that a point may ask for

# A device with room for everything here: as many rows and channels as a configuration may have, 2 TiB.
ROOM = {"dram.rows": 1 << 20, "dram.channels": 64, "baselines": []}
NARROW = {"name": "narrow", "d_model": 1024, "heads": 16, "max_positions": 10_000_000}
LLAMA_405B = {
    "name": "405b", "family": "llama", "layers": 126, "d_model": 16384, "heads": 128, "kv_heads": 8, "d_ff": 53248,
    "vocabulary": 128256, "max_positions": 131072, "tied": False,
}  # fmt: skip
LARGE_CONTEXTS = (1024, 131_072, 1_048_576)

Figures = dict[str, float]


@dataclass(frozen=True)
class Curve:
    """What grows, and how it is measured.

    further  the sizes of `--full`
    measure  the figures of one size
    """

    unit: str
    sizes: tuple[int, ...]
    further: tuple[int, ...]
    measure: Callable[[int], Figures]
    about: str


# ---- language models ------------------------------------------------------------------------


def _plan(settings: Mapping[str, Any]) -> Plan:
    return compile_plan(pimsim.load_config(CONFIGS / "pim-gpt.yaml", {**ROOM, **settings}))


def _shape(model: Mapping[str, Any]) -> dict[str, Any]:
    return {"workload.model": None, **{f"workload.model_config.{key}": value for key, value in model.items()}}


def _step(context: int, settings: Mapping[str, Any], following: int = 5) -> Figures:
    """The first decode step at a context, plan and all, and the least of those that follow it."""
    start = time.process_time()
    plan = _plan({"workload.context": context - 1, "workload.output_tokens": 1 + following, **settings})
    system = System(plan, Engine(plan.device))

    def decode(context: int) -> int:
        return system.alone(decoded([("decode", context, 1)])[0])

    clocks = decode(context)
    first = _since(start)
    after = []
    for k in range(1, 1 + following):
        start = time.process_time()
        decode(context + k)
        after.append(_since(start))
    return {"first step ms": first, "next step ms": min(after), "clocks": clocks}


def _layers(size: int) -> Figures:
    return _step(1024, _shape({**NARROW, "layers": size}))


def _context(size: int) -> Figures:
    return _step(size, {})


def _channels(size: int) -> Figures:
    return _step(1024, {"dram.channels": size})


def _batch(size: int) -> Figures:
    return _step(1024, {"workload.batch": size})


def _step_of_405b(context: int) -> Figures:
    return _step(context, _shape(LLAMA_405B), following=2)


def _tokens(size: int) -> Figures:
    plan = _plan({"workload.output_tokens": size})
    start = time.process_time()
    tally = simulate(plan)
    took, commands = _since(start), sum(tally.commands.values())
    return {"ms": took, "commands": commands, "ms per 10^9 commands": took / commands * 1e9}


# ---- several devices ------------------------------------------------------------------------


def _system(settings: Mapping[str, Any], stages: int) -> Figures:
    """A step of as many sequences as stages, on stages of 8 devices each; from a loaded configuration to figures."""
    keys = {"devices": 8 * stages, "tensor": 8, "pipeline": stages}
    work = {"workload.batch": stages, "workload.output_tokens": 1, "workload.lm_head": True, "baselines": []}
    config = pimsim.load_config(
        CONFIGS / "aim.yaml", {**work, **{f"system.{k}": n for k, n in keys.items()}, **settings}
    )
    start = time.process_time()
    summary = pimsim.run(config).summary
    return {"ms": _since(start), "clocks": summary["system"]["cycles"]}


def _devices(size: int) -> Figures:
    return _system({"workload.model": "llama-3-70b", "workload.context": 1023}, size // 8)


def _stages_layers(size: int) -> Figures:
    return _system(_shape({**NARROW, "max_positions": 4096, "layers": size}), 8)


def _of_256_devices(context: int) -> Figures:
    return _system({"workload.model": "llama-3.1-405b", "workload.context": context - 1, "workload.batch": 1}, 32)


# ---- AiM programs ---------------------------------------------------------------------------


def together(instructions: int) -> Iterator[str]:
    """A program that drives all channels at once: outputs of a GEMV, one after the other."""
    yield "AiM WR_GB 64 0 0xffffffff"
    for i in range((instructions - 2) // 3):
        yield "AiM WR_BIAS 0 0xffffffff"
        yield f"AiM MAC_ABK 64 0xffffffff {i % 16384}"
        yield "AiM RD_MAC 0 0xffffffff"
    yield "AiM EOC"


def _replayed(program: Callable[[int], Iterator[str]]) -> Callable[[int], Figures]:
    def measure(size: int) -> Figures:
        with TemporaryDirectory() as folder:
            path = Path(folder) / "program.aim"
            with path.open("w") as file:
                file.writelines(f"{line}\n" for line in program(size))
            return _command("replay", str(path), "--config", str(CONFIGS / "aim-reference.yaml"))

    return measure


# ---- requests of a host -----------------------------------------------------------------------


def _served(*options: str) -> Callable[[int], Figures]:
    def measure(size: int) -> Figures:
        return _command("traffic", str(CONFIGS / "gddr6.yaml"), "--requests", str(size), *options)

    return measure


def _command(*words: str) -> Figures:
    """A command of pimsim in this process, from its words to what it prints."""
    printed, complained = io.StringIO(), io.StringIO()
    start = time.process_time()
    with redirect_stdout(printed), redirect_stderr(complained), suppress(SystemExit):
        cli.main([*words, "--json"])
    if not printed.getvalue():
        raise RuntimeError(complained.getvalue())
    return {"ms": _since(start), "clocks": json.loads(printed.getvalue())["cycles"]}


CURVES = {
    "devices": Curve("devices", (16, 32, 64, 128), (256, 512), _devices, "llama-3-70b on stages of 8 AiM devices"),
    "system-layers": Curve("layers", (16, 32, 64, 128), (256, 512), _stages_layers, "8 stages of 8 AiM devices"),
    "layers": Curve("layers", (16, 32, 64, 128, 256, 512), (1024,), _layers, "d_model 1,024 at context 1,024"),
    "context": Curve(
        "tokens", tuple(1 << k for k in range(10, 21, 2)), (), _context, "gpt3-xl; keys and values of all of them"
    ),
    "tokens": Curve("tokens", (64, 128, 256, 512, 1024, 2048), (4096, 8192, 16384), _tokens, "gpt3-xl from the first"),
    "channels": Curve("channels", (1, 2, 4, 8, 16, 32, 64), (), _channels, "gpt3-xl at context 1,024"),
    "batch": Curve("sequences", (4, 8, 16, 32, 64, 128), (256, 512, 1024), _batch, "gpt3-xl at context 1,024"),
    "instructions": Curve(
        "instructions", (1000, 4000, 16_000, 64_000, 256_000), (1_000_000, 10_000_000), _replayed(together),
        "AiM, all on the same channels",
    ),
    "mixed": Curve(
        "instructions", (1000, 4000, 16_000, 64_000), (256_000, 1_000_000, 10_000_000), _replayed(mixed),
        "AiM, on any channels",
    ),
    "stream": Curve(
        "requests", (16_000, 64_000, 256_000, 1_000_000), (4_194_304, 33_554_432), _served(),
        "GDDR6, reads one after the other",
    ),
    "random": Curve(
        "requests", (16_000, 64_000, 256_000), (1_000_000, 4_194_304),
        _served("--pattern", "random", "--read-fraction", "0.7"), "GDDR6, 70 % reads anywhere",
    ),
}  # fmt: skip


# ---- measuring --------------------------------------------------------------------------------


def _since(start: float) -> float:
    return (time.process_time() - start) * 1000


def alone(measure: Callable[[int], Figures], size: int) -> Figures | str:
    """The figures of a size, measured in a process of its own, with its peak memory; or why there are none."""
    context = multiprocessing.get_context("fork")
    receive, send = context.Pipe(duplex=False)

    def work(to: Connection) -> None:
        resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
        try:
            figures = measure(size)
        except (MemoryError, RuntimeError) as error:
            to.send(f"{type(error).__name__}: {str(error).strip()[-100:]}")
            return
        figures[MEMORY] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        to.send(figures)

    process = context.Process(target=work, args=(send,))
    process.start()
    send.close()
    try:
        figures: Figures | str = receive.recv()
    finally:
        process.join()
    return figures


def exponent(sizes: Sequence[int], values: Sequence[float]) -> float:
    """The slope of log(value) over log(size), by least squares over the upper half of the points."""
    first = len(sizes) // 2
    x, y = [math.log(size) for size in sizes[first:]], [math.log(max(value, 1e-6)) for value in values[first:]]
    middle, level = sum(x) / len(x), sum(y) / len(y)
    across = sum((a - middle) ** 2 for a in x)
    return sum((a - middle) * (b - level) for a, b in zip(x, y, strict=True)) / across


def shown(slope: float) -> str:
    """An exponent, marked if it is worse than linear."""
    return f"{slope:.2f}{' !' if slope > MARKED else ''}"


# ---- printing ---------------------------------------------------------------------------------


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _print(title: str, unit: str, measured: Mapping[int, Figures | str], fit: bool, markdown: bool) -> None:
    """A table of the figures by size, with the exponent of each column below it."""
    found = {size: figures for size, figures in measured.items() if not isinstance(figures, str)}
    columns = list(dict.fromkeys(column for figures in found.values() for column in figures))
    rows = []
    for size, figures in measured.items():
        cells = [figures] if isinstance(figures, str) else [_number(figures[column]) for column in columns]
        rows.append([f"{size:,}", *cells, *[""] * (len(columns) - len(cells))])
    if fit:
        slopes = (exponent(list(found), [figures[column] for figures in found.values()]) for column in columns)
        rows.append(["exponent", *map(shown, slopes)])
    show(title, [unit, *columns], rows, markdown)


def _curve(name: str, curve: Curve, full: bool, markdown: bool) -> None:
    curve.measure(curve.sizes[0])  # compile
    sizes = curve.sizes + (curve.further if full else ())
    measured = {size: alone(curve.measure, size) for size in sizes}
    _print(f"{name}: {curve.about}", curve.unit, measured, fit=True, markdown=markdown)


def _large(markdown: bool) -> None:
    measured = {size: alone(_step_of_405b, size) for size in LARGE_CONTEXTS}
    title = "405 billion parameters (126 layers, d_model 16,384, 8 heads of K and V), 64 channels of 1,048,576 rows"
    _print(title, "context", measured, fit=False, markdown=markdown)
    measured = {size: alone(_of_256_devices, size) for size in LARGE_CONTEXTS[:2]}
    title = "The same model on 256 devices of AiM, 32 stages of 8: a step of one sequence"
    _print(title, "context", measured, fit=False, markdown=markdown)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="go to the largest sizes")
    run(parser, "scale.py", "curve", (*CURVES, "405b"), _tables)


def _tables(asked: argparse.Namespace) -> None:
    print(f"{machine()}; CPU times.")
    for name, curve in CURVES.items():
        if not asked.curves or name in asked.curves:
            _curve(name, curve, asked.full, asked.markdown)
    if not asked.curves or "405b" in asked.curves:
        _large(asked.markdown)


if __name__ == "__main__":
    main()
