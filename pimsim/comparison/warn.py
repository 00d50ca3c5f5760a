"""What a careful reader has to know before he quotes a difference: first of all, whether the runs do the same work."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pimsim.comparison.inputs import NAMES, Difference
from pimsim.comparison.runs import Run
from pimsim.comparison.scope import RUN, Scope, same_size
from pimsim.results.saved import CHANGED, SavedResult

_WORK = ("model", "context", "prompt_tokens", "output_tokens", "batch", "lm_head", "tokens_run", "tokens_kept",
         "parameters", "trace_sha256")  # fmt: skip
_MEANT = {"tokens_run": "output_tokens", "tokens_kept": "output_tokens", "parameters": "model", "trace_sha256": "model"}


def work(runs: Sequence[Run]) -> dict[str, list[Any]]:
    """What the runs compute that is not the same: of the workload of each summary, and which operators there are."""
    found = {}
    for key in _WORK:
        values = [run.summary["workload"].get(key, run.summary.get(key)) for run in runs]
        if len(set(map(repr, values))) > 1:
            found[key] = values
    return found


def same_inputs(runs: Sequence[Run]) -> bool:
    """Whether everything that a figure may depend on is the same."""
    return len({_identity(run) for run in runs}) == 1


def _identity(run: Run) -> tuple[str, ...]:
    return tuple(run.summary[key] for key in ("config_sha256", "trace_sha256", "pimsim_version"))


def warnings(runs: Sequence[Run], differing: Sequence[Difference], scope: Scope) -> list[str]:
    """Of the comparison itself; what each run has to say stays with it."""
    return list(_warnings(runs, differing, scope))


def _warnings(runs: Sequence[Run], differing: Sequence[Difference], scope: Scope) -> Iterator[str]:
    if different := work(runs):
        said = [key for key in different if _MEANT.get(key) not in different]
        what = "; ".join(_values(key, different[key]) for key in said)
        yield f"the runs do different work ({what}): {_over(runs, scope)}"
    versions = [run.summary["pimsim_version"] for run in runs]
    if len(set(versions)) > 1:
        yield f"made by different versions of pimsim ({', '.join(versions)}): a difference may be the program's"
    yield from _unexplained(runs, differing)


def _over(runs: Sequence[Run], scope: Scope) -> str:
    if scope.per != RUN:
        return f"parts are compared {scope.words}, and figures of whole runs not at all"
    if same_size(runs):
        return "they decode equally many tokens, so whole runs are compared"
    return "not all of them decode, so figures of whole runs are no measure of each other"


def _values(key: str, values: Sequence[Any]) -> str:
    if key == "trace_sha256":
        return "other operators, though the model has the same name"
    return f"{key.replace('_', ' ')}: {', '.join(f'{v:,}' if type(v) is int else str(v) for v in values)}"


def _unexplained(runs: Sequence[Run], differing: Sequence[Difference]) -> Iterator[str]:
    """Runs that differ in something that no key shows."""
    hashes = {run.summary["config_sha256"] for run in runs}
    if len(hashes) > 1 and not [each for each in differing if each.key not in ("engine.mode", "engine.fold")]:
        yield "the keys are equal, and a file that one of them names is not: an energy table, a machine or a memory"
    changed = [run.name for run in runs if isinstance(run.result, SavedResult) and run.result.config_problem == CHANGED]
    if changed:
        yield f"config.resolved.yaml of {', '.join(changed)} is not what ran: it, or a file that it names, was changed"
    elif hidden := [each.key for each in differing if each.role != NAMES and _hidden(runs, each)]:
        yield f"config_sha256 is equal, and {hidden[0]} is not: a config.resolved.yaml was changed"
    if same_inputs(runs) and len({repr(_figures(run)) for run in runs}) > 1:
        yield "the inputs are equal, and the figures are not: a file of one of these runs was changed"


def _hidden(runs: Sequence[Run], differing: Difference) -> bool:
    """Whether a key differs between runs of equal `config_sha256`."""
    said = {(run.summary["config_sha256"], each) for run, each in zip(runs, differing.identities, strict=True)}
    return len(said) > len({sha for sha, _ in said})


def _figures(run: Run) -> Any:
    """What depends on the inputs that the hashes are of."""
    return run.system
