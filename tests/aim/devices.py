"""AiM devices and programs for tests, built without configuration files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from hypothesis import strategies as st

from pimsim.devices.aim import table as aim
from pimsim.devices.aim.isa import AimInstruction
from pimsim.dram.timing import Device

GOLDEN = Path(__file__).parents[1] / "golden" / "aim"
PRESET = {
    name: int(value) for name, value in (line.split("=") for line in (GOLDEN / "timings.txt").read_text().split())
}
CORRECT = PRESET | {"nRFC": 420, "nREFI": 7800, "nFAW": 28, "nMACDRAIN": 11, "nAF": 2}
SHAPE = {"bank_groups": 4, "banks_per_group": 4, "rows": 16384, "columns": 64, "column_bytes": 32, "tCK_ps": 500}


def reference_device(channels: int = 32, **cycles: int) -> Device:
    """The reference simulator's device."""
    return Device(standard=aim.REFERENCE, channels=channels, refresh="none", cycles=PRESET | cycles, **SHAPE)


def in_order(device: Device) -> Device:
    """The same where all that a host asks for goes in order, its accesses as well."""
    return replace(device, standard=replace(device.standard, queued_accesses=False))


def correct_device(channels: int = 32, refresh: str = "all_bank", **cycles: int) -> Device:
    """The correct profile's device."""
    return Device(standard=aim.STANDARD, channels=channels, refresh=refresh, cycles=CORRECT | cycles, **SHAPE)


@st.composite
def devices(draw: st.DrawFn) -> Device:
    """Either profile with random timings; refresh leaves room for a request between two."""
    cycles = {name: draw(st.integers(1, 40), label=name) for name in CORRECT}
    longest = 8 * 40
    cycles["nRFC"] = draw(st.integers(1, 200))
    cycles["nREFI"] = 4 * longest + cycles["nRFC"] + 16 * 40 + draw(st.integers(0, 3000))
    if draw(st.booleans(), label="reference"):
        # else an access and a request may close each other's row for ever, in the reference simulator as well
        cycles["nRAS"] = max(cycles["nRAS"], cycles["nRCDRD"], cycles["nRCDWR"])
        return reference_device(4, **cycles)
    return correct_device(4, draw(st.sampled_from(["all_bank", "none"])), **cycles)


def programs(
    channels: st.SearchStrategy[tuple[int, ...]], max_size: int = 25, host: bool = True
) -> st.SearchStrategy[list[AimInstruction]]:
    """Programs over few banks and rows, so that rows are hit, missed and half open."""
    size, bank, row = st.integers(1, 40), st.sampled_from([0, 1, 5]), st.integers(0, 2)
    one = channels.map(lambda c: c[:1])
    kinds = [
        st.builds(AimInstruction, st.just("WR_GB"), channels, size),
        st.builds(AimInstruction, st.sampled_from(["WR_BIAS", "RD_MAC", "RD_AF", "AF"]), channels),
        st.builds(AimInstruction, st.sampled_from(["MAC_ABK", "EWMUL"]), channels, size, st.just(-1), row),
        st.builds(AimInstruction, st.sampled_from(["MAC_SBK", "COPY_BKGB", "COPY_GBBK"]), channels, size, bank, row),
        st.builds(AimInstruction, st.just("WR_ABK"), one, st.just(1), st.just(-1), row),
        st.just(AimInstruction("SYNC")),
    ]
    if host:
        kinds += [
            st.builds(AimInstruction, st.sampled_from(["R MEM", "W MEM"]), one, st.just(1), bank, row),
            st.just(AimInstruction("EWADD")),
            st.builds(AimInstruction, st.just("W CFR"), register=st.just(2), value=st.integers(0, 7)),
        ]
    return st.lists(st.one_of(kinds), max_size=max_size).map(lambda body: [*body, AimInstruction("EOC")])


any_channels = st.sets(st.integers(0, 3), min_size=1).map(lambda chosen: tuple(sorted(chosen)))
