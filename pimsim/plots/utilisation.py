"""How busy buses, banks and MAC units are over time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pimsim.plots import style
from pimsim.results.headline import time_scale

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pimsim.dram.timing import Device
    from pimsim.results.result import Result
    from pimsim.timeline.activity import Activity, Floats
    from pimsim.workload.schedule import Schedule

_POINTS = 120  # of a line; buckets are joined until there are no more
_SERIES = (
    ("MAC units", "MAC units", style.BLUE),
    ("banks open", "banks with an open row", style.ORANGE),
    ("command bus", "command bus", style.BLACK),
    ("data bus", "data bus", style.SKY),
    ("refresh", "refresh", style.VERMILION),
)


def busy_shares(activity: Activity, track: str) -> tuple[Floats, Floats]:
    """(clocks at which each point begins and the last one ends, busy share from 0 to 1), over all channels."""
    device, edges = activity.device, activity.edges
    busy = sum((activity.clocks(c, track) for c in range(device.channels)), np.zeros(len(edges) - 1, np.int64))
    begins = np.arange(0, len(busy), max(1, -(-len(busy) // _POINTS)))
    joined = np.append(edges[begins], edges[-1]).astype(np.float64)
    capacity = device.channels * (device.banks if track == "banks open" else 1) * _in_parallel(device, track)
    return joined, np.add.reduceat(busy, begins) / (capacity * np.diff(joined))


def _in_parallel(device: Device, track: str) -> int:
    """Refreshes that a channel can be in at once: one in each turn."""
    return max(1, len(device.turns)) if track == "refresh" else 1


def utilisation(activity: Activity, ax: Axes | None = None, title: str = "Utilisation over time") -> Axes:
    """Busy share of buses, banks and MAC units over time, all channels together.

    activity  from `timeline.recorder.Recorder`, or of a command log: `activity_of(log, device)`
    """
    tCK_ns = activity.device.tCK_ps / 1000
    factor, unit = time_scale(float(activity.edges[-1]) * tCK_ns)
    with style.drawing():
        ax = style.axes_or_new(ax)
        for track, label, colour in _SERIES:
            edges, shares = busy_shares(activity, track)
            if shares.any():
                ax.stairs(100 * shares, edges * tCK_ns / factor, color=colour, linewidth=1.1, label=label)
        ax.set_ylim(0, 102)
        ax.set_xlim(float(edges[0]) * tCK_ns / factor, float(edges[-1]) * tCK_ns / factor)
        ax.set_xlabel(f"time ({unit})")
        ax.set_ylabel("busy (%)")
        ax.grid(axis="y")
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=5, columnspacing=1.0, handlelength=1.2)
        ax.set_title(title)
    return ax


def of_step(result: Result, context: int | None = None, ax: Axes | None = None) -> Axes:
    """Utilisation during the decode of one token, or of a step of a schedule, which is simulated again, from rest.

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
    model = result.summary["workload"]["model"]
    return utilisation(recorder.activity, ax, f"Utilisation while {what}: {model}, context {context:,}")


def _step(schedule: Schedule, context: int | None) -> int:
    """The number of the last step at a context, or of all: of the run's main stage, if there is one."""
    of_main = schedule.stage == schedule.stages.index(schedule.main)
    there = np.ones(len(schedule), bool) if context is None else schedule.context == context
    if not there.any():
        known = f"{int(schedule.context.min()):,} to {int(schedule.context.max()):,}"
        raise ValueError(f"no step of the schedule has context {context}; they go from {known}")
    chosen = there & of_main if (there & of_main).any() else there
    return int(np.flatnonzero(chosen)[-1])
