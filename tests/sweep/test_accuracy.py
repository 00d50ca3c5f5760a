"""Accuracy as an objective: the figures of `accuracy`, once for all points that round alike, beside those of a run."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

import pimsim.sweep
from pimsim import api, load_config
from pimsim.errors import InputError
from pimsim.generation import accuracy
from pimsim.generation.speaking import speaking
from pimsim.generation.texts import ids_of
from pimsim.sweep import accuracy as section
from pimsim.sweep.objectives import Objective
from pimsim.sweep.reader import load_sweep
from pimsim.sweep.runner import Stopped
from pimsim.values.weights.load import load_weights
from tests.conftest import SHIPPED
from tests.sweep.test_run import contents

pytest.importorskip("tokenizers")

generation = sys.modules[accuracy.__module__]
AIM = Path(SHIPPED).parent / "aim.yaml"
MODELS = Path(__file__).parents[1] / "golden" / "models"
WEIGHTS, TEXT = MODELS / "char-llama", MODELS / "text" / "chapter-29.txt"
TOKENS = 48
ACCURACY = {"weights": str(WEIGHTS), "text": str(TEXT), "tokens": TOKENS}
SET = {"workload.output_tokens": 2, "workload.prompt_tokens": 1, "baselines": []}
GOALS = ["accuracy.perplexity", "system.latency_per_token_ns"]
AXES: dict[str, Any] = {"asic.taylor_terms": [2, 6], "dram.channels": [4, 8], "asic.power_mW": [100, 300]}
SweepFile = Callable[[str], Path]


def sweep_of(axes: Mapping[str, Any], base: Path = Path(SHIPPED), **sections: Any) -> dict[str, Any]:
    return {"base": str(base), "set": SET, "axes": axes, "accuracy": ACCURACY, "objectives": GOALS, **sections}


def rows_of(sweep: Mapping[str, Any], **options: Any) -> list[dict[str, Any]]:
    return list(pimsim.sweep.run(sweep, **{"workers": 0, **options}).rows())


def nine(value: float) -> float:
    return float(f"{value:.8e}")


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is computed: "design" for each text that a design reads, "reference" for each that the reference does."""
    asked: list[str] = []

    class Text(generation.Text):
        def measured(self, *given: Any) -> Any:
            asked.append("design")
            return super().measured(*given)

        def expected(self, *given: Any) -> Any:
            asked.append("reference")
            return super().expected(*given)

    monkeypatch.setattr(generation, "Text", Text)
    return asked


# ---- figures --------------------------------------------------------------------------------


@pytest.mark.parametrize("base", [Path(SHIPPED), AIM], ids=["pim-gpt", "aim"])
def test_a_point_has_the_figures_of_accuracy_alone_and_of_a_run_of_the_model(base: Path) -> None:
    weights = load_weights(WEIGHTS)
    ids = ids_of(TEXT, weights, None, TOKENS)
    axes = {"asic.range_reduction": ["none", "ln2"], "asic.newton_steps": [0, 2]}
    rows = rows_of(sweep_of(axes, base))
    rows += rows_of(sweep_of({"asic.taylor_terms": [3]}, base))  # exp as it is where nobody says
    assert len({json.dumps([row[name] for name in section.NAMES]) for row in rows}) == 5
    for row in rows:
        given = {key: row[key] for key in (*axes, "asic.taylor_terms") if key in row}
        config = load_config(base, {**SET, **given})
        alone = accuracy(config, weights, ids).measures
        for name in ("agreement", "perplexity", "mean_kl", "reference_perplexity"):
            figure = row[f"accuracy.{name}"]
            assert (figure is None) if (value := getattr(alone, name)) != value else figure == nine(value)
        assert row["accuracy.tokens"] == TOKENS
        assert row["accuracy.range_reduction"] == given.get("asic.range_reduction", "ln2")
        spoken = speaking(config, weights, 1, 2)
        summary = api.run(spoken.prepared).summary
        assert row["system.cycles"] == summary["system"]["cycles"]
        assert row["system.energy_pJ"] == summary["system"]["energy_pJ"]
        assert row["config_sha256"] == summary["config_sha256"]
        assert row["workload.model"] == "char-llama" and row["warnings"] is None
        if row["accuracy.range_reduction"] == "none":  # a destroyed softmax
            assert (row["accuracy.perplexity"] or 100) >= 100 and row["accuracy.agreement"] < 0.5


def test_a_point_has_a_report_of_the_model_that_spoke(tmp_path: Path) -> None:
    result = pimsim.sweep.run(sweep_of({"dram.channels": [4, 8]}), out=str(tmp_path), workers=0, reports=(1,))
    assert result.unreported == {}
    row, summary = list(result.rows())[1], json.loads((tmp_path / "points/1/summary.json").read_text())
    assert summary["workload"]["model"] == "char-llama"
    assert summary["system"]["latency_per_token_ns"] == row["system.latency_per_token_ns"]
    assert '"command": null' in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_logits_that_are_no_numbers_have_no_figure_and_no_place_in_the_front() -> None:
    (row,) = rows_of(sweep_of({"asic.range_reduction": ["none"]}))
    assert row["status"] == "ok" and row["accuracy.perplexity"] is None and row["accuracy.agreement"] < 0.5
    assert Objective("accuracy.perplexity").cost(row) is None


def test_a_text_is_read_once_for_all_points_that_round_alike(counted: list[str]) -> None:
    rows = rows_of(sweep_of(AXES))
    assert counted.count("design") == 2 and counted.count("reference") == 1
    by_terms = {row["asic.taylor_terms"]: row["accuracy.perplexity"] for row in rows}
    assert len(rows) == 8 and by_terms[2] != by_terms[6]
    assert all(row["accuracy.perplexity"] == by_terms[row["asic.taylor_terms"]] for row in rows)


def test_what_a_step_is_of_is_the_points_own() -> None:
    one, four = rows_of(sweep_of({"workload.batch": [1, 4]}))
    assert one["accuracy.perplexity"] == four["accuracy.perplexity"]
    assert four["system.energy_pJ"] > 2 * one["system.energy_pJ"]


def test_the_columns_are_there_without_an_objective_and_nothing_without_the_section() -> None:
    axes = {"dram.channels": [4]}
    (with_it,) = rows_of({key: value for key, value in sweep_of(axes).items() if key != "objectives"})
    model = {**SET, "workload.model": "gpt2-small"}
    (without,) = rows_of({"base": str(SHIPPED), "set": model, "axes": axes})
    names = {"perplexity", "agreement", "mean_kl", "reference_perplexity", "tokens", "range_reduction"}
    assert set(with_it) - set(without) >= {f"accuracy.{name}" for name in names}
    assert not [name for name in without if name.startswith("accuracy")]
    assert list(with_it)[-1] == "warnings"


def test_a_point_that_cannot_hold_the_text_is_infeasible_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*given: Any) -> None:
        raise InputError("the text does not fit", key="dram.rows")

    monkeypatch.setattr(generation.Ruler, "__call__", refuse)
    (row,) = rows_of(sweep_of({"dram.channels": [4]}))
    assert (row["status"], row["error"]) == ("infeasible", "dram.rows: the text does not fit")
    assert "system.cycles" not in row


# ---- who computes it, and when ----------------------------------------------------------------


def test_the_same_bytes_from_this_process_from_two_and_from_parts(tmp_path: Path) -> None:
    sweep = sweep_of(AXES)
    for name, options in (("here", {"workers": 0}), ("two", {"workers": 2})):
        pimsim.sweep.run(sweep, out=str(tmp_path / name), **options)
    shards = [str(tmp_path / f"shard{i}") for i in (1, 2)]
    for i, folder in enumerate(shards, 1):
        pimsim.sweep.run(sweep, out=folder, workers=0, shard=(i, 2))
    pimsim.sweep.merge(load_sweep(sweep), shards, tmp_path / "whole")
    assert contents(tmp_path / "here") == contents(tmp_path / "two") == contents(tmp_path / "whole")


def test_a_sweep_that_was_stopped_goes_on(tmp_path: Path, counted: list[str]) -> None:
    sweep = sweep_of(AXES)
    pimsim.sweep.run(sweep, out=str(tmp_path / "whole"), workers=0)

    def stop(done: int, total: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(Stopped):
        pimsim.sweep.run(sweep, out=str(tmp_path / "part"), workers=0, progress=stop)
    counted.clear()
    result = pimsim.sweep.run(sweep, out=str(tmp_path / "part"), workers=0, resume=True)
    assert counted.count("design") == 1 and result.statuses["ok"] == 8
    assert contents(tmp_path / "part") == contents(tmp_path / "whole")
    text = tmp_path / "other.txt"
    text.write_text("It is another text, of more than as many characters as are read of it.")
    for other in ({"text": str(text)}, {"tokens": TOKENS - 1}, {"weights": str(MODELS / "char-gpt")}):
        changed = {**sweep, "accuracy": {**ACCURACY, **other}}
        with pytest.raises(InputError, match="holds another sweep: .*a file that they name has changed"):
            pimsim.sweep.run(changed, out=str(tmp_path / "part"), workers=0, resume=True)


def test_what_goes_wrong_beside_the_input_fails_the_point_and_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = sweep_of({"asic.taylor_terms": [2, 6]})
    with monkeypatch.context() as patch:
        patch.setattr(generation.Ruler, "__call__", lambda *given: 1 // 0)
        result = pimsim.sweep.run(sweep, out=str(tmp_path / "out"), workers=0)
        assert result.statuses == {"ok": 0, "infeasible": 0, "failed": 2}
        assert "ZeroDivisionError" in next(iter(result.rows()))["error"]
    result = pimsim.sweep.run(sweep, out=str(tmp_path / "out"), workers=0, resume=True)
    assert result.statuses["ok"] == 2
    pimsim.sweep.run(sweep, out=str(tmp_path / "whole"), workers=0)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_weights_that_are_replaced_meanwhile_are_those_of_the_start(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(WEIGHTS, folder)
    sweep = sweep_of({"asic.taylor_terms": [2, 6]}, accuracy={**ACCURACY, "weights": str(folder)})
    loaded = load_sweep(sweep)
    shutil.rmtree(folder)
    found = list(pimsim.sweep.runner.run_sweep(loaded, workers=0).rows())
    expected = rows_of(sweep_of({"asic.taylor_terms": [2, 6]}))
    assert [row["accuracy.mean_kl"] for row in found] == [row["accuracy.mean_kl"] for row in expected]


# ---- objectives -------------------------------------------------------------------------------


def objectives(*given: Any) -> list[tuple[str, bool]]:
    sweep = load_sweep(sweep_of({"dram.channels": [4]}, objectives=list(given)))
    return [(objective.name, objective.maximise) for objective in sweep.objectives]


def test_agreement_is_made_large_and_the_others_small() -> None:
    assert objectives(*section.NAMES) == [
        ("accuracy.perplexity", False), ("accuracy.agreement", True), ("accuracy.mean_kl", False),
    ]  # fmt: skip
    assert objectives({"maximise": "accuracy.agreement"}, {"maximise": "accuracy.mean_kl"}) == [
        ("accuracy.agreement", True), ("accuracy.mean_kl", True),
    ]  # fmt: skip
    assert objectives({"minimise": "accuracy.agreement"}) == [("accuracy.agreement", False)]


def test_the_front_has_what_is_fast_and_what_is_right_and_no_design_that_says_nothing() -> None:
    axes = {"asic.taylor_terms": [2, 6], "asic.range_reduction": ["none", "ln2"]}
    result = pimsim.sweep.run(sweep_of(axes, objectives=["accuracy.mean_kl", GOALS[1]]), workers=0)
    front = result.pareto()
    assert {row["accuracy.range_reduction"] for row in front} == {"ln2"}
    assert len(front) > 1 and front[0]["asic.taylor_terms"] == 6
    assert "accuracy.mean_kl" in (result.directory / "report.html").read_text()


def test_a_tornado_and_sobol_indices_of_accuracy(tmp_path: Path) -> None:
    pytest.importorskip("scipy")
    axes = {"one_at_a_time": {"asic.newton_steps": [0], "asic.power_mW": [100], "values.accumulate": ["bf16"]}}
    effects = pimsim.sweep.run(sweep_of(axes, objectives=["accuracy.mean_kl"]), workers=0).sensitivity()
    swings = {effect["key"]: effect["swing"] for effect in effects}
    assert swings["asic.newton_steps"] > 0 and swings["values.accumulate"] > 0 == swings["asic.power_mW"]
    axes = {"sobol": {"samples": 4, "seed": 1, "axes": {"asic.newton_steps": [0, 1, 2], "asic.power_mW": [1, 2]}}}
    effects = pimsim.sweep.run(sweep_of(axes, objectives=["accuracy.mean_kl"]), workers=0).sensitivity()
    assert [(effect["key"], effect["total"] > 0) for effect in effects] == [
        ("asic.newton_steps", True), ("asic.power_mW", False),
    ]  # fmt: skip


def test_a_search_goes_where_it_speaks_and_learns_nothing_from_designs_that_say_nothing() -> None:
    pytest.importorskip("optuna")
    axes = {"asic.taylor_terms": [2, 4, 6], "asic.range_reduction": ["none", "ln2"], "dram.channels": [4, 8]}
    search = {"trials": 12, "seed": 1, "batch": 4, "axes": axes}
    sweep = {key: value for key, value in sweep_of({}, search=search).items() if key != "axes"}
    rows = rows_of(sweep)
    assert rows == rows_of(sweep, workers=2)
    assert len(rows) == 12 and {row["status"] for row in rows} == {"ok"}
    said = [row["accuracy.perplexity"] is not None for row in rows]
    assert said == [row["asic.range_reduction"] == "ln2" for row in rows] and any(said)


# ---- what can be wrong ------------------------------------------------------------------------


def problems(tmp_path: Path, text: str, weights: str = "m", read: str = "t.txt") -> list[str]:
    """What is said of a sweep with these sections, from line 4 on, beside a model `m` and a text `t.txt`."""
    (tmp_path / "m").exists() or (tmp_path / "m").symlink_to(WEIGHTS)
    (tmp_path / "t.txt").exists() or (tmp_path / "t.txt").symlink_to(TEXT)
    path = tmp_path / "s.yaml"
    path.write_text(f"base: {SHIPPED}\nset: {{workload.output_tokens: 1, baselines: []}}\n{text}\n")
    try:
        load_sweep(path)
    except InputError as error:
        return [str(problem).replace(f"{tmp_path}/", "") for problem in error.problems]
    return []


PLAIN = "axes: {dram.channels: [4]}\n"
GOOD = "accuracy: {weights: m, text: t.txt, tokens: 9}\n"
WRONG: Mapping[str, tuple[str, list[str]]] = {
    "nothing": (PLAIN + GOOD + "objectives: [accuracy.agreement]", []),
    "no mapping": (
        PLAIN + "accuracy: m",
        ["s.yaml:4:1: accuracy: must be a mapping of weights, text, tokenizer, tokens"],
    ),
    "keys": (
        PLAIN + "accuracy: {wieghts: m, text: 3, tokens: 1.5}",
        [
            "s.yaml:4:1: accuracy.weights: is needed: the file or folder of a model",
            "s.yaml:4:12: accuracy.wieghts: unknown key; did you mean 'weights'?",
            "s.yaml:4:24: accuracy.text: must be the name of a file",
            "s.yaml:4:33: accuracy.tokens: must be a whole number from 2 to 1,000,000",
        ],
    ),
    "no weights": (
        PLAIN + "accuracy: {weights: no, text: t.txt}",
        ["s.yaml:4:12: accuracy.weights: no: cannot be read: No such file or directory"],
    ),
    "no text": (
        PLAIN + "accuracy: {weights: m, text: no.txt}",
        ["s.yaml:4:24: accuracy.text: no.txt: cannot be read: No such file or directory"],
    ),
    "no tokenizer": (
        PLAIN + "accuracy: {weights: m, text: t.txt, tokenizer: no.json}",
        ["s.yaml:4:37: accuracy.tokenizer: no.json: cannot be read: No such file or directory"],
    ),
    "a pickle": (
        PLAIN + "accuracy: {weights: p.bin, text: t.txt}",
        [
            "s.yaml:4:12: accuracy.weights: p.bin: is a pickle of PyTorch, which can run code: save the model as "
            "safetensors (`save_pretrained` does)"
        ],
    ),
    "an objective": (
        PLAIN + GOOD + "objectives: [accuracy.perplexty]",
        ["s.yaml:5:14: objectives.0: accuracy.perplexty: no figure of a result; did you mean 'accuracy.perplexity'?"],
    ),
    "no section": (
        PLAIN + "objectives: [{maximise: accuracy.agreement}]",
        [
            "s.yaml:4:14: objectives.0: accuracy.agreement: whose accuracy? It needs a section "
            "`accuracy: {weights: FILE, text: FILE}` of this file"
        ],
    ),
    "a constraint": (
        PLAIN + GOOD + "constraints: [accuracy.perplexity < 9]",
        [
            "s.yaml:5:15: constraints.0: accuracy.perplexity is of a result; constraints are over keys of the "
            "configuration, before anything is simulated"
        ],
    ),
    "models": (
        "axes: {workload.model: [gpt2-small, gpt2-xl], workload.lm_head: [true, false]}\n" + GOOD,
        [
            "s.yaml:3:25: workload.model: the weights of `accuracy` say which model runs; leave it out",
            "s.yaml:3:37: workload.model: the weights of `accuracy` say which model runs; leave it out",
            "s.yaml:3:72: workload.lm_head: must be true where tokens are computed (`accuracy`); leave it out",
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_said_before_anything_runs(what: str, tmp_path: Path) -> None:
    (tmp_path / "p.bin").write_bytes(b"PK\x03\x04 more of it")
    text, expected = WRONG[what]
    assert problems(tmp_path, text) == expected


def test_a_model_that_the_sweep_sets_is_refused_and_that_of_the_base_gives_way(tmp_path: Path) -> None:
    found = problems(tmp_path, PLAIN + GOOD)
    assert not found
    (tmp_path / "s.yaml").unlink()
    path = tmp_path / "t.yaml"
    path.write_text(f"base: {SHIPPED}\nset: {{workload.biases: false, workload.model: gpt2-small}}\n{PLAIN}{GOOD}")
    with pytest.raises(InputError) as caught:
        load_sweep(path)
    assert [str(problem).removeprefix(f"{path}:") for problem in caught.value.problems] == [
        "2:7: workload.biases: must be true where tokens are computed (`accuracy`); leave it out",
        "2:31: workload.model: the weights of `accuracy` say which model runs; leave it out",
    ]


def test_a_tensor_with_nan_and_a_tokenizer_of_another_model_are_one_line_each(tmp_path: Path) -> None:
    from tests.values.models import write_model

    write_model(tmp_path / "other", "llama", vocab_size=32)
    where = "accuracy: {weights: other, text: t.txt, tokenizer: m/tokenizer.json}"
    (line,) = problems(tmp_path, PLAIN + where)
    assert line == (
        "s.yaml:4:41: accuracy.tokenizer: m/tokenizer.json: has 73 tokens, the model's table 32: it is another "
        "model's; give the right one as `tokenizer`"
    )
    (line,) = problems(tmp_path, PLAIN + "accuracy: {weights: other, text: t.txt}")
    assert line == "s.yaml:4:1: accuracy.tokenizer: is needed: no tokenizer.json beside other"


def test_without_the_extra_a_line_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    (line,) = problems(tmp_path, PLAIN + GOOD)
    assert line == "s.yaml:4:1: accuracy: needs tokenizers: pip install 'pimsim[values]'"
    assert not problems(tmp_path, PLAIN)
