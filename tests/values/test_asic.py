"""The ASIC's functions on values: what is priced is what is computed, to the bit as read a second time, and how exact.

A vector of each kind of numbers goes through each function; `CALLS` says what else a function takes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pimsim.asic.units import KINDS, KINDS_OF_WAYS, Units
from pimsim.config.schema import AsicConfig
from pimsim.errors import InputError
from pimsim.registry import Origin
from pimsim.values.asic import Asic
from pimsim.values.numbers import F32, bf16, numbers
from tests.examples import examples
from tests.values.scalar_asic import B, ScalarAsic

EPS = 1e-5


def config(**keys: Any) -> AsicConfig:
    sizes = {"clock_GHz": Decimal(1), "sram_KiB": Decimal(128), "adders": 256, "multipliers": 128}
    return AsicConfig(**{**sizes, "power_mW": Decimal(300), "range_reduction": "ln2", **keys})


def normal(*shape: int, seed: int = 0, by: float = 1.0) -> F32:
    return bf16(np.random.default_rng(seed).normal(size=shape) * by)


def strange(*shape: int, seed: int = 0) -> F32:
    """Numbers of every size: any word but NaN, a third of them zeros, small integers and infinities."""
    dice = np.random.default_rng(seed)
    words = dice.integers(0, 1 << 16, shape).astype(np.uint16)
    found = numbers(np.where((words & 0x7FFF) > 0x7F80, words & 0x7FBF & 0xFF7F, words).astype(np.uint16))
    few = dice.choice(np.float32([0.0, -0.0, 1.0, -1.0, 2.0, 3.0, -7.0, np.inf, -np.inf]), shape)
    return np.where(dice.integers(0, 3, shape) == 0, few, found).astype(np.float32)


def ordinary(*shape: int, seed: int = 0) -> F32:
    return normal(*shape, seed=seed, by=float(np.random.default_rng(seed).choice([0.02, 1.0, 8.0, 90.0])))


def faint(*shape: int, seed: int = 0) -> F32:
    """So small that eps matters."""
    return normal(*shape, seed=seed, by=1e-3)


Make = Callable[..., F32]


def arguments(kind: str, make: Make, vectors: int, n: int, ways: int, seed: int = 0) -> list[Any]:
    """What the method of a kind is called with, vectors of n elements."""
    x = make(vectors, n, seed=seed)
    match kind:
        case "layernorm":
            return [x, make(n, seed=seed + 1), make(n, seed=seed + 2), EPS]
        case "rmsnorm":
            return [x, make(n, seed=seed + 1), EPS]
        case "tanh":
            return [x, 30.0]
        case "scale":
            return [x, 0.1]
        case "mul" | "residual" | "sum":
            return [x, make(vectors, n, seed=seed + 1)]
        case "rope":
            return [x, *(make(vectors, n, seed=seed + i) for i in (1, 2, 3))]
        case "topk":
            return [x, ways]
        case "weighted":
            return [make(ways, vectors, n, seed=seed), make(vectors, ways, seed=seed + 1)]
        case _:
            return [x]


EVERY = [*KINDS.shipped, *KINDS_OF_WAYS]
SIZES = (1, 5, 256, 257, 1000)
METHODS = [(1, 0), (2, 1), (6, 2), (8, 3)]  # Taylor terms and Newton steps

# ---- what is priced is what is computed --------------------------------------------------------


def test_every_function_that_is_priced_is_computed() -> None:
    asic = Asic(config())
    assert all(callable(asic.of(kind)) for kind in EVERY)


@pytest.mark.parametrize("reduction", ["none", "ln2"])
@pytest.mark.parametrize(("terms", "steps"), METHODS)
@pytest.mark.parametrize("kind", EVERY)
def test_what_is_counted_is_what_is_priced(kind: str, terms: int, steps: int, reduction: str) -> None:
    keys = config(taylor_terms=terms, newton_steps=steps, range_reduction=reduction)
    asic, units = Asic(keys), Units(keys)
    for n in SIZES:
        for vectors, ways in ((1, 1), (3, 2), (2, 4)):
            if kind == "topk" and ways > n:
                continue
            asic.reset()
            asic.of(kind)(*arguments(kind, ordinary, vectors, n, ways))
            priced = units.passes(kind, 2 * n if kind == "rope" else n, vectors, ways)  # rope: both halves
            counts = asic.counts
            assert (counts.adds, counts.multiplies, counts.read, counts.written) == tuple(
                sum(getattr(one, what) for one in priced) for what in ("adds", "multiplies", "reads", "writes")
            ), (n, vectors, ways)


def test_counts_add_up_until_they_are_reset() -> None:
    asic = Asic(config())
    x = normal(2, 100)
    asic.silu(x)
    one = asic.counts
    assert (one.adds, one.multiplies, one.read, one.written) == (200 * 13, 200 * 13, 400, 400)
    asic.silu(x)
    assert (one.adds, one.multiplies, one.read, one.written) == (400 * 13, 400 * 13, 800, 800)
    asic.reset()
    assert asic.counts != one and asic.counts.adds == 0


def test_a_function_that_is_registered_has_a_price_and_no_values() -> None:
    KINDS.add("mish", lambda c, n, vectors: [], Origin("more 1.0", "assumed: no reason"))
    try:
        with pytest.raises(InputError, match=r"workload: the values of 'mish' of more 1\.0 cannot be computed"):
            Asic(config()).of("mish")
    finally:
        KINDS.discard("more 1.0")


# ---- a second reading, to the bit --------------------------------------------------------------


def scalars(argument: Any, vector: int) -> Any:
    """An argument of one vector for the second reading: vectors as lists of scalars."""
    if not isinstance(argument, np.ndarray):
        return argument
    one = argument if argument.ndim == 1 else argument[..., vector, :]
    return [list(row) for row in one.astype(B)] if one.ndim == 2 else list(one.astype(B))


def same(found: Any, expected: Any) -> None:
    """Equal to the bit, and NaN is NaN."""
    if isinstance(found, tuple):
        for one, other in zip(found, expected, strict=True):
            same(one, other)
        return
    if np.issubdtype(np.asarray(found).dtype, np.integer):
        assert np.asarray(found).tolist() == np.asarray(expected).tolist()
        return
    one, other = np.asarray(found, np.float32), np.asarray(expected, B).astype(np.float32)
    assert not (one.view(np.uint32) & 0xFFFF).any()  # BF16 numbers, all of them
    nan = np.isnan(other)
    assert np.array_equal(np.isnan(one), nan)
    assert np.where(nan, 0, one.view(np.uint32)).tolist() == np.where(nan, 0, other.view(np.uint32)).tolist()


def agree(kind: str, make: Make, n: int, ways: int, seed: int, terms: int, steps: int, reduction: str) -> None:
    asic = Asic(config(taylor_terms=terms, newton_steps=steps, range_reduction=reduction))
    twin = ScalarAsic(terms, steps, reduction == "ln2")
    given = arguments(kind, make, 2, n, ways, seed)
    found = asic.of(kind)(*given)
    for vector in range(2):
        with np.errstate(all="ignore"):
            expected = getattr(twin, kind)(*(scalars(one, vector) for one in given))
        same(tuple(one[vector] for one in found) if isinstance(found, tuple) else found[vector], expected)


@settings(max_examples=examples(120), deadline=None)
@given(
    st.sampled_from(EVERY),
    st.sampled_from([ordinary, faint, strange]),
    st.sampled_from([3, 4, 17, 255, 256, 257, 700, 1400]),
    st.integers(1, 3),
    st.integers(0, 1 << 20),
    st.sampled_from(METHODS),
    st.sampled_from(["none", "ln2"]),
)
def test_it_is_what_a_second_reading_gives(
    kind: str, make: Make, n: int, ways: int, seed: int, method: tuple[int, int], reduction: str
) -> None:
    agree(kind, make, n, ways, seed, *method, reduction)


@pytest.mark.parametrize("reduction", ["none", "ln2"])
@pytest.mark.parametrize("kind", EVERY)
def test_each_function_is_what_a_second_reading_gives(kind: str, reduction: str) -> None:
    for make in (ordinary, faint, strange):
        agree(kind, make, 1100, 3, 7, 6, 2, reduction)  # five pieces of 256


ALL = numbers(np.arange(1 << 16, dtype=np.uint16))  # every BF16 number


@pytest.mark.parametrize("reduction", ["none", "ln2"])
@pytest.mark.parametrize("kind", ["gelu", "silu", "tanh", "relu"])
def test_each_number_is_what_a_second_reading_gives(kind: str, reduction: str) -> None:
    some = ALL[np.random.default_rng(3).integers(0, 1 << 16, 6000)]
    near = bf16(np.linspace(-100, 100, 2001))  # where it matters, and where exp ends
    x = np.concatenate([some, near, np.float32([np.nan, np.inf, -np.inf, 0, -0.0])])
    rest = [30.0] if kind == "tanh" else []
    with np.errstate(all="ignore"):
        expected = getattr(ScalarAsic(6, 2, reduction == "ln2"), kind)(list(x.astype(B)), *rest)
    same(Asic(config(range_reduction=reduction)).of(kind)(x, *rest), expected)


# ---- how exact -----------------------------------------------------------------------------------

HALF = 2.0**-9  # the largest error of one rounding, as a share of the number


def relative(found: F32, true: Any) -> float:
    """The largest error, as a share of what is true."""
    exact = np.asarray(true, np.float64)
    return float((np.abs(found - exact) / np.abs(exact)).max())


def share_of_largest(found: F32, true: Any) -> float:
    """The largest error, as a share of the largest true number."""
    exact = np.asarray(true, np.float64)
    return float(np.abs(found - exact).max() / np.abs(exact).max())


def test_a_reciprocal_and_a_root_end_within_three_roundings() -> None:
    """At every significand, by steps; searched for: RECIPROCAL and INVERSE_ROOT."""
    d = ALL[0x3F80:0x4080]  # 1 to 4: two powers of two, for the root
    bounds = [(0, 15.1, 12.4), (1, 2.1, 1.7), (2, 1.38, 1.45), (3, 1.38, 1.43)]  # shares of 1/256
    for steps, of_reciprocal, of_root in bounds:
        # the weight of the only choice is x times 1/x; the norm of one element is x times 1/|x|
        asic = Asic(config(newton_steps=steps))
        exps, reciprocals = asic.exponentials(np.zeros((1, 1), np.float32))
        assert exps.tolist() == [[1.0]] and relative(reciprocals, [1.0]) < of_reciprocal / 256
        each = asic._each
        assert relative(each.reciprocal(d), 1 / d.astype(float)) < of_reciprocal / 256
        assert relative(each.inverse_root(d), d.astype(float) ** -0.5) < of_root / 256


@pytest.mark.parametrize("eps", [1e-5, 1e-12])
@pytest.mark.parametrize("n", [64, 768, 5120])
def test_a_norm_is_within_a_few_roundings(n: int, eps: float) -> None:
    asic = Asic(config())
    bound = (4 if n < 500 else 6) * HALF  # up to 20 pieces of 256 go through one accumulator
    for by in (1e-3, 1.0, 300.0):
        x, gain, bias = normal(20, n, by=by), normal(n, seed=1), normal(n, seed=2)
        exact = x.astype(np.float64)
        rms = exact / np.sqrt((exact**2).mean(-1, keepdims=True) + eps) * gain
        assert share_of_largest(asic.rmsnorm(x, gain, eps), rms) < bound
        d = exact - exact.mean(-1, keepdims=True)
        norm = d / np.sqrt((d**2).mean(-1, keepdims=True) + eps) * gain + bias
        assert share_of_largest(asic.layernorm(x, gain, bias, eps), norm) < bound


def test_eps_is_there_where_all_else_is_zero_and_rounds_away_elsewhere() -> None:
    asic, one = Asic(config()), np.ones(768, np.float32)
    zeros = np.zeros((1, 768), np.float32)
    assert not asic.rmsnorm(zeros, one, 1e-6).any() and not asic.layernorm(zeros, one, zeros[0], 1e-6).any()
    small = bf16(np.full((1, 768), 1e-6))
    assert relative(asic.rmsnorm(small, one, 1e-6), np.full((1, 768), 1e-3)) < 4 * HALF
    large = normal(1, 768, by=100.0)
    assert np.array_equal(asic.rmsnorm(large, one, 1e-6), asic.rmsnorm(large, one, 0.0))


def test_exp_with_a_reduced_range_is_within_a_hundredth_where_it_matters() -> None:
    """A softmax over x and 0 has exp(x) beside 1."""
    x = bf16(np.linspace(-16, 0, 1000))
    exps, _ = Asic(config()).exponentials(np.stack([x, np.zeros_like(x)], -1))
    assert relative(exps[:, 0], np.exp(x.astype(np.float64))) < 0.01
    lower = bf16(np.linspace(-87, -16, 1000))  # x itself is rounded to a quarter here
    exps, _ = Asic(config()).exponentials(np.stack([lower, np.zeros_like(lower)], -1))
    assert relative(exps[:, 0], np.exp(lower.astype(np.float64))) < 0.35


def test_exp_ends_at_zero_and_at_the_largest_number() -> None:
    x = np.float32([[-88.5, -200.0, -1e5, -3e38, -np.inf, 0.0]])
    exps, reciprocals = Asic(config()).exponentials(x)
    assert exps.tolist() == [[0, 0, 0, 0, 0, 1]] and np.isfinite(reciprocals).all()
    far = bf16([-1e4, -300.0, 300.0, 1e4, 3e38])
    asic = Asic(config())
    assert np.array_equal(asic.silu(far), bf16([-0.0, -0.0, 300.0, 1e4, 3e38]))
    assert np.array_equal(asic.gelu(far), bf16([-0.0, -0.0, 300.0, 1e4, 3e38]))
    assert np.array_equal(asic.tanh(far, 50.0), np.float32([-50, -50, 50, 50, 50]))


def gelu(x: Any) -> Any:
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def silu(x: Any) -> Any:
    return x / (1 + np.exp(-x))


def test_gelu_silu_and_tanh_over_their_range() -> None:
    """Errors as shares of |x|, and of the cap: a soft cap ends with a subtraction from it."""
    asic = Asic(config())
    x = bf16(np.concatenate([np.linspace(-30, 30, 4001), np.linspace(-0.1, 0.1, 401)]))
    exact = x.astype(np.float64)
    size = np.maximum(np.abs(exact), 1e-30)
    assert (np.abs(asic.silu(x) - silu(exact)) / size).max() < 5 * HALF
    assert (np.abs(asic.gelu(x) - gelu(exact)) / size).max() < 6 * HALF
    for cap in (30.0, 50.0):
        assert np.abs(asic.tanh(x, cap) - cap * np.tanh(exact / cap)).max() < 5 * HALF * cap


def test_the_plain_gelu_is_of_use_up_to_two() -> None:
    asic = Asic(config(range_reduction="none"))
    x = bf16(np.linspace(-2, 2, 401))
    phi = np.array([0.5 * v * (1 + math.erf(v / math.sqrt(2))) for v in x.tolist()])
    assert np.abs(asic.gelu(x) - phi).max() < 0.02
    assert asic.gelu(bf16([4.0]))[0] < -80  # not 4


def test_rope_turns_and_a_choice_adds_up_to_one() -> None:
    asic = Asic(config())
    angle = np.random.default_rng(0).uniform(-3, 3, (5, 1, 32))
    x1, x2 = normal(5, 9, 32), normal(5, 9, 32, seed=1)
    cos, sin = bf16(np.cos(angle)), bf16(np.sin(angle))
    one, other = asic.rope(x1, x2, cos, sin)
    assert one.shape == other.shape == (5, 9, 32)
    assert share_of_largest(one, x1 * np.cos(angle) - x2 * np.sin(angle)) < 3 * HALF
    assert share_of_largest(other, x2 * np.cos(angle) + x1 * np.sin(angle)) < 3 * HALF
    ids, weights = asic.topk(np.float32([[0.125, 0.5, 0.25, 0.5, 0.0]]), 3)
    assert ids.tolist() == [[1, 3, 2]]  # the first of equal ones
    assert relative(weights, [[0.4, 0.4, 0.2]]) < 4 * HALF
    xs = normal(3, 2, 40)
    mixed = asic.weighted(xs, bf16([[0.5, 0.25, 0.25], [1, 0, 0]]))
    assert share_of_largest(mixed[0], xs[0, 0] * 0.5 + xs[1, 0] * 0.25 + xs[2, 0] * 0.25) < 3 * HALF
    assert np.array_equal(mixed[1], xs[0, 1])


def test_argmax_is_the_first_of_the_largest() -> None:
    x = normal(3, 1000)
    x[0, 400] = x[0, 700] = 9
    x[1, 999] = 9
    x[2, 0] = 9
    assert Asic(config()).argmax(x).tolist() == [400, 999, 0]


# ---- a plain Taylor exp destroys a softmax ---------------------------------------------------------


def scores() -> F32:
    """Scores of 64 tokens, spread over 20: the first is the most likely by far."""
    return bf16(np.linspace(0, -20, 64))[None]


def truth(x: F32) -> Any:
    exact = np.exp(x.astype(np.float64) - x.max(-1, keepdims=True))
    return exact / exact.sum(-1, keepdims=True)


def test_with_a_reduced_range_a_softmax_is_a_distribution() -> None:
    found = Asic(config()).softmax(scores())
    assert abs(found.sum() - 1) < 0.02 and (found >= 0).all()
    assert np.abs(found - truth(scores())).max() < 0.005 and found.argmax() == 0


@pytest.mark.parametrize("terms", [1, 2, 3, 4, 5, 6, 7, 8, 12])
def test_a_plain_series_destroys_a_softmax(terms: int) -> None:
    """The series of exp(-20) ends with -20^5 / 120 or the like: the least likely tokens have most of it all."""
    found = Asic(config(range_reduction="none", taylor_terms=terms)).softmax(scores())[0]
    assert truth(scores())[0, 0] > 0.27 and truth(scores())[0, 40:].sum() < 1e-5
    assert found[0] < 0.02 and np.abs(found[40:]).sum() > 0.3
    if terms == 6:  # shipped
        assert found[0] < 0 and found.argmax() == 63 and found[40:].sum() > 0.9


def test_with_a_reduced_range_three_terms_are_enough() -> None:
    """A softmax is as exact as its roundings then; without, no number of terms helps."""
    spread = normal(50, 100, by=6.0)

    def error(reduction: str, terms: int) -> float:
        asic = Asic(config(range_reduction=reduction, taylor_terms=terms))
        return float(np.abs(asic.softmax(spread) - truth(spread)).max())

    assert error("ln2", 1) > 0.06
    assert max(error("ln2", terms) for terms in (3, 4, 6, 8)) < 8 * HALF
    assert min(error("none", terms) for terms in (1, 2, 3, 4, 6, 8, 16)) > 0.9


# ---- each vector on its own ------------------------------------------------------------------------


@settings(max_examples=examples(60), deadline=None)
@given(
    st.sampled_from(EVERY),
    st.sampled_from([ordinary, strange]),
    st.integers(3, 600),
    st.integers(1, 3),
    st.integers(0, 1 << 20),
    st.sampled_from(["none", "ln2"]),
)
def test_a_vector_alone_gives_the_same_bits(
    kind: str, make: Make, n: int, ways: int, seed: int, reduction: str
) -> None:
    asic = Asic(config(range_reduction=reduction))
    given = arguments(kind, make, 4, n, ways, seed)
    all_of_them = asic.of(kind)(*given)
    alone = asic.of(kind)(*(one[..., 2:3, :] if np.ndim(one) > 1 else one for one in given))
    for one, other in zip(_each(all_of_them), _each(alone), strict=True):
        assert one[2].tobytes() == other[0].tobytes()


def _each(found: Any) -> Sequence[Any]:
    return found if isinstance(found, tuple) else (found,)


def test_numbers_do_not_depend_on_how_many_adders_there_are() -> None:
    for kind in EVERY:
        given = arguments(kind, ordinary, 3, 1000, 2)
        few, many = (Asic(config(adders=adders)).of(kind)(*given) for adders in (1, 4096))
        assert all(a.tobytes() == b.tobytes() for a, b in zip(_each(few), _each(many), strict=True))
