"""A decode step as an AiM program: its commands are the run's, and its cycles those of closed forms and of a twin."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import pimsim
from pimsim import InputError, api
from pimsim.config.schema import Config
from pimsim.devices.aim.isa import AimInstruction, parse
from pimsim.devices.aim.replay import commands_of, replay
from pimsim.devices.registry import device_of
from pimsim.dram.timing import Device
from pimsim.exports.program import END, Step
from pimsim.exports.steps import decoding
from pimsim.logs.log import CommandLog
from pimsim.sim.observer import Executed

MODELS: Mapping[str, dict[str, Any]] = {
    "gpt2": {"d_model": 384, "heads": 6},
    "llama": {"family": "llama", "d_model": 512, "heads": 8, "kv_heads": 2, "d_ff": 1376},
    "experts": {"family": "llama", "d_model": 256, "heads": 4, "d_ff": 448, "experts": 4, "active_experts": 2},
    "wide heads": {"d_model": 2400, "heads": 2, "d_ff": 64},  # a head is more than a buffer
}
CHOICES: Mapping[str, dict[str, Any]] = {
    "banks": {},
    "asic": {"pim.sums": "asic", "pim.activation": "asic", "mapping.value_append": "single_bank"},
    "softmax in the banks": {"pim.softmax": "banks", "workload.batch": 2},
    "two tokens": {"workload.query_tokens": 2, "workload.output_tokens": 4, "mapping.values": "tokens"},
}
CONTEXT = 70


def config_of(model: str = "gpt2", **keys: Any) -> Config:
    given = {
        "workload.model_config": {"name": model, "layers": 2, "vocabulary": 700, **MODELS[model]},
        "workload.output_tokens": 2, "workload.lm_head": True, "workload.biases": True, "dram.channels": 4,
        "baselines": [], **keys,
    }  # fmt: skip
    config = pimsim.load_config("aim", given)
    assert isinstance(config, Config)
    return config


def reference(channels: int = 4) -> Device:
    return device_of(pimsim.load_config("aim-reference", {"dram.channels": channels}))


class Seen:
    """The commands of a run."""

    window = (0, 1 << 60)

    def __init__(self) -> None:
        self.rows: list[np.ndarray[Any, Any]] = []

    def append(self, *columns: np.ndarray[Any, Any]) -> None:
        self.rows.append(np.stack(columns, axis=1))

    def execute(self, executed: Executed) -> None:
        pass


def accesses_of_run(config: Config, context: int) -> Iterator[list[tuple[str, int, int]]]:
    """What moves or uses columns on each channel, in order: command, bank and row."""
    seen, prepared = Seen(), api.prepare(decoding(config, context))
    api.run(prepared, watching=[seen])
    device = prepared.plan.device
    rows = np.concatenate(seen.rows)
    for channel in range(device.channels):
        mine = rows[rows[:, 1] == channel]
        yield accesses(device, mine[:, 2], mine[:, 3], mine[:, 4])


def accesses(device: Device, command: Any, bank: Any, row: Any) -> list[tuple[str, int, int]]:
    """Without what only opens, closes, refreshes or switches modes; registers have no row."""
    found = []
    for number, b, r in zip(command.tolist(), bank.tolist(), row.tolist(), strict=True):
        kind = device.standard.commands[number]
        if kind.shows_column:
            found.append((kind.name, b if kind.scope == "bank" else -1, r if kind.column.value != "none" else -1))
    return found


def accesses_of_log(log: CommandLog, device: Device, channel: int) -> list[tuple[str, int, int]]:
    mine = log.channel == channel
    bank = np.where(log.bank_group >= 0, log.bank_group * device.banks_per_group + log.bank, -1)
    return accesses(device, log.command[mine], bank[mine], log.row[mine])


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("model", MODELS)
def test_every_channel_does_what_it_does_in_the_run(model: str, choice: str) -> None:
    """The same commands on the same banks and rows in the same order, on both profiles; no pause, no refresh."""
    config = config_of(model, **CHOICES[choice])
    wanted = list(accesses_of_run(config, CONTEXT))
    for device in (reference(), device_of(config)):
        log = commands_of(list(Step.of(config, CONTEXT).instructions()), device)
        assert [accesses_of_log(log, device, channel) for channel in range(4)] == wanted


@pytest.mark.parametrize(
    ("keys", "there"),
    [
        ({"placement.attention": "gpu-h100"}, ["attention"]),
        ({"placement.linear": "gpu-h100", "placement.sub_batches": 2, "workload.batch": 2}, ["qkv", "ffn_down"]),
    ],
)
def test_what_a_machine_beside_does_is_not_in_the_program_and_told(keys: dict[str, Any], there: list[str]) -> None:
    config = config_of(**keys)
    step, device = Step.of(config, CONTEXT), reference()
    log = commands_of(list(step.instructions()), device)
    assert [accesses_of_log(log, device, channel) for channel in range(4)] == list(accesses_of_run(config, CONTEXT))
    before, _, behind = "".join(step.lines()).partition("what gpu-h100 beside the memory does:")
    head = behind.partition("# cycles")[0].replace("#", "").replace("\n", " ")
    assert before and set(there) <= {name.strip() for name in head.split(",")}
    assert not {part.operator for part in step.parts()}.intersection(there)


def test_a_program_of_the_memory_alone_names_no_machine() -> None:
    assert "beside" not in "".join(Step.of(config_of(**{"placement.prefill": "gpu-h100"}), CONTEXT).lines())


@pytest.mark.parametrize("model", MODELS)
def test_the_text_is_the_program(model: str) -> None:
    step = Step.of(config_of(model), CONTEXT)
    wanted = list(step.instructions())
    for plain in (False, True):
        text = "".join(step.lines(plain))
        assert parse(text, reference()) == wanted
        assert plain == ("#" not in text)


def test_the_readable_engine_takes_as_many_cycles() -> None:
    tiny = {"name": "tiny", "layers": 1, "d_model": 64, "heads": 2, "d_ff": 96, "vocabulary": 40}
    config = config_of(**{"dram.channels": 2, "workload.model_config": tiny})
    program = list(Step.of(config, 9).instructions())
    fast, twin = (replay(program, reference(2), engine=engine) for engine in ("fast", "twin"))
    assert (fast.cycles, fast.counts) == (twin.cycles, twin.counts)


def test_products_behind_products_take_the_published_cycles() -> None:
    """Source: the closed form of the golden data: sum over segments of 2 op + V (158 + 2 op)."""
    config = config_of(**{"pim.activation": "asic", "workload.biases": False, "workload.lm_head": False})
    parts = list(Step.of(config, CONTEXT).parts())
    checked = 0
    for (i, before), (_, part) in pairwise(enumerate(parts)):
        shape = _gemv(list(part.instructions))
        if shape is None or _gemv(list(before.instructions)) is None:
            continue
        ends = [_cycles([x for p in parts[: i + n] for x in p.instructions]) for n in (1, 2)]
        assert ends[1] - ends[0] == sum(2 * size + rows * (158 + 2 * size) for size, rows in shape), part.key
        checked += 1
    assert checked >= 4


def _cycles(program: list[AimInstruction]) -> int:
    return replay([*program, END], reference()).cycles


def _gemv(program: list[AimInstruction]) -> list[tuple[int, int]] | None:
    """(columns, output rows of a bank) of each segment of a product; None if it is none."""
    found: list[tuple[int, int]] = []
    for each in program:
        if each.name == "WR_GB":
            found.append((each.size, 0))
        elif each.name == "MAC_ABK" and each.size == found[-1][0]:
            found[-1] = (found[-1][0], found[-1][1] + 1)
        elif each.name not in ("WR_BIAS", "RD_MAC"):
            return None
    return found


@pytest.mark.parametrize(
    ("config", "keys", "key"),
    [
        ("pim-gpt", {}, "dram.standard"),
        ("aim", {"dram.channels": 64}, "dram.channels"),
        ("aim", {"workload.trace": "medusa"}, "workload.trace"),
        ("aim", {"system.devices": 2, "system.tensor": 2}, "system.devices"),
    ],
)
def test_what_is_no_program_is_refused(config: str, keys: dict[str, Any], key: str) -> None:
    loaded = pimsim.load_config(config, keys)
    assert isinstance(loaded, Config)
    with pytest.raises(InputError) as caught:
        list(Step.of(loaded, CONTEXT).instructions())
    assert [problem.key for problem in caught.value.problems] == [key]


def test_a_context_without_room_for_the_step_is_refused() -> None:
    with pytest.raises(InputError, match="a context of at least 2"):
        Step.of(config_of(**{"workload.query_tokens": 2}), 1)
