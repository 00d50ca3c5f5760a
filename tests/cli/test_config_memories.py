"""`pimsim config` on every kind of configuration, and what `run` says to a memory without a language model."""

from __future__ import annotations

import json
from pathlib import Path
from shutil import copytree

import pytest

from pimsim.api import load_config
from pimsim.devices.registry import device_of
from pimsim.dram.gaps import gaps
from tests.cli.conftest import Pimsim
from tests.conftest import SHIPPED, Write

FOLDER = SHIPPED.parent
FILES = sorted(path.name for path in FOLDER.glob("*.yaml"))
MEMORIES = ["gddr6.yaml", "aim-reference.yaml", "lpddr5x.yaml", "hbm3.yaml"]


@pytest.mark.parametrize("name", FILES)
def test_every_shipped_configuration_is_valid_and_can_be_shown(pimsim: Pimsim, name: str, tmp_path: Path) -> None:
    path = FOLDER / name
    result = pimsim("config", "validate", path)
    assert (result.exit_code, result.stdout) == (0, f"{path}: valid\n")
    shown = pimsim("config", "show", path)
    assert shown.exit_code == 0
    (tmp_path / "shown.yaml").write_text(shown.stdout)
    copytree(FOLDER / "tables", tmp_path / "tables")  # a table is named as it was written
    assert load_config(tmp_path / "shown.yaml") == load_config(path)
    assert pimsim("config", "schema", path).exit_code == 0


@pytest.mark.parametrize("name", MEMORIES)
def test_a_run_of_a_memory_says_which_command_to_use(pimsim: Pimsim, name: str) -> None:
    path = FOLDER / name
    result = pimsim("run", path, "--json")
    command = "replay" if name.startswith("aim") else "traffic"
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"{path}:") and result.stderr.count("\n") == 1
    assert result.stderr.endswith(f" runs no language model; use `pimsim {command}` instead\n")


def test_a_run_without_a_workload_says_where_it_is_missing(pimsim: Pimsim, write: Write) -> None:
    text = SHIPPED.read_text()
    start, end = text.index("workload:"), text.index("schedule:")
    result = pimsim("run", write(text[:start] + text[end:]))
    assert result.exit_code == 2
    assert result.stderr == (
        f"{write(text[:start] + text[end:])}:1:1: workload: required key is missing; dram.standard gddr6-pim needs it\n"
    )


# -- gaps ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FILES)
def test_gaps_as_json_are_the_distances_alone(pimsim: Pimsim, name: str) -> None:
    result = pimsim("config", "gaps", FOLDER / name, "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    assert json.loads(result.stdout) == gaps(device_of(load_config(FOLDER / name)))


@pytest.mark.parametrize("name", FILES)
def test_gaps_as_a_table_have_every_distance_in_80_columns(pimsim: Pimsim, name: str) -> None:
    found = json.loads(pimsim("config", "gaps", FOLDER / name, "--json").stdout)
    head, *lines = pimsim("config", "gaps", FOLDER / name).stdout.rstrip("\n").split("\n")
    scopes = head.split()[1:]
    shown = {}
    for line in lines:
        assert len(line) <= 80
        words = line.split()
        if "->" in words[0]:
            shown |= {f"{words[0]} {scope}": int(clocks) for scope, clocks in zip(scopes, words[1:], strict=True)}
        else:
            shown[" ".join(words[:-1])] = int(words[-1])
    assert shown == found


def test_gaps_follow_the_overrides(pimsim: Pimsim) -> None:
    result = pimsim("config", "gaps", SHIPPED, "--json", "--set", "dram.timing.tRCDRD_ns=13.1")
    assert json.loads(result.stdout)["ACT->RD same_bank"] == 14


def test_gaps_of_a_wrong_configuration_are_none(pimsim: Pimsim) -> None:
    result = pimsim("config", "gaps", SHIPPED, "--json", "--set", "dram.timing.tRP_ns=0")
    assert (result.exit_code, result.stdout) == (2, "")


def test_a_table_marks_a_scope_that_the_device_does_not_have(pimsim: Pimsim) -> None:
    lines = pimsim("config", "gaps", SHIPPED, "--set", "dram.bank_groups=1").stdout.split("\n")
    assert lines[1].split() == ["ACT->ACT", "40", "6", "-"]
