"""A baseline beside a schedule: every step of it on that machine, as its software would run it.

Decode steps that run the same graph for as many tokens are evaluated together, an array over their contexts.
A prompt goes through at once, whatever the pieces that the schedule has it in.  A prefix that several
sequences share is read once a step for all of them (cascade attention, as serving software has it).
A measured time of the device's file is of plain decoding and stands for no step here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pimsim.baselines.capacity import room_for
from pimsim.baselines.compiled import compiled_figures, compiled_steps
from pimsim.baselines.cost import Demand, Steps, Vector, decode_demands, prefill_demands
from pimsim.baselines.devices import BaselineDevice, load
from pimsim.baselines.eager import aten_operators, eager_figures, eager_steps
from pimsim.baselines.evaluation import PREFILL, in_formats
from pimsim.baselines.held import required
from pimsim.baselines.roofline import roofline_figures, roofline_steps
from pimsim.mapping.routing import Routing
from pimsim.workload.branches import copied_tokens, ran, seen_together
from pimsim.workload.graph import Workload
from pimsim.workload.ops import Operator
from pimsim.workload.schedule import DRAFTING, VERIFICATION, Copied, Forked, Ints, Schedule, Stage

REJECTED = "rejected"
Model = Callable[[Workload, list[Demand]], Steps]

_NOTE = "its measurements are of plain decoding, and this run follows a schedule"


def evaluate_schedule(
    device: str | BaselineDevice, schedule: Schedule, routing: Routing | None = None
) -> dict[str, Any]:
    """A baseline's latency and energy for the steps of a schedule.

    device: a name or path as `load` takes, or a device.  routing: how experts are chosen (default: in
    expectation); how often each is chosen the graphs say.

    Returns what `evaluate` returns, `latency_ns` and `energy_pJ` of the decode steps, and: `latency_per_token_ns`
    over the tokens that one sequence runs, `tpot_ns` over those of them that are kept, `energy_per_token_pJ` over
    the kept tokens of every sequence (None: none is); `parts`, of the decode steps: latency and energy of
    `drafting`, `verification` and `rejected` work, where there is any, and the same under `compiled`
    and `roofline`.  `aten_ops_per_step` is the mean of the decode steps.

    Raises InputError for a device file that is wrong or lacks an operator.
    """
    found = load(device) if isinstance(device, str) else device
    run = _Run(schedule, routing or Routing())
    needed = required(schedule, found.group)

    def priced(model: Model, show: Callable[[Steps], dict[str, Any]]) -> dict[str, Any]:
        return _with_parts(run, run.decoding(model), show) | _prefill(run.prefilling(model), show)

    model = priced(
        lambda workload, demands: eager_steps(found, workload, demands),
        lambda steps: eager_figures(found, steps, run.launches(found), note=_NOTE if found.eager.measured else ""),
    )
    compiled = priced(
        lambda workload, demands: compiled_steps(found, demands), lambda steps: compiled_figures(found, steps)
    )
    rooflines = {name: _roofline(found, name, priced) for name in found.data_types}
    bound = in_formats(found, rooflines) | room_for(found, needed.bytes(_bytes(found, found.roofline.data_type)))
    prefill = model.get("prefill", {"latency_ns": 0.0, "energy_pJ": 0.0})
    return {
        **room_for(found, needed.bytes(_bytes(found, found.eager.data_type))),
        "latency_ns": model["latency_ns"],
        "energy_pJ": model["energy_pJ"],
        "latency_per_token_ns": _per(model["latency_ns"], run.tokens_run),
        "energy_per_token_pJ": _per(model["energy_pJ"], run.tokens_kept_by_all),
        "tpot_ns": _per(model["latency_ns"], run.tokens_kept),
        "prefill_latency_ns": prefill["latency_ns"],
        "prefill_energy_pJ": prefill["energy_pJ"],
        **({"parts": model.pop("parts")} if "parts" in model else {}),
        "model": model,
        "compiled": compiled,
        "roofline": bound,
    }


def _bytes(device: BaselineDevice, data_type: str) -> float:
    return device.data_types[data_type].element_bytes


def _per(value: float, tokens: int) -> float | None:
    return value / tokens if tokens else None


def _roofline(device: BaselineDevice, name: str, priced: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    """The bound in one format."""
    shown: dict[str, Any] = priced(
        lambda workload, demands: roofline_steps(device, demands, name),
        lambda steps: roofline_figures(device, steps, name),
    )
    if "prefill" in shown:
        shown["prefill"] = {key: shown["prefill"][key] for key in ("latency_ns", "energy_pJ")}
    return shown


def _with_parts(run: _Run, steps: Steps, show: Callable[[Steps], dict[str, Any]]) -> dict[str, Any]:
    """Figures of the decode steps, with those of parts of them."""
    parts = {name: _weighted(steps, share) for name, share in run.parts.items()}
    brief = {name: {"latency_ns": part.latency_ns, "energy_pJ": part.energy_pJ} for name, part in parts.items()}
    return show(steps) | ({"parts": brief} if brief else {})


def _weighted(steps: Steps, share: Vector) -> Steps:
    return Steps(steps.latency * share, steps.work * share, {})


def _prefill(steps: Steps | None, show: Callable[[Steps], dict[str, Any]]) -> dict[str, Any]:
    if steps is None:
        return {}
    shown = show(steps)
    return {"prefill": {key: shown[key] for key in PREFILL if key in shown}}


@dataclass(frozen=True)
class _Alike:
    """Decode steps that run one graph for the same number of tokens: where they are among all of these."""

    workload: Workload
    demands: list[Demand]
    places: Ints


class _Run:
    """A schedule as groups of steps that are evaluated together; each is asked for what it moves and computes once."""

    def __init__(self, schedule: Schedule, routing: Routing) -> None:
        self.schedule, self.routing = schedule, routing
        self._decode: NDArray[np.int64] = np.flatnonzero(schedule.of_phase("decode"))

    @cached_property
    def tokens_run(self) -> int:
        """Of one sequence, in the decode steps."""
        return int(self.schedule.tokens[self._decode].sum())

    @cached_property
    def tokens_kept(self) -> int:
        """Of them, those that are kept."""
        return int(self.schedule.kept[self._decode].sum())

    @cached_property
    def tokens_kept_by_all(self) -> int:
        """Tokens that all sequences keep."""
        return int((self.schedule.kept * self.schedule.batch)[self._decode].sum())

    @cached_property
    def parts(self) -> dict[str, Vector]:
        """Of each part that there is, the share of every decode step that it has."""
        schedule, at = self.schedule, self._decode
        named = {
            name: np.array([stage.part == name for stage in schedule.stages], np.float64)[schedule.stage[at]]
            for name in (DRAFTING, VERIFICATION)
        }
        tokens = schedule.tokens[at]
        named[REJECTED] = named[VERIFICATION] * (tokens - schedule.kept[at]) / tokens
        return {name: share for name, share in named.items() if share.any()}

    def launches(self, device: BaselineDevice) -> float:
        """ATen operators of a decode step: the mean, and an integer where all have as many."""
        counts = [(aten_operators(device, group.workload), len(group.places)) for group in self._alike]
        if len({count for count, _ in counts}) < 2:
            return counts[0][0] if counts else 0
        return sum(count * many for count, many in counts) / len(self._decode)

    def decoding(self, model: Model) -> Steps:
        """What every decode step takes, in order."""
        latency, work = np.zeros(len(self._decode)), np.zeros(len(self._decode))
        bound: dict[str, Vector] = defaultdict(lambda: np.zeros(len(self._decode)))
        for group in self._alike:
            steps = model(group.workload, group.demands)
            latency[group.places], work[group.places] = steps.latency, steps.work
            for name, part in steps.bound.items():
                bound[name][group.places] = part
        return Steps(latency, work, dict(bound))

    def prefilling(self, model: Model) -> Steps | None:
        """What every prompt takes; None if there is none."""
        passes = [model(workload, demands) for workload, demands in self._prompts]
        if not passes:
            return None
        joined = {name: np.concatenate([each.bound[name] for each in passes]) for name in passes[0].bound}
        return Steps(
            np.concatenate([each.latency for each in passes]), np.concatenate([each.work for each in passes]), joined
        )

    @cached_property
    def _alike(self) -> list[_Alike]:
        found: dict[tuple[object, ...], list[int]] = defaultdict(list)
        stages, heads = self.schedule.stages, self.schedule.head.tolist()
        for place, at in enumerate(self._decode.tolist()):
            stage = stages[self.schedule.stage[at]]
            found[stage.workload, stage.batch, stage.tokens, stage.tree, heads[at]].append(place)
        return [self._together(np.array(places, np.int64)) for places in found.values()]

    def _together(self, places: Ints) -> _Alike:
        """Steps of stages that differ in what they share of K and V, at most."""
        at = self._decode[places]
        stage = self.schedule.stages[self.schedule.stage[at[0]]]
        workload = ran(stage.workload, bool(self.schedule.head[at[0]]))
        contexts = self.schedule.context[at]
        demands = decode_demands(
            workload, contexts.astype(np.float64), stage.batch, stage.tokens, self._routing(workload), stage.depths,
            lambda operator: self._reads(operator, at), self._copied(at),
        )  # fmt: skip
        return _Alike(workload, demands, places)

    def _reads(self, operator: Operator, at: Ints) -> Vector:
        """(n,): tokens whose K and V the sequences of steps read together."""
        numbers, contexts = self.schedule.stage[at], self.schedule.context[at]
        tokens = np.zeros(len(at), np.int64)
        for number in np.unique(numbers).tolist():
            stage, here = self.schedule.stages[number], numbers == number
            tokens[here] = seen_together(operator, contexts[here], stage.batch, stage.branches)
        return tokens.astype(np.float64)

    def _copied(self, at: Ints) -> tuple[Vector, Vector]:
        """(n,), twice: tokens whose K, and whose V, are copied before and after steps."""
        copies, batch = self._copies, self.schedule.batch
        pairs = [copied_tokens(copies[step], int(batch[step])) if step in copies else (0, 0) for step in at.tolist()]
        keys, values = np.array(pairs, np.float64).T
        return keys, values

    @cached_property
    def _copies(self) -> dict[int, tuple[Copied | Forked, ...]]:
        """The copies of each step that has any."""
        before, after = self.schedule.before, self.schedule.after
        return {step: (*before.get(step, ()), *after.get(step, ())) for step in {*before, *after}}

    @cached_property
    def _prompts(self) -> list[tuple[Workload, list[Demand]]]:
        return [self._prompt(pieces) for pieces in _passes(self.schedule)]

    def _prompt(self, pieces: Sequence[int]) -> tuple[Workload, list[Demand]]:
        """Pieces of a prompt as one pass."""
        schedule = self.schedule
        stage = schedule.stages[schedule.stage[pieces[0]]]
        tokens = int(schedule.tokens[list(pieces)].sum())
        before = int(schedule.context[pieces[-1]]) - tokens
        workload = ran(stage.workload, bool(schedule.head[list(pieces)].any()))
        keys, values = (float(many.sum()) for many in self._copied(np.array(pieces, np.int64)))
        return workload, prefill_demands(
            workload, tokens, stage.batch, self._routing(workload), before, len(pieces), stage.whole, (keys, values)
        )

    def _routing(self, workload: Workload) -> Routing:
        return replace(self.routing, weights=workload.routing)


def _passes(schedule: Schedule) -> Iterator[list[int]]:
    """Prefill steps that take one prompt piece by piece, each pass as numbers of steps."""
    pieces: list[int] = []
    for number in np.flatnonzero(schedule.of_phase("prefill")).tolist():
        if pieces and not _goes_on(schedule, pieces[-1], number):
            yield pieces
            pieces = []
        pieces.append(number)
    if pieces:
        yield pieces


def _goes_on(schedule: Schedule, one: int, other: int) -> bool:
    """Whether a step takes the tokens behind those of the step before it, for the same sequences on the same graph."""
    stage, following = (schedule.stages[schedule.stage[step]] for step in (one, other))
    follows = other == one + 1 and schedule.context[other] == schedule.context[one] + schedule.tokens[other]
    return bool(follows) and not stage.whole and _prompt_of(stage) == _prompt_of(following)


def _prompt_of(stage: Stage) -> tuple[object, ...]:
    """What pieces of one prompt have in common."""
    return stage.name, stage.workload, stage.batch, stage.layers, stage.whole
