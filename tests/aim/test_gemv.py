"""GEMV programs: any shape, as text and as arrays, and the closed form."""

from __future__ import annotations

import random
from functools import cache

import pytest

from pimsim.devices.aim import gemv
from pimsim.devices.aim.frontend import execute
from pimsim.devices.aim.isa import parse
from pimsim.devices.aim.queued import readable_channels
from pimsim.devices.aim.replay import Machine, replay
from pimsim.dram.timing import Device
from pimsim.errors import InputError
from tests.aim.devices import correct_device, reference_device

DEVICE = reference_device()


@cache
def machine() -> Machine:
    return Machine(DEVICE)


def shapes(count: int, most: int, seed: int) -> list[tuple[int, int, int]]:
    """Random shapes, small numbers as likely as large ones."""
    rng = random.Random(seed)
    return [
        (int(most ** rng.random()), int(most ** rng.random()), rng.choice([1, 2, 5, 8, 16, 31, 32]))
        for _ in range(count)
    ]


def test_closed_form_holds_over_hundreds_of_shapes() -> None:
    for m, k, channels in shapes(400, 6000, seed=1):
        result = machine().gemv(m, k, channels)
        assert result.cycles == gemv.closed_form(m, k, channels, DEVICE), (m, k, channels)


def test_closed_form_holds_with_other_timings() -> None:
    rng = random.Random(2)
    for m, k, channels in shapes(40, 3000, seed=3):
        names = ("nMODCH", "nRP", "nRCDRDMAC", "nCCDS", "nCCDL", "nBL")
        other = reference_device(**{name: DEVICE.cycles[name] + rng.randint(0, 9) for name in names})
        assert Machine(other).gemv(m, k, channels).cycles == gemv.closed_form(m, k, channels, other), (m, k, channels)


@pytest.mark.parametrize("device", [DEVICE, correct_device()], ids=["reference", "correct"])
def test_text_array_kernel_and_twin_agree(device: Device) -> None:
    fast = Machine(device)
    for m, k, channels in shapes(12, 2500, seed=4):
        program = parse(gemv.text(m, k, channels, device), device)
        twin = readable_channels(device)
        assert (
            gemv.run(m, k, channels, twin)
            == execute(program, readable_channels(device))
            == replay(program, device).cycles
            == fast.gemv(m, k, channels).cycles
        ), (m, k, channels)
        assert twin.counts() == fast.gemv(m, k, channels).counts


@pytest.mark.parametrize(
    ("m", "k", "channels", "what"),
    [
        (0, 1, 1, "M must be 1"),
        (1, 0, 1, "K must be 1"),
        (1, 1, 33, "channels must be 1 to 32"),
        (1 << 20, 1 << 13, 1, "rows of a bank"),
    ],
)
def test_shape_that_does_not_fit_is_refused(m: int, k: int, channels: int, what: str) -> None:
    with pytest.raises(InputError, match=what):
        gemv.text(m, k, channels, DEVICE)
