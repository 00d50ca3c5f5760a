"""`pimsim generate` and `pimsim accuracy`: what they print, what they write, and what they say of wrong input."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from safetensors.numpy import load_file, save_file

from pimsim.devices.registry import STANDARDS
from pimsim.logs.log import read_log
from tests.values.models import write_model

Pimsim = Callable[..., Result]
MODELS = Path(__file__).parents[1] / "golden" / "models"
SPEAKER = MODELS / "char-llama"
TEXT = MODELS / "text" / "chapter-29.txt"
DEVICES = ("pim-gpt", "aim")
KEYS = [
    "prompt_ids", "output_ids", "reference_ids", "text", "reference_text", "agreement", "max_abs_logit_error",
    "mean_kl", "commands_executed", "level", "summary",
]  # fmt: skip


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    write_model(folder, "llama")
    return folder


def generated(pimsim: Pimsim, *arguments: Any) -> dict[str, Any]:
    result = pimsim("generate", *arguments, "--set", "baselines=[]", "--json")
    assert result.exit_code == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


@pytest.mark.parametrize("device", DEVICES)
def test_both_levels_give_the_same_tokens_and_measures(pimsim: Pimsim, model: Path, device: str) -> None:
    asked = (device, "--weights", model, "--prompt-ids", "3,17,99,5", "--tokens", 4)
    by_commands, fast = (generated(pimsim, *asked, "--level", level) for level in ("commands", "fast"))
    assert list(by_commands) == KEYS
    assert by_commands["level"] == "commands" and fast["level"] == "fast"
    assert by_commands["commands_executed"] == sum(by_commands["summary"]["system"]["commands"].values())
    assert fast["commands_executed"] == 0
    for name in ("prompt_ids", "output_ids", "reference_ids", "agreement", "max_abs_logit_error", "mean_kl"):
        assert by_commands[name] == fast[name], name
    assert by_commands["summary"]["system"] == fast["summary"]["system"]
    assert by_commands["prompt_ids"] == [3, 17, 99, 5] and len(by_commands["output_ids"]) == 4
    workload = by_commands["summary"]["workload"]
    assert (workload["prompt_tokens"], workload["output_tokens"], workload["lm_head"]) == (4, 4, True)
    assert 0 < by_commands["max_abs_logit_error"] < 0.2 and 0 <= by_commands["mean_kl"] < 1e-2


def test_the_log_has_the_commands_that_were_carried_out(pimsim: Pimsim, model: Path, tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    asked = ("pim-gpt", "--weights", model, "--prompt-ids", "3,17", "--tokens", 2, "--commands", log)
    found = generated(pimsim, *asked)
    assert len(read_log(log, STANDARDS["gddr6-pim"]).clk) == found["commands_executed"] > 0
    checked = pimsim("check", log, "--config", "pim-gpt")
    assert checked.exit_code == 0, checked.stderr


def test_other_weights_or_another_prompt_say_something_else(pimsim: Pimsim, model: Path, tmp_path: Path) -> None:
    write_model(tmp_path, "llama", seed=1)
    first, other, longer = (
        generated(pimsim, "pim-gpt", "--weights", weights, "--prompt-ids", ids, "--tokens", 6)["output_ids"]
        for weights, ids in ((model, "3,17"), (tmp_path, "3,17"), (model, "3,18"))
    )
    assert first != other and first != longer


@pytest.mark.parametrize("device", DEVICES)
def test_a_small_model_speaks(pimsim: Pimsim, device: str) -> None:
    asked = (device, "--weights", SPEAKER, "--prompt", "The ", "--tokens", 24)
    found = generated(pimsim, *asked, "--level", "fast")
    assert found["agreement"] > 0.9 and found["mean_kl"] < 0.01
    assert len(found["text"]) == 24 and " " in found["text"]
    assert found["reference_text"][:4] == found["text"][:4]


def test_tables_fit_80_columns_and_say_what_is_assumed(pimsim: Pimsim) -> None:
    result = pimsim("generate", "pim-gpt", "--weights", SPEAKER, "--prompt", "The ", "--tokens", 4)
    assert result.exit_code == 0, result.stderr
    assert max(map(len, result.stdout.splitlines())) <= 80
    for part in ("reference", "agreement", "level commands", "us a token", "uJ a token"):
        assert part in result.stdout
    assert "asic.range_reduction: warning:" in result.stderr
    quiet = pimsim(
        "generate", "pim-gpt", "--weights", SPEAKER, "--prompt", "The ", "--tokens", 1, "--set",
        "asic.range_reduction=none",
    )  # fmt: skip
    assert "range_reduction" not in quiet.stderr


def test_a_plain_taylor_series_destroys_what_is_said(pimsim: Pimsim) -> None:
    asked = ("pim-gpt", "--weights", SPEAKER, "--prompt", "The ", "--tokens", 8, "--level", "fast")
    reduced = generated(pimsim, *asked)
    plain = generated(pimsim, *asked, "--set", "asic.range_reduction=none")
    assert plain["agreement"] < reduced["agreement"]


def test_accuracy_over_a_text(pimsim: Pimsim) -> None:
    asked = ("accuracy", "pim-gpt", "--weights", SPEAKER, "--text", TEXT, "--tokens", 200)
    result = pimsim(*asked, "--json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert list(found) == ["tokens", "perplexity", "agreement", "mean_kl"] and found["tokens"] == 200
    own, reference = found["perplexity"]["pim"], found["perplexity"]["reference"]
    assert 1 < reference < 8 and math.isclose(own, reference, rel_tol=0.05) and own != reference
    assert found["agreement"] > 0.9
    rounded = json.loads(pimsim(*asked, "--json", "--set", "values.accumulate=bf16").stdout)
    assert rounded["mean_kl"] != found["mean_kl"]
    assert "perplexity" in pimsim(*asked).stdout


def test_numbers_of_tokens_that_were_set_and_do_nothing_are_told(pimsim: Pimsim, model: Path) -> None:
    asked = ("generate", "pim-gpt", "--weights", model, "--prompt-ids", "3,17", "--tokens", 2, "--json")
    keys = "--set", "workload.prompt_tokens=5", "--set", "workload.output_tokens=2"
    result = pimsim(*asked, *keys)
    assert result.exit_code == 0, result.stderr
    assert "workload.prompt_tokens: warning: 5 was set, but what is asked takes 2: the key is left out" in result.stderr
    assert "workload.output_tokens" not in result.stderr, "as many were set as were asked for"


# -- wrong input ------------------------------------------------------------------------


def refused(pimsim: Pimsim, *arguments: Any) -> list[str]:
    """The lines that a command ends with; its status is 2."""
    result = pimsim(*arguments)
    assert result.exit_code == 2, (result.stdout, result.stderr)
    assert not result.stdout and "Traceback" not in result.stderr
    return [line for line in result.stderr.splitlines() if ": warning: " not in line]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--prompt-ids", "1,2,999"), "--prompt-ids:1:1: prompt-ids: 999: not in the vocabulary"),
        (("--prompt-ids", "1,-2"), "not in the vocabulary"),
        (("--prompt-ids", "1,x"), "must be whole numbers"),
        (("--prompt-ids", ""), "must be whole numbers"),
        ((), "one of --prompt and --prompt-ids is needed"),
        (("--prompt-ids", "1", "--prompt", "a"), "give one"),
        (("--prompt-ids", "1", "--tokens", 0), "must be at least 1, not 0"),
        (("--prompt", "hello"), "--tokenizer"),
        (("--prompt-ids", "1", "--set", "workload.model=gpt2-small"), "gpt2-small is not the model of"),
        (("--prompt-ids", "1", "--set", "workload.batch=2"), "workload.batch: must be 1"),
        (("--prompt-ids", "1", "--set", "dram.rows=4"), "dram.rows: the workload does not fit"),
        (("--prompt-ids", "1", "--commands", ""), "needs the name of a file"),
    ],
)
def test_what_is_wrong_is_one_line_each(
    pimsim: Pimsim, model: Path, tmp_path: Path, given: tuple[Any, ...], said: str
) -> None:
    log = tmp_path / "log.csv"
    tokens = () if "--tokens" in given else ("--tokens", 2)
    written = () if "--commands" in given else ("--commands", log)
    (line,) = refused(pimsim, "generate", "pim-gpt", "--weights", model, *tokens, *written, *given)
    assert said in line
    assert not log.exists()


def test_a_memory_that_multiplies_nothing_has_no_tokens(pimsim: Pimsim, model: Path) -> None:
    (line,) = refused(pimsim, "generate", "gddr6", "--weights", model, "--prompt-ids", "1", "--tokens", 1)
    assert "runs no language model" in line


def test_weights_with_a_nan_are_refused_by_name(pimsim: Pimsim, model: Path, tmp_path: Path) -> None:
    write_model(tmp_path, "llama")
    (file,) = tmp_path.glob("*.safetensors")
    tensors = load_file(file)
    name = next(name for name in tensors if "v_proj" in name)
    tensors[name] = tensors[name].copy()
    tensors[name].reshape(-1)[3] = np.nan
    save_file(tensors, file)
    log = tmp_path / "log.csv"
    (line,) = refused(
        pimsim, "generate", "pim-gpt", "--weights", tmp_path, "--prompt-ids", "1", "--tokens", 1, "--commands", log
    )
    assert name in line and "NaN" in line and not log.exists()


def test_a_tokenizer_of_another_model_is_refused(pimsim: Pimsim, tmp_path: Path) -> None:
    write_model(tmp_path, "llama", vocab_size=200)
    asked = ("generate", "pim-gpt", "--weights", tmp_path, "--prompt", "The", "--tokens", 1)
    (line,) = refused(pimsim, *asked, "--tokenizer", MODELS / "char-gpt" / "tokenizer.json")
    assert "has 73 tokens, the model's table 200" in line


def test_a_character_outside_of_the_vocabulary_is_refused(pimsim: Pimsim) -> None:
    (line,) = refused(pimsim, "generate", "pim-gpt", "--weights", SPEAKER, "--prompt", "The \N{SNOWMAN}", "--tokens", 1)
    assert "\N{SNOWMAN}" in line or "2603" in line


def test_a_text_that_is_none_is_refused(pimsim: Pimsim, tmp_path: Path) -> None:
    wrong = tmp_path / "text"
    wrong.write_bytes(b"ab\xff")
    (line,) = refused(pimsim, "accuracy", "pim-gpt", "--weights", SPEAKER, "--text", wrong)
    assert line.startswith(f"{wrong}:1:3:")
    wrong.write_text("a")
    (line,) = refused(pimsim, "accuracy", "pim-gpt", "--weights", SPEAKER, "--text", wrong)
    assert "longer text" in line


def test_a_prompt_whose_last_tokens_go_at_once_is_refused_where_commands_are_carried_out(
    pimsim: Pimsim, model: Path
) -> None:
    asked = ("generate", "pim-gpt", "--weights", model, "--prompt-ids", "3,17,99,5", "--tokens", 2, "--json")
    wrong = pimsim(*asked, "--set", "workload.prefill_chunk=2")
    assert wrong.exit_code == 2
    assert "--set:1:1: workload.prefill_chunk: the last 2 tokens of the prompt go at once" in wrong.stderr
    whole, parts = (generated(pimsim, *asked[1:-1], *more) for more in ((), ("--set", "workload.prefill_chunk=3")))
    assert parts["output_ids"] == whole["output_ids"]


@pytest.mark.parametrize(
    "command", [("generate", "--prompt", "The ", "--tokens", "2"), ("accuracy", "--text", str(TEXT))]
)
def test_without_the_extra_it_is_named(command: tuple[str, ...]) -> None:
    """Not as an error of ours: a plain installation has none of what reads weights."""
    asked = ["pimsim", command[0], "pim-gpt", "--weights", str(SPEAKER), *command[1:]]
    code = f"import sys; sys.modules['ml_dtypes'] = None; sys.argv = {asked}; from pimsim.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    said = "--weights:1:1: weights: needs ml_dtypes: pip install 'pimsim[values]'\n"
    assert (done.returncode, done.stderr, done.stdout) == (2, said, "")
