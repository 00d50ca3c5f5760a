"""The two levels in number formats: equal to the bit, near the reference, and refused where nobody computes them.

The level fast knows sums, groups and scales; the commands know bits in columns, and where they lie.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from pimsim import InputError
from pimsim.formats import CACHED, COMPUTED, FORMATS
from pimsim.values.machine import build
from pimsim.values.machine.machine import CommandError
from pimsim.values.machine.plain import PlainMachine
from tests.examples import examples
from tests.values.models import FAMILIES
from tests.values.runs import ODD, Case, case, far, same

IDS = (3, 17, 99, 5, 64)
LONG = tuple(range(1, 40))
NO_SHRINK = (Phase.explicit, Phase.reuse, Phase.generate)  # a case takes a second
BF16 = {"bf16xbf16": 16}

# The memory, and how near the reference its logits are: a part of the largest one.
ROWS: Mapping[str, tuple[str, float, dict[str, Any]]] = {
    "int8": ("pim-gpt-int8", 0.15, {}),
    "int8 in groups": ("pim-gpt-int8", 0.15, {"workload__weight_group": 16}),
    "int8 in groups, on the ASIC": ("pim-gpt-int8", 0.15, {"workload__weight_group": 32, "pim__scales": "asic"}),
    "int4 in groups": ("pim-gpt-int4", 0.5, {"workload__weight_group": 16}),
    "int4 in groups, on the ASIC": ("pim-gpt-int4", 0.5, {"workload__weight_group": 16, "pim__scales": "asic"}),
    "int4 in groups that waste": ("pim-gpt-int4", 0.6, {"workload__weight_group": 24, "pim__formats": {
        "int4xint8": 16, "int8xint8": 32}}),
    "int4 times bf16": ("pim-gpt", 0.6, {"pim__formats": {"int4xbf16": 64, **BF16}, "workload__weight_group": 32}),
    "int3": ("pim-gpt", 1.5, {"pim__formats": {"int3xint8": 64, "int8xint8": 32}, "workload__weight_group": 20}),
    "int2": ("pim-gpt", 3, {"pim__formats": {"int2xint8": 128, "int8xint8": 32}, "workload__weight_group": 16}),
    "fp8": ("pim-gpt", 0.3, {"pim__formats": {"fp8_e4m3xfp8_e4m3": 32}}),
    "fp8 of both kinds": ("pim-gpt", 0.6, {"pim__formats": {"fp8_e4m3xfp8_e5m2": 32}}),
    "fp16": ("pim-gpt", 0.2, {"pim__formats": {"fp16xfp16": 16}}),
    "mxfp4": ("pim-gpt", 0.7, {"pim__formats": {"mxfp4xbf16": 64, **BF16}}),
    "mxfp4 on the ASIC": ("pim-gpt", 0.7, {"pim__formats": {"mxfp4xbf16": 64, **BF16}, "pim__scales": "asic"}),
    "mxfp4 times fp8": ("pim-gpt", 0.7, {"pim__formats": {"mxfp4xfp8_e4m3": 64, "fp8_e4m3xfp8_e4m3": 32}}),
    "K and V alone": ("pim-gpt", 0.2, {"pim__formats": {**BF16, "int8xbf16": 32}, "workload__kv_format": "int8"}),
    "weights alone": ("pim-gpt", 0.2, {"pim__formats": {"int8xbf16": 32, **BF16}, "workload__kv_format": "bf16"}),
}  # fmt: skip
CHANGES: Mapping[str, dict[str, Any]] = {
    "V by tokens": {"mapping__values": "tokens"},
    "V by tokens, three channels": {"mapping__values": "tokens", "dram__channels": 3},
    "V in all banks": {"mapping__value_append": "all_bank"},
    "a small buffer": {"pim__global_buffer_bytes": 128},
    "three channels, three bank groups": {"dram__channels": 3, "dram__bank_groups": 3},
    "accumulators of BF16": {"values__accumulate": "bf16"},
    "another schedule": {"schedule": "overlap"},
    "an SRAM of few elements": {"asic__sram_KiB": 0.1},
}


def wanted(row: str, family: str = "llama", ids: Any = IDS, prompt: int = 0, sizes: Any = None, **more: Any) -> Case:
    device, _, changes = ROWS[row]
    return case(family, device, ids, prompt, sizes, **changes | more)


def check(tried: Case, near: float = 0) -> None:
    commands, fast = tried.carried(), tried.fast()
    assert all(np.isfinite(x[max(tried.prompt - 1, 0) :]).all() for x in commands)
    assert same(commands, fast, tried.prompt)
    assert not near or far(commands, tried.reference(), tried.prompt) < near


@pytest.mark.parametrize("family", ["llama", "gpt2"])
@pytest.mark.parametrize("row", ROWS)
def test_every_format(row: str, family: str) -> None:
    check(wanted(row, family), ROWS[row][1])


@pytest.mark.parametrize("row", ["int8", "int4 in groups, on the ASIC", "fp8"])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family(family: str, row: str) -> None:
    check(wanted(row, family))


@pytest.mark.parametrize("row", ["int8", "int4 in groups", "mxfp4 on the ASIC", "K and V alone"])
@pytest.mark.parametrize("name", CHANGES)
def test_every_key(name: str, row: str) -> None:
    check(wanted(row, **CHANGES[name]))


@pytest.mark.parametrize("row", ROWS)
def test_sizes_that_nothing_is_a_multiple_of(row: str) -> None:
    family = sorted(ODD)[len(row) % len(ODD)]
    check(wanted(row, family, sizes=ODD[family]))


@pytest.mark.parametrize("row", ["int8", "fp8"])
@pytest.mark.parametrize("split", ["heads", "tokens"])
def test_contexts_of_several_columns_and_buffers(split: str, row: str) -> None:
    tried = wanted(row, ids=LONG, prompt=34, mapping__values=split, pim__global_buffer_bytes=32, dram__channels=2)
    values = next(iter(tried.plan.memory.values.values()))
    assert len(values.sums(len(LONG)).elements) > 1
    check(tried)


def test_a_window() -> None:
    check(wanted("int8", "mistral", ids=LONG[:12], prompt=6, sizes={"sliding_window": 4}))


@pytest.mark.parametrize("row", ["int8", "int4 in groups, on the ASIC", "fp8"])
@pytest.mark.parametrize("family", ["llama", "mixtral", "gemma2"])
def test_sequences_and_tokens_know_nothing_of_each_other(family: str, row: str) -> None:
    ids = [(3, 17, 99, 5), (8, 17, 2, 64)]
    together = wanted(row, family, ids).carried()
    for logits, alone in zip(together, ids, strict=True):
        assert same([logits], wanted(row, family, alone).carried())
    assert same(wanted(row, family, ids[0], workload__query_tokens=2).carried(), together[:1])


@settings(max_examples=examples(10), phases=NO_SHRINK, suppress_health_check=list(HealthCheck), deadline=None)
@given(st.data())
def test_any_of_it(data: st.DataObject) -> None:
    """Any pairs of formats, groups, lanes and sizes."""
    draw = data.draw
    given_name = draw(st.sampled_from(COMPUTED), label="activations")
    stored, kept = draw(st.sampled_from([*FORMATS]), label="weights"), draw(st.sampled_from(CACHED), label="K and V")
    most = [256 // FORMATS[name].bits for name in (kept, stored)]
    lanes = [min(draw(st.sampled_from([1, 4, 16, 32])), each) for each in most]
    pairs = {f"{kept}x{given_name}": lanes[0]} | {f"{stored}x{given_name}": lanes[1]}
    own = {"pim__lanes": pairs["bf16xbf16"]} if "bf16xbf16" in pairs else {}
    family = draw(st.sampled_from(FAMILIES), label="family")
    changes = {
        "pim__formats": dict(reversed(pairs.items())),
        "workload__weight_format": stored, "workload__kv_format": kept, "workload__activation_format": given_name,
        "workload__weight_group": draw(st.sampled_from([0, 8, 16, 20, 48]), label="group"),
        "pim__scales": draw(st.sampled_from(["unit", "asic"])),
        "pim__global_buffer_bytes": draw(st.sampled_from([512, 2048])),
        "mapping__values": draw(st.sampled_from(["heads", "tokens", "auto"])),
        "values__accumulate": draw(st.sampled_from(["fp32", "bf16"])),
        "dram__channels": draw(st.sampled_from([1, 3, 8])),
        "dram__bank_groups": draw(st.integers(1, 4)),
        "asic__sram_KiB": draw(st.sampled_from([0.05, 128])),
        "schedule": draw(st.sampled_from(["paper", "overlap"])),
    }  # fmt: skip
    sizes = dict(ODD.get(family, {})) if draw(st.booleans(), label="odd sizes") else {}
    tried = case(family, "pim-gpt", IDS[:3], sizes=sizes, **changes | own)
    assert same(tried.carried(), tried.fast())


# -- it can fail -----------------------------------------------------------------------------


def machine(tried: Case) -> PlainMachine:
    found = tried.machine(lambda step, values: None)
    assert isinstance(found, PlainMachine)
    return found


@pytest.mark.parametrize("row", ["int8", "int4 in groups", "int4 in groups, on the ASIC"])
def test_a_bit_that_is_flipped_is_seen(row: str) -> None:
    """Of each column of weights or scales that is multiplied, one after another."""
    tried = wanted(row, ids=IDS[:1])
    commands, expected, seen = tried.commands(), tried.fast()[0], 0
    names = [command.name for command in tried.plan.device.standard.commands]
    multiplied = [tuple(c[[1, 4, 5]].tolist()) for c in commands if names[c[2]].startswith("MACAB")]
    for cell in multiplied[:: max(1, len(multiplied) // 12)]:
        made: list[Any] = []
        found = tried.machine(lambda step, values, made=made: made.append(dict(values)))
        assert isinstance(found, PlainMachine)
        found.cells.at(*cell)[:, 6] ^= 1
        found.append(*commands.T)
        found.finish()
        last = tried.workload.select("once_after")[-1].name
        seen += not np.array_equal(made[-1][last], expected[-1])
    assert seen >= 9  # K and V are written over


@pytest.mark.parametrize("name", ["MACAB_int4xint8", "RDMAC", "RDMAC32", "WRGB", "RD", "ACTAB"])
def test_a_command_that_is_missing_is_an_error(name: str) -> None:
    tried = wanted("int4 in groups", ids=IDS[:2])
    commands = tried.commands()
    number = [command.name for command in tried.plan.device.standard.commands].index(name)
    at = np.flatnonzero(commands[:, 2] == number)
    with pytest.raises(CommandError):
        tried.carried(np.delete(commands, at[len(at) // 2], axis=0))


def test_a_command_of_another_pair_is_an_error() -> None:
    tried = wanted("int4 in groups", ids=IDS[:2])
    commands = tried.commands()
    names = [command.name for command in tried.plan.device.standard.commands]
    commands[commands[:, 2] == names.index("MACAB_int4xint8"), 2] = names.index("MACAB_int8xint8")
    with pytest.raises(CommandError, match="multiplies int8xint8, not int4xint8"):
        tried.carried(commands)


def test_sums_of_another_width_are_an_error() -> None:
    tried = wanted("int8", ids=IDS[:2])
    commands = tried.commands()
    names = [command.name for command in tried.plan.device.standard.commands]
    commands[commands[:, 2] == names.index("RDMAC32"), 2] = names.index("RDMAC")
    with pytest.raises(CommandError, match="another width"):
        tried.carried(commands)


# -- what is refused ---------------------------------------------------------------------------


def test_a_model_that_is_too_large_for_plain_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "LARGEST_IN_FORMATS", 1000)
    with pytest.raises(InputError, match="more than the 1,000 whose commands .* the level fast needs no commands"):
        machine(wanted("int8"))


@pytest.mark.parametrize("change", [{"mapping__attention": "per_head"}, {"mapping__verify": "row_reuse"}])
def test_ways_of_mapping_that_have_no_values_in_formats(change: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="in BF16 alone; the level fast needs no commands"):
        machine(wanted("int8", schedule="overlap", **change))


def test_commands_of_a_memory_that_do_not_say_what_they_multiply() -> None:
    with pytest.raises(InputError, match="one by one in BF16 alone"):
        machine(case("llama", "aim", IDS, pim__formats={"bf16xbf16": 16, "int8xbf16": 16}, workload__kv_format="int8"))


def test_sums_that_go_on_in_the_banks_have_no_values_in_formats() -> None:
    tried = case("llama", "aim", IDS, pim__formats={"int4xbf16": 16, "bf16xbf16": 16}, workload__kv_format="bf16")
    with pytest.raises(InputError, match="let the ASIC add"):
        tried.fast()


@pytest.mark.parametrize("scales", ["unit", "asic"])
def test_the_level_fast_computes_what_the_asic_adds_up(scales: str) -> None:
    """The same sums on both devices: of whole groups, which both cut alike."""
    changes = {"pim__formats": {"int4xbf16": 16, **BF16}, "workload__kv_format": "bf16", "pim__scales": scales,
               "workload__weight_group": 64}  # fmt: skip
    aim = case("llama", "aim", IDS, pim__sums="asic", pim__activation="asic", **changes)
    assert same(aim.fast(), case("llama", "pim-gpt", IDS, **changes).fast())
