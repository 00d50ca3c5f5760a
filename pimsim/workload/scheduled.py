"""What the schedule of a trace says of the workload, and what wins beside it.

The schedule is what runs: only its lines, and tokens before the first line's have their K and V
already.  A key of the workload that stands in the same file as `trace`, or is given after it,
wins where the schedule is plain decoding by one template; an inherited one never does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pimsim.config.schema import Config
from pimsim.errors import InputError, Problem
from pimsim.workload.trace.bind import Run, computed_otherwise, runs_of
from pimsim.workload.trace.records import QUERY, Schedule, Trace

# Keys of the workload that a schedule says; all but `context` had to be given, before there was that key,
# where no schedule could be followed.
_START = ("context", "prompt_tokens")
KEYS = (*_START, "output_tokens", "query_tokens", "batch")
_ENOUGH = set(KEYS) - {"context"}
# Of a line of the schedule, what a key beside it cannot change (1.1: kept, not carried out yet).
_MORE = ("cycle", "tree", "fork")


@dataclass(frozen=True)
class Said:
    """What a schedule says: a value for keys of the workload, and the line of its first decode step (or first line).

    rich      what it has beyond plain decoding by one template, in words ("": nothing)
    problems  why no run can follow it; then there are no values
    """

    values: Mapping[str, int]
    line: int
    rich: str
    problems: tuple[Problem, ...]


def said(trace: Trace) -> Said | None:
    """What the schedule of a trace says; None if it has none."""
    if not trace.schedule:
        return None
    rich = next(_rich(trace), "")
    try:
        runs = runs_of(trace)
    except InputError as error:
        return Said({}, trace.schedule[0].line, rich, error.problems)
    decode = [run for run in runs if run.phase == "decode"]
    prefill = [run for run in runs if run.phase == "prefill"]
    problems = (*_order(trace, runs), *_gaps(trace, prefill), *_gaps(trace, decode), *_apart(trace, prefill, decode))
    first = (decode or prefill)[0]
    if problems:
        return Said({}, first.line, rich, problems)
    context, prompt = _start(prefill, decode)
    values = {"context": context, "prompt_tokens": prompt, "batch": first.batch}
    if decode:
        values |= {"output_tokens": sum(run.steps * run.tokens for run in decode), "query_tokens": first.tokens}
    return Said(values, first.line, rich, ())


def scheduled(trace: Trace, given: Mapping[str, Any]) -> tuple[dict[str, int | None], int]:
    """Values of keys that are not `given` but that the schedule of a trace says, and its line.

    given: keys that may win, with their values; the others never do.  None stands for a key that is left to
    its default, since another one of `given` says from where decoding goes on.  InputError for a
    schedule that no run can follow, or a key that cannot change it.
    """
    found = said(trace)
    if found is None:
        return {}, 1
    own = {key: value for key, value in given.items() if key in KEYS}
    changed = [key for key, value in own.items() if value != found.values.get(key)]
    problems = list(found.problems)
    if found.rich and changed:
        beside = f"the schedule of the trace (line {found.line}) {found.rich}, which no key can change"
        problems += [Problem("", 0, 0, f"workload.{key}", f"{beside}: leave it out") for key in changed]
    elif problems and set(own) >= _ENOUGH:
        return {}, found.line  # nothing of the schedule is needed; `schedule_warnings` says so
    elif not problems and "output_tokens" not in {**found.values, **own}:
        message = "has no decode step; a run needs one: give workload.output_tokens"
        problems.append(Problem(trace.file, found.line, 1, "schedule", message))
    if problems:
        raise InputError(problems)
    values: dict[str, int | None] = {key: value for key, value in found.values.items() if key not in own}
    if any(key in changed for key in _START):
        values |= {key: None for key in _START if key not in own}
    return values, found.line


def trace_warnings(config: Config, trace: Trace) -> Iterator[Problem]:
    """What is odd about a trace: unknown keys, other data types, keys of the workload that won over its schedule."""
    for odd in (*trace.warnings, *computed_otherwise(trace)):
        # a summary has the text alone: it says by itself what is meant
        yield replace(odd, message=f"{odd.message} ({odd.key}, line {odd.line} of the trace)")
    found = said(trace)
    if found is None:
        return
    if found.problems:
        message = f"its schedule is not followed ({found.problems[0].message}): the keys of the workload say what runs"
        yield Problem("", 0, 0, "workload.trace", message)
    for key, value in found.values.items():
        got = getattr(config.workload, key)
        if got != value:
            instead = f"{got:,} in the place of {value:,} for {key}"
            message = f"{instead}, which the trace's schedule says (line {found.line})"
            yield Problem("", 0, 0, f"workload.{key}", message)


def _rich(trace: Trace) -> Iterator[str]:
    """What a schedule has that is more than decoding by one template."""
    names = list(dict.fromkeys(line.template for line in trace.schedule))
    if len(names) > 1:
        yield f"runs several templates ({', '.join(names[:4])}{', ...' * (len(names) > 4)})"
    for line in trace.schedule:
        if line.layers not in (None, trace.header.model.layers):
            yield "says which `layers` run"
        if line.accept is not None and not _keeps_all(line):
            yield "says what is accepted"
        yield from (f"has a `{key}`" for key in _MORE if key in line.extra)


def _keeps_all(line: Schedule) -> bool:
    return all(line.accept == line.binding(step)[QUERY] for step in (line.first, line.last))


# ---- what no run can follow -----------------------------------------------------------------------


def _start(prefill: Sequence[Run], decode: Sequence[Run]) -> tuple[int, int]:
    """Tokens that are there before the first line, and those of the prompt after them."""
    first = (prefill or decode)[0]
    before = first.context - first.tokens
    return before, (_end(prefill[-1]) - before if prefill else 0)


def _end(run: Run) -> int:
    return run.context + (run.steps - 1) * run.stride


def _order(trace: Trace, runs: Sequence[Run]) -> Iterator[Problem]:
    """A prompt stands before what is decoded."""
    for before, run in zip(runs, runs[1:], strict=False):
        if (before.phase, run.phase) == ("decode", "prefill"):
            yield _problem(trace, run, "a prefill after decode steps; a replay prefills once, before it decodes")


def _gaps(trace: Trace, runs: Sequence[Run]) -> Iterator[Problem]:
    """Where steps do not follow each other: each adds its Q query tokens to the context, for the same sequences."""
    end = runs[0].context - runs[0].tokens if runs else 0
    for run in runs:
        first, same = runs[0], run.phase == "prefill" or run.tokens == runs[0].tokens  # pieces of a prompt may differ
        if run.accept != run.tokens:
            yield _problem(trace, run, f"{run.accept} of {run.tokens} query tokens are accepted; a replay keeps all")
        elif run.batch != first.batch or not same:
            yield _problem(trace, run, f"Q {run.tokens} and B {run.batch} differ from {first.tokens} and {first.batch}")
        elif run.context != end + run.tokens or (run.steps > 1 and run.stride != run.tokens):
            at = f"begins at T = {run.context} and goes on by {run.stride}"
            yield _problem(trace, run, f"{at}; a replay goes on from {end + run.tokens} by {run.tokens}")
        end = run.context + (run.steps - 1) * run.tokens


def _apart(trace: Trace, prefill: Sequence[Run], decode: Sequence[Run]) -> Iterator[Problem]:
    """A prompt that does not end where the first decode step begins."""
    for run in prefill[-1:] if decode else ():
        prompt, batch = decode[0].context - decode[0].tokens, decode[0].batch
        if (_end(run), run.batch) != (prompt, batch):
            what = f"the prefill ends at T = {_end(run)} with B = {run.batch}"
            yield _problem(trace, run, f"{what}; the first decode step follows T = {prompt} with B = {batch}")


def _problem(trace: Trace, run: Run, message: str) -> Problem:
    return Problem(trace.file, run.line, 1, "schedule", message)
