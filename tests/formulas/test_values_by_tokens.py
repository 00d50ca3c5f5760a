"""V split along tokens: what p V and appending take, by arithmetic on sizes alone, and what the split is for.

Sizes: C channels, B banks, W elements of a column, G columns of the buffer and R of a row; h query heads, k heads of
V, each of a elements, and t tokens.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pimsim
from pimsim import load_config
from pimsim.config.schema import Config
from pimsim.devices.plan import compile_plan
from pimsim.sim.run import simulate
from pimsim.workload.models import build
from tests.conftest import SHIPPED
from tests.examples import examples
from tests.values.runs import weights_of

AIM = SHIPPED.parent / "aim.yaml"
DEVICES = {"pim-gpt": SHIPPED, "aim": AIM}
B = W = 16
LONG = 8192


def up(a: int, b: int) -> int:
    return -(-a // b)


def config(
    device: str, heads: int, kv_heads: int, tokens: int, values: str, head_dim: int = 64, **changes: Any
) -> Config:
    """One layer, one step, at a context of so many tokens."""
    model = {"name": "m", "layers": 1, "d_model": heads * head_dim, "heads": heads, "kv_heads": kv_heads, "d_ff": 64}
    given_ = {
        "workload.model": None, "workload.model_config": model, "workload.context": tokens - 1,
        "workload.output_tokens": 1, "mapping.values": values, "baselines": [], "dram.refresh": "none",
    }  # fmt: skip
    return load_config(DEVICES[device], given_ | {name.replace("__", "."): value for name, value in changes.items()})


def part(of: Config, operator: str) -> dict[str, int]:
    """The commands of one operator."""
    return {name: n for row in simulate(of).rows if row.operator == operator for name, n in row.commands.items() if n}


def clocks(of: Config, *operators: str) -> int:
    return sum(row.cycles for row in simulate(of).rows if not operators or row.operator in operators)


# -- counts --------------------------------------------------------------------------------------


def test_sixteen_heads_over_one_by_hand() -> None:
    """8 channels have 64 columns of tokens each, a buffer; a head of 64 elements is 4 units of 16 banks."""
    got = part(config("pim-gpt", 16, 1, LONG, "tokens"), "values")
    columns = 512
    assert got["MACAB"] == 16 * 4 * columns
    assert got["RDMAC"] == 16 * 4 * 8  # one for each unit of each channel
    assert got["WRGB"] == 16 * columns  # each probability once
    assert got["ACTAB"] == 16 * 4 * 8  # a unit's 64 columns are a row
    before = part(config("pim-gpt", 16, 1, LONG, "heads"), "values")
    assert before["MACAB"] == got["MACAB"]
    assert before["WRGB"] == 4 * 16 * columns  # all to each of the 4 channels that have a unit
    assert before["RDMAC"] == 16 * 4 * 8  # one for each unit and buffer of tokens
    assert part(config("pim-gpt", 16, 1, LONG, "tokens"), "value_append") == {"WR": 64, "ACT": 64, "PRE": 64}


@settings(max_examples=examples(25))
@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 40), st.integers(1, 1500), st.integers(1, 40),
       st.sampled_from([1, 3, 64]), st.sampled_from(["banks", "asic"]), st.booleans())  # fmt: skip
def test_commands_of_aim(
    kv_heads: int, sharing: int, head_dim: int, tokens: int, channels: int, buffer: int, sums: str, all_bank: bool
) -> None:
    """All channels that have tokens do what the first one has to, which has the most."""
    heads, channels = kv_heads * sharing, min(channels, 32)
    changes = {
        "dram__channels": channels, "pim__global_buffer_bytes": 32 * buffer, "pim__sums": sums,
        "pim__activation": "asic",
        "mapping__value_append": "all_bank" if all_bank else "single_bank",
    }  # fmt: skip
    of = config("aim", heads, kv_heads, tokens, "tokens", head_dim, **changes)
    got, used, columns = part(of, "values"), min(channels, up(tokens, W)), up(up(tokens, W), channels)
    units, pieces = up(head_dim, B), up(columns, buffer)
    wanted = {
        "MAC16": used * heads * units * columns, "WRGB": used * heads * columns,
        "WRMAC16": used * heads * units * pieces, "RDMAC16": used * heads * units * pieces,
    }  # fmt: skip
    assert {name: got[name] for name in wanted} == wanted
    appended = part(of, "value_append")
    assert (appended.get("WRA16", 0), appended.get("WR", 0)) == (
        (kv_heads * units, 0) if all_bank else (0, kv_heads * units * B)
    )
    room = up(up(up(tokens, min(buffer * W, 1024)) * min(buffer * W, 1024), W), channels)  # columns of each channel
    together = min(kv_heads, buffer // min(room, buffer))
    (values,) = compile_plan(of).memory.values.values()
    assert values.rows == up(kv_heads, together) * units * up(room, buffer)


@pytest.mark.parametrize(("heads", "kv_heads"), [(16, 16), (16, 4), (16, 1), (12, 3)])
def test_what_crosses_the_pins(heads: int, kv_heads: int) -> None:
    """Probabilities once, and a partial result of each head's elements from each of 8 channels."""
    (values,) = compile_plan(config("pim-gpt", heads, kv_heads, LONG, "tokens")).memory.values.values()
    moved = values.weigh_moves(LONG)
    assert (moved.sent, moved.results) == (heads * LONG, 8 * heads * 64)
    assert moved.payload == heads * LONG + 8 * heads * 64 and moved.macs == heads * LONG * 64
    contexts = np.array([1, 16, 17, 128, 129, LONG, LONG + 1, LONG + 17, 2 * LONG])
    assert values.partial_sums(contexts).tolist() == [1, 1, 2, 8, 8, 8, 9, 10, 16]


@pytest.mark.parametrize(
    ("device", "kv_heads", "rows"),
    [
        ("pim-gpt", 16, (64 * 512 // 8 // 64,) * 2),  # 64 units in 8 channels, 512 columns of each; 64 in a row
        ("pim-gpt", 1, (512 // 64, 4 * 64 // 64)),  # 4 units in 4 channels; in all, an eighth of the columns in each
        ("aim", 16, (2 * 8, 4 * 4)),  # 2 units in each of 32 channels, 8 buffers; 16 columns of 4 heads in a row
        ("aim", 1, (8, 4)),
    ],
)
def test_rows_that_are_reserved(device: str, kv_heads: int, rows: tuple[int, int]) -> None:
    plans = [compile_plan(config(device, 16, kv_heads, LONG, values)) for values in ("heads", "tokens")]
    of_values = tuple(next(iter(plan.memory.values.values())).rows for plan in plans)
    assert of_values == rows
    assert plans[0].memory.rows - plans[1].memory.rows == rows[0] - rows[1]


# -- what it is for ------------------------------------------------------------------------------


def test_few_heads_of_V_leave_no_channel_without_work() -> None:
    """p V of 16 heads over 1 takes 2.9 times the clocks of 16 over 16, and split along tokens as many."""
    alike = clocks(config("pim-gpt", 16, 16, LONG, "heads"), "values")
    before, after = (clocks(config("pim-gpt", 16, 1, LONG, values), "values") for values in ("heads", "tokens"))
    assert 2.85 < before / alike < 3
    assert after < 1.01 * alike
    by_heads, by_tokens = (config("pim-gpt", 16, 1, LONG, values) for values in ("heads", "tokens"))
    assert clocks(by_tokens) < clocks(by_heads) - 0.9 * (before - after)  # all that is added costs less than a tenth


def test_as_many_heads_as_channels_lose_nothing() -> None:
    """A head's tokens are in all channels, and all are as busy as they were."""
    both = [clocks(config("pim-gpt", 16, 16, LONG, values)) for values in ("heads", "tokens")]
    assert both[0] == pytest.approx(both[1], rel=0.01)


def choices() -> Iterator[tuple[str, int, int]]:
    for device in DEVICES:
        for kv_heads in (16, 4, 1):
            for tokens in (17, 1000, LONG):
                yield device, kv_heads, tokens


@pytest.mark.parametrize(("device", "kv_heads", "tokens"), [*choices()])
def test_auto_is_the_faster_of_the_two(device: str, kv_heads: int, tokens: int) -> None:
    both = {values: clocks(config(device, 16, kv_heads, tokens, values)) for values in ("heads", "tokens")}
    auto = config(device, 16, kv_heads, tokens, "auto")
    (split,) = compile_plan(auto).memory.splits.values()
    assert clocks(auto) == both[split]
    assert both[split] <= 1.002 * min(both.values())  # what is around the products may tell two near ones apart


@pytest.mark.parametrize("device", DEVICES)
def test_the_choice_is_the_same_for_every_engine(device: str) -> None:
    for kv_heads in (16, 1):
        chosen = {
            tuple(compile_plan(config(device, 16, kv_heads, 1000, "auto", **how)).memory.splits.values())
            for how in ({}, {"engine__mode": "stepped"}, {"engine__fold": False}, {"schedule": "overlap"})
        }
        assert len(chosen) == 1


def test_each_attention_has_a_choice_of_its_own() -> None:
    """A window of 16 tokens is one column, with nothing to deal; the attention over all of them has many."""
    given_ = {"workload.context": LONG, "workload.output_tokens": 1, "mapping.values": "auto", "baselines": []}
    config = load_config(SHIPPED, {"workload.model": "gpt2-small", **given_})
    workload = build(weights_of("gemma3").shape, lm_head=False)
    splits = compile_plan(config, workload).memory.splits
    windows = {o.name: o.window for o in workload.operators if o.op == "attention"}
    assert splits == {name: "heads" if window else "tokens" for name, window in windows.items()}
    assert len(set(splits.values())) == 2


@pytest.mark.parametrize("device", DEVICES)
def test_a_choice_is_told(device: str) -> None:
    auto, given_ = (pimsim.run(config(device, 16, 1, LONG, values)).summary for values in ("auto", "tokens"))
    assert auto["mapping"] == {"values": {"attention": "tokens"}}
    assert "mapping" not in given_
    assert auto["system"] == given_["system"]
