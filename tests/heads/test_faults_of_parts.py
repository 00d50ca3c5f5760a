"""Faults that only attention by heads can have: what commands compute finds each of them, or what is waited for.

The machine is told when results of the channels arrive, and not when the ASIC is done with them: that an instruction
waits for the ASIC is read from its operands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from pimsim.mapping import naming, planner
from pimsim.mapping.wires import Wires, of_heads
from pimsim.values.machine import tasks
from pimsim.values.machine.machine import CommandError
from tests.values.runs import case, same

KEYS: dict[str, Any] = {
    "mapping__attention": "per_head", "schedule": "overlap", "dram__channels": 2, "pim__global_buffer_bytes": 64,
}  # fmt: skip
SIZES: dict[str, Any] = {"n_embd": 128, "n_head": 8, "n_inner": 32}


def _wires_of(side: str) -> Callable[..., Wires]:
    """Heads of a part in the opposite order, on one side."""

    def turned(wires: Wires, heads: Any, *sizes: int) -> Wires:
        there, back = of_heads(wires, heads, *sizes), of_heads(wires, heads[::-1], *sizes)
        return there._replace(**{side: getattr(back, side)})

    return turned


def _others(layout: Any) -> Any:
    """Parts, each for the next one."""
    found = planner.parts_of(layout)
    return (*found[1:], found[0])


def _early(original: Callable[..., None]) -> Callable[..., None]:
    """p V waits for the first softmax alone of those that it takes."""

    def weigh(self: Any, operator: Any, token: int, s: int, part: Any, after: tuple[str, ...], *rest: Any) -> None:
        original(self, operator, token, s, part, after[:1], *rest)

    return weigh


def _unwaited(original: Callable[..., Any]) -> Callable[..., Any]:
    """A softmax waits for the scores of the first part of K, whatever it takes."""

    def complete(self: Any, operator: Any, token: int, sequence: int, number: int, layout: Any) -> Any:
        original(self, operator, token, sequence, number, layout)
        return (f"scores.{sequence}.0",)

    return complete


FAULTS: dict[str, tuple[Any, str, Any]] = {
    "heads exchanged as they are sent": (naming, "of_heads", _wires_of("taken")),
    "heads exchanged as they come back": (naming, "of_heads", _wires_of("given")),
    "a part with the wires of another": (naming, "parts_of", _others),
}
EARLY: dict[str, tuple[Any, str, Any]] = {
    "p V before its last softmax": (planner.Planner, "_weigh", _early(planner.Planner._weigh)),
    "a softmax before its last scores": (planner.Planner, "_complete", _unwaited(planner.Planner._complete)),
}


def test_without_a_fault_nothing_is_found() -> None:
    wanted = case("gpt2", sizes=SIZES, **KEYS)
    assert same(wanted.carried(), wanted.fast())


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("device", ["pim-gpt", "aim"])
def test_a_fault_is_found(name: str, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    where, what, fault = FAULTS[name]
    wanted = case("gpt2", device, sizes=SIZES, **KEYS)
    monkeypatch.setattr(where, what, fault)
    with suppress(CommandError):
        assert not same(wanted.carried(), wanted.fast())


# -- what is waited for ------------------------------------------------------------------------


def unwaited(wanted: Any) -> Iterator[tuple[str, str]]:
    """Instructions of a block that do not wait for one that makes what they take, and that one."""
    context = len(wanted.sequences[0])
    block = wanted.plan.named_step(context, True).block
    before: dict[str, set[str]] = {"start": set()}
    makers: dict[str, list[Any]] = {}
    for instruction in block:
        waits = {key for name in instruction.after for key in (name, *before[name])}
        for part in instruction.operands.takes:
            for maker in makers.get(part.value, []):
                if tasks._meets(part, maker.operands.makes) and maker.key not in waits:
                    yield instruction.key, maker.key
        before[instruction.key] = before.get(instruction.key, set()) | waits
        makers.setdefault(instruction.operands.makes.value, []).append(instruction)


@pytest.mark.parametrize("split", ["heads", "tokens"])
@pytest.mark.parametrize("family", ["gpt2", "llama", "gemma2"])
@pytest.mark.parametrize("device", ["pim-gpt", "aim"])
def test_everything_waits_for_what_it_takes(device: str, family: str, split: str) -> None:
    for buffer in (32, 64):
        keys = KEYS | {"mapping__values": split, "pim__global_buffer_bytes": buffer}
        assert list(unwaited(case(family, device, **keys))) == []


@pytest.mark.parametrize("name", EARLY)
@pytest.mark.parametrize("device", ["pim-gpt", "aim"])
def test_what_does_not_wait_is_found(name: str, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = case("gpt2", device, sizes=SIZES, **KEYS)
    assert list(unwaited(wanted)) == []
    monkeypatch.setattr(*EARLY[name])
    assert list(unwaited(wanted))
