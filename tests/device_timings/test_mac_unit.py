"""A sum can be read once the last beat of its last column is through the pipeline, however many beats it has."""

from __future__ import annotations

from fractions import Fraction
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pimsim.devices.registry import device_of
from pimsim.dram.timing import Device
from pimsim.dram.twin.channel import Channel, ProtocolError
from pimsim.sim.run import simulate
from tests.configs import config_of


def device(**overrides: object) -> Device:
    return device_of(config_of({key.replace("__", "."): value for key, value in overrides.items()}))


@pytest.mark.parametrize(("lanes", "drain"), [(16, 6), (8, 1 + 5), (4, 3 + 4), (2, 7 + 3), (1, 15 + 2)])
def test_the_drain_of_a_column_of_16_elements_at_one_MAC_a_clock(lanes: int, drain: int) -> None:
    assert device(pim__lanes=lanes).cycles["nDRAIN"] == drain


@given(st.data())
def test_the_last_beat_goes_through_the_pipeline(data: st.DataObject) -> None:
    lanes, beats = data.draw(st.sampled_from([1, 2, 4, 16])), data.draw(st.integers(1, 8))
    clock, tCK_ps = data.draw(st.sampled_from([0.3, 1, 2.5])), data.draw(st.sampled_from([500, 570, 1000]))
    stages = data.draw(st.none() | st.integers(1, 20))
    column = 2 * lanes * beats
    tested = device(
        pim__lanes=lanes, pim__clock_GHz=clock, pim__pipeline_stages=stages, dram__tCK_ps=tCK_ps,
        dram__column_bytes=column, dram__row_bytes=64 * column, pim__global_buffer_bytes=64 * column,
    )  # fmt: skip
    in_unit = stages or {1: 2, 2: 3, 4: 4, 16: 6}[lanes]
    drain = ceil((beats - 1 + in_unit) * Fraction(1000) / (Fraction(str(clock)) * tCK_ps))
    channel = Channel(tested)
    channel.issue("ACTAB", 0, row=0)
    channel.issue("MACAB", 1000, row=0, column=0)
    with pytest.raises(ProtocolError, match=f"allows clock {1000 + drain}"):
        channel.issue("RDMAC", 1000 + drain - 1)
    channel.issue("RDMAC", 1000 + drain)


def test_each_product_of_a_run_waits_for_its_last_beat() -> None:
    """One column a product: with four beats it takes 3 clocks more to the sum, and all else is the same."""
    model = {"name": "m", "layers": 1, "d_model": 16, "heads": 1, "d_ff": 16}
    base = {"workload.model": None, "workload.model_config": model, "workload.output_tokens": 1}
    base |= {"pim.pipeline_stages": 6, "dram.refresh": "none", "asic.streaming": False}
    quick = simulate(config_of({**base, "pim.lanes": 16}))
    slow = simulate(config_of({**base, "pim.lanes": 4}))
    products = [row for row in quick.rows if row.operator in ("scores", "attn_out")]  # V closes its row meanwhile
    assert len(products) == 2
    for row in products:
        other = next(r for r in slow.rows if r.operator == row.operator)
        assert row.commands == other.commands
        assert other.cycles - row.cycles == 3 * row.count
