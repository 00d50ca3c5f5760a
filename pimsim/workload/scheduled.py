"""What the schedule of a trace says of the workload, and what wins beside it.

The schedule is what runs: only its lines, and tokens before the first line's have their K and V
already.  A key of the workload that stands in the same file as `trace`, or is given after it,
wins where the schedule is plain decoding by one template; an inherited one never does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pimsim.config.rules import NOTHING
from pimsim.config.schema import Config
from pimsim.errors import InputError, Problem
from pimsim.workload.formats import in_formats
from pimsim.workload.schedule import Schedule
from pimsim.workload.shapes import ModelShape
from pimsim.workload.trace import records
from pimsim.workload.trace.bind import Run, difference, runs_of
from pimsim.workload.trace.graphs import Graphs, computed_otherwise, wrong_types
from pimsim.workload.trace.records import CONTEXT, QUERY, Trace
from pimsim.workload.trace.runs import Asked, at_once, schedule_of

# Keys of the workload that a schedule says.
_START = ("context", "prompt_tokens")
KEYS = (*_START, "output_tokens", "query_tokens", "batch")
# Of a line of the schedule, what a key beside it cannot change.
_MORE = ("cycle", "tree", "fork", "reorder")


@dataclass(frozen=True)
class Said:
    """What a schedule says: a value for keys of the workload, and the line of its first decode step (or first line).

    plain  it is decoding by one template, perhaps behind a prompt, each step where the one before it ended
    rich   what it has that no key can change, in words ("": nothing)
    """

    values: Mapping[str, int]
    line: int
    plain: bool
    rich: str


def said(trace: Trace) -> Said | None:
    """What the schedule of a trace says; None if it has none.  InputError for one that cannot be run."""
    if not trace.schedule:
        return None
    if not _LATEST or _LATEST[0][0] is not trace:  # who loads, who warns and who runs all ask
        _LATEST[:] = [(trace, _said(trace))]
    return _LATEST[0][1]


_LATEST: list[tuple[Trace, Said]] = []


def _said(trace: Trace) -> Said:
    rich = [*_several(trace), *_rich(trace)]
    runs = runs_of(trace)
    decode = [run for run in runs if run.phase == "decode"]
    prefill = [run for run in runs if run.phase == "prefill"]
    first = (decode or prefill)[0]
    if any(_rich(trace)) or not decode or any(_apart(runs)) or _differs(trace):
        return Said(_totals(trace, runs[0]), first.line, False, "".join(rich[:1]))
    before = runs[0].context - runs[0].tokens
    prompt = _end(prefill[-1]) - before if prefill else 0
    values = {"context": before, "prompt_tokens": prompt, "batch": first.batch}
    values |= {"output_tokens": sum(run.steps * run.tokens for run in decode), "query_tokens": first.tokens}
    return Said(values, first.line, True, "".join(rich[:1]))


def _totals(trace: Trace, first: Run) -> dict[str, int]:
    """What a schedule that is more than plain decoding comes to, for one sequence: the tokens that are kept."""
    head = any(op.role == "lm_head" for template in trace.templates for op in template.ops)
    schedule = schedule_of(trace, Asked(head))
    decode = schedule.of_phase("decode")
    return {
        "context": first.context - first.tokens,
        "prompt_tokens": _prompt(schedule),
        "batch": int(schedule.batch.max()),
        "output_tokens": int(schedule.kept[decode].sum()),
        "query_tokens": 1,
    }


def _prompt(schedule: Schedule) -> int:
    """Tokens of the prompt: of several models that each take one the longest."""
    found: dict[ModelShape, int] = {}
    for number, stage in enumerate(schedule.stages):
        if stage.phase == "prefill":
            tokens = int(schedule.kept[schedule.stage == number].sum())
            found[stage.workload.shape] = found.get(stage.workload.shape, 0) + tokens
    return max(found.values(), default=0)


def scheduled(trace: Trace, given: Mapping[str, Any]) -> tuple[dict[str, int | None], int]:
    """Values of keys that are not `given` but that the schedule of a trace says, and its line.

    given: keys that may win, with their values; the others never do.  None stands for a key that is left to
    its default, since another one of `given` says from where decoding goes on.  InputError for a
    schedule that cannot be run, or a key that cannot change it.
    """
    found = said(trace)
    if found is None:
        return {}, 1
    own = {key: value for key, value in given.items() if key in KEYS}
    changed = [key for key, value in own.items() if value != found.values.get(key)]
    if found.rich and changed:
        beside = f"the schedule of the trace (line {found.line}) {found.rich}, which no key can change"
        raise InputError([Problem("", 0, 0, f"workload.{key}", f"{beside}: leave it out") for key in changed])
    values: dict[str, int | None] = {key: value for key, value in found.values.items() if key not in own}
    if any(key in changed for key in _START):
        values |= {key: None for key in _START if key not in own}
    return values, found.line


def requested_schedule(config: Config, trace: Trace | None) -> Schedule | None:
    """The steps of the trace of a configuration, where they are more than plain decoding; else the keys of the
    workload say what runs (None).

    InputError for a schedule that cannot be run, or keys that contradict it.
    """
    if trace is None:
        return None
    found, work = said(trace), config.workload
    keys = {} if found is None or found.plain else found.values
    changed = [key for key, value in keys.items() if getattr(work, key) != value]
    if found is None or found.plain or (changed and not found.rich):
        _check_steps(config)
        return None
    if changed:
        raise InputError(
            f"the schedule of the trace {found.rich}, which no key can change", key=f"workload.{changed[0]}"
        )
    sampled = work.acceptance == "sampled"
    asked = Asked(work.lm_head, work.prefill_chunk, sampled, work.acceptance_seed)
    return _in_formats(config, schedule_of(trace, asked))


def _check_steps(config: Config) -> None:
    """InputError where the keys of the workload say what runs, and that is nothing."""
    if not config.workload.output_tokens and not config.workload.prompt_tokens:
        raise InputError(NOTHING.format(0), key="workload.output_tokens")


def _in_formats(config: Config, schedule: Schedule) -> Schedule:
    """The same steps, each stage with its graph in the formats that it is carried out in."""
    made = {graph: in_formats(config, graph) for graph in {stage.workload for stage in schedule.stages}}
    if all(graph is there for graph, there in made.items()):
        return schedule
    stages = tuple(replace(stage, workload=made[stage.workload]) for stage in schedule.stages)
    return replace(schedule, stages=stages)


def trace_warnings(config: Config, trace: Trace) -> Iterator[Problem]:
    """What is odd about a trace: unknown keys, other data types, keys of the workload that won over its schedule."""
    for odd in (*trace.warnings, *computed_otherwise(trace)):
        # a summary has the text alone: it says by itself what is meant
        yield replace(odd, message=f"{odd.message} ({odd.key}, line {odd.line} of the trace)")
    found = said(trace)
    if found is None:
        return
    for key, value in found.values.items():
        got = getattr(config.workload, key)
        if got != value:
            instead = f"{got:,} in the place of {value:,} for {key}"
            message = f"{instead}, which the trace's schedule says (line {found.line})"
            yield Problem("", 0, 0, f"workload.{key}", message)


def _several(trace: Trace) -> Iterator[str]:
    """That there are several templates, if it is so."""
    names = list(dict.fromkeys(line.template for line in trace.schedule))
    if len(names) > 1:
        yield f"runs several templates ({', '.join(names[:4])}{', ...' * (len(names) > 4)})"


def _rich(trace: Trace) -> Iterator[str]:
    """What lines have that is more than decoding step by step."""
    for line in trace.schedule:
        if line.layers not in (None, trace.header.model.layers):
            yield "says which `layers` run"
        if line.accept is not None and not _keeps_all(line):
            yield "says what is accepted"
        yield from (f"has a `{key}`" for key in _MORE if getattr(line, key))


def _keeps_all(line: records.Schedule) -> bool:
    return all(line.accept == line.binding(step)[QUERY] for step in (line.first, line.last))


# ---- whether it is plain decoding -----------------------------------------------------------------


def _end(run: Run) -> int:
    return run.context + (run.steps - 1) * run.stride


def _apart(runs: Sequence[Run]) -> Iterator[str]:
    """Where steps do not follow each other: each adds its Q query tokens to the context, for the same sequences."""
    first = next(run for run in runs if run.phase == "decode")
    end = runs[0].context - runs[0].tokens
    for before, run in zip((None, *runs), runs, strict=False):
        if before is not None and (before.phase, run.phase) == ("decode", "prefill"):
            yield "a prefill after decode steps"
        if run.batch != first.batch or (run.phase == "decode" and run.tokens != first.tokens):
            yield "other sequences or query tokens"
        if run.context != end + run.tokens or (run.steps > 1 and run.stride != run.tokens):
            yield "a gap"
        end = run.context + (run.steps - 1) * run.tokens


def _differs(trace: Trace) -> bool:
    """Whether steps have different graphs, or some are no steps of single tokens; InputError if one cannot be run."""
    graphs = Graphs(trace, list(wrong_types(trace)))
    found = []
    for line in trace.schedule:
        template = trace.template(line.template)
        if graphs.grows(template) or any(
            line.bindings[symbol].symbols for symbol in line.bindings if symbol != CONTEXT
        ):
            return True
        found.append(graphs.checked(line.template, line.binding(line.first)))
        if line.phase == "prefill" and at_once(template, found[-1]):
            return True
    return any(difference(found[-1], other) for other in found)
