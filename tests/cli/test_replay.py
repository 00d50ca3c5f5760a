"""`pimsim replay`: what it prints, what it writes, and what it says of a wrong program."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pimsim.cli.replay import replay
from pimsim.devices.aim import table as aim
from pimsim.logs.log import read_log
from tests.aim.devices import GOLDEN

CONFIGS = Path(__file__).parents[2] / "configs"
REFERENCE = CONFIGS / "aim-reference.yaml"
CORRECT = CONFIGS / "aim.yaml"
PROGRAM = GOLDEN / "programs" / "bias_mac_af_rdaf.aim"

Replay = Callable[..., Result]


@pytest.fixture
def run(pimsim: Replay) -> Replay:
    """pimsim replay ARGUMENTS."""
    return lambda *arguments: pimsim("replay", *arguments)


def test_json_is_cycles_and_commands_and_nothing_else(run: Replay) -> None:
    result = run(PROGRAM, "--config", REFERENCE, "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {"cycles": 415, "commands": 73}


@pytest.mark.parametrize("engine", ["fast", "stepped"])
def test_command_log_is_the_golden_one(run: Replay, tmp_path: Path, engine: str) -> None:
    log = tmp_path / "log.csv"
    assert run(PROGRAM, "--config", REFERENCE, "--commands", log, "--engine", engine).exit_code == 0
    assert log.read_bytes() == (GOLDEN / "commands" / "bias_mac_af_rdaf.csv").read_bytes()


def test_a_program_without_commands_has_a_log_without_rows(run: Replay, tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    assert run(GOLDEN / "programs" / "eoc_only.aim", "--config", REFERENCE, "--commands", log).exit_code == 0
    assert log.read_text().splitlines() == ["clk,channel,command,bank_group,bank,row,column"]


def test_plain_output_fits_80_columns_and_tells_the_costs(run: Replay) -> None:
    result = run(PROGRAM, "--config", CORRECT)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    text = " ".join(result.stdout.split())
    assert "cycles 416 208.0 ns at 500 ps" in text
    assert "MAC16 64" in text and "RDMAC16" not in text.split("each alone:")[0]
    for difference in aim.DIFFERENCES:
        assert f"{difference.name} " in text and difference.why in result.stdout
    assert "AF16 back to back 1 " in text


def test_reference_has_no_costs_to_tell(run: Replay) -> None:
    result = run(PROGRAM, "--config", REFERENCE)
    assert result.exit_code == 0 and "each alone" not in result.stdout


def test_override_of_a_timing_changes_the_cycles(run: Replay) -> None:
    result = run(PROGRAM, "--config", REFERENCE, "--set", "dram.timing.tMODCH_ns=26", "--json")
    assert json.loads(result.stdout)["cycles"] == 415 + 3 * 20


def test_wrong_program_has_every_problem_with_its_place(run: Replay, tmp_path: Path) -> None:
    program = tmp_path / "wrong.aim"
    program.write_text("AiM MAC_ABK 99 0x80000000 0\nAiM RD_MACK 0 1\n")
    result = run(program, "--config", REFERENCE, "--commands", "log.csv")
    assert result.exit_code == 2 and result.stdout == ""
    assert result.stderr.splitlines() == [
        f"{program}:1:13: MAC_ABK: size must be 1 to 64, not 99",
        f"{program}:2:5: no instruction is called 'RD_MACK'; did you mean 'RD_MAC'?",
        f"{program}:3:1: the program ends without an EOC instruction: add `AiM EOC`",
    ]
    assert not Path("log.csv").exists()


def test_missing_program_and_wrong_log_name(run: Replay) -> None:
    missing = run("none.aim", "--config", REFERENCE)
    assert missing.exit_code == 2
    assert missing.stderr == "none.aim:1:1: cannot read the program: No such file or directory\n"
    named = run(PROGRAM, "--config", REFERENCE, "--commands", "log.txt")
    assert named.exit_code == 2 and named.stderr.startswith("log.txt:1:1: a command log's name ends in")


def refused(result: Result) -> list[str]:
    """The lines that the user sees."""
    assert result.exit_code == 2 and result.stdout == ""
    return result.stderr.splitlines()


def test_empty_name_is_no_program(run: Replay) -> None:
    found = refused(run("", "--config", REFERENCE))
    assert found == ["PROGRAM:1:1: PROGRAM: needs the name of a file, but it is empty"]


def test_byte_order_mark_is_no_part_of_a_program(run: Replay, tmp_path: Path) -> None:
    program = tmp_path / "bom.aim"
    program.write_bytes(b"\xef\xbb\xbf" + PROGRAM.read_bytes())
    assert json.loads(run(program, "--config", REFERENCE, "--json").stdout) == {"cycles": 415, "commands": 73}


def test_number_of_thousands_of_digits_is_no_internal_error(run: Replay, tmp_path: Path) -> None:
    program = tmp_path / "long.aim"
    program.write_text(f"AiM MAC_ABK {'9' * 5000} 0x80000000 1\nAiM EOC\n")
    (line,) = refused(run(program, "--config", REFERENCE))
    assert line.startswith(f"{program}:1:13: MAC_ABK: size must be 1 to 64, not 999") and len(line) < 300


def test_log_cannot_replace_a_folder_or_the_program(
    run: Replay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pimsim.devices.aim.replay.execute", lambda *_: pytest.fail("simulated"))
    folder = tmp_path / "d.csv"
    folder.mkdir()
    found = refused(run(PROGRAM, "--config", REFERENCE, "--commands", folder))
    assert found == [f"{folder}:1:1: cannot write the command log: Is a directory"]
    program = tmp_path / "p.csv"
    program.write_text("AiM EOC\n")
    other_name = folder / ".." / "p.csv"
    found = refused(run(program, "--config", REFERENCE, "--commands", other_name))
    assert found == [f"--commands:1:1: commands: '{other_name}' is the program, which the log would replace"]
    assert program.read_text() == "AiM EOC\n"


def test_problems_of_the_program_and_of_the_logs_name_come_at_once(run: Replay, tmp_path: Path) -> None:
    program = tmp_path / "wrong.aim"
    program.write_text("AiM NOP\nAiM EOC\n")
    assert refused(run(program, "--config", REFERENCE, "--commands", "log.txt")) == [
        f"{program}:1:5: no instruction is called 'NOP'",
        "log.txt:1:1: a command log's name ends in .csv, .csv.gz, .parquet",
    ]


def test_device_that_runs_no_aim_programs_is_refused(run: Replay) -> None:
    result = run(PROGRAM, "--config", CONFIGS / "pim-gpt.yaml")
    assert result.exit_code == 2
    assert "dram.standard: 'gddr6-pim' runs no AiM programs; use 'aim' or 'aim-reference'" in result.stderr


def test_log_reads_back(run: Replay, tmp_path: Path) -> None:
    log = tmp_path / "log.csv.gz"
    assert run(PROGRAM, "--config", CORRECT, "--commands", log).exit_code == 0
    assert len(read_log(log, aim.STANDARD)) == 73


def test_help_imports_nothing_heavy() -> None:
    code = "import sys; import pimsim.cli.replay; print(*{'numpy', 'numba', 'pydantic'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
    assert "--engine" in CliRunner().invoke(replay, ["--help"]).stdout
