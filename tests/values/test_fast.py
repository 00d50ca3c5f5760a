"""The level `fast`: sums as the banks add them up, attention, and whole models."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pimsim
from pimsim.config.schema import Config
from pimsim.devices.plan import compile_plan
from pimsim.errors import InputError
from pimsim.mapping.plan import Plan
from pimsim.mapping.wires import Cuts
from pimsim.values.asic import Asic
from pimsim.values.fast.attention import Softmax
from pimsim.values.fast.beats import Beats, Ints
from pimsim.values.fast.model import BLOCK, Fast
from pimsim.values.fast.products import Product, Sums
from pimsim.values.fast.workers import shares
from pimsim.values.numbers import F32, bf16
from pimsim.values.reference import Reference
from pimsim.values.weights.load import load_weights
from pimsim.values.weights.model import Weights
from pimsim.workload.models import build
from tests.values import models

ROOT = Path(__file__).parents[2]
GIVEN = {
    "workload.model_config": {"name": "tiny", "layers": 2, "d_model": 64, "heads": 4},
    "workload.output_tokens": 64,
    "workload.lm_head": True,
    "workload.biases": True,
    "asic.range_reduction": "ln2",
    "baselines": [],
}
IDS = np.random.default_rng(7).integers(0, 128, 40).tolist()
NAN = np.float32(np.nan)


def config(device: str = "pim-gpt", **keys: Any) -> Config:
    return pimsim.load_config(ROOT / "configs" / f"{device}.yaml", GIVEN | keys)


def plan_of(weights: Weights, device: str = "pim-gpt", **keys: Any) -> Plan:
    return compile_plan(config(device, **keys), build(weights.shape, lm_head=True))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Weights]:
    folder = tmp_path_factory.mktemp("models")
    return {family: load_weights(models.write_model(folder / family, family)) for family in models.FAMILIES}


def same(a: F32, b: F32) -> None:
    """The same numbers to the bit, where they are some; NaN is NaN."""
    assert a.shape == b.shape
    missing = np.isnan(b)
    assert (np.isnan(a) == missing).all()
    assert (a.view(np.uint32) == b.view(np.uint32))[~missing].all()


# -- the order of rounding, number by number ---------------------------------------------------


def column_sums(w: F32, x: F32, lanes: int) -> Iterator[np.float32]:
    """What a column adds to its accumulator: the sums of its beats, each by a tree of neighbours."""
    for beat in range(0, len(w), lanes):
        level = [np.float32(a * b) for a, b in zip(w[beat : beat + lanes], x[beat : beat + lanes], strict=True)]
        while len(level) & (len(level) - 1):
            level.append(np.float32(0))
        while len(level) > 1:
            level = [level[i] + level[i + 1] for i in range(0, len(level), 2)]
        yield level[0]


def slow_sum(w: F32, x: F32, bias: np.float32 | None, cuts: Cuts, beats: Beats, takes_addend: bool) -> np.float32:
    """One output, written from the order of rounding."""
    made: list[np.float32] = []
    first = 0
    for size in cuts.elements:
        total = np.float32(0)
        if cuts.in_banks:
            total = made.pop() if made else bias if bias is not None and takes_addend else total
        for column in range(first, first + size, beats.width):
            n = min(beats.width, first + size - column)
            padded = np.zeros((2, beats.width), np.float32)
            padded[:, :n] = w[column : column + n], x[column : column + n]
            for beat in column_sums(*padded, beats.lanes):
                total = total + beat
                total = np.float32(bf16(total)) if beats.rounds else total
        made.append(np.float32(bf16(total)))
        first += size
    found, *others = made
    if bias is not None and not takes_addend:
        found = np.float32(bf16(found + bias))
    for other in others:
        found = np.float32(bf16(found + other))
    return found


def uneven(rng: np.random.Generator, *shape: int) -> F32:
    """BF16 numbers of very different sizes, so that another order of a sum is another sum."""
    return bf16(rng.standard_normal(shape) * 2.0 ** rng.integers(-6, 7, shape))


def cancelling(rng: np.random.Generator, w: F32, x: F32) -> None:
    """Give most products one of the other sign elsewhere: what is left of a sum is what the order of it has lost."""
    places = rng.permutation(w.shape[1])
    half = places[: len(places) // 2], places[len(places) // 2 : len(places) // 2 * 2]
    w[:, half[0]], x[:, half[0]] = -w[:, half[1]], x[:, half[1]]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("rounds", [False, True], ids=["fp32", "bf16"])
@pytest.mark.parametrize("in_banks", [False, True], ids=["asic", "banks"])
@pytest.mark.parametrize(
    ("width", "lanes"), [(16, 1), (16, 2), (16, 4), (16, 8), (16, 16), (64, 32), (64, 64), (256, 256), (24, 12), (9, 3)]
)
def test_a_product_is_added_up_as_the_banks_do(width: int, lanes: int, in_banks: bool, rounds: bool, seed: int) -> None:
    rng = np.random.default_rng([width, lanes, in_banks, rounds, seed])
    beats = Beats(width, lanes, rounds)
    inputs, outputs, vectors = (int(n) for n in rng.integers([width // 2, 1, 1], [4 * width, 20, 6]))
    cuts = Cuts.of(inputs, width * int(rng.integers(1, 4)), in_banks)
    w, x, bias = uneven(rng, outputs, inputs), uneven(rng, vectors, inputs), uneven(rng, outputs) * np.float32(8)
    cancelling(rng, w, x)
    with_bias, addend = bool(rng.integers(2)), in_banks and bool(rng.integers(2))
    product = Product(Sums(beats), cuts, w, bias if with_bias else None, addend, None, Asic(config().asic))
    expected = [
        [slow_sum(row, each, b if with_bias else None, cuts, beats, addend) for row, b in zip(w, bias, strict=True)]
        for each in x
    ]
    same(product(x), np.array(expected, np.float32))
    same(product.rows(np.arange(outputs)[::-1]), w[::-1])


@pytest.mark.parametrize("in_banks", [False, True])
def test_infinities_and_nan_pass_through_and_go_no_further(in_banks: bool) -> None:
    rng = np.random.default_rng(0)
    w, x = uneven(rng, 11, 40), uneven(rng, 5, 40)
    w[3, 39], w[4, 7], x[1, 5], x[2, 0] = NAN, np.inf, NAN, -np.inf
    beats, cuts = Beats(16, 16), Cuts.of(40, 16, in_banks)
    found = Product(Sums(beats), cuts, w, None, False, None, Asic(config().asic))(x)
    with np.errstate(invalid="ignore"):
        expected = [[slow_sum(row, each, None, cuts, beats, False) for row in w] for each in x]
    same(found, np.array(expected, np.float32))
    assert np.isnan(found[:, 3]).all() and np.isnan(found[1]).all()
    assert np.isinf(found[0, 4]) and np.isfinite(found[0, [0, 1, 2, 5]]).all()


def test_a_tie_is_rounded_to_even_and_an_odd_one_away() -> None:
    beats, cuts = Beats(16, 16), Cuts.of(2, 16)
    w = bf16([[1, 2**-8], [1 + 2**-7, 2**-8], [1, 2**-8 + 2**-15], [3e38, 3e38], [-(2.0**-133), 0]])
    found = Product(Sums(beats), cuts, w, None, False, None, Asic(config().asic))(np.ones((1, 2), np.float32))
    same(found, np.array([[1, 1 + 2**-6, 1 + 2**-7, np.inf, -(2.0**-133)]], np.float32))


@pytest.mark.parametrize("in_banks", [False, True])
def test_what_a_vector_does_not_see_does_not_count(in_banks: bool) -> None:
    """Values are written while they are used: what lies beyond a token's context is anything."""
    rng = np.random.default_rng(1)
    beats = Beats(16, 8)
    w, x = uneven(rng, 8, 100), uneven(rng, 8, 100)
    seen = np.array([1, 7, 8, 16, 17, 40, 64, 99])
    for vector, n in zip(x, seen, strict=True):
        vector[n:] = 0
    w[:, 99] = NAN
    w[0, 64:], w[1, 1] = np.inf, NAN
    cuts = Cuts.of(99, 32, in_banks)
    tiles = beats.tiles((w[:, :99].view(np.uint32) >> 16).astype(np.uint16), cuts.elements)
    made = Sums(beats)(tiles[None], beats.vectors(x[:, :99], cuts.elements)[None], beats.place(seen), cuts)
    assert made.shape == (1 if in_banks else 4, 1, 8, 1, 8)
    for k, n in enumerate(seen.tolist()):
        own = Cuts.of(n, 32, in_banks)
        with np.errstate(invalid="ignore"):
            expected = np.array([slow_sum(row[:n], x[k, :n], None, own, beats, False) for row in w], np.float32)
        found = made[0, 0, k, 0]
        for piece in made[1 : len(own.elements), 0, k, 0]:
            found = bf16(found + piece)
        same(found, expected)


@pytest.mark.parametrize("reduction", ["ln2", "none"])
@pytest.mark.parametrize("lanes", [16, 3])
def test_the_softmax_of_many_vectors_is_that_of_the_asic(reduction: str, lanes: int) -> None:
    rng = np.random.default_rng(2)
    asic = config(**{"asic.range_reduction": reduction}).asic
    beats = Beats(48, lanes)
    seen = np.array([1, 2, 3, 15, 16, 17, 100, 255, 256, 257, 258, 511, 600])
    scores = bf16(3 * rng.standard_normal((2, len(seen), 600)))
    scores[0, 4, 3], scores[1, 6, 70], scores[0, 8, 9], scores[1, 9, :] = NAN, np.inf, -np.inf, 0.0
    tiles = np.ascontiguousarray(scores.reshape(2, len(seen), 75, 8))
    made = Softmax(asic)(tiles, seen, beats)
    for head in range(2):
        for k, n in enumerate(seen.tolist()):
            found = made[head, :, k, :lanes].reshape(-1)
            same(np.ascontiguousarray(found[:n]), Asic(asic).softmax(scores[head, k, :n]))
            assert not found[n:].any() and not made[head, :, k, lanes:].any()


def test_a_range_is_shared_out() -> None:
    for total in range(1, 40):
        for least in (1, 7, 100):
            for most in (1, 2, 5):
                parts = list(shares(total, least, most))
                assert [k for first, end in parts for k in range(first, end)] == list(range(total))
                assert len(parts) == 1 or (len(parts) <= most and min(end - first for first, end in parts) >= least)


# -- models -------------------------------------------------------------------------------------

VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "pim-gpt": ("pim-gpt", {}),
    "pim-gpt in small pieces": ("pim-gpt", {"pim.global_buffer_bytes": 64, "values.accumulate": "bf16"}),
    "pim-gpt of four lanes": ("pim-gpt", {"pim.lanes": 4, "asic.newton_steps": 1}),
    "aim": ("aim", {}),
    "aim in small pieces": ("aim", {"pim.global_buffer_bytes": 64}),
    "aim with the asic's sums": ("aim", {"pim.global_buffer_bytes": 64, "pim.sums": "asic", "pim.activation": "asic"}),
}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("family", models.FAMILIES)
def test_a_sequence_at_once_is_that_token_by_token(tiny: dict[str, Weights], family: str, variant: str) -> None:
    device, keys = VARIANTS[variant]
    fast = Fast(plan_of(tiny[family], device, **keys), tiny[family])
    logits, likeliest, chosen = fast.feed(IDS), fast.next_ids, fast.chosen
    assert logits.shape == (len(IDS), 128) and fast.contexts == len(IDS)
    same(logits, bf16(logits))
    fast.reset()
    for k, each in enumerate(IDS):
        same(fast.feed([each]), logits[k : k + 1])
        assert fast.next_ids.tolist() == [likeliest[k]]
    assert fast.chosen == chosen
    fast.reset()
    same(np.concatenate([fast.feed(IDS[:13]), fast.feed(IDS[13:])]), logits)


# How far logits are from those of the reference, as a share of their spread: soft caps of 50 and 30 in BF16 have steps
# of 1/4 and 1/8, and a router that chooses another expert changes a token.
FAR = {"gemma2": 0.25, "mixtral": 0.1}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("family", models.FAMILIES)
def test_logits_are_about_those_of_the_reference(tiny: dict[str, Weights], family: str, variant: str) -> None:
    device, keys = VARIANTS[variant]
    found = Fast(plan_of(tiny[family], device, **keys), tiny[family]).feed(IDS)
    expected = Reference(tiny[family]).logits(IDS)
    rough = 3 if keys.get("values.accumulate") == "bf16" or keys.get("asic.newton_steps") else 1
    assert np.std(found - expected) < rough * FAR.get(family, 0.04) * np.std(expected)


def test_a_long_sequence_goes_in_blocks(tmp_path: Path) -> None:
    weights = load_weights(models.write_model(tmp_path / "m", "smollm", max_position_embeddings=400))
    ids = np.random.default_rng(3).integers(0, 128, 2 * BLOCK + 150).tolist()
    fast = Fast(plan_of(weights, **{"workload.output_tokens": 400, "pim.global_buffer_bytes": 256}), weights)
    logits = fast.feed(ids)
    fast.reset()
    same(np.concatenate([fast.feed(ids[first : first + 37]) for first in range(0, len(ids), 37)]), logits)


def test_every_choice_of_experts_is_told(tiny: dict[str, Weights]) -> None:
    fast = Fast(plan_of(tiny["mixtral"]), tiny["mixtral"])
    fast.feed(IDS)
    assert set(fast.chosen) == {(context, copy, 1) for context in range(1, len(IDS) + 1) for copy in range(2)}
    assert {len(set(experts)) for experts in fast.chosen.values()} == {2}
    assert all(list(experts) == sorted(experts) for experts in fast.chosen.values())
    assert len(set(fast.chosen.values())) > 3


def test_an_expert_that_is_not_chosen_changes_nothing(tmp_path: Path) -> None:
    weights = load_weights(models.write_model(tmp_path / "m", "mixtral", num_local_experts=8))
    fast = Fast(plan_of(weights), weights)
    logits, used = fast.feed(IDS[:1]), {(copy, e) for (_, copy, _), experts in fast.chosen.items() for e in experts}

    class Without(Weights):
        def matrix(self, name: str, layer: int = 0, expert: int = 0, folded: bool = False) -> F32:
            made = super().matrix(name, layer, expert, folded)
            return made if name not in ("ffn_up", "ffn_down") or (layer, expert) in used else made * NAN

    broken = Without(weights.shape, weights.constants, weights.file, weights.tensors, weights.slots)
    same(Fast(plan_of(weights), broken).feed(IDS[:1]), logits)
    assert np.isnan(Fast(plan_of(weights), broken).feed(IDS)).any()


@pytest.mark.parametrize("family", ["smollm", "gemma3"])
def test_positions_are_those_of_the_tokens(tiny: dict[str, Weights], family: str) -> None:
    """Rotations tell differences of positions alone, so that logits hardly say which ones they were."""
    asked: list[tuple[int, list[int]]] = []

    class Noting(Weights):
        def rotations(self, layer: int, positions: Ints) -> tuple[F32, F32]:
            asked.append((layer, positions.tolist()))
            return super().rotations(layer, positions)

    given = tiny[family]
    noting = Noting(given.shape, given.constants, given.file, given.tensors, given.slots)
    fast = Fast(plan_of(noting), noting)
    fast.feed(IDS[:3])
    fast.feed(IDS[3:5])
    layers = range(given.shape.layers)
    assert asked == [(layer, [0, 1, 2]) for layer in layers] + [(layer, [3, 4]) for layer in layers]


def test_the_gelu_of_the_banks_is_that_of_the_model(tmp_path: Path) -> None:
    def logits(function: str) -> F32:
        weights = load_weights(models.write_model(tmp_path / function, "gpt2", activation_function=function))
        return Fast(plan_of(weights, "aim"), weights).feed(IDS)

    assert (logits("gelu_new") != logits("gelu")).any()


def test_the_likeliest_is_told_of_what_the_head_makes(tiny: dict[str, Weights]) -> None:
    fast = Fast(plan_of(tiny["qwen3"]), tiny["qwen3"])
    assert (fast.feed(IDS).argmax(axis=-1) == fast.next_ids).all()


def test_what_is_no_sequence_of_the_model_is_refused(tiny: dict[str, Weights]) -> None:
    fast = Fast(plan_of(tiny["gpt2"]), tiny["gpt2"])
    for ids, message in (([], "no tokens"), ([5, 128], "128 is no token"), ([-1], "-1 is no token"), ([0] * 65, "65")):
        with pytest.raises(InputError, match=message):
            fast.feed(ids)
    assert fast.contexts == 0
    fast.feed([0] * 64)
    with pytest.raises(InputError, match="positions for 64 tokens"):
        fast.feed([0])


def test_a_plan_without_the_head_has_no_logits(tiny: dict[str, Weights]) -> None:
    weights = tiny["llama"]
    plan = compile_plan(config(**{"workload.lm_head": False}), build(weights.shape, lm_head=False))
    with pytest.raises(InputError, match="LM head"):
        Fast(plan, weights)
