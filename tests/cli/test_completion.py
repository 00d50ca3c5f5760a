"""What a shell completes: names, keys and values, without anything that reads a configuration."""

from __future__ import annotations

import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import pimsim as package
from pimsim.cli.completion import KEYS
from pimsim.config.shipped import CONFIGURATIONS, SWEEPS, TRACES
from tests.cli.test_process import imported_by_command

ROOT = Path(__file__).parents[2]


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(package.__file__).parents[1]), **more}


def words(shell: str, *typed: str, folder: Path) -> list[str]:
    """What is offered for the last of the words that were typed."""
    asked = environment(COMP_WORDS="\n".join(["pimsim", *typed]), COMP_CWORD=str(len(typed)))
    asked["_PIMSIM_COMPLETE"] = f"{shell}_complete"
    if shell == "fish":
        asked["COMP_CWORD"] = typed[-1]
    done = subprocess.run(
        [sys.executable, "-m", "pimsim"], cwd=folder, env=asked, check=True, capture_output=True, text=True
    )
    assert not done.stderr
    lines = done.stdout.rstrip("\n").splitlines()
    return lines[1::3] if shell == "zsh" else [line.partition(",")[2] for line in lines]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_is_offered_names(shell: str, tmp_path: Path) -> None:
    assert words(shell, "run", "pim-gpt", folder=tmp_path) == ["pim-gpt", "pim-gpt-int4", "pim-gpt-int8"]
    assert words(shell, "run", "aim", "--set", "workload.trace=qw", folder=tmp_path)[0].endswith("qwen2.5-0.5b")


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        (("sw",), ["sweep"]),
        (("run", ""), [*CONFIGURATIONS.shipped]),
        (("generate", "hbm"), ["hbm2-pim", "hbm3"]),
        (("config", "show", "gddr"), ["gddr6"]),
        (("compare", "aim", "pim-gpt-"), ["pim-gpt-int4", "pim-gpt-int8"]),
        (("config", "schema", "gddr"), ["gddr6"]),
        (("check", "log.csv", "--config", "gddr"), ["gddr6"]),
        (("replay", "program.aim", "--config", "aim-"), ["aim-reference", "aim-reference-2025-01"]),
        (("trace", "validate", "t.jsonl", "--config", "lpddr5x-"), ["lpddr5x-pim"]),
        (("sweep", ""), [*SWEEPS]),
        (("trace", "show", ""), [*TRACES]),
        (("trace", "validate", "gpt2-small", "gpt2-l"), ["gpt2-large"]),
        (("trace", "chakra", "med"), ["medusa"]),
        (("init", "--example", "own"), ["own-model", "own-device"]),
        (("run", "aim", "--set", "dram.bank"), ["dram.bank_groups=", "dram.banks_per_group="]),
        (("run", "aim", "--set", "engine"), ["engine.mode=", "engine.fold="]),
        # bash takes words apart at `=`, and puts what it is offered behind it
        (("run", "aim", "--set", "schedule", "="), ["paper", "overlap"]),
        (("run", "aim", "--set", "engine.fold", "=", "t"), ["true"]),
        (("run", "aim", "--set", "workload.model", "=", "gpt3-x"), ["gpt3-xl"]),
        (("run", "aim", "--set", "no.such.key", "=", ""), []),
        (("run", "--set", "dram.channels", "=", "4", "hbm3"), ["hbm3"]),
        (("run", "aim", "--engine", "=", "st"), ["stepped"]),
    ],
)
def test_bash_is_offered(typed: tuple[str, ...], offered: list[str], tmp_path: Path) -> None:
    assert words("bash", *typed, folder=tmp_path) == offered


def test_files_and_folders_come_after_names(tmp_path: Path) -> None:
    for name in ("aim-mine.yaml", "aim-mine.jsonl", "aim-mine.txt", "pim-gpt/it.yml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert words("bash", "run", "aim-", folder=tmp_path) == [
        "aim-reference", "aim-reference-2025-01", "aim-mine.yaml",
    ]  # fmt: skip
    assert words("bash", "run", "pim-gpt", folder=tmp_path)[-1] == "pim-gpt/"
    assert words("bash", "run", "pim-gpt/", folder=tmp_path) == ["pim-gpt/it.yml"]
    assert words("bash", "trace", "show", "aim-", folder=tmp_path) == ["aim-mine.jsonl"]


def test_the_keys_are_those_of_the_schema() -> None:
    """If this fails: python docs/make_tables.py"""
    made = runpy.run_path(str(ROOT / "docs" / "make_tables.py"))["completed_keys"]()
    assert KEYS.read_text(encoding="utf-8") == made


def test_nothing_heavy_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    for typed in ("run\naim\n--set\ndram.ch", "run\nai", "sweep\nch", "run\naim\n--set\nworkload.trace=gp"):
        monkeypatch.setenv("COMP_WORDS", f"pimsim\n{typed}")
        monkeypatch.setenv("COMP_CWORD", str(typed.count("\n") + 1))
        monkeypatch.setenv("_PIMSIM_COMPLETE", "bash_complete")
        assert imported_by_command() == set()


def test_the_script_of_bash_puts_no_space_after_a_key(tmp_path: Path) -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("no bash")
    program = tmp_path / "pimsim"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m pimsim "$@"\n')
    program.chmod(0o755)
    script = (
        'eval "$(_PIMSIM_COMPLETE=bash_source pimsim)"\n'
        'compopt() { printf "compopt %s %s\\n" "$@"; }\n'  # it is there only while a key is pressed
        "COMP_WORDS=(pimsim run aim --set dram.chan); COMP_CWORD=4\n"
        '_pimsim_completion pimsim; echo "${COMPREPLY[@]}"\n'
        "COMP_WORDS=(pimsim run aim --set schedule = ov); COMP_CWORD=6; COMPREPLY=()\n"
        '_pimsim_completion pimsim; echo "${COMPREPLY[@]}"\n'
    )
    path = environment(PATH=f"{tmp_path}:{os.environ['PATH']}")
    done = subprocess.run([bash, "--norc", "-c", script], env=path, check=True, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("compopt -o nospace\ndram.channels=\noverlap\n", "")
