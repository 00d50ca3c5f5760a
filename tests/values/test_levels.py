"""The two levels are equal to the bit, and near the reference: every family, every device, every key that rounds.

The level `fast` knows layouts by how they cut sums, the commands by where they lie: a wrong address, wire, order of
additions or missing command of any layout makes the two differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.examples import examples
from tests.values.models import FAMILIES
from tests.values.runs import ODD, Case, case, far, same

DEVICES = ("pim-gpt", "aim")
LONG = tuple(range(1, 21))  # tokens
NEAR = 0.2  # of the largest logit: BF16 has 8 bits, and a soft cap of logits makes small ones of large ones

# Keys of the configuration for both devices.
CHANGES: Mapping[str, dict[str, Any]] = {
    "as shipped": {},
    "another schedule": {"schedule": "overlap"},
    "no refresh": {"dram__refresh": "none"},
    "often refreshed": {"dram__timing__tREFI_ns": 1500},
    "V in all banks": {"mapping__value_append": "all_bank"},
    "V bank by bank": {"mapping__value_append": "single_bank"},
    "V by tokens": {"mapping__values": "tokens"},
    "V by tokens, in all banks": {"mapping__values": "tokens", "mapping__value_append": "all_bank"},
    "V by tokens, bank by bank": {"mapping__values": "tokens", "mapping__value_append": "single_bank"},
    "V by tokens, three channels": {"mapping__values": "tokens", "dram__channels": 3},
    "V by tokens, one channel, a small buffer": {
        "mapping__values": "tokens", "dram__channels": 1, "pim__global_buffer_bytes": 32,
    },
    "V by what is the faster": {"mapping__values": "auto"},
    "attention by heads": {"mapping__attention": "per_head"},
    "attention by heads, overlap, three channels": {
        "mapping__attention": "per_head", "schedule": "overlap", "dram__channels": 3,
    },
    "attention by heads, a buffer of a column": {"mapping__attention": "per_head", "pim__global_buffer_bytes": 32},
    "attention by heads, V by tokens": {"mapping__attention": "per_head", "mapping__values": "tokens"},
    "attention by heads, V by tokens, two channels, a small buffer": {
        "mapping__attention": "per_head", "mapping__values": "tokens", "dram__channels": 2,
        "pim__global_buffer_bytes": 64, "schedule": "overlap",
    },
    "writes with a mask": {"dram__write_mask": "standard", "mapping__value_append": "single_bank"},
    "writes with a mask in all banks": {"dram__write_mask": "standard", "mapping__value_append": "all_bank"},
    "a buffer of a column": {"pim__global_buffer_bytes": 32},
    "a buffer of two columns": {"pim__global_buffer_bytes": 64},
    "an SRAM of few elements": {"asic__sram_KiB": 0.1},
    "one lane": {"pim__lanes": 1},
    "four lanes": {"pim__lanes": 4},
    "one channel": {"dram__channels": 1},
    "three channels": {"dram__channels": 3},
    "one bank group": {"dram__bank_groups": 1},
    "three bank groups": {"dram__bank_groups": 3},
    "stepped": {"engine__mode": "stepped"},
    "no channels folded": {"engine__fold": False},
    "accumulators of BF16": {"values__accumulate": "bf16"},
    "accumulators of BF16, one lane, a small buffer": {
        "values__accumulate": "bf16", "pim__lanes": 1, "pim__global_buffer_bytes": 64,
    },
    "plain exponentials": {"asic__range_reduction": "none"},
    "few terms": {"asic__taylor_terms": 3, "asic__newton_steps": 1},
}  # fmt: skip
ASIC_ADDS = {"pim__sums": "asic", "pim__activation": "asic"}
# And those of one device.
OWN: Mapping[str, dict[str, dict[str, Any]]] = {
    "pim-gpt": {
        "bank after bank is refreshed": {"dram__refresh": "per_bank", "dram__timing__tREFI_ns": 15000},
        "two banks in a group": {"dram__banks_per_group": 2, "dram__bank_groups": 3},
        "three banks": {"dram__banks_per_group": 3, "dram__bank_groups": 1, "dram__channels": 5},
        "columns of three beats": {
            "dram__column_bytes": 24, "dram__row_bytes": 24 * 7, "pim__lanes": 4, "pim__global_buffer_bytes": 72,
        },
        "short rows": {"dram__row_bytes": 64},
        "V by tokens, columns of four": {
            "mapping__values": "tokens", "dram__column_bytes": 8, "dram__row_bytes": 24, "pim__lanes": 4,
            "pim__global_buffer_bytes": 16, "dram__channels": 2,
        },
    },
    "aim": {
        "the ASIC adds": ASIC_ADDS,
        "the ASIC adds, a buffer of a column": ASIC_ADDS | {"pim__global_buffer_bytes": 32},
        "the ASIC has the functions": {"pim__activation": "asic"},
        "the ASIC adds, V by tokens": ASIC_ADDS | {"mapping__values": "tokens"},
        "the ASIC adds, attention by heads, a small buffer": ASIC_ADDS | {
            "mapping__attention": "per_head", "pim__global_buffer_bytes": 64,
        },
        "the banks scale": {"pim__softmax": "banks"},
        "the banks scale, attention by heads": {"pim__softmax": "banks", "mapping__attention": "per_head"},
        "the banks scale, three channels": {"pim__softmax": "banks", "dram__channels": 3},
        "eight banks": {"dram__bank_groups": 2, "pim__softmax": "banks"},
    },
}  # fmt: skip
VARIANTS = [
    (device, name, changes)
    for device in DEVICES
    for name, changes in (CHANGES | OWN[device]).items()
]  # fmt: skip


def check(wanted: Case, near: float = NEAR) -> None:
    """Both levels make the same logits, and those are near the reference's."""
    commands, fast = wanted.carried(), wanted.fast()
    assert all(np.isfinite(x[max(wanted.prompt - 1, 0) :]).all() for x in commands)
    assert same(commands, fast, wanted.prompt)
    if near:
        assert far(commands, wanted.reference(), wanted.prompt) < near


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family(family: str, device: str) -> None:
    check(case(family, device))


@pytest.mark.parametrize(("device", "name", "changes"), VARIANTS, ids=[f"{d}-{n}" for d, n, _ in VARIANTS])
@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_every_key(family: str, device: str, name: str, changes: dict[str, Any]) -> None:
    coarse = {"plain exponentials", "few terms"} & {name}
    check(case(family, device, **changes), 0 if coarse else 2 * NEAR)


@pytest.mark.parametrize(("device", "name", "changes"), VARIANTS, ids=[f"{d}-{n}" for d, n, _ in VARIANTS])
def test_sizes_that_nothing_is_a_multiple_of(device: str, name: str, changes: dict[str, Any]) -> None:
    families = sorted(ODD)
    family = families[len(name) % len(families)]
    check(case(family, device, sizes=ODD[family], **changes), 0)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("family", ["llama", "gpt2", "mixtral", "gemma2"])
def test_what_the_SRAM_cannot_hold_comes_back_as_it_was(family: str, device: str) -> None:
    small, large = (case(family, device, asic__sram_KiB=size) for size in (0.1, 128))
    step = small.plan.named_step(len(small.sequences[0]), True)
    spilled = {i.operands.of for part in step for i in part if i.operator == "spill" and i.operands}
    assert len(spilled) > 2 and any(name.startswith("attention") for name in spilled)
    assert same(small.carried(), large.carried())


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("family", ["llama", "gpt2", "mistral", "mixtral", "gemma3"])
def test_sequences_of_a_batch_know_nothing_of_each_other(family: str, device: str) -> None:
    ids = [(3, 17, 99, 5), (8, 17, 2, 64)]
    together = case(family, device, ids).carried()
    for logits, alone in zip(together, ids, strict=True):
        assert same([logits], case(family, device, alone).carried())
    twice = case(family, device, [ids[0], ids[0]]).carried()
    assert same(twice[:1], twice[1:]) and same(twice[:1], together[:1])


def test_a_softmax_in_the_banks_waits_for_the_scores_of_its_own_sequence_alone() -> None:
    """The channels go on with the first sequence while the scores of the second are still to come."""
    check(case("llama", "aim", [(3, 17), (8, 17)], schedule="overlap", pim__softmax="banks", dram__channels=3,
               asic__sram_KiB=0.3))  # fmt: skip


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("family", ["llama", "gpt2", "mistral", "mixtral", "gemma3"])
def test_tokens_of_a_step_are_as_one_by_one(family: str, device: str) -> None:
    ids = (3, 17, 99, 5, 64, 2)
    assert same(case(family, device, ids, workload__query_tokens=2).carried(), case(family, device, ids).carried())
    both = case(family, device, [ids, ids[::-1]], prompt=2, workload__query_tokens=2, asic__sram_KiB=0.2)
    check(both)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("family", ["mistral", "gemma2", "gemma3"])
@pytest.mark.parametrize("window", [4, 5, 16])
def test_contexts_beyond_a_window(family: str, device: str, window: int) -> None:
    check(case(family, device, LONG, sizes={"sliding_window": window}))
    whole = case(family, device, LONG, sizes={"sliding_window": 64})
    assert not same(whole.fast(), case(family, device, LONG, sizes={"sliding_window": window}).fast())


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("sums", ["banks", "asic"])
@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma"])
def test_contexts_beyond_a_buffer_of_tokens(family: str, device: str, sums: str) -> None:
    own = {"pim__sums": sums, "pim__activation": sums} if device == "aim" else {}
    wanted = case(family, device, LONG, prompt=14, pim__global_buffer_bytes=32, **own)
    values = next(iter(wanted.plan.memory.values.values()))
    assert len(values.sums(len(LONG)).elements) == 2
    check(wanted, 2 * NEAR)


@pytest.mark.parametrize(("device", "sums"), [("pim-gpt", ""), ("aim", "banks"), ("aim", "asic")])
@pytest.mark.parametrize(("family", "channels"), [("llama", 2), ("gpt2", 3)])
def test_contexts_of_several_columns_of_several_channels(family: str, channels: int, device: str, sums: str) -> None:
    """V by tokens: a context that ends in the second column of some channels, where others have one."""
    own = {"pim__sums": sums, "pim__activation": sums} if sums else {}
    ids = tuple(range(1, 54))
    changes = {"pim__global_buffer_bytes": 32, "dram__channels": channels, "mapping__values": "tokens", **own}
    wanted = case(family, device, ids, prompt=45, **changes)
    values = next(iter(wanted.plan.memory.values.values()))
    assert values.split == "tokens" and list(values.sums(len(ids)).elements) == [16, 16, 16, 5]
    assert values.partial_sums(len(ids)) == (channels if sums == "banks" else 4)
    check(wanted, 2 * NEAR)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("window", [17, 33])
def test_a_window_whose_slots_are_dealt_to_channels(device: str, window: int) -> None:
    ids = tuple(range(1, 40))
    check(case("mistral", device, ids, 30, {"sliding_window": window}, mapping__values="tokens", dram__channels=2))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma2", "gemma3"])
@pytest.mark.parametrize("split", ["heads", "tokens"])
def test_attention_by_heads_says_what_it_says_as_a_whole(split: str, family: str, device: str) -> None:
    """Sequences and tokens of a step, heads that are cut, caps, windows."""
    how = {"schedule": "overlap", "mapping__values": split, "dram__channels": 3, "pim__global_buffer_bytes": 32}
    ids = [(3, 17, 99, 5), (8, 17, 2, 64)]
    runs = [
        case(family, device, ids, workload__query_tokens=2, mapping__attention=attention, **how)
        for attention in ("whole", "per_head")
    ]
    whole, by_heads = ([i.key for part in run.plan.step(4, True, 2) for i in part] for run in runs)
    assert len(by_heads) > len(whole)
    assert same(*(run.carried() for run in runs))


def test_more_tokens_than_the_banks_of_a_channel() -> None:
    check(case("llama", ids=tuple(range(1, 40)), prompt=30, dram__channels=1, dram__bank_groups=2))


@pytest.mark.parametrize("device", DEVICES)
def test_channels_are_as_far_apart_as_they_like(device: str) -> None:
    """The channel that has K of many sequences to write is far behind the others."""
    wanted = case("llama", device, [(token,) for token in range(45)], schedule="overlap", dram__bank_groups=1)
    assert same(wanted.carried(), wanted.fast())


def test_a_prompt_has_the_logits_of_its_last_token() -> None:
    check(case("llama", prompt=5))


# -- any of it ---------------------------------------------------------------------------


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A model, a device and keys of every kind, at random."""
    family, device = draw(st.sampled_from(FAMILIES)), draw(st.sampled_from(DEVICES))
    query = draw(st.sampled_from([1, 1, 2]), label="query_tokens")
    steps, prompt = draw(st.integers(1, 3), label="steps"), draw(st.integers(0, 6), label="prompt")
    seed = draw(st.integers(0, 1 << 20), label="tokens")
    ids = np.random.default_rng(seed).integers(0, 101, (draw(st.integers(1, 2), label="batch"), prompt + query * steps))
    lanes = draw(st.sampled_from([1, 4, 16]), label="lanes")
    changes: dict[str, Any] = {
        "workload.query_tokens": query,
        "schedule": draw(st.sampled_from(["paper", "overlap"])),
        "dram.refresh": draw(st.sampled_from(["all_bank", "none"])),
        "mapping.value_append": draw(st.sampled_from(["single_bank", "all_bank"])),
        "mapping.values": draw(st.sampled_from(["heads", "tokens", "auto"])),
        "mapping.attention": draw(st.sampled_from(["whole", "per_head"])),
        "pim.global_buffer_bytes": draw(st.sampled_from([32, 64, 96, 2048])),
        "asic.sram_KiB": draw(st.sampled_from([0.05, 0.3, 128])),
        "pim.lanes": lanes,
        "dram.channels": draw(st.sampled_from([1, 2, 3, 8])),
        "dram.bank_groups": draw(st.integers(1, 4)),
        "engine.mode": draw(st.sampled_from(["fast", "stepped"])),
        "engine.fold": draw(st.booleans()),
        "values.accumulate": draw(st.sampled_from(["fp32", "bf16"])),
        "asic.range_reduction": draw(st.sampled_from(["ln2", "none"])),
        "asic.taylor_terms": draw(st.integers(2, 8)),
    }
    if device == "aim":
        changes |= {f"pim.{key}": draw(st.sampled_from(["banks", "asic"])) for key in ("sums", "softmax")}
        changes["pim.activation"] = (
            draw(st.sampled_from(["banks", "asic"])) if changes["pim.sums"] == "banks" else "asic"
        )
    else:
        changes |= {
            "dram.banks_per_group": draw(st.integers(1, 5)),
            "dram.row_bytes": draw(st.sampled_from([64, 2048])),
        }
    sizes = dict(ODD.get(family, {})) if draw(st.booleans(), label="odd sizes") else {}
    if family in ("mistral", "gemma2", "gemma3"):
        sizes["sliding_window"] = draw(st.integers(1, 9), label="window")
    sequences = [[int(token) for token in row] for row in ids]
    return case(family, device, sequences, prompt, sizes, **changes)


@settings(max_examples=examples(12), suppress_health_check=list(HealthCheck))
@given(cases())
def test_any_of_it(wanted: Case) -> None:
    assert same(wanted.carried(), wanted.fast(), wanted.prompt)
