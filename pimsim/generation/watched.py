"""A run whose values are watched: range and error of what every operator makes, beside the tokens."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pimsim import api
from pimsim.config.loader import Origin, as_text
from pimsim.config.resolved import resolved_dict
from pimsim.config.schema import AnyConfig, Config
from pimsim.errors import Problem
from pimsim.generation.generate import Decoded, Generation, carry_out, decode
from pimsim.results.values import Speech, Values
from pimsim.sim.observer import Executed
from pimsim.timeline.files import check_name
from pimsim.timeline.files import timeline as opened
from pimsim.values.watch import Did, Watch
from pimsim.values.weights.model import Weights

if TYPE_CHECKING:
    from pimsim.logs.log_size import Forecast
    from pimsim.values.tokens.tokenizer import Tokenizer

VALUES = "--values"  # where a value of the configuration comes from that the weights and the prompt have decided


def watched(
    given: AnyConfig | api.Loaded,
    weights: Weights,
    prompt: Sequence[int],
    tokens: int,
    *,
    ends: Collection[int] = (),
    tokenizer: Tokenizer | None = None,
    log: str | os.PathLike[str] | None = None,
    timeline: str | os.PathLike[str] | None = None,
    window_ns: tuple[float, float] | None = None,
    tell: Callable[[tuple[Problem, ...]], object] | None = None,
    progress: api.Progress | None = None,
    announce: Callable[[Forecast], object] | None = None,
) -> Generation:
    """As `generate` at level commands; the result has `values`, and its timeline those of each instruction.

    tokenizer  makes text of what is said; timeline, window_ns: as of `api.run`
    """
    if timeline is not None:
        check_name(os.fspath(timeline))
    decoded = decode(given, weights, prompt, tokens, ends, tell)
    decoded = replace(decoded, spoken=decoded.spoken.settled())
    spoken = decoded.spoken
    watch = Watch(spoken.whole, spoken.weights, spoken.config.workload.start + 1, each=timeline is not None)
    how: dict[str, Any] = {"log": log, "window_ns": window_ns, "progress": progress, "announce": announce}
    how["provenance"] = _provenance(given, spoken.config)
    with ExitStack() as stack:
        observers = []
        if timeline is not None:
            plan, prices = spoken.prepared.plan, spoken.prepared.prices
            observers.append(stack.enter_context(opened(Path(timeline), plan, prices, window_ns, told=_told(watch))))
        result, executed = carry_out(decoded, how, watch.made, observers)
    result = replace(result, values=_values(decoded, watch, tokenizer))
    return decoded.generation("commands", result, executed)


def _provenance(given: AnyConfig | api.Loaded, config: Config) -> Mapping[str, Origin] | None:
    """Where each value of the run came from, if it is known: also what the weights have changed."""
    if not isinstance(given, api.Loaded):
        return None
    before, after = resolved_dict(given.config), resolved_dict(config)
    found = {}
    for key, origin in given.provenance.items():
        old, new = _at(before, key), _at(after, key)
        found[key] = origin if old == new else Origin(VALUES, 0, before=as_text(old))
    return found


def _at(values: Any, key: str) -> Any:
    for part in key.split("."):
        values = values.get(part) if isinstance(values, Mapping) else None
    return values


def _told(watch: Watch) -> Callable[[Executed], Mapping[str, float]]:
    """What was watched of an instruction, if it has made anything."""

    def told(executed: Executed) -> Mapping[str, float]:
        return watch.by_instruction.get(Did(executed.context, executed.block, executed.key), {})

    return told


def _values(decoded: Decoded, watch: Watch, tokenizer: Tokenizer | None) -> Values:
    def speech(ids: Sequence[int]) -> Speech:
        return Speech(ids, [tokenizer.piece(i) for i in ids], tokenizer.decode(ids)) if tokenizer else Speech(ids)

    measures = decoded.measures
    return Values(
        watch.by_operator,
        os.path.basename(decoded.spoken.weights.file),
        decoded.prompt_ids,
        speech(decoded.output_ids),
        speech(decoded.reference_ids),
        measures.agreement,
        measures.mean_kl,
        measures.max_abs_logit_error,
    )
