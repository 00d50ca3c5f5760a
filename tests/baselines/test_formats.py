"""Machines move the formats that a workload states, and multiply at the rate of their product."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from pimsim import baselines
from pimsim.baselines.cost import decode_demands, device_times
from pimsim.baselines.stored import product_of
from pimsim.formats import CACHED, COMPUTED, FORMATS, NATIVE
from pimsim.workload.models import MODELS, Workload, build
from pimsim.workload.ops import Operator

K, M = 4096, 1024  # of the matrix
H100 = baselines.load("gpu-h100")


def matrix(stored: str = NATIVE, given: str = NATIVE, **more: Any) -> Operator:
    names = {"stored": "" if stored == NATIVE else stored, "given": "" if given == NATIVE else given}
    return Operator("m", "ffn_up", "linear", "block", K, M, bits=FORMATS[stored].bits, **names, **more)


def alone(*operators: Operator, layers: int = 1) -> Workload:
    return Workload(replace(MODELS["llama-3-8b"], layers=layers), operators)


def bytes_of(operator: Operator, data_type: str = "bf16", context: int = 10, batch: int = 1) -> float:
    """What crosses the bus of a machine in one step."""
    (time,) = device_times(H100, decode_demands(alone(operator), np.array([float(context)]), batch), data_type, 1.0)
    return float(time.memory[0])


def all_in(workload: Workload, stored: str, given: str = NATIVE, kv: str = NATIVE, **more: Any) -> Workload:
    """A graph with every matrix, and K and V, in some formats."""

    def one(operator: Operator) -> Operator:
        if operator.op == "linear":
            made = matrix(stored, given, **more)
            fields = ("bits", "group", "scale_bits", "zero_bits", "stored", "given")
            return replace(operator, **{name: getattr(made, name) for name in fields})
        if operator.op == "attention":
            return replace(operator, stored="" if kv == NATIVE else kv, given="" if given == NATIVE else given)
        return operator

    return replace(workload, operators=tuple(map(one, workload.operators)))


@pytest.mark.parametrize("stored", [name for name, made in FORMATS.items() if made.bits < 16])
@pytest.mark.parametrize("data_type", ["fp32", "bf16", "int8"])
def test_weights_have_the_bytes_of_their_format_on_every_machine(stored: str, data_type: str) -> None:
    assert bytes_of(matrix(stored), data_type) == K * M * FORMATS[stored].bits / 8


@pytest.mark.parametrize("stored", ["bf16", "fp16"])
@pytest.mark.parametrize(("data_type", "size"), [("fp32", 4), ("bf16", 2), ("fp8", 1)])
def test_weights_of_16_bits_are_in_the_format_of_the_machine(stored: str, data_type: str, size: int) -> None:
    assert bytes_of(matrix(stored), data_type) == K * M * size


@pytest.mark.parametrize(
    ("group", "scale", "zero", "each"),
    [
        (128, 16, 0, Fraction(4 * 128 + 16, 128)),
        (128, 16, 4, Fraction(4 * 128 + 20, 128)),
        (32, 8, 0, Fraction(17, 4)),  # MXFP4: 4.25 bits
        (K, 16, 16, Fraction(4 * K + 32, K)),
        (3000, 16, 0, Fraction(4 * K + 2 * 16, K)),  # two groups, the second shorter
    ],
)
def test_scales_and_zero_points_of_groups_are_moved_with_their_weights(
    group: int, scale: int, zero: int, each: Fraction
) -> None:
    found = bytes_of(matrix("int4", group=group, scale_bits=scale, zero_bits=zero))
    assert found == float(K * M * each / 8)


def test_a_bias_is_in_the_format_of_the_machine() -> None:
    assert bytes_of(matrix("int8", bias=True)) == K * M + 2 * M


@pytest.mark.parametrize("kv", [name for name in CACHED if FORMATS[name].bits == 8])
def test_keys_and_values_have_theirs(kv: str) -> None:
    attention = next(o for o in build(MODELS["llama-3-8b"], lm_head=False).operators if o.op == "attention")
    own, stated = (bytes_of(replace(attention, deps=(), stored=each), "bf16", 100, 3) for each in ("", kv))
    assert stated == own / 2 == 3 * 2 * 8 * 128 * 101


def test_experts_that_are_chosen_are_moved_in_their_format() -> None:
    whole = build(MODELS["mixtral-8x7b"], lm_head=False)
    own, stated = (
        {d.operator.name: d for d in decode_demands(each, np.array([9.0]), 5)}
        for each in (whole, all_in(whole, "int4"))
    )
    assert stated["ffn_up"].bytes == pytest.approx(own["ffn_up"].elements / 2)
    assert not stated["ffn_up"].elements.any()


@pytest.mark.parametrize(
    ("stored", "given", "rate"),
    [
        ("int8", "int8", "int8"),
        ("int4", "int8", "int8"),
        ("int4", "int4", "int4"),
        ("int3", "int4", "int4"),
        ("int2", "int8", "int8"),
        ("fp8_e4m3", "fp8_e4m3", "fp8"),
        ("fp8_e5m2", "fp8_e4m3", "fp8"),
        ("int4", "fp8_e4m3", "fp8"),
        ("mxfp4", "fp8_e4m3", "fp8"),
        ("int8", "fp8_e4m3", ""),  # 8 bits of an integer are no number of theirs
        ("fp8_e4m3", "int8", ""),
        ("int4", "bf16", ""),  # unpacked
        ("int8", "bf16", ""),
        ("fp8_e4m3", "fp16", ""),
        ("bf16", "int8", ""),
        ("bf16", "bf16", ""),
    ],
)
def test_the_rate_is_that_of_the_product(stored: str, given: str, rate: str) -> None:
    assert product_of(matrix(stored, given)) == rate


@pytest.mark.parametrize("given", COMPUTED)
@pytest.mark.parametrize("stored", FORMATS)
def test_every_pair_has_a_rate_on_every_machine(stored: str, given: str) -> None:
    product = product_of(matrix(stored, given))
    for name in baselines.available():
        device = baselines.load(name)
        own = device.data_types[device.eager.data_type].peak.value
        assert device.peak(product, device.eager.data_type) >= own


@pytest.mark.parametrize(
    ("machine", "product", "expected"),
    [
        ("gpu-h100", "fp8", "fp8"),
        ("gpu-a100", "fp8", "bf16"),  # it has none: unpacked
        ("gpu-a100", "int4", "int4"),
        ("gpu-h100", "int4", "int8"),  # it has none since Hopper
        ("gpu-a100", "int8", "int8"),
        ("cpu-xeon-6154", "int8", "fp32"),
    ],
)
def test_what_a_machine_does_not_multiply_is_unpacked(machine: str, product: str, expected: str) -> None:
    device = baselines.load(machine)
    assert device.peak(product, device.eager.data_type) == device.data_types[expected].peak.value


def test_a_large_product_takes_its_operations_over_its_rate() -> None:
    demands = [decode_demands(alone(o), np.array([9.0]), 4096) for o in (matrix(), matrix("int8", "int8"))]
    own, stated = (device_times(H100, each, "bf16", H100.bandwidth)[0].compute[0] for each in demands)
    assert own / stated == pytest.approx(1978.9 / 989.4)


@pytest.mark.parametrize("part", ["", "compiled", "roofline"])
def test_weights_of_four_bits_take_about_a_quarter_where_memory_binds(part: str) -> None:
    """Llama-3-8B at a context of 1: matrices are all that is moved, but for norms and one row of the table."""
    whole = build(MODELS["llama-3-8b"], lm_head=True)
    own, stated = (baselines.evaluate("gpu-rtx4090", each, [1]) for each in (whole, all_in(whole, "int4")))
    if part:
        own, stated = own[part], stated[part]
        assert stated["latency_ns"] / own["latency_ns"] == pytest.approx(1 / 4, rel=2e-3)
    else:  # the host launches as much as before, and an unpacking kernel is left out: it favours the machine
        assert stated["latency_ns"] <= own["latency_ns"]


def test_room_is_that_of_the_formats() -> None:
    whole = build(MODELS["llama-3-8b"], lm_head=False)
    matrices = whole.matrix_parameters
    own, stated = (
        baselines.evaluate("gpu-l4", each, [1000], batch=2)
        for each in (whole, all_in(whole, "int4", kv="fp8_e4m3", group=128, scale_bits=16))
    )
    kept = 32 * 2 * 2 * 1024 * 1000
    assert own["required_bytes"] - stated["required_bytes"] == 2 * matrices - matrices * 33 // 64 + kept
    assert stated["required_bytes"] == stated["roofline"]["required_bytes"]
    assert baselines.evaluate("gpu-t4", all_in(whole, "int4"), [1])["fits"]
    assert not baselines.evaluate("gpu-t4", whole, [1])["fits"]


def test_a_group_cuts_what_is_stored_in_formats() -> None:
    whole = all_in(build(MODELS["llama-3-8b"], lm_head=False), "int4", kv="int8")
    demands = decode_demands(whole, np.array([99.0]), 3)
    one, four = (
        {time.demand.operator.name: time.memory[0] for time in device_times(device, demands, "bf16", 1)}
        for device in (H100, baselines.load("gpu-h100x4"))
    )
    assert [four[name] / one[name] for name in ("q", "attention", "ffn_down")] == [1 / 4] * 3
