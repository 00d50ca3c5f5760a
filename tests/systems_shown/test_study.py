"""The page of systems: its tables are those that its script makes, and what it says of them holds."""

from __future__ import annotations

from typing import Any

import make_systems
import pytest

import pimsim
from pimsim.errors import InputError


def rows(name: str) -> list[list[str]]:
    """A table of the page, without its head."""
    text = make_systems.PAGE.read_text(encoding="utf-8").partition(f"<!-- {name}: made by")[2]
    lines = (line for line in text.partition("end -->")[0].splitlines() if line.startswith("|"))
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines][2:]


def cells(model: str, system: str, devices: int) -> list[str]:
    """A row of a table of a model."""
    return next(line for line in rows(model) if line[:2] == [system, str(devices)])


def batches(batch: int) -> list[str]:
    """A row of the table of batches."""
    return next(line for line in rows("batches") if line[0] == str(batch))


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


@pytest.mark.parametrize(("model", "most"), [("llama-3-8b", 32), ("llama-3-70b", 64), ("mixtral-8x7b", 32)])
def test_devices_share_matrices_up_to_one_head_each(model: str, most: int) -> None:
    """Each has a head of its own; several have the same of 8 heads of K and V."""
    assert cells(model, "aim", 64)[2].split()[0] == f"T{most}"
    assert make_systems.Split(64, 1, 1, 1) in make_systems.splits(model, 64, 1)


def figure(text: str) -> float:
    return float(text.replace(",", ""))


def token(model: str, system: str, devices: int) -> tuple[float, float]:
    """ms and mJ a token of one sequence."""
    _, _, _, ms, mJ, *_ = cells(model, system, devices)
    return figure(ms), figure(mJ)


def rate(model: str, system: str, devices: int) -> float:
    """Tokens/s of 16 sequences."""
    return figure(cells(model, system, devices)[6])


def test_what_the_page_says_of_one_sequence_holds() -> None:
    model = "llama-3-8b"
    assert token(model, "pim-gpt", 8) == (0.871, 81) and token(model, "gpu-h100", 1) == (5.38, 3768)
    assert token(model, "pim-gpt", 32) == (0.345, 108) and token(model, "gpu-h100x8", 8) == (1.68, 4331)
    one, eight, most = (token(model, "aim", n)[0] for n in (1, 8, 32))
    assert one / eight == pytest.approx(4.8, abs=0.05) and one / most == pytest.approx(9, abs=0.5)
    assert token(model, "pim-gpt", 64) == (0.345, 123)
    assert token("llama-3-70b", "pim-gpt", 64)[0] == 7.15 and token("llama-3-70b", "aim", 64)[0] == 1.30


def test_what_the_page_says_of_16_sequences_holds() -> None:
    model = "llama-3-70b"
    packages, two, eight = cells(model, "pim-gpt", 64), cells(model, "gpu-h100x2", 2), cells(model, "gpu-h100x8", 8)
    assert packages[5:7] == ["T2 P32", "594"]
    assert 1 - 594 / figure(two[6]) == pytest.approx(0.03, abs=0.005)
    assert 594 / figure(eight[6]) == pytest.approx(1 / 3, abs=0.01)
    for gpus in (two, eight):
        assert figure(packages[8]) / figure(gpus[8]) == pytest.approx(1 / 3, abs=0.02)
    mixtral = (rate("mixtral-8x7b", *system) for system in (("pim-gpt", 32), ("gpu-h100x2", 2)))
    assert next(mixtral) / next(mixtral) == pytest.approx(3.3, abs=0.05)


def test_what_the_page_says_of_batches_holds() -> None:
    [pim, gpu] = ({batch: [figure(cell) for cell in batches(batch)[of].split(", ")] for batch in (1, 16, 64)}
                  for of in (1, 3))  # fmt: skip
    assert (pim[1][0], pim[16][0], pim[64][1], gpu[64][1]) == (1964, 2385, 79, 92)
    assert pim[1][0] / gpu[1][0] == pytest.approx(11, abs=0.5)
    assert 1 - pim[16][0] / gpu[16][0] == pytest.approx(0.09, abs=0.005)
    assert 1 / 4 < pim[64][0] / gpu[64][0] < 1 / 3


def test_what_the_page_says_of_links_and_inputs_holds() -> None:
    keys = make_systems.Split(32, 1, 1, 1).keys | make_systems.settings("llama-3-8b", 1) | {"baselines": []}
    system = pimsim.run(pimsim.load_config("aim", keys)).summary["system"]
    shares = {cause: ns / system["latency_ns"] for cause, ns in system["latency_breakdown_ns"].items()}
    assert (round(shares["link"], 2), round(shares["input_transfer"], 2)) == (0.16, 0.18)


def large(tensor: int, pipeline: int, batch: int = 1) -> list[dict[str, Any]]:
    """What the devices of a split of the largest model have; InputError if it does not fit."""
    split = make_systems.Split(tensor, pipeline, 1, 1)
    config = {**make_systems.settings("llama-3-70b", batch), "baselines": [], **split.keys}
    shares: list[dict[str, Any]] = pimsim.run(pimsim.load_config("pim-gpt", config)).summary["devices"]["shares"]
    return shares


def test_the_first_stage_is_full_and_the_others_are_not() -> None:
    used = [share["memory_bytes"] / share["capacity_bytes"] for share in large(8, 8)]
    assert round(used[0], 2) == 0.99 and max(used[1:]) < 0.6 and len(used) == 3
    with pytest.raises(InputError, match="does not fit"):
        large(16, 4)


def test_many_sequences_take_narrow_stages_that_wait() -> None:
    assert large(8, 8, batch=4)
    with pytest.raises(InputError, match="does not fit"):
        large(8, 8, batch=8)
    waits = [round(share["bubble_fraction"], 2) for share in large(2, 32, batch=16)]
    assert (min(waits), max(waits)) == (0.39, 0.61)


def test_the_fewest_packages_are_those_of_the_page() -> None:
    assert sum(share["devices"] for share in large(1, 41)) == 41
    with pytest.raises(InputError, match="smallest system of these devices that holds it: system.devices=41"):
        large(1, 40)


WEIGHTS = {"llama-3-8b": 16e9, "llama-3-70b": 141e9, "mixtral-8x7b": 93e9}  # bytes, from the model cards
BYTES = {"pim-gpt": 4 << 30, "aim": 16 << 30}


@pytest.mark.parametrize("model", make_systems.MODELS)
def test_the_best_split_of_many_sequences_has_all_replicas_that_fit(model: str) -> None:
    """Twice as many do not fit, or there are as many as sequences."""
    for system, devices, _, _, _, split, *_ in rows(model):
        replicas = next((int(way[1:]) for way in split.split() if way[0] == "R"), 1)
        each = int(devices) // (2 * replicas)
        if system in BYTES and split != "does not fit" and replicas < 16 and each * BYTES[system] > WEIGHTS[model]:
            assert make_systems.best(model, system, each, 16 // (2 * replicas)) is None, (system, devices)
