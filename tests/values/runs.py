"""Tiny models carried out: by the commands of a run, and by the level `fast`.

A `Case` is a model, a device and tokens; `commands_of` simulates it and keeps its commands, `carried` carries
commands out, and `fast` computes the same logits another way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

import pimsim
from pimsim.config.schema import Config
from pimsim.devices.plan import compile_plan
from pimsim.mapping.plan import Plan
from pimsim.mapping.routing import Routing
from pimsim.sim.run import simulate
from pimsim.values.fast.model import Fast
from pimsim.values.machine.build import machine_of
from pimsim.values.machine.machine import Machine
from pimsim.values.machine.tasks import StepTasks
from pimsim.values.numbers import F32
from pimsim.values.reference import Reference
from pimsim.values.weights import load_weights
from pimsim.values.weights.model import Weights
from pimsim.workload.formats import in_formats
from pimsim.workload.graph import Workload
from pimsim.workload.models import build
from tests.values.models import write_model

Ints = NDArray[np.int64]
CONFIGS = Path(__file__).parents[2] / "configs"
IDS = (3, 17, 99, 5, 64, 2, 77)
FOREVER = 1 << 62

# As the tiny model of a family, of sizes that nothing is a multiple of.
ODD: dict[str, dict[str, Any]] = {
    "llama": {"hidden_size": 72, "head_dim": 24, "num_attention_heads": 3, "num_key_value_heads": 1,
              "intermediate_size": 100, "vocab_size": 101},
    "gpt2": {"n_embd": 72, "n_head": 3, "n_inner": 100, "vocab_size": 101},
}  # fmt: skip


@cache
def _folder() -> TemporaryDirectory[str]:
    return TemporaryDirectory()


@cache
def _weights(family: str, sizes: tuple[tuple[str, Any], ...], seed: int) -> Weights:
    folder = Path(_folder().name, f"{family}-{abs(hash((sizes, seed)))}")
    write_model(folder, family, seed=seed, **dict(sizes))
    return load_weights(folder)


def weights_of(family: str, seed: int = 0, **sizes: Any) -> Weights:
    """Random weights of a tiny model; `sizes` are keys of its config.json."""
    return _weights(family, tuple(sorted(sizes.items())), seed)


class Chosen(Routing):
    """The experts that the level `fast` has chosen for each sequence."""

    def __init__(self, levels: Sequence[Fast]) -> None:
        super().__init__(sampled=True)
        object.__setattr__(self, "levels", levels)

    def choose(self, experts: int, active: int, *where: int) -> tuple[int, ...]:
        """As `Routing`."""
        context, sequence, block, routers = where
        found: tuple[int, ...] = self.levels[sequence].chosen[context, block, routers]  # type: ignore[attr-defined]
        return found


@dataclass(frozen=True)
class Case:
    """A model on a device, and the tokens of each sequence; the first `prompt` of them are no decode steps.

    changes: other keys of the shipped configuration, whose exponentials are those of reduced arguments.
    """

    weights: Weights = field(repr=False)
    device: str
    sequences: tuple[tuple[int, ...], ...]
    prompt: int
    changes: Mapping[str, Any]

    @cached_property
    def workload(self) -> Workload:
        """The graph of the model, with its LM head, in the formats of the configuration."""
        return in_formats(self.config, build(self.weights.shape, lm_head=True))

    @cached_property
    def config(self) -> Config:
        """The configuration of the run: the last token is the one that is decoded at last."""
        given = {
            "workload.lm_head": True,
            "workload.biases": True,
            "workload.batch": len(self.sequences),
            "workload.prompt_tokens": self.prompt,
            "workload.output_tokens": len(self.sequences[0]) - self.prompt,
            "asic.range_reduction": "ln2",
            "baselines": [],
        }
        return pimsim.load_config(CONFIGS / f"{self.device}.yaml", given | dict(self.changes))

    @cached_property
    def plan(self) -> Plan:
        """The plan of the run: its tokens, and the experts that they choose."""
        plan = compile_plan(self.config, self.workload)
        plan.tokens = lambda context, sequence: self.sequences[sequence][context - 1]
        if any(operator.experts > 1 for operator in self.workload.operators):
            plan.routing = Chosen([self._fed(ids)[0] for ids in self.sequences])
        return plan

    def fast(self) -> list[F32]:
        """The logits (tokens, vocabulary) of each sequence by the level `fast`."""
        return [self._fed(ids)[1] for ids in self.sequences]

    def _fed(self, ids: Sequence[int]) -> tuple[Fast, F32]:
        level = Fast(compile_plan(self.config, self.workload), self.weights)
        return level, level.feed(ids)

    def reference(self) -> list[F32]:
        """The same in float32."""
        reference = Reference(self.weights)
        return [reference.logits(ids) for ids in self.sequences]

    def machine(self, ended: Callable[[StepTasks, Mapping[str, F32]], object]) -> Machine:
        """A machine whose memory holds the model, and nothing is done yet."""
        return machine_of(self.plan, self.config, self.weights, ended)

    def commands(self) -> Ints:
        """The commands of the run (n, 6), in order of clk then channel: clk, channel, command, bank, row, column."""
        kept = Kept()
        simulate(self.plan, observers=[kept])
        return np.concatenate(kept.parts)

    def carried(self, commands: Ints | None = None, finish: bool = True) -> list[F32]:
        """The logits of each sequence by commands: of the run, or others; NaN of tokens that have none (`prompt`).

        CommandError as `Machine`; finish: the run has to end with them.
        """
        made = [np.full((len(ids), self.weights.shape.vocabulary), np.nan, np.float32) for ids in self.sequences]
        last, batch = self.workload.select("once_after")[-1].name, len(self.sequences)

        def ended(step: StepTasks, values: Mapping[str, F32]) -> None:
            if step.head:
                logits = values[last].reshape(step.tokens, batch, -1)
                for token, of_token in enumerate(logits):
                    for sequence, each in enumerate(of_token):
                        made[sequence][step.context - step.tokens + token] = each

        machine = self.machine(ended)
        machine.append(*(self.commands() if commands is None else commands).T)
        if finish:
            machine.finish()
        return made


class Kept:
    """An observer that keeps the commands."""

    window = (0, FOREVER)

    def __init__(self) -> None:
        self.parts: list[Ints] = []

    def append(self, *columns: Ints) -> None:
        """As `sim.observer.Observer`."""
        self.parts.append(np.stack(columns, axis=1))

    def execute(self, executed: object) -> None:
        """Nothing."""


def case(
    family: str,
    device: str = "pim-gpt",
    ids: Sequence[int] | Sequence[Sequence[int]] = IDS,
    prompt: int = 0,
    sizes: Mapping[str, Any] | None = None,
    **changes: Any,
) -> Case:
    """A case of a family of `models.FAMILIES`; changes: keys of the configuration, with `__` for each dot."""
    sequences = tuple(tuple(x) for x in ids) if not isinstance(ids[0], int) else (tuple(ids),)  # type: ignore[arg-type]
    keys = {key.replace("__", "."): value for key, value in changes.items()}
    return Case(weights_of(family, **(sizes or {})), device, sequences, prompt, keys)


def same(a: Sequence[F32], b: Sequence[F32], prompt: int = 0) -> bool:
    """Whether logits of each sequence are equal to the bit, from the last token of the prompt on.

    A NaN is a NaN: which of them processors make of two depends on the order in which an addition is given both.
    """
    first = max(prompt - 1, 0)
    return len(a) == len(b) and all(_bits(x[first:]) == _bits(y[first:]) for x, y in zip(a, b, strict=True))


def _bits(x: F32) -> list[list[int]]:
    bits: list[list[int]] = np.where(np.isnan(x), np.float32(np.nan), x).view(np.uint32).tolist()
    return bits


def far(a: Sequence[F32], b: Sequence[F32], prompt: int = 0) -> float:
    """The largest difference of logits, as a part of the largest one."""
    first = max(prompt - 1, 0)
    return max(float(np.abs(x[first:] - y[first:]).max() / np.abs(y[first:]).max()) for x, y in zip(a, b, strict=True))
