"""A refresh that comes among equal periods of a loop: what is known of one distance holds at others, and only there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pimsim
from pimsim.devices.registry import device_of
from pimsim.dram import program as requests
from pimsim.dram.engine import Engine
from pimsim.dram.kernel.outcomes import OUTCOME_REGISTERS, Y_PERIOD
from pimsim.dram.program import Program
from pimsim.dram.timing import Device
from tests.agreement.test_kernel_twin import Step, run_on_kernel, run_on_twin
from tests.examples import examples
from tests.strategies import devices, programs

ROWS = 1 << 12


@st.composite
def long_loops(draw: st.DrawFn, device: Device) -> Program:
    """A fill, one or two loops of many turns or a scatter of many rounds, and what ends them or leaves them open."""
    mac, gb, result, write = map(device.standard.index, ("MACAB", "WRGB", "RDMAC", "WR"))
    rows = [requests.run(gb, -1, 0, draw(st.integers(1, 40), label="fill"))] * draw(st.integers(0, 1))
    for _ in range(draw(st.integers(1, 2), label="loops")):
        n, used = draw(st.integers(10, 150), label="turns"), draw(st.integers(1, device.columns), label="used")
        stride = draw(st.sampled_from([0, used, device.columns]), label="stride")
        if draw(st.booleans(), label="a scatter"):
            rows.append(requests.scatter(write, 0, n, stride, *draw(st.sampled_from([(0, 1), (1, 1), (0, 0)]))))
        else:
            rows.append(requests.loop(mac, 0, n, stride, used, result))
    return requests.program([*rows, *[requests.close()] * draw(st.integers(0, 1), label="closes")])


@st.composite
def spread_cases(draw: st.DrawFn) -> tuple[Device, list[Step], int]:
    """Few programs, again and again, at every distance from the next refresh."""
    channels = draw(st.integers(1, 2))
    device = replace(draw(devices(channels=channels)), rows=ROWS, refresh="all_bank")
    interval = device.cycles["nREFI"] + draw(st.sampled_from([0, 200, 1000, 4000]), label="longer")
    device = replace(device, cycles={**device.cycles, "nREFI": interval})
    some = st.lists(long_loops(device) | programs(device, max_requests=3), min_size=1, max_size=3)
    idle = st.sampled_from([0, 1, *draw(st.lists(st.integers(0, interval), min_size=1, max_size=3))])
    steps = [Step([program] * channels, 0, 0, 0) for program in draw(some)]
    moved = st.builds(
        lambda step, base, idle: replace(step, base=base, idle=idle),
        st.sampled_from(steps),
        st.sampled_from([0, device.columns]),
        idle,
    )
    return device, draw(st.lists(moved, min_size=20, max_size=60)), 0


@pytest.mark.nojit
@settings(max_examples=examples(150), deadline=None)
@given(spread_cases())
def test_a_refresh_at_another_period_makes_no_difference(case: tuple[Device, list[Step], int]) -> None:
    expected = run_on_kernel(*case, stepped=True, fold=False)
    outcome = run_on_kernel(*case, stepped=False, fold=True)
    assert (outcome.ends, outcome.causes) == (expected.ends, expected.causes)
    assert (outcome.counts, outcome.open_cycles) == (expected.counts, expected.open_cycles)


@settings(max_examples=examples(10), deadline=None)
@given(spread_cases())
def test_the_twin_says_the_same(case: tuple[Device, list[Step], int]) -> None:
    device, work, tail = case
    expected, outcome = run_on_twin(device, work[:6], tail), run_on_kernel(device, work[:6], tail, False, True)
    assert (outcome.ends, outcome.causes) == (expected.ends, expected.causes)


def test_what_is_known_at_one_distance_is_replayed_a_period_later_and_not_in_between() -> None:
    device = device_of(pimsim.load_config("configs/pim-gpt.yaml", {"dram.channels": 1}))
    mac, result = device.standard.index("MACAB"), device.standard.index("RDMAC")
    work = requests.program([requests.loop(mac, 0, 60, device.columns, device.columns, result), requests.close()])
    engine = Engine(device)
    interval, outcomes = device.refresh_interval, engine.scratch.outcomes

    def run(n: int, due: int) -> tuple[int, int]:
        """Clocks and MACs of a run, `due` clocks before a refresh."""
        totals, start = engine.new_totals(), n * 10 * interval - due
        return engine.run(work, np.array([[0, len(work)]]), 0, start, totals) - start, int(totals[mac])

    first = run(1, 2500)  # how long it takes is known from then on
    assert run(2, 2500) == first
    period = int(outcomes[1 + Y_PERIOD])
    assert period > device.columns
    outcomes[1 + OUTCOME_REGISTERS + mac] += 1  # comes out where it is replayed, and only there
    for n, periods in enumerate((-3, -1, 0, 1, 5), 3):
        assert run(n, 2500 + periods * period) == (first[0], first[1] + 1)
    for n, due in enumerate((2499, 2501 + period, 2500 - 40 * period, 2500 + 60 * period), 20):
        assert run(n, due)[1] == first[1]
