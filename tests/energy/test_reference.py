"""Figures of another part at PIM-GPT's reference are told of, and nothing else is."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from pimsim.energy.reference import SOURCED, reference_warnings
from tests.configs import config_of


def told(**overrides: Any) -> list[str]:
    config = config_of({key.replace("__", "."): value for key, value in overrides.items()})
    return [f"{problem.key}: {problem.message}" for problem in reference_warnings(config)]


def test_the_shipped_device_is_the_reference_of_its_own_figures() -> None:
    config = config_of()
    assert told() == []
    for sourced in SOURCED:
        for key, value in sourced.figures.items():
            section, _, name = key.rpartition(".")
            found: Any = config
            for part in section.split("."):
                found = getattr(found, part)
            assert getattr(found, name) == Decimal(value)


@pytest.mark.parametrize(
    "overrides",
    [
        {"dram__power__IDD4R_mA": 600},  # another figure of the same device
        {"dram__timing__tCCDS_ns": 2, "dram__timing__tCCDL_ns": 2},  # the same part, run at another pace
        {"asic__adders": 512},
        {"asic__power_mW": 200},
        {"dram__power__IDD4R_mA": 600, "dram__row_bytes": 1024, "dram__power__reference__row_bytes": 1024},
    ],
)
def test_one_change_alone_or_a_given_reference_is_no_matter(overrides: dict[str, Any]) -> None:
    assert told(**overrides) == []


def test_another_part_without_its_reference_is_told_of() -> None:
    (text,) = told(dram__power__IDD4R_mA=600, dram__timing__tCCDS_ns=2, dram__timing__tCCDL_ns=2)
    assert text.startswith("dram.power.reference: dram.power.IDD4R_mA: other than PIM-GPT's")
    assert "tCCD_ns 1 (here 2, dram.timing.tCCDS_ns)" in text
    (text,) = told(asic__power_mW=200, asic__adders=512)
    assert text.startswith("asic.power_reference: asic.power_mW") and "adders 256 (here 512" in text
    (text,) = told(pim__mac_power_mW=80, pim__clock_GHz=2)
    assert text.startswith("pim.mac_power_reference: pim.mac_power_mW") and "clock_GHz 1 (here 2" in text
