"""Greedy decoding on the simulated hardware, beside the reference."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from pimsim import api
from pimsim.config.schema import AnyConfig
from pimsim.errors import Problem
from pimsim.generation.speaking import Speaking, speaking
from pimsim.values.accuracy import Measures, finite, measure
from pimsim.values.fast.model import Fast
from pimsim.values.machine.build import machine_of, no_commands
from pimsim.values.machine.tasks import StepTasks, Task
from pimsim.values.numbers import F32
from pimsim.values.reference import Decoder, Reference
from pimsim.values.weights.kept import kept
from pimsim.values.weights.model import Weights

if TYPE_CHECKING:
    from pimsim.logs.log_size import Forecast
    from pimsim.results.result import Result
    from pimsim.sim.observer import Observer

Level = Literal["fast", "commands"]
COMMANDS_UP_TO = (200_000_000, 64)  # parameters and tokens that are carried out command by command unless asked


@dataclass(frozen=True)
class Generation:
    """What was said.

    output_ids, reference_ids  the new tokens of the hardware, and of the reference, each on its own
    measures           over the positions of the reference's tokens, which both are fed
    level              by which the hardware's tokens were computed
    commands_executed  commands that were carried out on values
    result             of the run that computes `output_ids`
    """

    prompt_ids: list[int]
    output_ids: list[int]
    reference_ids: list[int]
    measures: Measures
    level: Level
    commands_executed: int
    result: Result

    def as_dict(self, decode: Callable[[Sequence[int]], str] | None = None) -> dict[str, Any]:
        """The content of `--json`; decode: makes text of ids, if there is a tokenizer."""
        return {
            "prompt_ids": self.prompt_ids,
            "output_ids": self.output_ids,
            "reference_ids": self.reference_ids,
            "text": decode(self.output_ids) if decode else None,
            "reference_text": decode(self.reference_ids) if decode else None,
            "agreement": finite(self.measures.agreement),
            "max_abs_logit_error": finite(self.measures.max_abs_logit_error),
            "mean_kl": finite(self.measures.mean_kl),
            "commands_executed": self.commands_executed,
            "level": self.level,
            "summary": self.result.summary,
        }


def generate(
    given: AnyConfig | api.Loaded,
    weights: Weights,
    prompt: Sequence[int],
    tokens: int,
    *,
    level: Level | None = None,
    ends: Collection[int] = (),
    log: str | os.PathLike[str] | None = None,
    tell: Callable[[tuple[Problem, ...]], object] | None = None,
    progress: api.Progress | None = None,
    announce: Callable[[Forecast], object] | None = None,
) -> Generation:
    """Decode `tokens` tokens greedily behind a prompt; of equal logits the lowest id wins.

    level     commands: carry out every command of the run; fast: a layer at a time, equal to the bit (default:
              commands up to COMMANDS_UP_TO)
    ends      ids that end an answer, the first of which is its last token
    log       write every DRAM command to this file
    tell      called with what is odd about the input
    InputError for what the hardware cannot run, before anything is written.
    """
    decoded = decode(given, weights, prompt, tokens, ends, tell)
    level = level or default_level(weights, tokens, decoded.spoken)
    how: dict[str, Any] = {"log": log, "progress": progress, "announce": announce}
    if level == "commands":
        return decoded.generation(level, *carry_out(decoded, how))
    return decoded.generation(level, api.run(decoded.spoken.prepared, **how), 0)


@dataclass(frozen=True)
class Decoded:
    """What will be said, before any command is carried out.

    spoken  the run that computes `output_ids`
    logits  after the prompt and each of `output_ids`
    """

    spoken: Speaking
    prompt_ids: list[int]
    output_ids: list[int]
    reference_ids: list[int]
    measures: Measures
    logits: F32

    def generation(self, level: Level, result: Result, executed: int) -> Generation:
        """With the result of its run."""
        return Generation(self.prompt_ids, self.output_ids, self.reference_ids, self.measures, level, executed, result)


def decode(
    given: AnyConfig | api.Loaded,
    weights: Weights,
    prompt: Sequence[int],
    tokens: int,
    ends: Collection[int] = (),
    tell: Callable[[tuple[Problem, ...]], object] | None = None,
) -> Decoded:
    """The tokens of the hardware, at level fast, and of the reference; arguments and errors as of `generate`."""
    weights = kept(weights)
    spoken = speaking(given, weights, len(prompt), tokens, tell)
    reference = Reference(weights)
    reference_ids, expected = _greedy(Decoder(reference).feed, prompt, tokens, ends)
    fast = Fast(spoken.whole, weights)
    output_ids, said = _greedy(fast.feed, prompt, tokens, ends, lambda: int(fast.next_ids[-1]))
    every = np.concatenate([said, fast.feed(output_ids[-1:])])  # with the last decode step, whose token nobody asks for
    chosen = dict(fast.chosen)
    if len(output_ids) < tokens:
        spoken = speaking(given, weights, len(prompt), len(output_ids))
    own, picked = _fed(fast, prompt, reference_ids, output_ids, said)
    measures = measure(expected, own, picked=picked)
    spoken = spoken.saying([*prompt, *output_ids], chosen)
    return Decoded(spoken, list(prompt), output_ids, reference_ids, measures, every)


def default_level(weights: Weights, tokens: int, spoken: Speaking | None = None) -> Level:
    """How tokens are computed unless somebody says; spoken: in formats not all commands can be carried out."""
    parameters, most = COMMANDS_UP_TO
    if weights.parameters > parameters or tokens > most:
        return "fast"
    return "fast" if spoken and no_commands(spoken.whole, spoken.config, weights) else "commands"


def _greedy(
    feed: Callable[[Sequence[int]], F32],
    prompt: Sequence[int],
    tokens: int,
    ends: Collection[int],
    likeliest: Callable[[], int] | None = None,
) -> tuple[list[int], F32]:
    """The next ids, and the logits that each was chosen from (tokens, vocabulary)."""
    fed, made, logits = list(prompt), list[int](), list[F32]()
    while len(made) < tokens and not (made and made[-1] in ends):
        logits.append(feed(fed)[-1])
        made.append(likeliest() if likeliest else int(np.argmax(logits[-1])))
        fed = made[-1:]
    return made, np.stack(logits)


def _fed(
    fast: Fast, prompt: Sequence[int], ids: Sequence[int], own: Sequence[int], said: F32
) -> tuple[F32, Sequence[int]]:
    """The hardware's logits, and its tokens, where it is fed the reference's (what it said, if that is the same)."""
    if list(ids[:-1]) == list(own[: len(ids) - 1]) and len(said) >= len(ids):
        return said[: len(ids)], own[: len(ids)]
    fast.reset()
    logits = fast.feed([*prompt, *ids[:-1]])
    return logits[-len(ids) :], fast.next_ids[-len(ids) :].tolist()


def carry_out(
    decoded: Decoded,
    how: Mapping[str, Any],
    made: Callable[[StepTasks, Task, F32], object] | None = None,
    watching: Sequence[Observer] = (),
) -> tuple[Result, int]:
    """Run with a machine that carries out the commands: the result, and how many there were.

    Its logits have to be those of the level fast, to the bit.  how: as of `api.run`; made: called with each value, as
    of `Machine`; watching: who else sees the run.
    """
    spoken = decoded.spoken.settled()
    first, last = spoken.config.workload.prompt_tokens, spoken.whole.workload.select("once_after")[-1].name

    def ended(step: StepTasks, values: Mapping[str, F32]) -> None:
        if step.head:
            own, other = values[last], decoded.logits[step.context - first]
            if not np.array_equal(own, other, equal_nan=True):
                raise RuntimeError(f"the two levels differ at context {step.context}; please report it")

    machine = machine_of(spoken.whole, spoken.config, spoken.weights, ended, made)
    result = api.run(spoken.prepared, watching=[machine, *watching], **how)
    machine.finish()
    return result, machine.carried
