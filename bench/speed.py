"""How fast the channel engine is, as ratios measured in one run: python bench/speed.py [TOKENS].

Rows: the fast engine (macro steps, period skipping, channel folding), the stepped engine
(every command of every channel, one core), the readable twin in plain Python, and a SimPy
loop of one timeout per command, which is what a process per bank would cost at least.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import simpy

import pimsim
from pimsim.dram.controller import Controller
from pimsim.dram.engine import Engine
from pimsim.mapping.plan import Plan, compile_plan
from pimsim.sim.system import System

CONFIG = Path(__file__).parent.parent / "configs" / "pim-gpt.yaml"


def main(tokens: int = 8) -> None:
    """Print the table."""
    config = pimsim.load_config(CONFIG, {"workload.output_tokens": tokens})
    plan = compile_plan(config)
    run_system(compile_plan(pimsim.load_config(CONFIG, {"workload.output_tokens": 1})), fast=True)  # compile
    rates = {
        "fast, whole system": timed(lambda: run_system(plan, fast=True)),
        "stepped, whole system": timed(lambda: run_system(plan, fast=False)),
        "fast, channel engine alone": timed(lambda: run_engine(plan, fast=True)),
        "stepped, channel engine alone": timed(lambda: run_engine(plan, fast=False)),
        "readable twin, plain Python": timed(lambda: run_twin(plan)),
        "SimPy, one timeout per command": timed(lambda: run_simpy(200_000)),
    }
    slowest = rates["stepped, channel engine alone"]
    print(f"{config.workload.model}, {tokens} tokens; commands of all channels")
    print(f"{'':34}{'M commands/s':>14}{'ratio to stepped':>18}")
    for name, rate in rates.items():
        print(f"{name:34}{rate / 1e6:14.2f}{rate / slowest:18.3f}")


def timed(work: Callable[[], int]) -> float:
    """Commands per second of a function that returns how many commands it issued."""
    start = time.perf_counter()
    commands = work()
    return commands / (time.perf_counter() - start)


def run_system(plan: Plan, fast: bool) -> int:
    """The whole simulation."""
    tally = System(plan, Engine(plan.device, stepped=not fast, fold=fast)).run()
    return sum(tally.commands.values())


def run_engine(plan: Plan, fast: bool) -> int:
    """The FFN's first matrix in every layer, back to back, channel engine only."""
    engine = Engine(plan.device, stepped=not fast, fold=fast)
    totals = engine.new_totals()
    work = plan.memory.matrices["ffn_up"].multiply()
    now = 0
    for _ in range(20):
        for base in plan.memory.regions["ffn_up"].bases:
            now = engine.run(work.program, work.spans, base, now, totals)
    return int(totals[: len(plan.device.command_names)].sum())


def run_twin(plan: Plan) -> int:
    """The same matrix once, on one channel, by the readable twin."""
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
