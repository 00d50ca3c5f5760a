"""The compiled kernel and its readable twin do the same, to the clock, whatever shortcuts the kernel takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pimsim
from pimsim.devices.pim_gpt.table import STANDARD
from pimsim.devices.registry import device_of
from pimsim.dram import program as requests
from pimsim.dram.engine import FOREVER, Engine
from pimsim.dram.kernel.outcomes import OUTCOME_REGISTERS, Y_DUE
from pimsim.dram.program import LOOP, OPEN, RUN, SCATTER, Program
from pimsim.dram.spec import Needs
from pimsim.dram.timing import Device
from pimsim.dram.twin.controller import Controller, Issued
from pimsim.logs.checker import check
from tests.examples import examples
from tests.levels import levelled_devices
from tests.logs import as_logged, log_of
from tests.strategies import ROWS, devices, programs

EXTRA_ROWS = 16  # room for the base that shifts a program's columns


@dataclass(frozen=True)
class Step:
    """One program per channel (None: the channel rests), all started `idle` clocks after the last data end.

    With a phase they wait for the next clock of that phase between two refreshes.  The first
    `accounted` clocks are somebody else's.
    """

    programs: list[Program | None]
    base: int
    idle: int
    accounted: int
    phase: int | None = None

    def start(self, end: int, device: Device) -> int:
        """The clock at which it starts if the work before it ended at `end`."""
        start = end + self.idle
        return start if self.phase is None else start + (self.phase - start) % device.refresh_interval


@st.composite
def steps(draw: st.DrawFn, device: Device) -> Step:
    """Work for every channel; often the same for all, as the kernel folds equal channels."""
    if draw(st.booleans()):
        work: list[Program | None] = [draw(programs(device, max_requests=4))] * device.channels
    else:
        work = [draw(st.none() | programs(device, max_requests=4)) for _ in range(device.channels)]
    idle = draw(st.one_of(st.just(0), st.integers(0, 3 * device.refresh_interval)))
    accounted = draw(st.one_of(st.just(0), st.integers(0, 200)))
    return Step(work, draw(st.integers(0, EXTRA_ROWS * device.columns)), idle, accounted)


@st.composite
def cases(draw: st.DrawFn, kinds: Callable[..., st.SearchStrategy[Device]] = devices) -> tuple[Device, list[Step], int]:
    """A device of 1 to 3 channels, steps of work, and idle clocks at the end."""
    device = replace(draw(kinds(channels=draw(st.integers(1, 3)))), rows=ROWS + EXTRA_ROWS)
    work = draw(st.lists(steps(device), min_size=1, max_size=4))
    return device, work, draw(st.integers(0, 3 * device.refresh_interval))


@st.composite
def repeated_cases(
    draw: st.DrawFn, kinds: Callable[..., st.SearchStrategy[Device]] = devices
) -> tuple[Device, list[Step], int]:
    """A few steps carried out again and again, at a few places: the kernel knows them, and what follows them."""
    device, work, tail = draw(cases(kinds))
    rows = st.sampled_from(
        [r * device.columns for r in draw(st.lists(st.integers(0, EXTRA_ROWS), min_size=1, max_size=2))]
    )
    phases: st.SearchStrategy[int | None] = st.none()
    if device.refresh_interval:  # few, so that refreshes fall due at the same distances again
        some = draw(st.lists(st.integers(0, device.refresh_interval - 1), min_size=1, max_size=3))
        phases |= st.sampled_from(some)
    moment = st.builds(
        lambda step, base, pause, phase, accounted: Step(
            step.programs,
            step.base if base is None else base,
            step.idle if pause else 0,
            step.accounted if accounted is None else accounted,
            phase,
        ),
        st.sampled_from(work[: draw(st.integers(1, len(work)))]),
        st.none() | rows,
        st.booleans(),
        phases,
        st.none() | st.sampled_from([0, 7]),
    )
    moments = draw(st.lists(moment, min_size=1, max_size=6))
    return device, draw(st.lists(st.sampled_from(moments), min_size=5, max_size=20)), tail


@st.composite
def small_worlds(draw: st.DrawFn) -> tuple[Device, list[Step], int]:
    """Many short programs of few kinds in two rows: the same ones meet in every order, in every state."""
    device = replace(draw(devices(channels=draw(st.integers(1, 2)))), rows=ROWS + EXTRA_ROWS)
    one = st.sampled_from(kinds(device))
    every = [
        requests.program(some) for some in draw(st.lists(st.lists(one, min_size=1, max_size=2), max_size=6, min_size=2))
    ]
    work: st.SearchStrategy[list[Program | None]] = st.sampled_from(every).map(lambda one: [one] * device.channels)
    if device.channels > 1:
        work |= st.lists(st.none() | st.sampled_from(every), min_size=device.channels, max_size=device.channels)
    phases: st.SearchStrategy[int | None] = st.none()
    if device.refresh_interval:  # so shortly before a refresh that a short program meets it
        early = draw(st.lists(st.integers(1, min(40, device.refresh_interval)), min_size=1, max_size=3))
        phases |= st.sampled_from([device.refresh_interval - clocks for clocks in early])
    step = st.builds(
        Step,
        work,
        st.sampled_from([0, 1, device.columns]),
        st.sampled_from([0, 3, 60]),
        st.sampled_from([0, 0, 7]),
        phases,
    )
    moments = [draw(step), draw(step)]
    names = [field.name for field in fields(Step)] + ["base"] * 4  # which depends on what is open
    for name in draw(st.lists(st.sampled_from(names), max_size=4)):
        one, other = draw(st.sampled_from(moments)), draw(step)
        moments.append(replace(one, **{name: getattr(other, name)}))  # all else equal
    return device, draw(st.lists(st.sampled_from(moments), min_size=10, max_size=40)), 0


def kinds(device: Device) -> list[requests.Request]:
    """Requests of every sort that depend on the open rows or leave them open."""
    mac, gb, result, read, write = map(STANDARD.index, ("MACAB", "WRGB", "RDMAC", "RD", "WR"))
    banks = (0, device.banks - 1)
    found = [requests.run(gb, -1, 0, 2), requests.run(result, -1, 0, 1), requests.close(), *map(requests.close, banks)]
    for at in (0, device.columns):
        found += [
            requests.run(mac, -1, at, device.columns),
            requests.open_row(at),
            requests.scatter(write, at, 1, device.columns, 0, 1),
        ]
        for bank in banks:
            found += [
                requests.run(read, bank, at, 1),
                requests.run(write, bank, at, device.columns),
                requests.open_row(at, bank),
            ]
    return found


@dataclass
class Outcome:
    """Everything that an engine says about the work."""

    ends: list[list[int]]
    causes: list[dict[str, int]]
    counts: dict[str, int]
    open_cycles: int
    commands: list[list[Issued]]


def run_on_twin(device: Device, work: list[Step], tail: int) -> Outcome:
    controllers = [Controller(device) for _ in range(device.channels)]
    outcome = Outcome([], [], {}, 0, [])
    end = 0
    for step in work:
        start = step.start(end, device)
        ends, causes = [], []
        for controller, program in zip(controllers, step.programs, strict=True):
            if program is not None:
                ends.append(controller.run(shifted(device, program, step.base), start, start + step.accounted))
            else:
                ends.append(start)
            causes.append({} if program is None else controller.causes)
        end = max(ends)
        outcome.ends.append(ends)
        outcome.causes.append(causes[ends.index(end)])
    stop = end + tail
    for controller in controllers:
        controller.finish(stop)
        outcome.open_cycles += controller.channel.open_cycles(stop)
        outcome.commands.append(as_logged(device, controller.commands))
    names = [issued.command for controller in controllers for issued in controller.commands]
    outcome.counts = {name: names.count(name) for name in device.command_names}
    return outcome


def shifted(device: Device, program: Program, base: int) -> Program:
    """The program with every linear column of the array moved on by `base`."""
    moved = program.copy()
    for request in moved:
        in_array = request[0] in (LOOP, OPEN, SCATTER) or (
            request[0] == RUN and device.standard.commands[request[1]].needs is Needs.OPEN
        )
        request[3] += base if in_array else 0
    return moved


def run_on_kernel(
    device: Device, work: list[Step], tail: int, stepped: bool, fold: bool, window: tuple[int, int] | None = None
) -> Outcome:
    engine = Engine(device, stepped=stepped, fold=fold)
    log: list[np.ndarray] = []
    if window is not None:
        engine.log_to(log.append, *window)
    outcome = Outcome([], [], {}, 0, [])
    totals = engine.new_totals()
    commands = len(device.command_names)
    end = 0
    for step in work:
        program, spans = spliced(step.programs)
        before = totals.copy()
        start = step.start(end, device)
        end = engine.run(program, spans, step.base, start, totals, start + step.accounted)
        charged = (totals - before)[commands + 1 :].tolist()
        outcome.ends.append(engine.ends.tolist())
        outcome.causes.append({cause: n for cause, n in zip(engine.causes, charged, strict=True) if n})
    engine.finish(end + tail, totals)
    outcome.counts = dict(zip(device.command_names, totals[:commands].tolist(), strict=True))
    outcome.open_cycles = int(totals[commands])
    rows = [row for chunk in log for row in chunk.tolist()]
    for channel in range(device.channels):
        mine = [Issued(clk, device.command_names[cmd], *rest) for clk, c, cmd, *rest in rows if c == channel]
        outcome.commands.append(mine)
    return outcome


def spliced(work: list[Program | None]) -> tuple[Program, np.ndarray]:
    """One array of all programs, equal ones once, and each channel's rows in it."""
    parts: list[Program] = []
    spans: list[list[int]] = []
    at = 0
    for k, program in enumerate(work):
        same = [j for j in range(k) if work[j] is program]
        if program is None:
            spans.append([0, 0])
        elif same:
            spans.append(spans[same[0]])
        else:
            parts.append(program)
            spans.append([at, at + len(program)])
            at += len(program)
    return np.concatenate([np.empty((0, 8), np.int64), *parts]), np.array(spans, np.int64)


@pytest.mark.nojit
@settings(max_examples=examples(400), deadline=None)
@given(cases(levelled_devices), st.booleans(), st.booleans())
def test_kernel_does_what_the_twin_does_where_there_are_more_levels(
    case: tuple[Device, list[Step], int], stepped: bool, logs: bool
) -> None:
    expected = run_on_twin(*case)
    outcome = run_on_kernel(*case, stepped=stepped, fold=True, window=(0, FOREVER) if logs else None)
    assert (outcome.ends, outcome.causes) == (expected.ends, expected.causes)
    assert (outcome.counts, outcome.open_cycles) == (expected.counts, expected.open_cycles)
    if logs:
        assert outcome.commands == expected.commands
        assert check(log_of(case[0], *expected.commands), case[0]) == []


@pytest.mark.nojit
@settings(max_examples=examples(150), deadline=None)
@given(repeated_cases(levelled_devices))
def test_what_the_kernel_knows_of_more_levels_changes_nothing(case: tuple[Device, list[Step], int]) -> None:
    agree(case)


@pytest.mark.nojit
@settings(max_examples=examples(1000), deadline=None)
@given(cases(), st.booleans(), st.booleans())
def test_kernel_counts_what_the_twin_counts(case: tuple[Device, list[Step], int], stepped: bool, fold: bool) -> None:
    expected = run_on_twin(*case)
    outcome = run_on_kernel(*case, stepped=stepped, fold=fold)
    assert outcome.ends == expected.ends
    assert outcome.causes == expected.causes
    assert outcome.counts == expected.counts
    assert outcome.open_cycles == expected.open_cycles


@pytest.mark.nojit
@settings(max_examples=examples(300), deadline=None)
@given(repeated_cases())
def test_what_the_kernel_knows_from_before_changes_nothing(case: tuple[Device, list[Step], int]) -> None:
    agree(case)


@pytest.mark.nojit
@settings(max_examples=examples(500), deadline=None)
@given(small_worlds())
def test_what_the_kernel_knows_of_short_programs_changes_nothing(case: tuple[Device, list[Step], int]) -> None:
    agree(case)


@settings(max_examples=examples(150), deadline=None)
@given(small_worlds(), st.integers(100, 3000))
def test_what_the_kernel_forgets_changes_nothing(case: tuple[Device, list[Step], int], room: int) -> None:
    """Tables that are full at once, and in which most places are fought for."""
    small = {"OUTCOMES": room, "KNOWN_STARTS": 4, "KNOWN_LINKS": 2, "KNOWN_PROGRAMS": 2, "KNOWN_PERIODS": 1}
    with pytest.MonkeyPatch.context() as patch:
        for name, size in small.items():
            patch.setattr(f"pimsim.dram.engine.{name}", size)
        agree(case)


def agree(case: tuple[Device, list[Step], int]) -> None:
    expected = run_on_twin(*case)
    outcome = run_on_kernel(*case, stepped=False, fold=True)
    assert (outcome.ends, outcome.causes) == (expected.ends, expected.causes)
    assert (outcome.counts, outcome.open_cycles) == (expected.counts, expected.open_cycles)


def test_a_program_that_meets_a_refresh_is_replayed_when_it_is_due_at_the_same_distance() -> None:
    device = device_of(pimsim.load_config("configs/pim-gpt.yaml", {"dram.channels": 1}))
    mac, result = device.standard.index("MACAB"), device.standard.index("RDMAC")
    work = requests.program([requests.loop(mac, 0, 400, device.columns, device.columns, result), requests.close()])
    engine = Engine(device)
    interval, outcomes = device.refresh_interval, engine.scratch.outcomes

    def run(n: int, phase: int) -> tuple[int, int]:
        """Clocks and MACs of the n-th interval's run."""
        totals, start = engine.new_totals(), n * 10 * interval + phase
        return engine.run(work, np.array([[0, len(work)]]), 0, start, totals) - start, int(totals[mac])

    first = run(1, 1000)
    assert first[0] > interval  # one refresh at least falls into it
    assert [run(n, 1000) for n in (2, 3, 4)] == [first] * 3
    assert outcomes[1 + Y_DUE] == interval - 1000
    outcomes[1 + OUTCOME_REGISTERS + mac] += 1  # what is wrong here comes out if it is replayed, and only then
    assert run(5, 1000) == (first[0], first[1] + 1)
    assert run(6, 1001)[1] == first[1]


@pytest.mark.nojit
@settings(max_examples=examples(1000), deadline=None)
@given(cases(), st.booleans())
def test_kernel_issues_what_the_twin_issues(case: tuple[Device, list[Step], int], stepped: bool) -> None:
    expected = run_on_twin(*case)
    outcome = run_on_kernel(*case, stepped=stepped, fold=True, window=(0, FOREVER))
    assert outcome.commands == expected.commands
    assert (outcome.ends, outcome.causes) == (expected.ends, expected.causes)


@settings(max_examples=examples(200), deadline=None)
@given(cases(), st.booleans(), st.data())
def test_kernel_logs_the_commands_of_a_window(
    case: tuple[Device, list[Step], int], stepped: bool, data: st.DataObject
) -> None:
    expected = run_on_twin(*case)
    latest = max(issued.clk for commands in expected.commands for issued in [Issued(0, ""), *commands])
    low = data.draw(st.integers(0, latest))
    high = data.draw(st.integers(low, latest + 1))
    outcome = run_on_kernel(*case, stepped=stepped, fold=True, window=(low, high))
    assert outcome.commands == [[c for c in commands if low <= c.clk < high] for commands in expected.commands]
    assert outcome.counts == expected.counts
