"""One ASIC that does one thing at a time: the compiled schedule and its readable twin, on random graphs and runs.

Then the twin with each of its rules changed, which must disagree: what the comparison cannot
see it would not hold.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from functools import cache
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from pimsim.devices.pim_gpt.attention import ValueLayout
from pimsim.devices.pim_gpt.matrix import MatrixLayout
from pimsim.devices.plan import compile_plan
from pimsim.dram.engine import Engine, Ints
from pimsim.mapping.instructions import START, Feed, Instruction, Step
from pimsim.mapping.plan import Plan
from pimsim.mapping.stretch import Stretch
from pimsim.mapping.vectors import VectorLayout
from pimsim.mapping.work import Work
from pimsim.sim.layout import Layout
from pimsim.sim.run import simulate
from pimsim.sim.schedule import readable
from pimsim.sim.schedule.block import BEGIN, END, MOMENTS, Block
from pimsim.sim.schedule.compiled.layout import I_CLOCKS
from pimsim.sim.schedule.executor import Counts
from pimsim.sim.system import Laid, System
from tests.configs import REFRESH, SCHEDULES, config_of, systems
from tests.examples import examples

SMALL = {
    "workload.model": "gpt2-small", "dram.channels": 3, "dram.bank_groups": 1, "dram.banks_per_group": 2,
    "dram.rows": 1 << 20, "pim.global_buffer_bytes": 64, "dram.timing.tREFI_ns": 1500, "dram.timing.tRFC_ns": 300,
    "dram.timing.tRFCpb_ns": 150,
}  # fmt: skip
PLAN = compile_plan(config_of(SMALL))


class Seen(NamedTuple):
    """What the compiled schedule did with an instruction: its moments, the data end, when the units worked."""

    moments: Ints
    end: int
    stretches: list[tuple[int, int]]


class Twin:
    """The readable schedule; from the results of the channels that were seen, it has to come to the same."""

    def __init__(self, serial: bool, model: Any = readable) -> None:
        self.serial, self.model = serial, model
        self.asic = model.Asic()
        self.before, self.accounted = model.Moments(0, 0, 0, 0, 0), 0
        self.lanes: dict[str, int] = {}  # where each sub-batch of the step stands

    def follow(self, instructions: Sequence[Instruction], seen: Sequence[Seen]) -> None:
        """Carry out one copy of a part; AssertionError where it was carried out in another way."""

        def carry_out(i: int, start: int) -> Any:
            assert start == seen[i].moments[BEGIN]
            return self.model.Moments(*seen[i].moments[:-1].tolist(), seen[i].end)

        def watch(i: int, done: Any) -> None:
            assert done.end == seen[i].moments[END], instructions[i]
            if instructions[i].work is None:
                assert done.begin == seen[i].moments[BEGIN]
                worked = [clk for begin, end in seen[i].stretches for clk in range(begin, end)]
                assert sorted(self.asic.worked) == worked and len(worked) == instructions[i].clocks

        self.before, self.accounted = self.model.carry_out_part(
            instructions, self.asic, self.before, self.accounted, self.serial, carry_out, watch, self.lanes
        )


class Recorder(System):
    """A simulation that carries out every part with the twin as well, from the same results of the channels."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan, Engine(plan.device))
        self.engine.log_to(lambda rows: None)
        self.twin = Twin(plan.config.schedule == "paper")

    def _run(self, laid: Laid, count: int) -> list[int]:
        """As every simulation does, but step by step."""
        steps = range(laid.done, laid.done + count)
        seen, reached = self.watched(laid.block, laid.times, laid.counts, steps)
        laid.done += count
        for context in laid.stretch.contexts[steps.start : steps.stop].tolist():
            self.twin.lanes = {}
            step = laid.plan.step(context, laid.kind.head, laid.kind.tokens)
            for instructions, copies in zip(step, (1, laid.plan.workload.blocks, 1), strict=True):
                n = len(instructions)
                for _ in range(copies if n else 0):
                    self.twin.follow(instructions, seen[:n])
                    del seen[:n]
        assert not seen
        return reached

    def watched(
        self, block: Block, times: Ints | None = None, counts: Counts | None = None, steps: range | None = None
    ) -> tuple[list[Seen], list[int]]:
        """Have the compiled schedule carry out a block, and watch."""
        moments = np.zeros((block.steps.shape[1] + 1, MOMENTS), np.int64) if times is None else times
        moments[-1] = self.latest
        seen: list[Seen] = []

        def watch(step: int, copy: int, i: int) -> None:
            seen.append(Seen(moments[i].copy(), int(self.engine.ends.max()), self.executor.stretches()))

        found = self.executor.run_block(block, moments, self.timetable, watch, counts, steps)
        self.latest = moments[-1].copy()
        reached = found.reached if steps is None else found.reached[steps.start : steps.stop]
        return seen, reached.tolist()


def block_of(system: System, graph: Sequence[Instruction], copies: int) -> Block:
    """A block of one step, which is a graph, so many times."""
    stretch = Stretch(np.ones(1, np.int64), Step((), tuple(graph), ()), {})
    return Layout(system.engine, copies, None).block(stretch)


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
        if kind == "whole":
            done = done._replace(place=draw(st.sampled_from(["", "link", "machine"])))
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


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """The same memory, refreshed in any way, under any clock and either schedule."""
    changes = {
        "schedule": draw(st.sampled_from(SCHEDULES), label="schedule"),
        "dram.refresh": draw(st.sampled_from(REFRESH), label="refresh"),
        "dram.tCK_ps": draw(st.sampled_from([570, 833, 1250]), label="tCK_ps"),
    }
    return compile_plan(config_of({**SMALL, **changes}), PLAN.workload)


@settings(max_examples=examples(60), phases=[Phase.generate])
@given(graphs(), plans(), st.sampled_from([1, 2, 9]))
def test_random_graphs_are_carried_out_as_the_twin_says(graph: list[Instruction], plan: Plan, copies: int) -> None:
    recorder = Recorder(plan)
    seen, _ = recorder.watched(block_of(recorder, graph, copies))
    for copy in range(copies):
        recorder.twin.follow(graph, seen[copy * len(graph) : (copy + 1) * len(graph)])
    assert recorder.accounted == recorder.twin.accounted
    asic = recorder.twin.asic
    for place, server in {"": asic.units, **asic.outside}.items():
        busy = copies * sum(instruction.clocks for instruction in graph if instruction.place == place)
        assert len(server.taken) == busy <= recorder.accounted
    for port, server in enumerate(recorder.twin.asic.ports):
        assert len(server.taken) == copies * sum(instruction.ports[port] for instruction in graph)
    # nobody watches, and the channels remember: the same
    plain = System(plan, Engine(plan.device))
    times = np.zeros((len(graph) + 1, MOMENTS), np.int64)
    plain.executor.run_block(block_of(plain, graph, copies), times, plain.timetable)
    assert plain.accounted == recorder.accounted and times[-1].tolist() == recorder.latest.tolist()


@settings(max_examples=examples(30), phases=[Phase.generate])
@given(systems())
def test_whole_runs_are_carried_out_as_the_twin_says(overrides: dict[str, Any]) -> None:
    recorder = Recorder(compile_plan(config_of(overrides)))
    for _ in recorder._controller(None):
        pass
    assert recorder.accounted == recorder.twin.accounted >= len(recorder.twin.asic.units.taken)


@settings(max_examples=examples(40), phases=[Phase.generate])
@given(systems(), st.sampled_from([0.01, 0.05, 0.2]), st.sampled_from([1, 8, 128]))
def test_the_asic_is_never_busier_than_there_is_time(overrides: dict[str, Any], clock: float, multipliers: int) -> None:
    """Slow ones, which were busy for up to six times the latency."""
    tally = simulate(config_of({**overrides, "asic.clock_GHz": clock, "asic.multipliers": multipliers}))
    assert 0 < tally.total("asic_busy_cycles") <= tally.cycles


def program(key: str, *after: str, work: int = 1, ports: tuple[int, int] = (0, 0)) -> Instruction:
    return Instruction("x", key, after or (START,), WORKS[work], (0,), ports)


def whole(key: str, *after: str, clocks: int, ports: tuple[int, int] = (0, 0)) -> Instruction:
    return Instruction("x", key, after or (START,), clocks=clocks, ports=ports)


def outside(key: str, place: str, *after: str, clocks: int, ports: tuple[int, int] = (0, 0)) -> Instruction:
    return Instruction("x", key, after or (START,), clocks=clocks, ports=ports, place=place)


def stream(
    key: str, *after: str, clocks: int, tail: int, feed: Feed, portions: int = 1, ports: tuple[int, int] = (0, 0)
) -> Instruction:
    return Instruction("x", key, after, ports=ports, clocks=clocks, tail=tail, feed=feed, portions=portions)


GRAPHS: dict[str, tuple[Instruction, ...]] = {
    "programs and their ports": (
        program("a", ports=(10, 900)),
        program("b", ports=(900, 10)),
        whole("c", "b", clocks=300, ports=(20, 30)),
        program("d", "a", "c", work=4),
        program("e", work=5),
    ),
    "work beside work, and in the clocks that it leaves free": (
        whole("a", clocks=100, ports=(5, 150)),
        whole("b", clocks=70, ports=(80, 5)),
        program("c", "a"),
        whole("d", "c", clocks=90),
        whole("e", clocks=700, ports=(100, 100)),
        program("f", "b", "a"),
    ),
    "links and another machine beside the units": (
        whole("a", clocks=300),
        outside("b", "link", clocks=200, ports=(90, 300)),
        outside("c", "machine", clocks=250),
        outside("d", "link", clocks=70),
        whole("e", "b", "d", clocks=40),
        outside("f", "machine", "e", clocks=60),
        program("g", "c", "f"),
    ),
    "a stream whose other input is late": (
        program("a", work=2),
        whole("b", clocks=40),
        whole("c", clocks=900),
        stream("d", "c", "a", clocks=101, tail=60, feed=Feed((0,)), portions=4, ports=(50, 99)),
        whole("e", "d", clocks=9, ports=(9, 0)),
        stream("f", "a", clocks=50, tail=25, feed=Feed((0,)), portions=2, ports=(10, 60)),
        program("g", work=0),
    ),
    "streams with the first complete results": (
        program("a", work=2),
        stream("b", "a", clocks=100, tail=11, feed=Feed((0,), True, 3), portions=5, ports=(60, 900)),
        stream("c", "b", clocks=67, tail=30, feed=Feed((0,), True, 1), portions=3, ports=(40, 20)),
        program("d", "c"),
    ),
    "streams with the first partial sums, in parts": (
        program("a", work=3),
        program("b", work=2),
        stream("c", "a", "b", clocks=90, tail=3, feed=Feed((0, 1), False, 3), portions=4, ports=(90, 10)),
        stream("d", "c", clocks=50, tail=5, feed=Feed((1,), True, 2), portions=3, ports=(7, 50)),
        stream("e", "a", clocks=30, tail=1, feed=Feed((1, 0), False, 2), portions=2),
        whole("f", clocks=500, ports=(200, 300)),
    ),
}

# A rule of the readable schedule: what says so there, and what would say something else.
RULES: dict[str, tuple[str, str]] = {
    "paper: when all before it are done": ("accounted if serial else max(waits)", "max(waits)"),
    "overlap: when those that it waits for are": ("accounted if serial else max(waits)", "accounted"),
    "all of them": ("else max(waits)", "else min(waits)"),
    "what came before the part, too": ("lanes.get(key.removeprefix(START), latest.end)", "0"),
    "what came before is the latest instruction": ("return moments[-1], accounted", "return moments[0], accounted"),
    "clocks are accounted for once": ("accounted = max(accounted, done.end)", "accounted = done.end"),
    "one instruction at a time": ("if ready not in self.taken:", "if True:"),
    "the first clocks that are free": ("served: list[int] = []", "served, ready = [], max([ready, *self.taken])"),
    "every clock that is free": ("            ready += 1\n", "            ready += 1 + (ready in self.taken)\n"),
    "no sooner than there is work": ("if ready not in self.taken:", "if ready + 1 not in self.taken:"),
    "a port for reads and one for writes": ("(Server(), Server())", "(Server(),) * 2"),
    "the ports beside each other": ("zip(self.ports, clocks, strict=True)", "zip(self.ports, [sum(clocks)] * 2)"),
    "a program is done when its ports are": (
        "done._replace(end=max(done.end, asic.move(start, instruction.ports)))",
        "done._replace(end=max(done.end, 0 * asic.move(start, instruction.ports)))",
    ),
    "its vectors are read from its start on": (
        "done._replace(end=max(done.end, asic.move(start, instruction.ports)))",
        "done._replace(end=max(done.end, asic.move(done.end, instruction.ports)))",
    ),
    "work is done when its ports are": (
        "max(asic.work(start, instruction.clocks, instruction.place), asic.move(start, instruction.ports))",
        "max(asic.work(start, instruction.clocks, instruction.place), 0 * asic.move(start, instruction.ports))",
    ),
    "what is outside beside the units": ("self.outside.get(place, self.units)", "self.units"),
    "the links beside another machine": (
        '{"link": Server(), "machine": Server()}',
        'dict.fromkeys(("link", "machine"), Server())',
    ),
    "the ports beside the units": (
        "max(asic.work(start, instruction.clocks, instruction.place), asic.move(start, instruction.ports))",
        "asic.move(asic.work(start, instruction.clocks, instruction.place), instruction.ports)",
    ),
    "what else a stream reads is there first": ("done, ready, end = 0, floor, start", "done, ready, end = 0, 0, start"),
    "but what streams with the same goes on": (" and instructions[j].feed.places[-1:] != places[-1:]", ""),
    "and what it streams with": ("if j != places[-1] and", "if"),
    "portion by portion": ("if until > done:", "if until > done and n > gaps:"),
    "equal portions": ("else -(-n * flow // gaps)", "else n * flow // gaps"),
    "the tail is for the last results": ("instruction.clocks - instruction.tail, len", "instruction.clocks - 1, len"),
    "one after the other": ("max(ready, arrival,", "max(floor, arrival,"),
    "the last waits for all": ("start if n > gaps else 0)", "0)"),
    "the others do not": ("start if n > gaps else 0)", "start)"),
    "complete results": ("program.complete if instruction.feed.complete else program.partial", "program.partial"),
    "or partial sums": ("program.complete if instruction.feed.complete else program.partial", "program.complete"),
    "in equal parts": ("(instruction.feed.parts - 1) * instruction.portions", "0"),
    "evenly until the last part": ("(program.last - first) * j // early", "(program.last - first) * (j + 1) // early"),
    "the last part as it comes": ("yield program.last + (program.end - program.last) * j", "yield program.end + 0 * j"),
    "until its end": ("* j // (portions - 1)", "* j // portions"),
    "from every program that it streams with": ("[moments[j] for j in places]", "[moments[j] for j in places[:1]]"),
    "the ports take the tail last": ("last = [clocks * instruction.tail // instruction.clocks", "last = [clocks"),
    "and the rest from the first portion on": ("move(max(floor, arrivals[0]), flowing)", "move(start, flowing)"),
    "the tail when all is there": ("asic.move(start, last)", "asic.move(arrivals[0], last)"),
    "a stream is done when its ports are": ("max(end, asic.move(start, last))", "max(end, 0 * asic.move(start, last))"),
}  # fmt: skip
COPIES = 2


@cache
def recorded(schedule: str) -> dict[str, tuple[list[Seen], int]]:
    """What the compiled schedule does with each graph, and the clocks that it then has accounted for."""
    plan = compile_plan(config_of({**SMALL, "schedule": schedule}), PLAN.workload)
    recorders = {name: Recorder(plan) for name in GRAPHS}
    return {
        name: (each.watched(block_of(each, GRAPHS[name], COPIES))[0], each.accounted)
        for name, each in recorders.items()
    }


def agrees(model: Any) -> bool:
    """Whether a readable schedule says of every graph what the compiled one does."""
    try:
        for schedule in SCHEDULES:
            for name, (seen, accounted) in recorded(schedule).items():
                twin, n = Twin(schedule == "paper", model), len(GRAPHS[name])
                for copy in range(COPIES):
                    twin.follow(GRAPHS[name], seen[copy * n : (copy + 1) * n])
                assert twin.accounted == accounted
    except AssertionError:
        return False
    return True


def test_the_readable_schedule_agrees_on_the_graphs_that_tell_its_rules_apart() -> None:
    assert agrees(readable)


@pytest.mark.parametrize("rule", RULES)
def test_a_readable_schedule_with_another_rule_disagrees(rule: str) -> None:
    said, other = RULES[rule]
    source = inspect.getsource(readable)
    assert source.count(said) == 1
    model = ModuleType("mutant")
    exec(compile(source.replace(said, other), "mutant", "exec"), model.__dict__)
    assert not agrees(model)


def test_a_fault_of_the_compiled_schedule_is_seen() -> None:
    """A clock more for one instruction, which only the compiled one is told of."""
    recorder = Recorder(PLAN)
    graph = GRAPHS["work beside work, and in the clocks that it leaves free"]
    block = block_of(recorder, graph, 1)
    block.steps[0, 1, I_CLOCKS] += 1
    seen, _ = recorder.watched(block)
    with pytest.raises(AssertionError):
        recorder.twin.follow(graph, seen)
