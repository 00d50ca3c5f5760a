"""Without torch the committed exports are read, bound and replayed, and made again where the family is built in."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from pimsim.errors import InputError
from pimsim.workload import export as package
from pimsim.workload.export import plain, versions
from pimsim.workload.export.configs import NEEDED
from pimsim.workload.trace.bind import workload_of
from pimsim.workload.trace.reader import load_trace
from tests.configs import config_of
from tests.export.families import FAMILIES, MULTIMODAL, PUBLISHED, VARIANTS
from tests.export.golden import FOLDER, HASHES, digest, exported, text_of, without_launches, write_config

GOLDEN = sorted(FOLDER.glob("*.jsonl"))


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_golden_export_is_bound_whole(path: Path) -> None:
    trace = load_trace(path)
    workload = workload_of(trace)
    assert not trace.warnings
    assert workload.parameters == trace.header.model.parameters
    assert all(operator.aten is not None for operator in workload.operators)


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_golden_export_is_replayed(path: Path) -> None:
    from pimsim import run

    overrides = {"workload.trace": str(path), "workload.lm_head": True, "dram.channels": 2}
    overrides |= {"workload.prompt_tokens": 6, "workload.output_tokens": 4}
    summary = run(config_of(overrides)).summary
    assert summary["workload"]["parameters"] == load_trace(path).header.model.parameters
    assert sum(summary["system"]["latency_breakdown_ns"].values()) == pytest.approx(summary["system"]["latency_ns"])


@pytest.fixture
def without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is installed, neither torch nor transformers is found."""
    monkeypatch.setattr(package, "find_spec", lambda name: None)


@pytest.mark.usefixtures("without_torch")
@pytest.mark.parametrize("family", [f for f, config in FAMILIES.items() if config["model_type"] in plain.DEFAULTS])
def test_the_golden_export_is_made_from_the_configuration_alone(family: str, tmp_path: Path) -> None:
    golden = (FOLDER / f"{family}.jsonl").read_text(encoding="ascii")
    assert without_launches(exported(tmp_path, family)) == without_launches(golden)


@pytest.mark.usefixtures("without_torch")
@pytest.mark.parametrize("name", json.loads(HASHES.read_text(encoding="ascii")))
def test_what_is_made_has_the_hash_of_what_was_recorded(name: str, tmp_path: Path) -> None:
    expected = json.loads(HASHES.read_text(encoding="ascii"))[name]
    config = {**VARIANTS, **PUBLISHED}[name]
    text = text_of(str(write_config(tmp_path, name, config)), query=2, batch=3)
    assert digest(text) == expected


@pytest.mark.usefixtures("without_torch")
@pytest.mark.parametrize("family", ["gemma2", "gemma3_text", "phi3"])
def test_what_is_made_can_be_read_and_replayed(family: str, tmp_path: Path) -> None:
    path = tmp_path / "made.jsonl"
    path.write_text(exported(tmp_path, family), encoding="ascii")
    assert not load_trace(path).warnings
    golden = workload_of(load_trace(FOLDER / f"{family}.jsonl"))
    assert workload_of(load_trace(path)).sha256() == golden.sha256()


@pytest.mark.usefixtures("without_torch")
@pytest.mark.parametrize("name", MULTIMODAL)
def test_the_text_part_of_a_multimodal_model_is_exported_and_said(name: str, tmp_path: Path) -> None:
    config, kind, key = MULTIMODAL[name]
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config, indent=1))
    trace = package.export_trace(str(path))
    part = f"the text part ({kind}) of a {config['model_type']}"
    assert (trace.header.model.family, trace.header.producer["part"]) == (kind, part)
    (warning,) = trace.warnings
    line = path.read_text().splitlines()[warning.line - 1]
    assert f'"{key}"' in line and warning.message == f"{part} is exported, and nothing else of it"


@pytest.mark.usefixtures("without_torch")
@pytest.mark.parametrize(
    ("model", "whole", "part", "tied"),
    [
        ("mistral3", True, False, True),
        ("mistral3", False, True, False),
        ("gemma3", False, None, False),
        ("gemma3", None, True, True),
        ("llava", False, True, True),
        ("llava", None, None, False),
    ],
)
def test_a_tied_head_is_what_the_whole_model_says(
    model: str, whole: bool | None, part: bool | None, tied: bool, tmp_path: Path
) -> None:
    config = json.loads(json.dumps(MULTIMODAL["llava-default" if model == "llava" else model][0]))
    for values, said in ((config, whole), (config["text_config"], part)):
        values.pop("tie_word_embeddings", None)
        values |= {} if said is None else {"tie_word_embeddings": said}
    trace = package.export_trace(str(write_config(tmp_path, model, config)))
    (head,) = (op for op in trace.template("decode").ops if op.role == "lm_head" and op.op == "linear")
    assert bool(head.weight.tied) is tied


@pytest.mark.usefixtures("without_torch")
def test_a_quantization_that_no_export_follows_is_told(tmp_path: Path) -> None:
    config = {**FAMILIES["llama"], "quantization_config": {"bits": 4, "quant_method": "gptq"}}
    (warning,) = package.export_trace(str(write_config(tmp_path, "llama", config))).warnings
    assert warning.key == "quantization_config" and "is not followed" in warning.message
    whole = {"model_type": "llava", "text_config": config}
    (warning, _) = package.export_trace(str(write_config(tmp_path, "llava", whole))).warnings
    assert warning.key == "text_config.quantization_config"


@pytest.mark.usefixtures("without_torch")
def test_code_of_its_own_is_no_reason_to_refuse_a_known_family(tmp_path: Path) -> None:
    config = {**FAMILIES["llama"], "auto_map": {"AutoConfig": "mine.Config"}}
    assert package.export(str(write_config(tmp_path, "llama", config))).parameters == 22336 - 672


@pytest.mark.usefixtures("without_torch")
@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ('{"model_type": "opt"}', ["1:2: model_type: an export of a opt needs torch and transformers: pip install"]),
        (
            '{"model_type": "llama",\n"hidden_size": "big", "vocab_size": 0,\n"hidden_act": "mish"}',
            ["2:1: hidden_size: must be an integer", "2:23: vocab_size: must be an", "3:1: hidden_act: must be one of"],
        ),
        (
            '{"model_type": "llama", "hidden_act": ["silu"], "num_attention_heads": 1000000000000000000000,\n'
            '"num_hidden_layers": 100000000}',
            [
                "1:49: num_attention_heads: must be at most 1,000,000,000, not 1000000000000000000000",
                "2:1: num_hidden_layers: must be at most 65,536, not 100000000",
                "1:25: hidden_act: must be one of gelu",
            ],
        ),
        ('{"model_type": "mistral", "layer_types": 3}', ["1:27: layer_types: a mistral has the same attention"]),
        ('{"model_type": "phi3", "layer_types": [[]]}', ["1:24: layer_types: a phi3 has the same attention"]),
        ('{"model_type": "llama", "num_attention_heads": 7}', ["1:25: num_attention_heads: 7 must divide hidden_size"]),
        ('{"model_type": "llama", "head_dim": 7}', ["1:25: head_dim: 7 elements of a head cannot be rotated"]),
        ('{"model_type": "llama", "sliding_window": 8}', ["1:25: sliding_window: a llama has none"]),
        ('{"model_type": "mixtral", "num_experts": 1}', ["1:27: num_experts: must be at least 2"]),
        ('{"model_type": "qwen2", "layer_types": ["full_attention"]}', ["1:25: layer_types: must be a list of 32"]),
        (
            '{"model_type": "gemma2", "sliding_window": null}',
            ["1:26: sliding_window: sliding_attention in layer_types"],
        ),
        ('{"model_type": "phi3", "partial_rotary_factor": 2}', ["1:24: partial_rotary_factor: must be above 0"]),
        ('{"model_type": "phi3", "num_key_value_heads": 5}', ["1:1: sizes that a trace cannot hold: model"]),
        ('{"model_type": "llava", "text_config": 3}', ["1:25: text_config: must be an object"]),
        ('{"model_type": "x", "text_config": {}}', ["1:21: text_config: does not say its kind"]),
        (
            '{"model_type": "llava", "a": {"vocab_size": 1}, "text_config": {"vocab_size": "x"}}',
            ["1:65: text_config.vocab_size: must be an integer"],
        ),
        (
            '{"model_type": "qwen2_vl", "text_config": {"model_type": "qwen2_vl_text"}}',
            [f"1:28: text_config.{key}: missing" for key in NEEDED],
        ),
    ],
)
def test_a_wrong_configuration_has_every_problem_at_its_place(text: str, problems: list[str], tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        package.export(str(tmp_path))
    lines = str(caught.value).splitlines()
    assert len(lines) == len(problems)
    for line, expected in zip(lines, problems, strict=True):
        assert line.startswith(f"{path}:{expected}"), line


@pytest.mark.parametrize(
    ("torch", "transformers", "named"),
    [
        ("2.13.0+cpu", "5.18.0", []),
        ("2.13.1", "5.24.9", []),
        ("2.12.1", "5.24.0", ["torch"]),
        ("2.14.0", "5.25.0.dev0", ["torch", "transformers"]),
        (None, "5.17.1", ["transformers"]),
        (None, None, []),
    ],
)
def test_versions_that_are_not_tested_are_named(
    torch: str | None, transformers: str | None, named: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def version(package: str) -> str:
        found = {"torch": torch, "transformers": transformers}[package]
        if found is None:
            raise versions.PackageNotFoundError
        return found

    monkeypatch.setattr(versions, "version", version)
    assert [package for package in versions.TESTED if f"{package} " in versions.outside()] == named


def test_the_tested_versions_are_those_of_the_project() -> None:
    extra = tomllib.loads((FOLDER.parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
    expected = {f"{name}>={first},<{end}" for name, (first, end) in versions.TESTED.items()}
    assert set(extra["project"]["optional-dependencies"]["trace"]) == expected
