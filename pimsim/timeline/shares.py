"""How busy buses, banks and MAC units are over time: shares of what they could be, over all channels."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from pimsim.dram.timing import Device
    from pimsim.results.result import Result
    from pimsim.timeline.activity import Activity
    from pimsim.workload.schedule import Schedule

Floats = NDArray[np.float64]

POINTS = 120  # parts of the time; buckets are joined until there are no more
# Of `activity.TRACKS`, with the name that people read.
TRACKS = {
    "MAC units": "MAC units",
    "banks open": "banks with an open row",
    "command bus": "command bus",
    "data bus": "data bus",
    "refresh": "refresh",
}


MODEL = "{model}"  # in a title


class Busy(NamedTuple):
    """title: what was going on, in words, with MODEL for the model's name; edges_ns: (n + 1,) of the parts of the time.

    shares  (n,) of each of TRACKS that was ever busy, 0 to 1
    """

    title: str
    edges_ns: Floats
    shares: dict[str, Floats]


def busy_shares(activity: Activity, track: str) -> tuple[Floats, Floats]:
    """(clocks at which each point begins and the last one ends, busy share from 0 to 1), over all channels."""
    device, edges = activity.device, activity.edges
    busy = sum((activity.clocks(c, track) for c in range(device.channels)), np.zeros(len(edges) - 1, np.int64))
    begins = np.arange(0, len(busy), max(1, -(-len(busy) // POINTS)))
    joined = np.append(edges[begins], edges[-1]).astype(np.float64)
    capacity = device.channels * (device.banks if track == "banks open" else 1) * _in_parallel(device, track)
    return joined, np.add.reduceat(busy, begins) / (capacity * np.diff(joined))


def _in_parallel(device: Device, track: str) -> int:
    """Refreshes that a channel can be in at once: one in each turn."""
    return max(1, len(device.turns)) if track == "refresh" else 1


def busy(activity: Activity, title: str) -> Busy:
    """All tracks at once."""
    found = {track: busy_shares(activity, track) for track in TRACKS}
    edges = found["MAC units"][0] * activity.device.tCK_ps / 1000
    return Busy(title, edges, {track: shares for track, (_, shares) in found.items() if shares.any()})


def busy_in_step(result: Result, context: int | None = None) -> Busy:
    """During the decode of one token, or a step of a schedule, which is simulated again, from rest.

    context  of the token (default: the last one), of a schedule that of a step; ValueError if the run has none such
    """
    from pimsim.sim.run import simulate_step
    from pimsim.timeline.recorder import Recorder

    recorder = Recorder(result.prices.device)
    if result.schedule:
        number = _step(result.schedule, context)
        stage = result.schedule.stages[result.schedule.stage[number]]
        what, context = f"{stage.name} runs", int(result.schedule.context[number])
        simulate_step(result.plan or result.config, context, [recorder], number)
    else:
        last = result.config.workload.last_context
        what, context = "a token is decoded", last if context is None else context
        if not 1 <= context <= last:
            raise ValueError(f"the context must be from 1 to {last}, not {context}")
        simulate_step(result.plan or result.config, context, [recorder])
    recorder.close()
    return busy(recorder.activity, f"Utilisation while {what}: {MODEL}, context {context:,}")


def _step(schedule: Schedule, context: int | None) -> int:
    """The number of the last step at a context, or of all: of the run's main stage, if there is one."""
    of_main = schedule.stage == schedule.stages.index(schedule.main)
    there = np.ones(len(schedule), bool) if context is None else schedule.context == context
    if not there.any():
        known = f"{int(schedule.context.min()):,} to {int(schedule.context.max()):,}"
        raise ValueError(f"no step of the schedule has context {context}; they go from {known}")
    chosen = there & of_main if (there & of_main).any() else there
    return int(np.flatnonzero(chosen)[-1])
