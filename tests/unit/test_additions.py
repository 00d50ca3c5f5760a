"""How many files an addition touches: the places where what is shipped is named, counted again."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "pimsim"
LISTS = {"config/devices/__init__.py", "devices/registry.py"}  # a line for each device
# What was published of a device: it comes besides, as its docs do.
MARKS = ("reproduce/devices/", "reproduce/cent/")


def naming(*words: str) -> set[str]:
    """The files of pimsim that have one of these words."""
    pattern = re.compile(rf"\b({'|'.join(words)})\b")
    return {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*")
        if path.suffix in (".py", ".yaml") and pattern.search(path.read_text(encoding="utf-8"))
        if not path.relative_to(PACKAGE).as_posix().startswith(MARKS)
    }


@pytest.mark.parametrize("name", ["lpddr5x", "hbm3"])
def test_a_memory_is_a_folder_a_class_and_a_line_in_two_lists(name: str) -> None:
    own = {f"devices/{name}/__init__.py", f"devices/{name}/table.py", f"config/devices/{name}.py"}
    word = rf"{name}\b(?!-pim)"  # which is another memory
    assert naming(word, rf"{name.capitalize()}(?!Pim)\w*") == own | LISTS
    for path in LISTS:
        lines = [line for line in (PACKAGE / path).read_text().splitlines() if re.search(rf"\b{word}", line)]
        assert 1 <= len(lines) <= 3  # an import, and the row (two names in a row of the registry)


def test_a_device_that_multiplies_is_named_nowhere_else() -> None:
    own = ("devices/aim/", "config/devices/aim.py")
    elsewhere = {path for path in naming("aim", "Aim\\w*") if not path.startswith(own)}
    programs = {"cli/replay.py", "cli/__init__.py", "cli/export.py", "exports/program.py"}
    assert elsewhere - LISTS == programs  # they are read, and written
    own = ("devices/pim_gpt/", "config/devices/pim_gpt.py")
    own += ("devices/hbm2_pim/", "config/devices/hbm2_pim.py")  # weights, K and V lie as there
    elsewhere = {path for path in naming("pim_gpt", "gddr6-pim", "PimGpt\\w*") if not path.startswith(own)}
    shares = {f"devices/lpddr5x_pim/{name}.py" for name in ("__init__", "matrix", "units")}  # its units and layouts
    assert elsewhere == LISTS | shares | {"config/devices/lpddr5x_pim.py"}
    own = ("devices/lpddr5x_pim/", "config/devices/lpddr5x_pim.py")
    elsewhere = {path for path in naming("lpddr5x_pim", "lpddr5x-pim", "Lpddr5xPim\\w*") if not path.startswith(own)}
    assert elsewhere == LISTS
    own = ("devices/hbm2_pim/", "config/devices/hbm2_pim.py")
    assert {path for path in naming("hbm2_pim", "hbm2-pim", "Hbm2Pim\\w*") if not path.startswith(own)} == LISTS


def test_a_baseline_is_one_file() -> None:
    assert naming("gpu-t4-fused") == {"baselines/gpu-t4-fused.yaml"}
