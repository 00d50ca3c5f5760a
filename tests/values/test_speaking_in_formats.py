"""Tokens, accuracy and static scales where a memory multiplies other formats than BF16."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pimsim import InputError, api
from pimsim.formats import FORMATS
from pimsim.generation import accuracy, generate, watched
from pimsim.generation.accuracy import Ruler
from pimsim.values.formats import RANGE
from pimsim.values.reference import Decoder, Reference
from pimsim.values.static import scales_of
from tests.values.models import FAMILIES
from tests.values.runs import case, far, same, weights_of

TEXT = [int(token) for token in np.random.default_rng(3).integers(0, 101, 24)]
INT4 = ["workload.weight_group=16"]


def loaded(device: str, *changes: str) -> Any:
    return api.load(device, ["baselines=[]", *changes])


@pytest.mark.parametrize(("device", "changes"), [("pim-gpt-int8", []), ("pim-gpt-int4", INT4)])
def test_commands_say_what_the_level_fast_says(device: str, changes: list[str]) -> None:
    """Every logit of the level commands is compared inside; a small model is carried out by default."""
    made = generate(loaded(device, *changes), weights_of("llama"), TEXT[:3], 3)
    assert made.level == "commands" and made.commands_executed > 1000
    assert 1e-6 < made.measures.mean_kl < 0.2


def test_the_level_is_fast_where_no_commands_are_carried_out() -> None:
    made = generate(loaded("aim", "pim.formats={int8xint8: 32}"), weights_of("llama"), TEXT[:3], 2)
    assert made.level == "fast" and len(made.output_ids) == 2


def test_values_of_a_run_are_near_those_of_float32() -> None:
    made = watched(loaded("pim-gpt-int8"), weights_of("llama"), TEXT[:3], 3)
    assert made.result.values is not None
    errors = [of_one.relative_error for of_one in made.result.values.moments.values()]
    assert errors and max(errors) < 0.5


def test_fewer_bits_are_further_away() -> None:
    weights = weights_of("llama")
    found = [accuracy(loaded("pim-gpt"), weights, TEXT), accuracy(loaded("pim-gpt-int8"), weights, TEXT)]
    for bits in (4, 3, 2):
        own = (f"pim.formats={{int{bits}xint8: 32}}", f"workload.weight_format=int{bits}", "workload.weight_group=16")
        found.append(accuracy(loaded("pim-gpt-int8", *own), weights, TEXT))
    divergences = [each.measures.mean_kl for each in found]
    assert divergences == sorted(divergences) and divergences[1] < 0.02 and divergences[-1] > 0.1


def test_a_ruler_takes_no_format_for_another() -> None:
    weights = weights_of("llama")
    ruler = Ruler(weights, TEXT)
    configs = [loaded(device).config for device in ("pim-gpt", "pim-gpt-int8", "pim-gpt-int4")]
    found = [ruler(config) for config in (*configs, *configs)]
    assert found[:3] == found[3:] and len({each.measures.mean_kl for each in found}) == 3
    assert found[1] == accuracy(loaded("pim-gpt-int8"), weights, TEXT)


def test_sums_of_integers_do_not_depend_on_the_hardware() -> None:
    """However many multipliers, channels and banks: an exact sum is exact."""
    one = case("llama", "pim-gpt-int8", TEXT[:6])
    other = case("llama", "pim-gpt-int8", TEXT[:6], pim__formats={"int8xint8": 1}, dram__channels=3)
    aim = case("llama", "aim", TEXT[:6], pim__formats={"int8xint8": 32})
    assert same(one.fast(), other.fast()) and same(one.fast(), aim.fast())


def test_a_bias_is_added_to_what_has_been_scaled() -> None:
    """Sums of integers are thousands of times as large as what they are worth."""
    tried = case("gpt2", "pim-gpt-int8", TEXT[:6])
    assert far(tried.fast(), tried.reference()) < 0.15


def test_a_pair_that_the_memory_has_not_is_refused() -> None:
    with pytest.raises(InputError, match="weights of int4 times int8 .* the MAC units multiply int8xint8"):
        generate(loaded("pim-gpt-int8", "workload.weight_format=int4"), weights_of("llama"), TEXT[:3], 2)


# -- K and V -----------------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
def test_static_scales_have_room_for_what_a_model_keeps(family: str) -> None:
    """K and V of float32 are within the range of INT8, and use some of it."""
    weights = weights_of(family)
    decoder = Decoder(Reference(weights))
    decoder.states(TEXT[:16])
    for layer, cache in enumerate(decoder._caches):
        for kept, scale in zip((cache.keys, cache.values), scales_of(weights, layer, FORMATS["int8"]), strict=True):
            most = np.abs(kept).max(axis=(1, 2)) / scale
            assert scale.shape == most.shape and (most <= 127).all() and (most > 127 / RANGE / 8).all()


def test_formats_with_exponents_need_no_scale() -> None:
    for scale in scales_of(weights_of("llama"), 0, FORMATS["fp8_e4m3"]):
        assert (scale == 1).all()
