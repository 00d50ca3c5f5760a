"""Plots of scaling: which rows make a line, where it breaks, and what a sweep over devices saves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

import pimsim
from pimsim.plots import systems
from pimsim.plots.looks import LOOKS, order
from pimsim.plots.style import drawing
from pimsim.sweep.pictures import save
from tests.systems_shown.runs import SHAPE
from tests.texts import wrong_texts


def rows(rates: dict[tuple[int, int], Sequence[float]]) -> list[dict[str, Any]]:
    """Rows of devices and batch with each of some rates."""
    return [
        {"status": "ok", systems.DEVICES: devices, systems.BATCH: batch, systems.RATE: rate}
        for (devices, batch), each in rates.items()
        for rate in each
    ]


STRONG = {(1, 1): [10], (2, 1): [12, 18], (4, 1): [19], (8, 1): [20]}
WEAK = {(1, 4): [30], (2, 8): [58], (4, 16): [100], (8, 32): [90]}
MADE = rows({**STRONG, **WEAK})


def test_strong_scaling_is_of_one_batch_and_the_best_split() -> None:
    points = systems.lines(MADE)["batch 1"]
    assert [point.rate for point in points] == [10, 18, 19, 20]
    assert [point.efficiency for point in points] == pytest.approx([1, 0.9, 0.475, 0.25])
    assert list(systems.lines(MADE)) == ["batch 1"]  # the others have one point each


def test_weak_scaling_is_of_as_many_sequences_for_each_device() -> None:
    found = systems.lines(MADE, weak=True)
    assert [point.efficiency for point in found["4 for each device"]] == pytest.approx(
        [1, 58 / 60, 100 / 120, 90 / 240]
    )


def test_it_breaks_where_a_device_makes_less_than_half() -> None:
    assert systems.breaks(systems.lines(MADE)["batch 1"]) == 4
    assert systems.breaks(systems.lines(MADE, weak=True)["4 for each device"]) == 8
    assert systems.breaks(systems.lines(MADE)["batch 1"][:2]) is None


def test_rows_that_did_not_run_or_lack_a_figure_take_no_part() -> None:
    bad = [{**MADE[0], "status": "infeasible"}, {**MADE[0], systems.RATE: None}, {"status": "ok"}]
    assert systems.lines([*bad, *MADE]) == systems.lines(MADE)
    with pytest.raises(ValueError, match="no rows with one batch have several values of system.devices"):
        systems.lines(bad)


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("weak", [False, True])
def test_its_texts_can_be_read(look: str, weak: bool) -> None:
    many = [*MADE, *rows({(n, batch): [batch * n] for n in (1, 2, 4, 64) for batch in (2, 4, 16)})]
    with drawing(look):
        assert wrong_texts(systems.scaling(many, weak=weak)) == []


def test_the_ideal_is_beside_each_line_and_what_is_broken_is_hollow() -> None:
    ax = systems.scaling(MADE, Figure().add_subplot())
    line, ideal = ax.lines
    assert list(line.get_ydata()) == [10, 18, 19, 20] and list(ideal.get_ydata()) == [10, 20, 40, 80]
    assert [tuple(colour[:3]) == (1, 1, 1) for colour in ax.collections[0].get_facecolors()] == [
        False, False, True, True,
    ]  # fmt: skip
    assert line.get_label() == "batch 1: 25 % at 8"


def test_a_sweep_over_devices_draws_and_saves_both(tmp_path: Path) -> None:
    sweep = {
        "base": "pim-gpt", "axes": {"system.devices": [1, 2], "system.tensor": [1, 2], "workload.batch": [1, 2]},
        "constraints": ["system.devices == system.tensor"], "objectives": ["system.latency_ns"],
        "set": {"workload.model_config": SHAPE, "workload.output_tokens": 2, "baselines": []},
    }  # fmt: skip
    result = pimsim.sweep.run(sweep, out=str(tmp_path / "out"), workers=0)
    assert {text.get_text() for text in result.plot.scaling().get_legend().get_texts()} >= {"ideal"}
    assert {"strong_scaling.png", "weak_scaling.png"} <= set(save(result, order("png")))
    with pytest.raises(ValueError, match="several values"):
        systems.lines([row for row in result.rows() if row["system.devices"] == 1])


def test_a_sweep_over_something_else_saves_neither(tmp_path: Path) -> None:
    sweep = {
        "base": "pim-gpt", "axes": {"dram.channels": [4, 8]}, "objectives": ["system.latency_ns"],
        "set": {"workload.model_config": SHAPE, "workload.output_tokens": 2, "baselines": []},
    }  # fmt: skip
    saved = save(pimsim.sweep.run(sweep, out=str(tmp_path / "out"), workers=0), order("png"))
    assert not any(name.startswith(("strong", "weak")) for name in saved)
