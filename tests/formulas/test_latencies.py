"""Statistics of latencies, and requests made in chunks, against numpy on all of them at once."""

from __future__ import annotations

from dataclasses import replace
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pimsim
from pimsim.devices.registry import device_of
from pimsim.traffic import latencies as counting
from pimsim.traffic import patterns
from pimsim.traffic.latencies import Latencies
from pimsim.traffic.patterns import Pattern, decode
from tests.examples import examples

SHARES = [0.0, 0.001, 0.25, 0.5, 0.95, 0.99, 0.999, 1.0]
GDDR6 = device_of(pimsim.load_config("configs/gddr6.yaml"))


@st.composite
def parts(draw: st.DrawFn) -> tuple[np.ndarray, int, int, int]:
    """Latencies, how often they come, how much longer each time, on how many channels."""
    rng = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    first, spread = draw(st.integers(0, 1 << 40)), draw(st.sampled_from([1, 10, 1000, 1 << 20]))
    clocks = first * draw(st.integers(0, 1)) + rng.integers(0, spread, draw(st.integers(0, 300)))
    return clocks, draw(st.integers(1, 30)), draw(st.sampled_from([0, 1, 90, 50_000])), draw(st.integers(1, 3))


@settings(max_examples=examples(200), deadline=None)
@given(st.lists(parts(), min_size=1, max_size=8))
def test_counts_give_what_numpy_gives(added: list[tuple[np.ndarray, int, int, int]]) -> None:
    found, all_of_them = Latencies(), []
    with mock.patch.object(counting, "OPEN_PAGES", 2), mock.patch.object(counting, "_TOGETHER", 200):
        for clocks, times, step, channels in added:
            found.add(clocks, times, step, channels)
            all_of_them += [clocks + step * k for k in range(times)] * channels
        values = np.concatenate(all_of_them)
        if not values.size:
            assert found.count == 0
            return
        assert (found.count, found.total, found.min(), found.max()) == (
            values.size, int(values.sum()), values.min(), values.max(),
        )  # fmt: skip
        expected = np.quantile(values, SHARES, method="inverted_cdf")
        assert [found.quantile(share) for share in SHARES] == expected.tolist()


@pytest.mark.parametrize("rows", [16384, 1000])
@pytest.mark.parametrize(("pattern", "share"), [("random", 0.7), ("random", 1.0), ("stream", 0.3), ("stream", 0.0)])
def test_chunks_are_what_is_drawn_at_once(
    pattern: str, share: float, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patterns, "CHUNK", 777)
    device, n, rng = replace(GDDR6, rows=rows), 10_000, np.random.default_rng(5)
    size = device.channels * device.banks * device.rows * device.columns
    address = np.arange(n) if pattern == "stream" else rng.integers(0, size, n, dtype=np.int64)
    channel, bank, row, column = decode(address, device)
    command = np.where(rng.random(n) < share, device.standard.index("RD"), device.standard.index("WR"))
    arrival = np.floor(np.arange(n) * (device.column_bytes * 1000 / (33.0 * device.tCK_ps))).astype(np.int64)
    chunks = list(Pattern(device, pattern, n, share, 33.0, 5).chunks())
    assert len(chunks) > 10
    assert np.concatenate([chunk.channel for chunk in chunks]).tolist() == channel.tolist()
    expected = np.stack([arrival, command, bank, row, column], axis=1)
    assert np.concatenate([chunk.requests for chunk in chunks]).tolist() == expected.tolist()
