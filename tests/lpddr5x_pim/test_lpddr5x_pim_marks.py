"""Published marks of LPDDR5X-PIM: figures are of runs, and move as the hardware says."""

from __future__ import annotations

import pytest

from pimsim.devices.registry import device_of
from pimsim.reproduce.devices import lpddr5x_pim as studies
from pimsim.reproduce.devices import measures
from pimsim.reproduce.devices.found import MODULES
from pimsim.reproduce.devices.marks import marks

NO_REFRESH = {"case.refresh": "none", "dram.refresh": "none"}
BYTES_PER_CLOCK = 4 * 16  # of all pins
ROW_BYTES = 64 * 2048  # of all banks
ROW = 311  # clocks from a row to the next


def test_every_mark_of_the_device_has_a_study_and_no_other() -> None:
    assert "lpddr5x_pim" in MODULES
    assert {study.mark for study in studies.STUDIES} == {name for name in marks() if name.startswith("lpddr5x-pim.")}


def test_bandwidths_and_peaks_are_those_of_the_package() -> None:
    assert studies.inside({}) == pytest.approx(614.4) and studies.outside({}) == pytest.approx(76.8)
    assert studies.ratio({}) == 8
    assert studies.peak("w4a4", {}) == pytest.approx(2.4576, rel=1e-3)
    assert studies.peak("fp8", {}) == pytest.approx(1.2288, rel=1e-3)


@pytest.mark.parametrize("formats", ["w8a8", "w4a4", "fp8", "w8a16", "w4a16"])
def test_a_tile_reaches_what_its_rows_allow(formats: str) -> None:
    """All but what comes before the first row and after the last: inputs, sums, and the ASIC's own work."""
    roof = ROW_BYTES / ROW / BYTES_PER_CLOCK
    assert 0.96 * roof < studies.gemv(formats, 0, NO_REFRESH) < 1.001 * roof * 64 / 63


@pytest.mark.parametrize(("formats", "rows"), [("w8a8", 4), ("w8a16", 2), ("w4a16", 1)])
def test_a_fence_takes_what_it_is_longer_than_the_opening_of_a_row(formats: str, rows: int) -> None:
    """Of as many rows as a filling of the registers serves."""
    with_fence, without = (studies.gemv(formats, fence, NO_REFRESH) for fence in (150, 0))
    longer = 7 + 180 - 59  # the registers are filled, the host waits; a row opens
    assert with_fence / without == pytest.approx(rows * ROW / (rows * ROW + longer), rel=0.01)


def test_one_fence_longer_is_never_faster() -> None:
    found = [studies.gemv("w4a16", fence, {}) for fence in (0, 20, 60, 150, 400)]
    assert found == sorted(found, reverse=True) and found[0] > 1.5 * found[-1]


def test_parts_of_the_input_in_channels_of_their_own_bring_more_where_outputs_are_few() -> None:
    found = [studies.reshape({"case.widths": (width,)}) for width in (256, 512, 1024, 4096)]
    assert found == sorted(found, reverse=True) and found[-1] < 1.02
    assert studies.reshape({"case.formats": "w4a16"}) > studies.reshape({}) > 1
    assert studies.reshape({"pim.fence_ns": 0}) < studies.reshape({})


def test_a_host_reads_the_weights_for_each_token() -> None:
    """Llama-3-8B: 32 blocks of four matrices of attention and three of the FFN, and the LM head; half a byte each."""
    weights = 32 * (4096 * 4096 * 2 + 2 * 4096 * 1024 + 3 * 4096 * 14336) + 128256 * 4096
    config = measures.multiplying("lpddr5x-pim")
    pins = BYTES_PER_CLOCK * 1e12 / device_of(config).tCK_ps
    assert studies.llama_host({"case.refresh": "none"}) == pytest.approx(pins / (weights / 2), rel=0.001)
    assert studies.llama({}) > 4 * studies.llama_host({})
    assert studies.llama({"workload.context": 4096}) < studies.llama({}) < studies.llama({"dram.channels": 8})
