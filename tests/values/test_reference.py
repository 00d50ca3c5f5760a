"""The reference, without torch: what stays the same however a sequence is fed, and what the small models say.

`tests/export/test_reference.py` compares it with transformers, family by family.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pimsim.errors import InputError
from pimsim.values.reference import ACTIVATIONS, GELUS, QUERIES, Decoder, Reference
from pimsim.values.weights import load_weights

tokenizers = pytest.importorskip("tokenizers")

FOLDER = Path(__file__).parents[1] / "golden" / "models"
NAMES = ("char-gpt", "char-llama")
CONTEXT = 256
Model = tuple[Reference, Callable[[str], list[int]], Callable[[list[int]], str]]


@pytest.fixture(scope="module")
def models() -> dict[str, Model]:
    """Each small model: its reference, and from text to ids and back."""
    return {name: _read(name) for name in NAMES}


def _read(name: str) -> Model:
    tokenizer = tokenizers.Tokenizer.from_file(str(FOLDER / name / "tokenizer.json"))
    reference = Reference(load_weights(FOLDER / name))
    return reference, lambda text: list(tokenizer.encode(text).ids), lambda ids: str(tokenizer.decode(ids))


def _changed(name: str, **changes: object) -> Reference:
    weights = load_weights(FOLDER / name)
    return Reference(replace(weights, shape=replace(weights.shape, **changes)))  # type: ignore[arg-type]


def _held_out() -> str:
    return (FOLDER / "text" / "chapter-29.txt").read_text(encoding="ascii")


def _far(a: np.ndarray, b: np.ndarray) -> float:  # type: ignore[type-arg]
    return float(np.abs(a - b).max() / np.abs(b).max())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("pieces", [[1] * 90, [3, 86, 1], [64, 1, 25]])
def test_a_sequence_fed_in_pieces_has_the_logits_of_the_whole(
    models: dict[str, Model], name: str, pieces: list[int]
) -> None:
    reference, encode, _ = models[name]
    ids = encode(_held_out()[:90])
    decoder, ends = Decoder(reference), np.cumsum(pieces)
    fed = [decoder.feed(ids[end - n : end]) for n, end in zip(pieces, ends, strict=True)]
    assert _far(np.concatenate(fed), reference.logits(ids)) < 1e-5
    assert decoder.tokens == 90
    assert reference.logits(ids[:2]).dtype == np.float32


def test_attention_in_blocks_of_queries_is_the_attention(models: dict[str, Model]) -> None:
    """More tokens than a block of queries has, with a window and without."""
    for reference in (models["char-llama"][0], _changed("char-llama", window=30)):
        ids = models["char-llama"][1](_held_out()[: QUERIES + 50])
        decoder = Decoder(reference)
        apart = np.concatenate([decoder.feed(ids[:200]), decoder.feed(ids[200:])])
        assert _far(reference.logits(ids), apart) < 1e-5


@pytest.mark.parametrize("name", NAMES)
def test_a_token_changes_nothing_before_it(models: dict[str, Model], name: str) -> None:
    reference, encode, _ = models[name]
    ids = encode(_held_out()[:40])
    other = [*ids[:25], (ids[25] + 1) % reference.shape.vocabulary, *ids[26:]]
    one, two = reference.logits(ids), reference.logits(other)
    assert _far(one[:25], two[:25]) < 1e-6
    assert (np.abs(one[25:] - two[25:]).max(axis=1) > 1e-3).all()


def test_a_window_changes_what_stands_beyond_it_and_nothing_else(models: dict[str, Model]) -> None:
    ids = models["char-llama"][1](_held_out()[:40])
    whole, seen = models["char-llama"][0].logits(ids), _changed("char-llama", window=16).logits(ids)
    assert _far(seen[:16], whole[:16]) < 1e-6  # the 16th token sees itself and the 15 before it
    assert (np.abs(seen[16:] - whole[16:]).max(axis=1) > 1e-3).all()
    assert _far(_changed("char-llama", window=40).logits(ids), whole) < 1e-6
    assert _far(_changed("char-llama", windows=(0, 40)).logits(ids), whole) < 1e-6


def test_windows_are_those_of_their_layers(models: dict[str, Model]) -> None:
    """Which of the four layers have the window decides what is said of the tokens beyond it."""
    ids = models["char-llama"][1](_held_out()[:40])
    mixed = [_changed("char-llama", windows=windows).logits(ids) for windows in ((8, 0, 0, 0), (0, 0, 0, 8), (8, 0))]
    assert all(_far(one[:8], two[:8]) < 1e-6 for one in mixed for two in mixed)
    assert all(_far(one[8:], two[8:]) > 1e-3 for one in mixed for two in mixed if one is not two)


CONTINUED = {
    "char-gpt": (
        "Mr. Bingley was ",
        "a very proposal to her father to her father to her sister and the could not the could not be a stran",
    ),
    "char-llama": (
        '"My dear Mr. Bennet," ',
        'said her mother, "as the same party were such a preference of her sister, and the same party were su',
    ),
}


@pytest.mark.parametrize("name", NAMES)
def test_small_models_speak(models: dict[str, Model], name: str) -> None:
    reference, encode, decode = models[name]
    prompt, expected = CONTINUED[name]
    assert decode(reference.generate(encode(prompt), len(expected))) == expected


PERPLEXITY = {"char-gpt": 3.6076, "char-llama": 3.4543}


@pytest.mark.parametrize("name", NAMES)
def test_held_out_text_is_little_surprise(models: dict[str, Model], name: str) -> None:
    """Per character of a chapter that was not trained on, in windows that do not overlap."""
    reference, encode, _ = models[name]
    ids = encode(_held_out())
    losses = []
    for start in range(0, len(ids) - CONTEXT + 1, CONTEXT):
        window = ids[start : start + CONTEXT]
        logits = reference.logits(window)[:-1].astype(np.float64)
        said = logits[np.arange(CONTEXT - 1), window[1:]]
        losses.append(np.log(np.exp(logits).sum(axis=1)) - said)
    assert math.exp(np.mean(losses)) == pytest.approx(PERPLEXITY[name], rel=1e-4)
    assert PERPLEXITY[name] < 8


@pytest.mark.parametrize("name", NAMES)
def test_tokenizers_give_back_every_text(models: dict[str, Model], name: str) -> None:
    _, encode, decode = models[name]
    assert decode(encode(_held_out())) == _held_out()
    with pytest.raises(Exception, match="UNK"):
        encode("naïve")


def test_equal_logits_give_the_lowest_id(models: dict[str, Model]) -> None:
    reference = _changed("char-gpt")
    reference._head = lambda states: np.where(np.arange(73) % 7 == 3, 1, 0) * np.ones((len(states), 1))  # type: ignore[assignment]
    assert reference.generate([5], 3) == [3, 3, 3]


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([], "prompt: there are no tokens; give at least one"),
        ([3, 73], "prompt: 73 is no token: the vocabulary has ids from 0 to 72"),
        ([-1], "prompt: -1 is no token: the vocabulary has ids from 0 to 72"),
        ([1] * 257, "prompt: the model has positions for 256 tokens, and 257 are asked for; take fewer"),
    ],
)
def test_what_is_no_sequence_of_the_model_is_refused(models: dict[str, Model], ids: list[int], message: str) -> None:
    with pytest.raises(InputError) as caught:
        models["char-gpt"][0].logits(ids)
    assert str(caught.value) == message


@pytest.mark.parametrize(("key", "value"), [("norm", "groupnorm"), ("activation", "snake")])
def test_kinds_without_a_definition_are_refused(key: str, value: str) -> None:
    weights = load_weights(FOLDER / "char-llama")
    shape = replace(weights.shape)
    object.__setattr__(shape, key, value)  # as a function that was registered
    with pytest.raises(InputError, match=f"the reference has no {key} '{value}'; it knows "):
        Reference(replace(weights, shape=shape))


def test_activations_are_those_of_the_tables() -> None:
    """At 1 and -2, to six digits: x Phi(x) with Phi(1) = 0.841345 and Phi(-2) = 0.022750, x / (1 + e^-x), ..."""
    x = np.asarray([1, -2, -200], np.float32)
    known = {"tanh": (0.841192, -0.045402), "erf": (0.841345, -0.045500)}
    for name, at in known.items():
        assert GELUS[name](x) == pytest.approx([*at, 0], abs=1e-6)
    assert ACTIVATIONS["silu"](x) == pytest.approx([0.731059, -0.238406, 0], abs=1e-6)
    assert ACTIVATIONS["relu"](x).tolist() == [1, 0, 0]
