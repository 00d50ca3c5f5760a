"""Tokens of inputs that share an open row: both levels equal to the bit, as each input by itself where sums are cut
alike, and at most rounded otherwise where they are not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from pimsim.values.machine.machine import CommandError
from tests.values.runs import ODD, case, same
from tests.values.test_levels import check

IDS = (3, 17, 99, 5, 64, 2)
TWO = (IDS, IDS[::-1])
REUSE = {"mapping__verify": "row_reuse", "workload__query_tokens": 3}

CHANGES: Mapping[str, dict[str, Any]] = {
    "one unit, one sum": {},
    "a buffer of two columns for each": {"pim__global_buffer_bytes": 192},
    "a column for each": {"pim__global_buffer_bytes": 96},
    "less room than inputs": {"pim__global_buffer_bytes": 64},
    "two sums": {"pim__accumulators": 2},
    "more sums than inputs": {"pim__accumulators": 7},
    "two units": {"pim__units_per_bank": 2},
    "four units": {"pim__units_per_bank": 4},
    "two units, two sums each": {"pim__units_per_bank": 2, "pim__accumulators": 2},
    "two units, a small buffer": {"pim__units_per_bank": 2, "pim__global_buffer_bytes": 96},
    "a unit for two banks": {"pim__units_per_bank": 0.5},
    "a unit for two banks, three sums each": {"pim__units_per_bank": 0.5, "pim__accumulators": 3},
    "the faster": {"mapping__verify": "auto", "pim__units_per_bank": 2},
    "accumulators of BF16": {"values__accumulate": "bf16", "pim__units_per_bank": 2, "pim__accumulators": 2},
    "one lane, one channel": {"pim__lanes": 1, "dram__channels": 1, "pim__accumulators": 3},
    "three channels, another schedule": {"dram__channels": 3, "schedule": "overlap", "pim__units_per_bank": 3},
    "short rows": {"dram__row_bytes": 64, "pim__accumulators": 2},
    "three banks": {
        "dram__banks_per_group": 3, "dram__bank_groups": 1, "dram__channels": 5, "pim__units_per_bank": 2,
    },
    "columns of three beats": {
        "dram__column_bytes": 24, "dram__row_bytes": 24 * 7, "pim__lanes": 4, "pim__global_buffer_bytes": 24 * 6,
        "pim__accumulators": 2,
    },
    "two buffers": {"pim__buffers": 2},
    "two buffers of six columns, two sums": {
        "pim__buffers": 2, "pim__accumulators": 2, "pim__global_buffer_bytes": 192, "dram__row_bytes": 192,
    },
    "two buffers of a column for each, two units": {
        "pim__buffers": 2, "pim__units_per_bank": 2, "pim__global_buffer_bytes": 192, "schedule": "overlap",
    },
    "two buffers, one by one": {
        "pim__buffers": 2, "mapping__verify": "repeat", "pim__global_buffer_bytes": 64, "dram__channels": 1,
    },
    "stepped": {"engine__mode": "stepped", "pim__units_per_bank": 2},
    "no channels folded": {"engine__fold": False, "pim__accumulators": 2},
    "an SRAM of few elements": {"asic__sram_KiB": 0.2, "pim__accumulators": 2},
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_both_levels_are_equal(family: str, name: str) -> None:
    sizes = ODD[family] if len(name) % 2 else None
    check(case(family, "pim-gpt", TWO, sizes=sizes, **(REUSE | CHANGES[name])), 0)


@pytest.mark.parametrize("family", ["llama", "gpt2", "mistral", "mixtral", "gemma2"])
def test_every_kind_of_model(family: str) -> None:
    check(case(family, "pim-gpt", TWO, **REUSE, pim__units_per_bank=2))


@pytest.mark.parametrize("keys", [{"pim__accumulators": 6}, {"pim__units_per_bank": 6}, {}])
def test_inputs_know_nothing_of_each_other(keys: dict[str, Any]) -> None:
    """With a buffer for each of them, chunks are those of one by one."""
    room = {"pim__global_buffer_bytes": 2048 * 6}
    together = case("llama", "pim-gpt", TWO, **REUSE, **room, **keys).carried()
    assert same(together, case("llama", "pim-gpt", TWO).carried())


@pytest.mark.parametrize("chunk", [2, 4])
def test_a_prompt_in_chunks(chunk: int) -> None:
    changes = {"mapping__verify": "row_reuse", "workload__prefill_chunk": chunk, "pim__accumulators": 3}
    check(case("gpt2", "pim-gpt", IDS, prompt=5, **changes))


# What a command becomes (none: it is left out).  MACABN with one input left is MACAB: no fault.
FAULTS = (
    ("WRGBN", "WRGB"), ("WRGB", "WRGBN"), ("WRGBB", "WRGBBN"), ("WRGBBN", "WRGBB"), ("WRGBB", "WRGB"), ("SWGB", ""),
    ("MACABN", "MACAB"), ("MACABN", ""), ("RDMAC", ""), ("WRGBB", ""), ("WRGBBN", ""),
)  # fmt: skip


@pytest.mark.parametrize(("command", "other"), FAULTS)
def test_a_command_that_is_another_one_is_refused_or_makes_other_tokens(command: str, other: str) -> None:
    """Three inputs of two sequences: passes of two units and, of the last input of an odd group, of one."""
    keys = {"pim__units_per_bank": 2, "pim__buffers": 2, "pim__global_buffer_bytes": 32 * 9}
    of = case("llama", "pim-gpt", IDS, workload__query_tokens=3, mapping__verify="row_reuse", **keys)
    log, standard = of.commands(), of.plan.device.standard
    some = np.flatnonzero((log[:, 2] == standard.index(command)) & ((log[:, 5] != 0) | (other == "")))
    assert len(some) > 10  # the first column of all begins an input by any name
    for at in some[len(some) // 2 :: len(some) // 6 + 1].tolist():
        changed = log.copy()
        if other:
            changed[at, 2] = standard.index(other)
        else:
            changed = np.delete(changed, at, axis=0)
        try:
            made = of.carried(changed)
        except CommandError:
            continue
        assert not same(made, of.fast())
