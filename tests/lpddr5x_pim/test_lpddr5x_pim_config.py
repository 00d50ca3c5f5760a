"""Keys of LPDDR5X-PIM: what is refused, where, and in which words."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from pimsim import InputError, load_config
from pimsim.api import preflight
from pimsim.devices.registry import device_of
from tests.conftest import SHIPPED

FILE = SHIPPED.parent / "lpddr5x-pim.yaml"

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"dram.timing.tFAW_ns": 3}, "dram.timing.tFAW_ns: must be at least tRRD (4.17 ns), not 3"),
    ({"dram.timing.tRPab_ns": 18}, "dram.timing.tRPab_ns: must be at least tRP (18.348 ns), not 18"),
    ({"dram.refresh": "per_bank"}, "dram.refresh: must be 'all_bank' or 'none', not 'per_bank'"),
    ({"dram.write_mask": "standard"}, "dram.write_mask: must be none: lpddr5x-pim has no writes with a mask here"),
    ({"pim.kept_outputs": 0}, "pim.kept_outputs: must be at least 1, not 0"),
    ({"pim.fence_ns": -1}, "pim.fence_ns: must be at least 0, not -1"),
    (
        {"pim.global_buffer_bytes": 96},
        "int4xbf16: a column is multiplied with 64 numbers, 128 bytes, and the buffer has 96",
    ),
    ({"pim.formats.int8xint8": 64}, "int8xint8: 64 lanes that the column width cannot feed"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("keys", "said"), WRONG, ids=lambda value: next(iter(value)) if isinstance(value, dict) else ""
)
def test_what_no_package_can_be_is_refused(keys: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as caught:
        load_config(FILE, keys)
    assert said in str(caught.value)


def test_a_pair_that_the_blocks_do_not_multiply_is_refused_with_those_that_they_do() -> None:
    config = load_config(FILE, {"workload.weight_format": "int3"})
    with pytest.raises(InputError, match=r"int3 times bf16 .*: the MAC units multiply bf16xbf16, int8xint8, int4xint4"):
        preflight(config)


@pytest.mark.parametrize(("fence_ns", "clocks"), [("0", 0), ("150", 180), ("150.12", 180), ("150.121", 181)])
def test_a_fence_is_whole_clocks_rounded_up(fence_ns: str, clocks: int) -> None:
    assert device_of(load_config(FILE, {"pim.fence_ns": Decimal(fence_ns)})).cycles["nFENCE"] == clocks


def test_a_model_that_no_package_holds_is_refused() -> None:
    """8 GB: Llama-3-8B in BF16 has 16."""
    with pytest.raises(InputError, match="rows"):
        preflight(load_config(FILE, {"workload.model": "llama-3-8b"}))
    small = {"workload.weight_format": "int4", "workload.activation_format": "int8", "workload.kv_format": "int8"}
    preflight(load_config(FILE, {"workload.model": "llama-3-8b", **small}))
