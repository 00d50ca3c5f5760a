"""The runs of the devices of a system in one account: counts over all of them, clocks of the average device.

What a device does in a pass of a stage is known from its own run.  A pipeline of several stages is played through
(`sim.cluster`), clock by clock; a stage that waits has a bubble, in which its memory goes on being refreshed.  Passes
of a stage are timed without gaps between them: a refresh that falls into a bubble spares the next pass none.

Clocks of the average device are fractions; they are dealt out in whole clocks whose sums are exact, each within a
clock of what it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pimsim.dram.timing import ELEMENT_BYTES
from pimsim.mapping.plan import Plan
from pimsim.sim.cluster import Pipeline, Schedule, Transfer, simulate
from pimsim.sim.steps import steps_of
from pimsim.sim.tally import COUNTS, PHASES, OperatorTally, Tally, TokenTallies, total_of
from pimsim.systems.shares import Layout, Share
from pimsim.systems.wiring import Passage, Wiring

Ints = NDArray[np.int64]
Key = tuple[str, str, str]  # part, operator and cause
BUBBLE, TRANSFER = "bubble", "stage_transfer"  # rows of the account: what a device waits, and what stages send


class Run(NamedTuple):
    """A share with what one of its devices counted in one pass of all steps; None of those that do nothing."""

    share: Share
    tally: Tally | None
    plan: Plan | None

    @property
    def tCK_ps(self) -> int:
        """The period of its clock."""
        assert self.tally is not None
        return self.tally.tCK_ps

    @property
    def cycles(self) -> int:
        """Clocks in which a device works."""
        return self.tally.cycles if self.tally else 0


@dataclass(frozen=True)
class Together:
    """A whole system.

    tally     of all devices together
    schedule  of the pipeline, in clocks; None without one
    """

    layout: Layout
    runs: tuple[Run, ...]
    wiring: Wiring
    tally: Tally
    schedule: Schedule | None


def together(layout: Layout, runs: Sequence[Run], wiring: Wiring, devices: int, tCK_ps: int) -> Together:
    """The account of a system; runs: of each share of the layout, in their order."""
    leading = [run for run in runs if run.share.leads]
    stages = sum(run.share.stages for run in leading)
    if stages == layout.in_flight == 1:
        moved: Sent = dict.fromkeys(PHASES, (0, 0))
        schedule, ends = None, _ends(leading[0])
    else:
        schedule, ends, moved = _pipelined(layout, leading, wiring, tCK_ps)
    tally = _account(layout, runs, devices, ends, moved)
    return Together(layout, tuple(runs), wiring, tally, schedule)


# -- time -----------------------------------------------------------------------------


class Ends(NamedTuple):
    """When each step of all sequences is done, in clocks (steps,), and how many steps are prefill."""

    clocks: Ints
    prefill: int
    contexts: Ints


def _ends(run: Run) -> Ends:
    assert run.tally is not None
    tokens = run.tally.tokens
    prefill = int(tokens.of_phase("prefill").sum())
    return Ends(tokens.column("start_cycle") + tokens.column("cycles"), prefill, tokens.column("context"))


Sent = Mapping[str, tuple[int, int]]  # messages between stages, and their bytes on wires, by phase


def _pipelined(layout: Layout, leading: Sequence[Run], wiring: Wiring, tCK_ps: int) -> tuple[Schedule, Ends, Sent]:
    """The schedule of a pipeline, and what its stages send each other."""
    first = leading[0]
    assert first.tally is not None and first.plan is not None
    tokens = [step.kind.tokens for step in steps_of(first.plan)]
    width = first.plan.workload.shape.d_model * ELEMENT_BYTES * max(first.share.batch, 1)
    sizes = sorted(set(tokens))
    whole = sum(run.share.stages for run in leading)
    hops = [{n: wiring.between(stage, n * width) for n in sizes} for stage in range(whole - 1)]
    back = {n: wiring.back(n * layout.sequences) for n in sizes}
    clocks = [run.tally.tokens.column("cycles") for run in leading for _ in range(run.share.stages) if run.tally]
    prefill = int(first.tally.tokens.of_phase("prefill").sum())
    schedule = simulate(
        Pipeline(
            clocks, layout.in_flight, prefill, [_transfer(hop, tokens, tCK_ps) for hop in hops],
            _transfer(back, tokens, tCK_ps),
        )
    )  # fmt: skip
    many = layout.in_flight * layout.replicas
    sent: dict[str, tuple[int, int]] = {}
    for phase, at in zip(PHASES, (slice(0, prefill), slice(prefill, None)), strict=True):
        there = [hop[n].moved for hop in hops for n in tokens[at]]
        # of a prompt only its last token has one that goes back
        again = [back[n].moved for n in tokens[at][-1 if phase == "prefill" else None :]]
        sent[phase] = many * (len(there) + len(again)), many * (sum(there) + sum(again))
    ends = Ends(schedule.done.max(0), prefill, first.tally.tokens.column("context"))
    return schedule, ends, sent


def _transfer(passages: Mapping[int, Passage], tokens: Sequence[int], tCK_ps: int) -> Transfer:
    """A passage in each step, of so many tokens, in whole clocks."""
    occupies, arrives = (np.array([-(-passages[n][at] // tCK_ps) for n in tokens], np.int64) for at in (0, 1))
    return Transfer(occupies, arrives)


# -- counts ---------------------------------------------------------------------------


def _account(layout: Layout, runs: Sequence[Run], devices: int, ends: Ends, sent: Sent) -> Tally:
    working = [run for run in runs if run.tally]
    total = int(ends.clocks[-1])
    times = {id(run): Fraction(run.share.devices * layout.in_flight, devices) for run in working}
    busy = {phase: sum(times[id(run)] * _phase_clocks(run, phase) for run in working) for phase in PHASES}
    through = int(ends.clocks[ends.prefill - 1]) if ends.prefill else 0
    # decoding of early sequences may begin before the last prompt is through
    prefill = max(-int(-busy["prefill"] // 1), min(through, total - -int(-busy["decode"] // 1)))
    spans = {"prefill": prefill, "decode": total - prefill}
    rows = [row for phase in PHASES for row in _rows(layout, working, times, phase, spans[phase], devices, sent[phase])]
    commands = total_of(row.commands for row in rows)
    names = dict.fromkeys(name for run in working if run.tally for name in run.tally.commands)
    spent = sum(run.share.devices * run.tally.busiest_window for run in working if run.tally)
    first = working[0].tally
    assert first is not None
    return Tally(
        total, prefill, first.tCK_ps, {name: commands.get(name, 0) for name in names}, rows, _tokens(ends, prefill),
        Fraction(spent), first.course if _alike(runs, devices, layout.in_flight) else None, devices, first.schedule,
    ).validate()  # fmt: skip


def _alike(runs: Sequence[Run], devices: int, in_flight: int) -> bool:
    """Whether all devices do the same at the same time, so that what one takes is what the average one takes."""
    return len(runs) == 1 and (runs[0].share.stages, runs[0].share.devices, in_flight) == (1, devices, 1)


def _phase_clocks(run: Run, phase: str) -> int:
    assert run.tally is not None
    return run.tally.prefill_cycles if phase == "prefill" else run.tally.decode_cycles


def _rows(
    layout: Layout,
    runs: Sequence[Run],
    times: Mapping[int, Fraction],
    phase: str,
    span: int,
    devices: int,
    sent: tuple[int, int],
) -> list[OperatorTally]:
    """The rows of a phase that takes so many clocks; sent: between stages, messages and bytes."""
    exact: dict[Key, Fraction] = {}  # clocks of the average device by part, operator and cause
    merged: dict[tuple[str, str], dict[str, int]] = {}
    commands: dict[tuple[str, str], dict[str, int]] = {}
    for run in runs:
        assert run.tally is not None
        for row in run.tally.phase_rows(phase):
            key = (row.part, row.operator)
            for cause, clocks in row.causes.items():
                exact[(*key, cause)] = exact.get((*key, cause), Fraction(0)) + times[id(run)] * clocks
            _add(merged.setdefault(key, {}), _counts(layout, run, row))
            many = run.share.devices * layout.in_flight
            _add(commands.setdefault(key, {}), {name: many * n for name, n in row.commands.items()})
    waits = _bubble(layout, runs, phase, span, devices)
    if idle := span - sum(exact.values()):
        exact["", BUBBLE, BUBBLE] = Fraction(idle)
        merged["", BUBBLE], commands["", BUBBLE] = {}, waits
    if sent[0]:
        merged["", TRANSFER], commands["", TRANSFER] = dict(zip(("count", "moved_bytes"), sent, strict=True)), {}
    dealt = deal(exact, span)
    return [_row(phase, key, dealt, merged[key], commands[key]) for key in merged]


def _add(total: dict[str, int], more: Mapping[str, int]) -> None:
    for name, n in more.items():
        total[name] = total.get(name, 0) + n


def _counts(layout: Layout, run: Run, row: OperatorTally) -> dict[str, int]:
    """What a row counts over all devices of a share; how often it runs, and what is on links, once for a stage."""
    share = run.share
    many, once = share.devices * layout.in_flight, share.stages * layout.replicas * layout.in_flight * share.leads
    of_stage = {"count": once, "moved_bytes": once}
    return {name: of_stage.get(name, many) * getattr(row, name) for name in COUNTS if name != "cycles"}


def _bubble(layout: Layout, runs: Sequence[Run], phase: str, span: int, devices: int) -> dict[str, int]:
    """Refreshes of devices that wait: as many as fall due in that time."""
    plan = runs[0].plan
    assert plan is not None
    device = plan.device
    name = device.standard.roles.refresh(device.refresh)
    if name is None:
        return {}
    busy = sum(run.share.devices * layout.in_flight * _phase_clocks(run, phase) for run in runs)
    idle = span * devices - busy
    return {name: device.channels * idle // device.refresh_interval}


def deal(exact: Mapping[Key, Fraction], total: int) -> dict[Key, int]:
    """Whole numbers for fractions that add up to `total`: each rounded down, and one more for the largest rests."""
    dealt = {key: int(value) for key, value in exact.items()}
    missing = total - sum(dealt.values())
    rests = sorted(exact, key=lambda key: dealt[key] - exact[key])
    return dealt | {key: dealt[key] + 1 for key in rests[:missing]}


def _row(
    phase: str, key: tuple[str, str], dealt: Mapping[Key, int], counts: Mapping[str, int],
    commands: Mapping[str, int],
) -> OperatorTally:  # fmt: skip
    part, operator = key
    causes = {cause: n for (p, o, cause), n in dealt.items() if (p, o) == key}
    known = {"open_cycles": 0, **counts, "count": counts.get("count", 0), "cycles": sum(causes.values())}
    return OperatorTally(phase=phase, operator=operator, part=part, causes=causes, commands=commands, **known)


def _tokens(ends: Ends, prefill: int) -> TokenTallies:
    """A row for each step of all sequences, back to back; the first decode step begins where the prefill ends."""
    tokens, clocks = TokenTallies(), ends.clocks.tolist()
    edges = [0, *(min(end, prefill) for end in clocks[: ends.prefill])], [prefill, *clocks[ends.prefill :]]
    if ends.prefill:
        edges[0][-1] = prefill
    for phase, at, some in zip(PHASES, (slice(0, ends.prefill), slice(ends.prefill, None)), edges, strict=True):
        contexts = ends.contexts[at].tolist()
        if contexts:
            tokens.extend(phase, contexts, list(some))
    return tokens
