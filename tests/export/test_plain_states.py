"""Models that keep a state, from config.json without torch: what torch records, launches aside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pimsim.errors import InputError
from pimsim.workload import export as package
from pimsim.workload.export import export, plain_states
from tests.export.families import STATES
from tests.export.golden import FOLDER, text_of, without_launches, write_config

SIZES = {"hidden_size": 48, "num_hidden_layers": 3, "vocab_size": 99}
ODD: dict[str, dict[str, Any]] = {
    "mamba-odd": {
        "model_type": "mamba", **SIZES, "expand": 3, "conv_kernel": 2, "time_step_rank": 5, "use_bias": True,
        "use_conv_bias": False, "hidden_act": "gelu", "tie_word_embeddings": False,
    },
    "falcon-inner": {"model_type": "falcon_mamba", **SIZES, "expand": 16, "intermediate_size": 96},
    "mamba2-odd": {
        "model_type": "mamba2", **SIZES, "num_heads": 6, "head_dim": 16, "state_size": 5, "n_groups": 3,
        "use_bias": True, "use_conv_bias": False, "hidden_act": "relu", "tie_word_embeddings": True,
    },
}  # fmt: skip


def _plain(source: Path | str, monkeypatch: pytest.MonkeyPatch, *sizes: int) -> str:
    with monkeypatch.context() as patched:
        patched.setattr(package, "find_spec", lambda name: None)
        made = text_of(str(source), *sizes)
    assert '"graph":"from config.json, without torch"' in made
    return without_launches(made)


@pytest.mark.parametrize("family", plain_states.DEFAULTS)
def test_the_committed_export_without_torch(family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    golden = (FOLDER / f"{family}.jsonl").read_text(encoding="ascii")
    assert _plain(write_config(tmp_path, family, STATES[family]), monkeypatch) == without_launches(golden)


@pytest.mark.parametrize("name", ODD)
def test_odd_forms_are_as_recorded(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    source = write_config(tmp_path, name, ODD[name])
    assert _plain(source, monkeypatch, 6, 4, 2, 3) == without_launches(text_of(str(source), 6, 4, 2, 3))


@pytest.mark.parametrize("kind", plain_states.DEFAULTS)
def test_defaults_are_those_of_the_class(kind: str) -> None:
    pytest.importorskip("torch")
    config: Any = pytest.importorskip("transformers").AutoConfig.for_model(kind)
    made = {"intermediate_size", "time_step_rank"}  # of other values
    for key, value in plain_states.DEFAULTS[kind].items():
        assert key in made or getattr(config, key) == value, key


def test_mamba_130m_needs_no_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package, "find_spec", lambda name: None)
    assert export("mamba-130m").parameters == 129_135_360


@pytest.mark.parametrize(
    ("config", "told"),
    [
        (
            {"model_type": "mamba", "state_size": 0, "use_bias": 1},
            ["state_size: must be an integer", "use_bias: must be"],
        ),
        ({"model_type": "mamba", "time_step_rank": "some"}, ["time_step_rank: must be an integer of at least 1"]),
        ({"model_type": "mamba2", "num_heads": 3}, ["num_heads: 3 heads of 64 are not 8192, expand * hidden_size"]),
    ],
)
def test_a_configuration_that_contradicts_itself_is_refused(
    config: dict[str, Any], told: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(package, "find_spec", lambda name: None)
    with pytest.raises(InputError) as caught:
        export(str(write_config(tmp_path, "x", config)))
    assert len(caught.value.problems) == len(told)
    assert all(each in str(caught.value) for each in told)
