"""Parts of K and V: together they are the whole, in every command but those that open and close rows."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pimsim import load_config
from pimsim.devices.aim.tokens import TokenValueLayout as TokenValueLayoutOfAim
from pimsim.devices.pim_gpt.tokens import TokenValueLayout
from pimsim.devices.plan import compile_plan
from pimsim.dram.spec import Effect
from pimsim.dram.twin.controller import Controller
from pimsim.mapping.heads import heads_of
from pimsim.mapping.work import Moved, Work
from tests.aim import test_layouts as of_aim
from tests.conftest import SHIPPED
from tests.examples import examples
from tests.unit import test_mapping_layout as of_pim_gpt

AIM = SHIPPED.parent / "aim.yaml"
caches = st.one_of(
    of_pim_gpt.caches(), of_aim.caches(), of_pim_gpt.caches(TokenValueLayout), of_aim.caches(TokenValueLayoutOfAim)
)


def commands(work: Work, device: Any) -> list[Counter[str]]:
    """The commands of each channel, by name."""
    found = []
    for first, last in work.spans.tolist():
        controller = Controller(device)
        controller.run(work.program[first:last], 0)
        found.append(Counter(command[1] for command in controller.commands))
    return found


def of_data(counts: Counter[str], device: Any) -> Counter[str]:
    """Those that move something or multiply."""
    standard = device.standard
    return Counter({
        name: n for name, n in counts.items() if standard.command(name).moves or standard.command(name).multiplies
    })  # fmt: skip


def opens(counts: Counter[str], device: Any) -> int:
    """Those that open rows."""
    return sum(n for name, n in counts.items() if device.standard.command(name).effect is Effect.OPEN)


def check(layout: Any, work: str, moves: str, key: int, context: int) -> None:
    device, parts = replace(layout.grid.device, refresh="none"), layout.parts  # a refresh opens rows anew
    whole = commands(getattr(layout, work)(key), device)
    each = [commands(getattr(part, work)(key), device) for part in parts]
    for channel, wanted in enumerate(whole):
        together = sum((counts[channel] for counts in each), Counter[str]())
        assert of_data(together, device) == of_data(wanted, device)
        assert opens(together, device) >= opens(wanted, device)
    moved = [getattr(part, moves)(context) for part in parts]
    assert Moved(*map(sum, zip(*moved, strict=True))) == getattr(layout, moves)(context)
    many = getattr(parts[0], moves)(np.array([context, context]))
    assert [[int(n) for n in column] for column in many] == [[n, n] for n in moved[0]]
    heads = [head for part in parts for head in part.query_heads]
    assert sorted(heads) == list(range(layout.heads)) and layout.query_heads == tuple(range(layout.heads))


@settings(max_examples=examples(30))
@given(caches)
def test_parts_are_the_whole(cache: of_pim_gpt.Cache | of_aim.Cache) -> None:
    keys, values, context = cache.keys, cache.values, cache.context
    check(keys, "score_groups", "score_moves", -(-context // keys.grid.banks), context)
    check(values, "weigh_columns", "weigh_moves", values.grid.columns_of(context), context)


def test_the_parts_of_gpt3_xl_by_hand() -> None:
    """16 heads of 128: 8 of them fill a buffer of 1,024 elements; each of 8 channels has V of two heads."""
    plan = compile_plan(load_config(SHIPPED, {"workload.model": "gpt3-xl", "baselines": []}))
    (operator,) = (o for o in plan.workload.operators if o.op == "attention")
    found = heads_of("per_head", plan.memory, operator)
    assert found is not None
    assert [part.query_heads for part in found.keys] == [tuple(range(8)), tuple(range(8, 16))]  # type: ignore[attr-defined]
    assert [part.query_heads for part in found.values] == [tuple(range(0, 16, 2)), tuple(range(1, 16, 2))]  # type: ignore[attr-defined]
    assert [[(piece.scored, piece.heads) for piece in pieces] for pieces in found.pieces] == [
        [((0,), (0, 2, 4, 6)), ((1,), (8, 10, 12, 14))], [((0, 1), (1, 3, 5, 7, 9, 11, 13, 15))]
    ]  # fmt: skip


@pytest.mark.parametrize("path", [SHIPPED, AIM])
def test_shared_heads_go_by_the_queries_that_share_them(path: Any) -> None:
    """8 heads of 128 fill the buffer once, and each channel has V of one; 4 query heads share each."""
    model = {"name": "m", "layers": 1, "d_model": 4096, "heads": 32, "kv_heads": 8, "d_ff": 64}
    keys = {"workload.model": None, "workload.model_config": model, "baselines": [], "dram.channels": 8}
    plan = compile_plan(load_config(path, keys))
    found = heads_of("per_head", plan.memory, next(o for o in plan.workload.operators if o.op == "attention"))
    assert found is not None
    every = [tuple(range(member, 32, 4)) for member in range(4)]
    assert [part.query_heads for part in found.keys] == every  # type: ignore[attr-defined]
    assert [piece.heads for pieces in found.pieces for piece in pieces] == every


def test_what_goes_as_a_whole() -> None:
    """One head, and a softmax that the banks scale."""
    model = {"name": "m", "layers": 1, "d_model": 64, "heads": 1, "d_ff": 64}
    keys = {"workload.model": None, "workload.model_config": model, "baselines": []}
    for path, more in ((SHIPPED, {}), (AIM, {}), (AIM, {"workload.model": "gpt2-small", "pim.softmax": "banks"})):
        overrides = keys | more if "workload.model" not in more else {"baselines": [], **more}
        plan = compile_plan(load_config(path, overrides))
        operator = next(o for o in plan.workload.operators if o.op == "attention")
        assert heads_of("per_head", plan.memory, operator) is None
