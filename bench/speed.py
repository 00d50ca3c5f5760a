"""How fast the simulator is, as ratios measured in one run: python bench/speed.py [TOKENS].

Rows: the fast engine on GPT3-XL decode (macro steps, known periods and outcomes, channel
folding), as a whole process, as a simulation and as the channel engine alone; the stepped
engine (every command of every channel, one core); the readable twin, which is a pure Python
loop over the same machine; and a SimPy loop of one timeout per command.  Then a GEMV on
AiM, a run with plots, a first run, and one decode step as the model and the context grow.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import simpy

import pimsim
from pimsim.devices.aim.replay import Machine
from pimsim.devices.plan import compile_plan
from pimsim.devices.registry import device_of
from pimsim.dram.engine import Engine
from pimsim.dram.twin.controller import Controller
from pimsim.mapping.plan import Plan
from pimsim.sim.system import System

CONFIGS = Path(__file__).parent.parent / "configs"
CONFIG = CONFIGS / "pim-gpt.yaml"
LARGE = {"dram.rows": 1 << 19, "mapping.reserve_tokens": 40_000, "workload.output_tokens": 40_000}
LLAMA_70B = {
    "name": "70b", "layers": 80, "d_model": 8192, "heads": 64, "kv_heads": 8, "d_ff": 28672, "max_positions": 40_000,
}  # fmt: skip
STEPS = (("gpt2-small", 1, 1024), ("gpt3-xl", 8, 1024), ("gpt3-xl", 8, 32768), ("70b", 32, 1024), ("70b", 32, 32768))


def main(tokens: int = 1024) -> None:
    """Print the tables."""
    plan, few = plan_of(tokens), plan_of(2)
    run_system(plan_of(1), fast=True)  # compile
    commands, seconds, inside = best_of_three(plan, fast=True)
    stepped_commands, stepped, _ = best_of_three(few, fast=False)
    rates = {
        "fast, whole process with report": commands / process_seconds(tokens),
        "fast, simulation": commands / seconds,
        "fast, channel engine alone": commands / inside,
        "stepped, every command": stepped_commands / stepped,
        "readable twin, pure Python": timed(lambda: run_twin(plan)),
        "SimPy, one timeout per command": timed(lambda: run_simpy(200_000)),
    }
    print(f"gpt3-xl, {tokens} tokens: {commands:,} commands of all channels")
    print(f"{'':34}{'M commands/s':>14}{'ratio to stepped':>18}")
    for name, rate in rates.items():
        print(f"{name:34}{rate / 1e6:14.2f}{rate / rates['stepped, every command']:18.4g}")
    print(f"\nAiM GEMV 4096 x 4096 on 32 channels, from Python, warm: {gemv_ms():.3f} ms")
    print(f"pimsim run with report and plots, warm: {full_run_seconds(tokens):.1f} s")
    print(f"First run, nothing compiled yet: {first_run_seconds():.1f} s")
    print(f"\n{'one decode step':18}{'channels':>10}{'context':>10}{'ms':>10}")
    for model, channels, context in STEPS:
        print(f"{model:18}{channels:10}{context:10}{step_ms(model, channels, context):10.2f}")


def plan_of(tokens: int) -> Plan:
    return compile_plan(pimsim.load_config(CONFIG, {"workload.output_tokens": tokens}))


def timed(work: Callable[[], int]) -> float:
    """Commands per second of a function that returns how many commands it issued."""
    start = time.perf_counter()
    commands = work()
    return commands / (time.perf_counter() - start)


def process_seconds(tokens: int, *options: str, environment: Mapping[str, str] = os.environ) -> float:
    """`pimsim run` of the shipped configuration with `tokens`, from start to exit."""
    start = time.perf_counter()
    run = [sys.executable, "-m", "pimsim", "run", str(CONFIG), "--set", f"workload.output_tokens={tokens}", *options]
    subprocess.run(run, check=True, stdout=subprocess.DEVNULL, cwd=CONFIGS.parent, env=environment)
    return time.perf_counter() - start


def full_run_seconds(tokens: int) -> float:
    """A whole process that writes everything."""
    with TemporaryDirectory() as folder:
        return process_seconds(tokens, "--out", folder)


def first_run_seconds() -> float:
    """A whole process with an empty folder for compiled code."""
    with TemporaryDirectory() as empty:
        return process_seconds(1024, environment={**os.environ, "NUMBA_CACHE_DIR": empty})


def run_system(plan: Plan, fast: bool) -> tuple[int, float, float]:
    """Commands of the whole simulation, seconds that it took, and those inside the channel engine."""
    system = System(plan, Engine(plan.device, stepped=not fast, fold=fast))
    inside = 0.0
    run_block = system.executor.run_block

    def measured(*arguments: Any) -> Any:
        nonlocal inside
        begin = time.perf_counter()
        result = run_block(*arguments)
        inside += time.perf_counter() - begin
        return result

    system.executor.run_block = measured  # type: ignore[method-assign]
    start = time.perf_counter()
    tally = system.run()
    return sum(tally.commands.values()), time.perf_counter() - start, inside


def best_of_three(plan: Plan, fast: bool) -> tuple[int, float, float]:
    """`run_system`, the run that was disturbed least: inside the fast engine are fifths of a second only."""
    return min((run_system(plan, fast) for _ in range(3)), key=lambda run: run[2])


def gemv_ms() -> float:
    """Milliseconds of one call, the least of several."""
    machine = Machine(device_of(pimsim.load_config(CONFIGS / "aim-reference.yaml")))
    return min(milliseconds(lambda: machine.gemv(4096, 4096)) for _ in range(20))


def step_ms(model: str, channels: int, context: int) -> float:
    """Milliseconds to plan and simulate the decode step at a context, the least of several; the channels warm."""
    shape = {f"workload.model_config.{key}": value for key, value in LLAMA_70B.items()}
    which = {"workload.model": None, **shape} if model == "70b" else {"workload.model": model}
    plan = compile_plan(pimsim.load_config(CONFIG, {**LARGE, **which, "dram.channels": channels}))
    system = System(plan, Engine(plan.device))
    return min(milliseconds(partial(system.decode, context + k)) for k in range(5))


def milliseconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return (time.perf_counter() - start) * 1000


def run_twin(plan: Plan) -> int:
    """The FFN's first matrix once, on one channel, by the readable twin."""
    controller = Controller(plan.device)
    work = plan.memory.matrices["ffn_up"].multiply()
    first, last = work.spans[0]
    controller.run(work.program[first:last], 0)
    return len(controller.commands)


def run_simpy(events: int) -> int:
    """A loop of timeouts."""
    env = simpy.Environment()

    def loop():  # type: ignore[no-untyped-def]
        for _ in range(events):
            yield env.timeout(1)

    env.process(loop())
    env.run()
    return events


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
