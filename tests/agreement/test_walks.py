"""Everything comes after everything, again and again: the kernel with what it remembers and without is the same."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pimsim.dram import program as requests
from pimsim.dram.engine import Engine
from pimsim.dram.program import Request
from pimsim.dram.spec import Effect, Needs, Scope
from pimsim.dram.timing import Device
from tests.aim.devices import devices as aim_devices
from tests.examples import examples
from tests.levels import levelled_devices
from tests.strategies import devices

STEPS = 400


def kinds(device: Device) -> list[Request]:
    """Requests of every sort, in two rows, in the first bank, the last one or all."""
    banks, rows = (0, device.banks - 1), (0, device.columns)
    found = [requests.close(), *map(requests.close, banks)]
    if device.standard.roles.open_all is not None:
        found += map(requests.open_row, rows)
    for number, command in enumerate(device.standard.commands):
        if command.scope is Scope.CHANNEL and command.name != device.standard.roles.switch_mode:
            found.append(requests.run(number, -1, 0, 2))
        elif command.needs is Needs.OPEN and command.effect is Effect.NONE:
            where = banks if command.has_bank else (-1,)
            found += [requests.run(number, bank, at, n) for bank in where for at in rows for n in (1, device.columns)]
    if device.standard.roles.open_rest is None:  # banks open and close by themselves
        found += [requests.open_row(at, bank) for at in rows for bank in banks]
        write = device.standard.index("WR")
        found += [requests.scatter(write, at, 1, device.columns, 0, 1) for at in rows]
    return found


@settings(max_examples=examples(150), deadline=None)
@given(st.data(), st.integers(0, 1 << 32))
def test_a_long_walk_over_few_programs_is_the_same_with_and_without_a_memory(data: st.DataObject, seed: int) -> None:
    random = Random(seed)
    channels = random.choice([1, 1, 2, 3])
    device = replace(data.draw(devices() | aim_devices() | levelled_devices()), channels=channels)
    every = [requests.program([request]) for request in random.sample(kinds(device), random.randint(3, 7))]
    bases = random.sample([0, 0, 1, device.columns], 2)
    program = np.concatenate(every)
    engines, clk = (Engine(device), Engine(device, fold=False)), 0
    for _ in range(STEPS):
        spans = spans_of_channels(random, len(every), channels)
        start, base = clk + random.choice([0, 0, 0, 9]), random.choice(bases)
        account = start + random.choice([0, 0, 0, 7])  # from which clock on it is charged
        done = []
        for engine in engines:
            totals = engine.new_totals()
            clk = engine.run(program, spans, base, start, totals, account)
            done.append((clk, engine.ends.tolist(), totals.tolist()))
        assert done[0] == done[1]


def spans_of_channels(random: Random, programs: int, channels: int) -> NDArray[np.int64]:
    """Which request each channel carries out, often the same for all; or none."""
    alike = random.random() < 0.7
    first = random.randrange(programs)
    chosen = [first if alike else random.randrange(-1, programs) for _ in range(channels)]
    return np.array([[max(k, 0), k + 1] for k in chosen], np.int64)
