"""Kernel, twin and checker read HBM2-PIM's table alike, modes included."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pimsim.devices.hbm2_pim.table import STANDARD
from pimsim.dram import program as requests
from pimsim.dram.engine import FOREVER
from pimsim.dram.program import Program, Request
from pimsim.dram.timing import Device
from pimsim.logs.checker import check
from tests.agreement.test_checker import tight_commands
from tests.agreement.test_kernel_twin import Step, run_on_kernel, run_on_twin
from tests.examples import examples
from tests.logs import log_of, run_twin
from tests.strategies import cycles_of, device_of, room_for_progress

ROWS = 3


@st.composite
def devices(draw: st.DrawFn) -> Device:
    """HBM2-PIM with random timings and frequent refreshes."""
    cycles = {name: draw(st.integers(1, 12), label=name) for name in cycles_of(1)}
    for name in ("nFAW", "nRFC", "nMODCH"):
        cycles[name] = draw(st.integers(1, 50), label=name)
    shape = {"bank_groups": draw(st.sampled_from([1, 2, 4])), "banks_per_group": draw(st.sampled_from([2, 4]))}
    device = device_of(
        cycles, draw(st.sampled_from(["all_bank", "none"])), columns=draw(st.sampled_from([2, 8])), **shape
    )
    device = replace(device, standard=STANDARD)
    return replace(device, cycles=cycles | {"nREFI": 2 * room_for_progress(device) + draw(st.integers(0, 300))})


def programs(device: Device) -> st.SearchStrategy[Program]:
    """Requests of all sorts in a few rows, so that rows are hit, missed and half open, in both modes."""
    lin, n, gap = st.integers(0, ROWS * device.columns - 1), st.integers(0, 10), st.sampled_from([0, 0, 1, 9])
    bank, named = st.integers(0, device.banks - 1), STANDARD.index

    def of(names: tuple[str, ...], banks: st.SearchStrategy[int]) -> st.SearchStrategy[Request]:
        return st.builds(requests.run, st.sampled_from([*map(named, names)]), banks, lin, n, gap, gap)

    one: st.SearchStrategy[Request] = st.one_of(
        of(("MACEVEN", "MACODD", "WREVEN", "WRODD"), st.just(-1)),
        of(("WRGRF", "RDGRF"), st.just(-1)),
        of(("RD", "WR"), bank),
        st.builds(requests.open_row, lin, bank | st.just(-1)),
        st.builds(requests.close, bank | st.just(-1)),
        st.builds(requests.scatter, st.just(named("WR")), lin, st.integers(0, 2), st.just(1), st.just(1), st.just(2)),
    )
    return st.lists(one, min_size=1, max_size=8).map(requests.program)


def steps(device: Device) -> st.SearchStrategy[list[Step]]:
    """Programs one after another; some come again."""
    some = st.sampled_from([0, 1, 40])
    step = st.builds(Step, programs(device).map(lambda program: [program]), some, some, some)
    return st.lists(step, min_size=1, max_size=4).flatmap(
        lambda made: st.lists(st.sampled_from(made), min_size=1, max_size=8)
    )


@pytest.mark.nojit
@settings(max_examples=examples(200), deadline=None)
@given(st.data(), st.booleans())
def test_kernel_twin_and_checker_agree_on_any_program_and_timings(data: st.DataObject, stepped: bool) -> None:
    device = data.draw(devices())
    work = data.draw(steps(device))
    expected = run_on_twin(device, work, 0)
    logged = run_on_kernel(device, work, 0, stepped=stepped, fold=True, window=(0, FOREVER))
    assert logged == expected
    assert replace(run_on_kernel(device, work, 0, stepped=False, fold=True), commands=expected.commands) == expected
    assert check(log_of(device, *expected.commands), device) == []


@settings(max_examples=examples(80), deadline=None)
@given(st.data())
def test_a_command_a_clock_too_early_is_found(data: st.DataObject) -> None:
    device = data.draw(devices())
    commands = run_twin(device, [(data.draw(programs(device)), 0)]).commands
    tight = tight_commands(device, commands)
    assume(tight)
    k = data.draw(st.sampled_from(tight))
    changed = [*commands[:k], commands[k]._replace(clk=commands[k].clk - 1), *commands[k + 1 :]]
    assert commands[k].command in {v.command for v in check(log_of(device, changed), device)}
