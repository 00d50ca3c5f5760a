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
    """Utilisation during the decode of one token, which is simulated again, from rest.

    context  of the token (default: the last one); ValueError if it is beyond the run's
    """
    from pimsim.sim.run import simulate_step
    from pimsim.timeline.recorder import Recorder

    last = result.config.workload.last_context
    context = last if context is None else context
    if not 1 <= context <= last:
        raise ValueError(f"the context must be from 1 to {last}, not {context}")
    recorder = Recorder(result.prices.device)
    simulate_step(result.plan or result.config, context, [recorder])
    recorder.close()
    model = result.summary["workload"]["model"]
    return utilisation(recorder.activity, ax, f"Utilisation while a token is decoded: {model}, context {context:,}")
