"""`pimsim run --values`: what it writes and says, that these agree, and what it says of wrong input."""

from __future__ import annotations

import csv
import json
import math
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from tests.values.models import write_model

Pimsim = Callable[..., Result]
SPEAKER = Path(__file__).parents[1] / "golden" / "models" / "char-llama"
COLUMNS = [
    "phase",
    "operator",
    "layer",
    "elements",
    "min",
    "max",
    "rms",
    "max_abs_error",
    "rms_error",
    "relative_error",
]
SHORT = ("--set", "workload.output_tokens=3", "--set", "baselines=[]")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    write_model(folder, "llama")
    return folder


def rows_of(path: Path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("device", ["pim-gpt", "aim"])
def test_table_timeline_and_terminal_say_the_same(pimsim: Pimsim, model: Path, tmp_path: Path, device: str) -> None:
    out, timeline = tmp_path / "out", tmp_path / "timeline.json"
    done = pimsim(
        "run", device, "--values", model, "--prompt-ids", "3,17,99", *SHORT, "--out", out, "--timeline", timeline
    )
    assert done.exit_code == 0, done.stderr
    rows = rows_of(out / "values.csv")
    assert list(rows[0]) == COLUMNS
    known = {(row["phase"], row["operator"], row["layer"]): row for row in rows}
    events = json.loads(timeline.read_text())["traceEvents"]
    told: dict[tuple[str, str, str], list[dict[str, Any]]] = defaultdict(list)
    for event in events:
        about = event["args"]
        if event["ph"] == "X" and event["tid"] == 1002 and "rms_error" in about:
            layer = str(about["block"]) if about["block"] >= 0 else ""
            told[about["phase"], event["name"], layer].append(about)
    whole = [where for where in known if {about["key"] for about in told[where]} == {where[1]}]
    assert len(whole) > 20  # operators that one instruction completes
    for where in whole:
        row, steps = known[where], told[where]
        assert min(each["min"] for each in steps) == pytest.approx(float(row["min"]), rel=1e-5)
        assert max(each["max_abs_error"] for each in steps) == pytest.approx(float(row["max_abs_error"]), rel=1e-5)
        assert len(steps) == (1 if where[0] == "prefill" and where[1] in ("final_norm", "lm_head") else 3)
        if "softmax" not in where and "scores" not in where:  # of which there are more from step to step
            mean = sum(each["rms_error"] ** 2 for each in steps) / len(steps)
            assert math.sqrt(mean) == pytest.approx(float(row["rms_error"]), rel=1e-4)
    assert "agreement 100.0 %" in done.stdout
    assert "Largest relative error: " in done.stdout
    worst = max(rows, key=lambda row: float(row["relative_error"]))
    assert f"in layer {worst['layer']})" in done.stdout.replace("\n", " ") or worst["layer"] == ""
    *lines, written = done.stdout.splitlines()  # the last has the folder's name
    assert max(map(len, lines)) <= 80 and written.startswith("written to ")


def test_the_tokens_are_those_of_generate(pimsim: Pimsim, tmp_path: Path) -> None:
    asked = ("--prompt", "The ")
    generated = pimsim("generate", "pim-gpt", "--weights", SPEAKER, *asked, "--tokens", "5", "--json")
    said = json.loads(generated.stdout)
    done = pimsim(
        "run", "pim-gpt", "--values", SPEAKER, *asked, "--set", "workload.output_tokens=5", "--set", "baselines=[]",
        "--out", tmp_path / "out", "--json",
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["system"] == said["summary"]["system"]
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert f'<p class="said">{said["text"]}</p>' in page


def test_the_operator_that_destroys_a_model_is_named(pimsim: Pimsim) -> None:
    asked = ("--values", SPEAKER, "--prompt", "The ", *SHORT, "--set", "asic.range_reduction=none", "--set",
             "workload.output_tokens=8")  # fmt: skip
    done = pimsim("run", "pim-gpt", *asked)
    assert done.exit_code == 0, done.stderr
    assert "agreement 0.0 %" in done.stdout
    assert "Largest relative error: softmax in decode, " in done.stdout  # exp by a plain Taylor series


def test_a_model_that_is_asked_nothing_begins_by_itself(pimsim: Pimsim, model: Path) -> None:
    done = pimsim("run", "pim-gpt", "--values", model, "--set", "baselines=[]", "--json")
    assert done.exit_code == 0, done.stderr
    work = json.loads(done.stdout)["workload"]
    assert (work["prompt_tokens"], work["output_tokens"]) == (1, 32)
    assert (
        "workload.output_tokens: warning: 32 tokens are said, not 1,024: --set workload.output_tokens=N" in done.stderr
    )


def test_where_the_values_of_the_configuration_came_from_is_told(pimsim: Pimsim, model: Path, tmp_path: Path) -> None:
    pimsim("run", "pim-gpt", "--values", model, *SHORT, "--out", tmp_path / "out")
    resolved = (tmp_path / "out" / "config.resolved.yaml").read_text(encoding="utf-8")
    lines = {line.split(":")[0].strip(): line for line in resolved.splitlines()}
    assert "[--values]" in lines["prompt_tokens"] and "[--values]" in lines["range_reduction"]
    assert "[--set:1]" in lines["output_tokens"]


def test_a_run_without_values_leaves_none_behind(pimsim: Pimsim, model: Path, tmp_path: Path) -> None:
    for more in (["--values", model], []):
        done = pimsim("run", "pim-gpt", *more, *SHORT, "--set", "workload.model=gpt2-small", "--out", tmp_path / "out")
        if more:
            assert done.exit_code == 2  # another model than the weights'
            done = pimsim("run", "pim-gpt", *more, *SHORT, "--out", tmp_path / "out")
        assert done.exit_code == 0, done.stderr
        assert (tmp_path / "out" / "values.csv").exists() is bool(more)
    assert "Values" not in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


WRONG = {
    "no values": (["--prompt", "x"], "--prompt:1:1: prompt: is for a run with --values, which is not given"),
    "ids alone": (["--prompt-ids", "1"], "prompt-ids: is for a run with --values"),
    "a tokenizer alone": (["--tokenizer", "x"], "tokenizer: is for a run with --values"),
    "no weights": (["--values", "nothing.gguf"], "nothing.gguf:1:1: "),
    "an empty name": (["--values", ""], "values: needs the name of a file, but it is empty"),
    "no model": (["--values", "wrong.gguf"], "wrong.gguf:1:1: "),
    "no tokenizer": (["--values", "MODEL", "--prompt", "x"], "no tokenizer.json beside "),
    "outside": (["--values", "MODEL", "--prompt-ids", "5,128"], "128: not in the vocabulary; ids are 0 to 127"),
    "no ids": (["--values", "MODEL", "--prompt-ids", "a"], "prompt-ids: must be whole numbers"),
    "both": (["--values", "MODEL", "--prompt-ids", "1", "--prompt", "x"], "is given beside --prompt-ids: give one"),
    "another length": (
        ["--values", "MODEL", "--set", "workload.prompt_tokens=7"],
        "workload.prompt_tokens: must be 1, as many as --values is asked with, not 7; leave it out",
    ),
    "another batch": (["--values", "MODEL", "--set", "workload.batch=2"], "workload.batch: must be 1 where tokens are"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_input_is_one_line_and_nothing_is_written(
    pimsim: Pimsim, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("wrong.gguf").write_bytes(b"GGUF" + bytes(3))
    given, message = WRONG[name]
    arguments = [str(model) if each == "MODEL" else each for each in given]
    done = pimsim("run", "pim-gpt", *arguments, "--out", "out", "--timeline", "t.json", "--commands", "log.csv")
    assert done.exit_code == 2
    errors = [line for line in done.stderr.splitlines() if ": warning: " not in line]
    assert len(errors) == 1 and message in errors[0], done.stderr
    assert done.stdout == ""
    assert {path.name for path in tmp_path.iterdir()} == {"wrong.gguf"}


def test_a_memory_without_a_model_is_refused(pimsim: Pimsim, model: Path) -> None:
    done = pimsim("run", "gddr6", "--values", model)
    assert done.exit_code == 2 and "runs no language model" in done.stderr
