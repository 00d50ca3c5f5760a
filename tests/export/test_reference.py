"""The reference against transformers: logits and greedy tokens of small random models of every family."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from pimsim.values.reference import Decoder, Reference  # noqa: E402
from pimsim.values.weights import load_weights  # noqa: E402
from tests.export.families import FAMILIES, VARIANTS  # noqa: E402

_GEMMA = {key: FAMILIES["llama"][key] for key in FAMILIES["llama"] if key not in ("model_type", "tie_word_embeddings")}
_LLAMA3 = {
    "rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}  # fmt: skip

# Sequences are longer than the windows, of 8.
MODELS: dict[str, dict[str, Any]] = {
    **{name: FAMILIES[name] for name in ("gpt2", "llama", "mistral", "qwen2", "qwen3", "gemma2", "gemma3_text")},
    **{name: VARIANTS[name] for name in ("gpt2-relu", "llama-biases", "llama-head_dim", "llama-heads", "qwen2-odd")},
    **{name: VARIANTS[name] for name in ("qwen2-windows", "qwen3-windows", "gemma2-plain", "gemma3-caps")},
    **{name: VARIANTS[name] for name in ("mixtral-one", "mixtral-all", "phi3-partial")},
    "gpt2-erf": {**FAMILIES["gpt2"], "activation_function": "gelu", "n_inner": 40, "layer_norm_epsilon": 0.01},
    "llama-tied": {**FAMILIES["llama"], "tie_word_embeddings": True, "rms_norm_eps": 0.01},
    "llama-llama3": {**FAMILIES["llama"], "rope_parameters": _LLAMA3},
    "gemma": {"model_type": "gemma", **_GEMMA, "head_dim": 16},
    "mixtral": {**FAMILIES["mixtral"], "tie_word_embeddings": False},
    "phi3": {key: value for key, value in FAMILIES["phi3"].items() if key != "auto_map"},
}
TOKENS, GREEDY = 40, 12


def made(name: str, folder: Path) -> Any:
    """A random model, saved in `folder`; its weights are large enough for each part of it to decide logits."""
    torch.manual_seed(sum(name.encode()))
    config = transformers.AutoConfig.for_model(**MODELS[name])
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32, attn_implementation="eager")
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(0, 2 * parameter.shape[-1] ** -0.5)
            else:
                parameter.add_(0.3 * torch.randn_like(parameter))
    model.save_pretrained(folder)
    return model.eval()


def logits_of(model: Any, ids: list[int]) -> Any:
    """What transformers says, the whole sequence at once: (tokens, vocabulary)."""
    with torch.no_grad():
        return model(torch.tensor([ids]), use_cache=False).logits[0].numpy()


@pytest.mark.parametrize("name", MODELS)
def test_logits_and_greedy_tokens_are_those_of_transformers(name: str, tmp_path: Path) -> None:
    model = made(name, tmp_path)
    reference = Reference(load_weights(tmp_path))
    ids = [int(each) for each in np.random.default_rng(4).integers(0, reference.shape.vocabulary, TOKENS)]
    expected = logits_of(model, ids)
    allowed = 1e-4 * np.abs(expected).max()
    assert np.abs(reference.logits(ids) - expected).max() <= allowed
    decoder = Decoder(reference)
    assert np.abs(np.concatenate([decoder.feed([each]) for each in ids]) - expected).max() <= allowed
    prompt = ids[:10]
    for _ in range(GREEDY):
        prompt.append(int(logits_of(model, prompt)[-1].argmax()))
    assert reference.generate(ids[:10], GREEDY) == prompt[10:]


@pytest.mark.parametrize("name", ["char-gpt", "char-llama"])
def test_the_small_models_say_what_they_say_in_transformers(name: str) -> None:
    folder = Path(__file__).parents[1] / "golden" / "models" / name
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
    reference = Reference(load_weights(folder))
    ids = [int(each) for each in np.random.default_rng(5).integers(0, reference.shape.vocabulary, 256)]
    expected = logits_of(model.eval(), ids)
    assert np.abs(reference.logits(ids) - expected).max() <= 1e-4 * np.abs(expected).max()
