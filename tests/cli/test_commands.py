"""The other commands, and the command line itself."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

import pimsim as package
from pimsim.workload.models import MODELS
from tests.cli.conftest import Pimsim
from tests.conftest import Write

# -- usage --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["run"], "CONFIG:1:1: CONFIG: is needed; see `pimsim run --help`"),
        (["run", "a.yaml", "--jsn"], "--jsn:1:1: jsn: no such option of `pimsim run`; did you mean '--json'?"),
        (["run", "a.yaml", "--engine", "x"], "--engine:1:1: engine: 'x' is not one of 'fast', 'stepped'"),
        (["run", "a.yaml", "--set"], "--set:1:1: set: option '--set' requires an argument"),
        (["run", "a.yaml", "b.yaml"], "pimsim:1:1: pimsim run: got unexpected extra argument (b.yaml); "
         "see `pimsim run --help`"),
        (["check", "a.csv"], "--config:1:1: config: is needed; see `pimsim check --help`"),
        (["rn"], "pimsim:1:1: pimsim: no such command 'rn'; did you mean 'run'?"),
        (["config", "shwo"], "pimsim:1:1: pimsim config: no such command 'shwo'; did you mean 'show'?"),
        (["frobnicate"], "pimsim:1:1: pimsim: no such command 'frobnicate'; see `pimsim --help`"),
    ],
)  # fmt: skip
def test_a_wrong_command_line_is_one_line_and_status_2(pimsim: Pimsim, arguments: list[str], line: str) -> None:
    result = pimsim(*arguments)
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", f"{line}\n")


@pytest.mark.parametrize("arguments", [[], ["config"]])
def test_without_a_command_the_help_is_shown(pimsim: Pimsim, arguments: list[str]) -> None:
    result = pimsim(*arguments)
    assert "Commands:" in result.output and "Traceback" not in result.output


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["run", "-h"], ["config", "show", "--help"]])
def test_help_is_status_0(pimsim: Pimsim, arguments: list[str]) -> None:
    result = pimsim(*arguments)
    assert result.exit_code == 0 and result.stdout.startswith("Usage: ") and result.stderr == ""


def test_the_version_is_the_package_s(pimsim: Pimsim) -> None:
    assert pimsim("--version").stdout.split() == [pimsim("--version").stdout.split()[0], package.__version__]


# -- config -------------------------------------------------------------------------------


def test_config_show_prints_a_configuration_that_loads_again(pimsim: Pimsim, shipped: Path, tmp_path: Path) -> None:
    shown = pimsim("config", "show", shipped, "--set", "dram.channels=4")
    assert shown.exit_code == 0 and "channels: 4" in shown.stdout
    (tmp_path / "shown.yaml").write_text(shown.stdout)
    again = pimsim("config", "show", "shown.yaml")
    values = [[line.partition("  #")[0] for line in text.split("\n")] for text in (shown.stdout, again.stdout)]
    assert values[0] == values[1]


def test_config_show_says_where_each_value_is_from(pimsim: Pimsim, shipped: Path) -> None:
    lines = pimsim("config", "show", shipped).stdout.rstrip("\n").split("\n")
    silent = [line for line in lines if "  # " not in line and not line.endswith(":")]
    assert not silent


def test_config_validate_says_that_a_configuration_is_valid(pimsim: Pimsim, shipped: Path) -> None:
    result = pimsim("config", "validate", shipped)
    assert (result.exit_code, result.stdout) == (0, f"{shipped}: valid\n")


def test_config_validate_refuses_what_a_run_would_refuse(pimsim: Pimsim, extend: Write) -> None:
    path = extend("workload:\n  model: gpt3-13b\nmapping:\n  reserve_tokens: 5\n")
    result = pimsim("config", "validate", path)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"{path}:5:3: mapping.reserve_tokens: room for 5 tokens")


def test_config_schema_is_a_json_schema_that_offers_names(pimsim: Pimsim) -> None:
    schema = json.loads(pimsim("config", "schema").stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert set(MODELS) == set(schema["$defs"]["WorkloadConfig"]["properties"]["model"]["anyOf"][0]["enum"])


def test_config_schema_takes_a_configuration(pimsim: Pimsim, shipped: Path) -> None:
    assert pimsim("config", "schema", shipped).stdout == pimsim("config", "schema").stdout
    assert pimsim("config", "schema", "none.yaml").exit_code == 2


# -- models -------------------------------------------------------------------------------


def test_models_lists_models_and_baselines(pimsim: Pimsim) -> None:
    result = pimsim("models")
    words = result.stdout.split()
    assert result.exit_code == 0
    assert not ({*MODELS, "gpu-t4", "cpu-xeon-6154"} - set(words))
    assert "1,208,598,528" in words  # GPT3-XL: 12 x 24 x 2048^2, and biases and norms


# -- check --------------------------------------------------------------------------------


def test_a_run_s_own_log_passes_the_check(pimsim: Pimsim, tiny: Path, tmp_path: Path) -> None:
    assert pimsim("run", tiny, "--json", "--commands", "log.csv").exit_code == 0
    count = len((tmp_path / "log.csv").read_text().splitlines()) - 1
    result = pimsim("check", "log.csv", "--config", tiny)
    assert (result.exit_code, result.stdout) == (0, f"{count:,} commands checked, no violations\n")


def test_a_log_that_breaks_the_protocol_fails_the_check(pimsim: Pimsim, write: Write, shipped: Path) -> None:
    write("clk,channel,command,bank_group,bank,row,column\n0,0,ACTAB,-1,-1,5,-1\n11,0,MACAB,-1,-1,5,0\n", "log.csv")
    result = pimsim("check", "log.csv", "--config", shipped)
    *violations, last = result.stdout.rstrip("\n").split("\n")
    assert result.exit_code == 1 and last == "2 commands checked, 1 violation"
    assert len(violations) == 1 and violations[0].startswith("log.csv: line 3: clock 11, channel 0, MACAB: ")


def test_the_check_uses_the_configuration_s_timing(pimsim: Pimsim, write: Write, shipped: Path) -> None:
    write("clk,channel,command,bank_group,bank,row,column\n0,0,ACTAB,-1,-1,5,-1\n11,0,MACAB,-1,-1,5,0\n", "log.csv")
    assert pimsim("check", "log.csv", "--config", shipped, "--set", "dram.timing.tRCDRD_ns=11").exit_code == 0


def test_a_flood_of_violations_is_cut_off_and_counted(pimsim: Pimsim, write: Write, shipped: Path) -> None:
    rows = "".join(f"{clk},0,RD,0,0,0,0\n" for clk in range(150))
    write(f"clk,channel,command,bank_group,bank,row,column\n{rows}", "log.csv")
    result = pimsim("check", "log.csv", "--config", shipped)
    *violations, more, last = result.stdout.rstrip("\n").split("\n")
    total = int(last.removeprefix("150 commands checked, ").removesuffix(" violations"))
    assert len(violations) == 100 and more == f"... and {total - 100} more"


def test_a_log_that_is_none_is_refused(pimsim: Pimsim, write: Write, shipped: Path) -> None:
    write("clk,channel\n", "log.csv")
    result = pimsim("check", "log.csv", "--config", shipped)
    assert result.exit_code == 2 and result.stderr.startswith("log.csv:1:1: ")


def test_a_problem_of_no_file_has_a_place_all_the_same(
    pimsim: Pimsim, shipped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: object) -> None:
        raise package.InputError("needs protobuf")

    monkeypatch.setattr("pimsim.workload.interchange.export_chakra", missing)
    trace = shipped.parent.parent / "traces" / "gpt2-small.jsonl"
    result = pimsim("trace", "chakra", trace, "--out", "g.et")
    assert (result.exit_code, result.stderr) == (2, "pimsim:1:1: pimsim: needs protobuf\n")
