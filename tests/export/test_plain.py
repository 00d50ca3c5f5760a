"""What is made from a config.json without torch is what torch records, launches aside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import transformers
from transformers import AutoConfig

from pimsim.workload import export as package
from pimsim.workload.export import plain
from pimsim.workload.export.configs import SAME_DECODER, TEXT_PARTS
from tests.export.families import BUILT_IN, FAMILIES, MULTIMODAL, PUBLISHED, VARIANTS
from tests.export.golden import text_of, without_launches, write_config

CONFIGS = {name: config for name, config in FAMILIES.items() if config["model_type"] in plain.DEFAULTS}
CONFIGS |= {**VARIANTS, **{name: config for name, (config, _, _) in MULTIMODAL.items()}}


def _before(*version: int) -> bool:
    return tuple(map(int, transformers.__version__.split(".")[:2])) < version


def _both(source: str, monkeypatch: pytest.MonkeyPatch, *sizes: int) -> tuple[str, str]:
    recorded = text_of(source, *sizes)
    if "from config.json, without torch" in recorded and _before(5, 24):
        pytest.skip("this transformers needs values for the positions of longrope")
    with monkeypatch.context() as patched:
        patched.setattr(package, "find_spec", lambda name: None)
        made = text_of(source, *sizes)
    assert '"graph":"from config.json, without torch"' in made and "graph" not in recorded
    return without_launches(recorded), without_launches(made)


@pytest.mark.parametrize("name", CONFIGS)
def test_every_family_in_odd_forms(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded, made = _both(str(write_config(tmp_path, name, CONFIGS[name])), monkeypatch, 6, 4, 2, 3)
    assert made == recorded


@pytest.mark.parametrize("name", [*BUILT_IN, *PUBLISHED])
def test_published_sizes(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = str(write_config(tmp_path, name, PUBLISHED[name])) if name in PUBLISHED else name
    recorded, made = _both(source, monkeypatch, 0, 7)
    assert made == recorded


@pytest.mark.parametrize("prompt", [1, 2])
def test_a_short_prompt(prompt: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded, made = _both(str(write_config(tmp_path, "gemma2", FAMILIES["gemma2"])), monkeypatch, prompt, 1, 1, 2)
    assert made == recorded


@pytest.mark.parametrize("kind", plain.DEFAULTS)
def test_defaults_are_those_of_the_class(kind: str) -> None:
    config: Any = AutoConfig.for_model(kind)
    read_elsewhere = {"head_dim", "num_key_value_heads", "sliding_window", "sliding_window_pattern"}
    for key, value in plain.DEFAULTS[kind].items():
        if key not in read_elsewhere and hasattr(config, key):
            assert getattr(config, key) == value, key
    unknown = [key for key in plain.DEFAULTS[kind] if not hasattr(config, key)]
    assert set(unknown) <= {"attention_bias", "mlp_bias", "sliding_window", "head_dim", "sliding_window_pattern"}


@pytest.mark.parametrize("kind", plain.DEFAULTS)
def test_a_configuration_that_says_nothing_is_the_class_s_own(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layers = "n_layer" if kind == "gpt2" else "num_hidden_layers"
    config = {"model_type": kind, layers: 6 if kind.startswith("gemma") else 1}
    recorded, made = _both(str(write_config(tmp_path, kind, config)), monkeypatch, 0, 2)
    assert made == recorded


@pytest.mark.parametrize("whole", TEXT_PARTS)
def test_text_parts_are_those_of_the_class(whole: str) -> None:
    text = AutoConfig.for_model(whole).get_text_config()
    assert text.model_type == TEXT_PARTS[whole]


def test_decoders_that_are_read_as_another_family_s_have_its_operators() -> None:
    """They differ in positions alone: the same parameters, by name and size, as the other family's model."""
    import torch
    from transformers import AutoModel

    for kind, other in SAME_DECODER.items():
        sizes = {key: value for key, value in FAMILIES[other].items() if key != "model_type"} | {"pad_token_id": 0}
        found = []
        for each in (kind, other):
            config = AutoConfig.for_model(each, **sizes)
            with torch.device("meta"):
                model = AutoModel.from_config(config)
            found.append({name: tuple(parameter.shape) for name, parameter in model.named_parameters()})
        assert found[0] == found[1], kind
