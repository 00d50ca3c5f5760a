"""Streams of host requests: what is skipped is what stepping would do, in every figure."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import NamedTuple
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import pimsim
from pimsim.devices.gddr6 import table as gddr6
from pimsim.devices.registry import device_of as shipped_device
from pimsim.dram import streams
from pimsim.dram.engine import Engine
from pimsim.dram.streams import Stream, serve_stream
from pimsim.dram.timing import Device
from pimsim.dram.traffic import HostTraffic, Lane, WriteQueue
from pimsim.traffic.patterns import Chunk, Pattern
from pimsim.traffic.run import Queues, Run
from tests.examples import examples
from tests.levels import levelled_devices
from tests.strategies import devices

Ints = NDArray[np.int64]
SHIPPED = {name: shipped_device(pimsim.load_config(f"configs/{name}.yaml")) for name in ("gddr6", "lpddr5x", "hbm3")}


class Case(NamedTuple):
    """A device, requests, a stream of any block, requests after it, depth, patience and places of writes."""

    device: Device
    before: Ints
    stream: Stream
    after: Ints
    options: tuple[int, int, WriteQueue | None]


def requests(device: Device, n: int, commands: list[str], rng: np.random.Generator) -> Ints:
    """Random requests that are all there at clock 0."""
    numbers = [device.standard.index(name) for name in commands]
    columns = [rng.integers(0, size, n) for size in (device.banks, device.rows, device.columns)]
    return np.stack([np.zeros(n, np.int64), rng.choice(numbers, n), *columns], axis=1)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Streams that arrive at once, in bursts, slower or faster than they are served, some behind a full queue."""
    plain = devices().map(lambda device: replace(device, standard=gddr6.STANDARD))
    device = draw(st.one_of(plain, levelled_devices(), st.sampled_from(list(SHIPPED.values()))))
    device = replace(device, rows=draw(st.sampled_from([3, 4, 16, 64])))
    m, times = draw(st.sampled_from([1, 2, 3, 8, 20])), draw(st.sampled_from([3, 20, 200]))
    rng = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    commands = draw(st.sampled_from([["RD"], ["WR"], ["RD", "WR"]]))
    gaps = np.cumsum(rng.integers(0, draw(st.sampled_from([1, 4, 40])), m))
    period = int(gaps[-1]) + draw(st.sampled_from([0, 1, 5, 20, 80, 400]))
    jitter = draw(st.sampled_from([1, 1, 7, 50]))

    def arrivals(number: int) -> Ints:
        """Every so many blocks one comes later than it should."""
        return np.asarray(gaps + number * period + (number // jitter if jitter > 1 else 0), np.int64)

    block, step = requests(device, m, commands, rng), draw(st.integers(0, device.rows - 1))
    stream = Stream(block, times, step, draw(st.sampled_from([None, arrivals, arrivals])))
    before, after = (requests(device, draw(st.sampled_from([0, 5, 200])), ["RD", "WR"], rng) for _ in range(2))
    before[:, 2] //= draw(st.sampled_from([1, 1 << 20]))  # in one bank: what comes then finds a full queue for long
    after[:, 0] = draw(st.integers(0, 3)) * times * period
    writes = draw(st.sampled_from([None, None, WriteQueue(1, 1, 0), WriteQueue(9, 6, 2)]))
    options = (draw(st.integers(1, 12)), draw(st.sampled_from([0, 3, 12, 128])), writes)
    return Case(device, before, stream, after, options)


def served(case: Case, stepped: bool) -> list[list[int]]:
    """Counts, latencies, the data's end and the latest command."""
    device, before, stream, after, options = case
    engine = Engine(device, stepped=stepped)
    lane, totals, latencies = Lane(HostTraffic(engine, *options), 0), engine.new_totals(), []

    def add(clocks: Ints, times: int, longer: int) -> None:
        latencies.extend(clocks + longer * k for k in range(times))

    def serve(part: Ints, more: bool) -> None:
        done = lane.serve(part, totals, more)
        latencies.append(done[:, 3] - done[:, 1])

    serve(before, True)
    serve_stream(lane, stream, totals, add)
    serve(after, False)
    return [totals.tolist(), np.sort(np.concatenate(latencies)).tolist(), [lane.end, *engine.latest.tolist()]]


@settings(max_examples=examples(400), deadline=None)
@given(cases(), st.sampled_from([1 << 21, 1 << 21, 100]))
def test_periods_of_any_requests_are_skipped_exactly(case: Case, remembered: int) -> None:
    with mock.patch.object(streams, "REMEMBERED", remembered):
        assert served(case, stepped=False) == served(case, stepped=True)


class Stepped(Pattern):
    """The same requests, of which none are said to repeat."""

    def streams(self) -> tuple[int, dict[int, Stream]]:
        return 0, {}


SHARES = np.linspace(0, 1, 41).tolist()


def figures(device: Device, source: Pattern, queues: Queues) -> tuple[object, ...]:
    """All that is known of the requests of a source."""
    run = Run(device, queues)
    result = run.result(source)
    latencies = result.latencies
    known = (latencies.count, latencies.total, latencies.min(), latencies.max(), *map(latencies.quantile, SHARES))
    return result.clocks, run.totals.tolist(), known, run.engine.latest.tolist()


@settings(max_examples=examples(40), deadline=None)
@given(st.data())
def test_patterns_that_are_skipped_and_stepped_give_the_same(data: st.DataObject) -> None:
    device = SHIPPED[data.draw(st.sampled_from(sorted(SHIPPED)))]
    shape = {
        "channels": data.draw(st.sampled_from([1, 2, 3, 4, 8])),
        "rows": data.draw(st.sampled_from([7, 64, 16384])),
    }
    device = replace(device, refresh=data.draw(st.sampled_from(["none", "all_bank", "per_bank"])), **shape)
    stride = data.draw(st.one_of(st.sampled_from([1, 2, 4, 64, 4096]), st.integers(1, 100_000)), label="stride")
    rate = data.draw(st.one_of(st.none(), st.sampled_from([1.0, 10.0, 32.0, 50.0, 2000.0])), label="rate")
    n, share = data.draw(st.integers(1, 60_000), label="requests"), data.draw(st.sampled_from([0.0, 1.0]))
    pattern = partial(Pattern, device, "stream", n, share, rate, 0, stride)
    queues = Queues(data.draw(st.sampled_from([1, 2, 32, 100])), data.draw(st.sampled_from([0, 3, 128])))
    assert figures(device, pattern(), queues) == figures(device, Stepped(*vars(pattern()).values()), queues)


@pytest.mark.parametrize("name", SHIPPED)
@pytest.mark.parametrize("refresh", ["none", "all_bank", "per_bank"])
def test_a_long_stream_takes_no_more_steps_than_a_short_one(
    name: str, refresh: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = replace(SHIPPED[name], refresh=refresh)
    steps, serve = [0], Lane.serve

    def counted(lane: Lane, requests: Ints, totals: Ints, more: bool = False) -> Ints:
        steps[0] += len(requests)
        return serve(lane, requests, totals, more)

    monkeypatch.setattr(Lane, "serve", counted)
    long = Run(device, Queues()).result(Pattern(device, "stream", 10**9, 1.0, None, 0))
    assert long.requests == long.latencies.count == 10**9
    assert steps[0] < 1_000_000


def test_chunks_of_a_stream_follow_what_its_streams_have() -> None:
    device = replace(SHIPPED["gddr6"], rows=32)
    for stride in (1, 3, 64, 1000):
        source = Pattern(device, "stream", 50_000, 0.0, 40.0, 0, stride)
        first, streams = source.streams()
        whole = joined(list(source.chunks()))
        rest = joined(list(source.chunks(first)))
        assert first > 25_000 and rest.requests.tolist() == whole.requests[first:].tolist()
        for channel, stream in streams.items():
            blocks = [stream.requests(*span, device.rows) for span in ((0, 5), (5, 6), (6, stream.times))]
            expected = whole.requests[:first][whole.channel[:first] == channel]
            assert np.concatenate(blocks).tolist() == expected.tolist()
        assert set(whole.channel[:first].tolist()) == set(streams)


def joined(chunks: list[Chunk]) -> Chunk:
    return Chunk(*(np.concatenate(parts) for parts in zip(*chunks, strict=True)))
