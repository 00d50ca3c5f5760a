"""The page of systems: its tables are those that its script makes, and what it says of them holds."""

from __future__ import annotations

import make_systems
import pytest


def cells(model: str, system: str, devices: int) -> list[str]:
    """A row of a table of the page."""
    text = make_systems.PAGE.read_text(encoding="utf-8").partition(f"<!-- {model}: made by")[2]
    lines = (line.strip("| ").split(" | ") for line in text.partition("end -->")[0].splitlines())
    return next(line for line in lines if line[:2] == [system, str(devices)])


def test_a_row_is_made_again() -> None:
    made = make_systems.row("llama-3-8b", "aim", 2)
    assert made == cells("llama-3-8b", "aim", 2)


def test_gpus_are_those_of_the_page() -> None:
    [made] = (point for name, point in make_systems.gpus("llama-3-70b", 1).items() if name == "gpu-h100x2")
    assert cells("llama-3-70b", "gpu-h100x2", 2)[3:5] == [f"{made.token_ms:.1f}", f"{made.token_mJ:,.0f}"]
    assert "gpu-h100" not in make_systems.gpus("llama-3-70b", 1)  # 141 GB in 80


def test_all_splits_are_tried() -> None:
    found = {str(split) for split in make_systems.splits("mixtral-8x7b", 4, 16)}
    assert found == {"T4", "P4", "E4", "T2 P2", "T2 E2", "P2 E2", "T2 R2", "P2 R2", "E2 R2", "R4"}
    assert all(split.devices == 4 for split in make_systems.splits("mixtral-8x7b", 4, 16))
    assert {split.replicas for split in make_systems.splits("llama-3-8b", 64, 1)} == {1}


@pytest.mark.parametrize(("system", "devices"), [("pim-gpt", 4), ("aim", 128)])
def test_what_does_not_fit_or_was_not_asked_has_no_row(system: str, devices: int) -> None:
    with pytest.raises(StopIteration):
        cells("llama-3-8b", system, devices)


def figure(text: str) -> float:
    return float(text.replace(",", ""))


def test_what_the_page_says_holds() -> None:
    pim, gpu = cells("llama-3-8b", "pim-gpt", 8), cells("llama-3-8b", "gpu-h100", 1)
    assert (pim[3], pim[4], gpu[3], gpu[4]) == ("0.871", "81", "5.38", "3,768")
    one, eight = (figure(cells("llama-3-8b", "aim", n)[3]) for n in (1, 8))
    assert one / eight == pytest.approx(4.8, abs=0.05)
    assert cells("llama-3-8b", "pim-gpt", 64)[4] == "146"
    large = {name: cells("llama-3-70b", *name) for name in (("pim-gpt", 64), ("gpu-h100x2", 2), ("gpu-h100x8", 8))}
    rates = {name: figure(row[6]) for name, row in large.items()}
    assert rates["pim-gpt", 64] / rates["gpu-h100x2", 2] == pytest.approx(1.7, abs=0.05)
    assert rates["gpu-h100x8", 8] > rates["pim-gpt", 64] and large["pim-gpt", 64][9] == "99 %"
