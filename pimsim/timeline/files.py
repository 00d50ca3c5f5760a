"""A timeline by the name of its file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pimsim.energy.model import Prices
from pimsim.errors import InputError, Problem
from pimsim.files import check_output
from pimsim.mapping.plan import Plan
from pimsim.sim.run import peek, window_clocks
from pimsim.timeline.chrome import ChromeTimeline
from pimsim.timeline.output import CANNOT_WRITE, whole_text
from pimsim.timeline.told import Told, ToldTimeline
from pimsim.timeline.vcd import VcdTimeline, writer_module
from pimsim.timeline.watcher import MOST_COMMANDS, Counting, Watcher

CHROME_SUFFIXES, VCD_SUFFIXES = (".json", ".json.gz"), (".vcd", ".vcd.gz")
SUFFIXES = (*CHROME_SUFFIXES, *VCD_SUFFIXES)


def check_name(path: str | Path) -> None:
    """InputError if the suffix is none of SUFFIXES."""
    if not str(path).endswith(SUFFIXES):
        raise InputError(Problem(str(path), 1, 1, "", f"a timeline's name ends in {', '.join(SUFFIXES)}"))


def _check_count(plan: Plan, span: tuple[int, int], most: int) -> None:
    """InputError if a run has more than `most` commands in the window: counting them is a hundredth of the work."""
    counting = Counting(plan.device, span, most)
    peek(plan, counting, until=span[1])
    counting.check_shown()


@contextmanager
def timeline(
    path: str | Path,
    plan: Plan,
    prices: Prices,
    window_ns: tuple[float, float] | None = None,
    most: int = MOST_COMMANDS,
    told: Told | None = None,
) -> Iterator[Watcher]:
    """The observer that writes a run's timeline to `path`, complete when the block ends, absent if it raises.

    plan, prices  of the run
    window_ns     (start, end) of what is shown; InputError if it holds more than `most` commands
    told          what is known of an instruction when the run is over, beside when it ran (waveforms do not show it)
    """
    path, device = Path(path), plan.device
    check_name(path)
    span = window_clocks(window_ns, device.tCK_ps)
    module = writer_module(path) if path.name.endswith(VCD_SUFFIXES) else None
    check_output(path, CANNOT_WRITE)
    _check_count(plan, span, most)
    with whole_text(path) as file:
        watcher: ChromeTimeline | VcdTimeline
        if module:
            watcher = VcdTimeline(file, module, device, span, most, plan.schedule, plan.places)
        elif told:
            watcher = ToldTimeline(file, device, prices, told, span, most)
        else:
            watcher = ChromeTimeline(file, device, prices, span, most, plan.schedule)
        yield watcher
        watcher.close()
