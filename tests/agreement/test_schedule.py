"""One ASIC that does one thing at a time: the compiled schedule and its readable twin, on random graphs and runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from pimsim.devices.pim_gpt.attention import ValueLayout
from pimsim.devices.pim_gpt.matrix import MatrixLayout
from pimsim.devices.plan import compile_plan
from pimsim.dram.engine import Engine, Ints
from pimsim.mapping.instructions import START, Feed, Instruction
from pimsim.mapping.plan import Plan
from pimsim.mapping.vectors import VectorLayout
from pimsim.mapping.work import Work
from pimsim.sim.run import simulate
from pimsim.sim.schedule.block import END, MOMENTS
from pimsim.sim.schedule.readable import Asic, Moments, carry_out_part
from pimsim.sim.system import System
from tests.configs import SCHEDULES, config_of, systems
from tests.examples import examples

SMALL = {
    "workload.model": "gpt2-small", "dram.channels": 3, "dram.bank_groups": 1, "dram.banks_per_group": 2,
    "dram.rows": 1 << 20, "pim.global_buffer_bytes": 64, "dram.timing.tREFI_ns": 1500,
}  # fmt: skip
PLAN = compile_plan(config_of(SMALL))


class Recorder(System):
    """A simulation that carries out every part with the twin as well, from the same results of the channels."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan, Engine(plan.device))
        self.engine.log_to(lambda rows: None)
        self.asic = Asic()
        self.before, self.accounted_by_twin = Moments(0, 0, 0, 0, 0), 0

    def _part(self, phase: str, part: int, instructions: Sequence[Instruction], copies: int) -> None:
        n = len(instructions)
        times = np.zeros((n + 1, MOMENTS), np.int64)
        times[-1] = self.latest
        seen: list[tuple[Ints, int, list[tuple[int, int]]]] = []

        def watch(copy: int, i: int) -> None:
            seen.append((times[i].copy(), int(self.engine.ends.max()), self.executor.stretches()))

        self.executor.run_block(self._block(part, instructions, copies), times, self.timetable, watch)
        self.latest = times[-1]
        for copy in range(copies):
            self._compare(instructions, seen[copy * n : (copy + 1) * n])

    def _compare(
        self, instructions: Sequence[Instruction], seen: Sequence[tuple[Ints, int, list[tuple[int, int]]]]
    ) -> None:
        def carry_out(i: int, start: int) -> Moments:
            moments, end, _ = seen[i]
            assert start == moments[0]
            return Moments(*moments[:-1].tolist(), end)

        def watch(i: int, done: Moments) -> None:
            moments, _, stretches = seen[i]
            assert done.end == moments[END], instructions[i]
            if instructions[i].work is None:
                assert sorted(self.asic.worked) == [clk for begin, end in stretches for clk in range(begin, end)]
                assert len(self.asic.worked) == instructions[i].clocks

        serial = self.plan.config.schedule == "paper"
        self.before, self.accounted_by_twin = carry_out_part(
            instructions, self.asic, self.before, self.accounted_by_twin, serial, carry_out, watch
        )


WORKS: tuple[Work, ...] = (
    MatrixLayout(PLAN.grid, 40, 13).multiply(),
    MatrixLayout(PLAN.grid, 100, 30).multiply(),
    MatrixLayout(PLAN.grid, 100, 30).multiply(addend=True),
    ValueLayout(PLAN.grid, 2, 1, 5, 300).weigh(200),
    ValueLayout(PLAN.grid, 2, 1, 5, 300).append(7),
    VectorLayout(PLAN.grid, 900).read(),
    VectorLayout(PLAN.grid, 900).write(),
)


@st.composite
def graphs(draw: st.DrawFn) -> list[Instruction]:
    """Programs, work on whole operands and streams, each after some of those before it; some keys come again."""
    graph: list[Instruction] = []
    for i in range(draw(st.integers(1, 14), label="instructions")):
        places = [j for j, before in enumerate(graph) if before.work is not None and before.work.results]
        kind = draw(st.sampled_from(["program", "whole", "stream", "stream"] if places else ["program", "whole"]))
        keys = [START, *(f"k{j}" for j in range(i))]
        after = draw(st.lists(st.sampled_from(keys), min_size=1, max_size=3, unique=True))
        ports = draw(st.tuples(st.integers(0, 400), st.integers(0, 400)))
        if kind == "program":
            work = draw(st.sampled_from(WORKS))
            graph.append(Instruction("x", f"k{i}", tuple(after), work, (0,), ports))
            continue
        clocks = draw(st.integers(1, 600))
        done = Instruction("x", f"k{i}", tuple(after), ports=tuple(min(p, clocks) for p in ports), clocks=clocks)
        if kind == "stream":
            fed = sorted(draw(st.sets(st.sampled_from(places), min_size=1, max_size=3)))
            feed = Feed(tuple(fed), draw(st.booleans()), draw(st.integers(1, 4)))
            through = [j for j, before in enumerate(graph) if before.feed.places[-1:] == (fed[-1],)]
            source = draw(st.sampled_from([fed[-1], *through]))
            tail, portions = draw(st.integers(1, clocks)), draw(st.integers(1, 6))
            after = tuple(dict.fromkeys([*after, f"k{source}"]))
            done = done._replace(after=after, tail=tail, feed=feed, portions=portions)
        graph.append(done)
    return graph


@settings(max_examples=examples(60), phases=[Phase.generate])
@given(graphs(), st.sampled_from(SCHEDULES), st.sampled_from([1, 2, 9]))
def test_random_graphs_are_carried_out_as_the_twin_says(graph: list[Instruction], schedule: str, copies: int) -> None:
    plan = compile_plan(config_of({**SMALL, "schedule": schedule}), PLAN.workload)
    twin = Recorder(plan)
    twin._part("decode", 1, graph, copies)
    assert twin.accounted == twin.accounted_by_twin
    busy = copies * sum(instruction.clocks for instruction in graph)
    assert len(twin.asic.units.taken) == busy <= twin.accounted
    for port, server in enumerate(twin.asic.ports):
        assert len(server.taken) == copies * sum(instruction.ports[port] for instruction in graph)
    # nobody watches, and the channels remember: the same
    plain = System(plan, Engine(plan.device))
    times = np.zeros((len(graph) + 1, MOMENTS), np.int64)
    plain.executor.run_block(plain._block(1, graph, copies), times, plain.timetable)
    assert plain.accounted == twin.accounted and times[-1].tolist() == twin.latest.tolist()


@settings(max_examples=examples(30), phases=[Phase.generate])
@given(systems())
def test_whole_runs_are_carried_out_as_the_twin_says(overrides: dict[str, Any]) -> None:
    twin = Recorder(compile_plan(config_of(overrides)))
    for _ in twin._controller(None):
        pass
    assert twin.accounted == twin.accounted_by_twin >= len(twin.asic.units.taken)


@settings(max_examples=examples(40), phases=[Phase.generate])
@given(systems(), st.sampled_from([0.01, 0.05, 0.2]), st.sampled_from([1, 8, 128]))
def test_the_asic_is_never_busier_than_there_is_time(overrides: dict[str, Any], clock: float, multipliers: int) -> None:
    """Slow ones, which were busy for up to six times the latency."""
    tally = simulate(config_of({**overrides, "asic.clock_GHz": clock, "asic.multipliers": multipliers}))
    assert 0 < tally.total("asic_busy_cycles") <= tally.cycles
