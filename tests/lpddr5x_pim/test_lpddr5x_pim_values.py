"""What the commands of LPDDR5X-PIM compute: equal to the level fast to the bit, near the reference, and clean logs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from pimsim.cli import cli
from pimsim.dram.spec import Does
from tests.conftest import SHIPPED
from tests.values.models import FAMILIES
from tests.values.runs import Case, case, far, same

DEVICE = "lpddr5x-pim"
NEAR = 0.2

CHANGES: dict[str, dict[str, Any]] = {
    "one accumulator": {"pim__kept_outputs": 1},
    "two sums, one channel": {"pim__kept_outputs": 2, "dram__channels": 1},
    "one channel": {"dram__channels": 1},
    "three sums, one channel": {"pim__kept_outputs": 3, "dram__channels": 1},
    "three channels": {"dram__channels": 3},
    "another schedule": {"schedule": "overlap"},
    "attention by heads": {"mapping__attention": "per_head", "schedule": "overlap"},
    "a fence": {"pim__fence_ns": 150},
    "no refresh": {"dram__refresh": "none"},
    "often refreshed": {"dram__timing__tREFI_ns": 1500},
    "V in all banks": {"mapping__value_append": "all_bank"},
    "V by tokens": {"mapping__values": "tokens"},
    "registers of eight columns": {"pim__global_buffer_bytes": 256},
    "an SRAM of few elements": {"asic__sram_KiB": 0.1},
    "stepped": {"engine__mode": "stepped"},
    "accumulators of BF16": {"values__accumulate": "bf16"},
}  # fmt: skip


def check(wanted: Case) -> None:
    commands, fast = wanted.carried(), wanted.fast()
    assert all(np.isfinite(x[max(wanted.prompt - 1, 0) :]).all() for x in commands)
    assert same(commands, fast, wanted.prompt)
    assert far(commands, wanted.reference(), wanted.prompt) < NEAR


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family(family: str) -> None:
    check(case(family, DEVICE))


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_every_key(family: str, name: str) -> None:
    check(case(family, DEVICE, **CHANGES[name]))


def test_sums_that_are_added_to_in_another_order_are_missed() -> None:
    """The last logits of a bank change places: the columns of one output and of the next."""
    of = case("llama", DEVICE, dram__channels=1)
    log, multiply = of.commands(), of.plan.device.standard.index("MACAB")
    assert same(of.carried(log), of.fast())
    macs = np.flatnonzero(log[:, 2] == multiply)[-8:]
    log[macs, 5] = np.roll(log[macs, 5], 4)
    assert not same(of.carried(log), of.fast())


def test_every_command_that_moves_or_multiplies_says_what_it_does() -> None:
    standard = case("llama", DEVICE).plan.device.standard
    moving = {command.name for command in standard.commands if command.moves or command.multiplies}
    saying = {command.name for command in standard.commands if command.does is not Does.NOTHING}
    assert moving == saying and "MRW" not in saying


FORMATS = {
    "bf16": [],
    "w8a8": ["workload.weight_format=int8", "workload.activation_format=int8", "workload.kv_format=int8"],
    "w4a16, groups": ["workload.weight_format=int4", "workload.weight_group=32", "pim.fence_ns=150"],
    "w4a8, the ASIC scales": [
        "workload.weight_format=int4", "workload.activation_format=int8", "workload.kv_format=int8",
        "workload.weight_group=64", "pim.scales=asic",
    ],
}  # fmt: skip
TINY = [
    'workload.model_config={"name": "tiny", "family": "llama", "layers": 1, "d_model": 96, "heads": 4, "d_ff": 200, '
    '"vocabulary": 300}',
    "workload.prompt_tokens=3", "workload.output_tokens=4", "workload.lm_head=true", "workload.model=null",
    "dram.timing.tREFI_ns=1500",
]  # fmt: skip


@pytest.mark.parametrize("name", FORMATS)
def test_a_run_is_clean_under_the_independent_checker(name: str, tmp_path: Path) -> None:
    config, log = str(SHIPPED.parent / "lpddr5x-pim.yaml"), str(tmp_path / "commands.csv")
    sets = [part for key in (*TINY, *FORMATS[name]) for part in ("--set", key)]
    ran = CliRunner().invoke(cli, ["run", config, *sets, "--set", "baselines=[]", "--commands", log, "--json"])
    assert ran.exit_code == 0, ran.output
    checked = CliRunner().invoke(cli, ["check", log, "--config", config, *sets])
    assert checked.exit_code == 0, checked.output
