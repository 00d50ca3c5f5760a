"""A timeline by the name of its file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pimsim.config.schema import Config
from pimsim.devices.plan import compile_plan
from pimsim.devices.registry import device_of
from pimsim.dram.timing import Device
from pimsim.errors import InputError, Problem
from pimsim.files import check_output
from pimsim.sim.run import peek, window_clocks
from pimsim.timeline.activity import Prices
from pimsim.timeline.chrome import ChromeTimeline
from pimsim.timeline.output import CANNOT_WRITE, whole_text
from pimsim.timeline.vcd import VcdTimeline, writer_module
from pimsim.timeline.watcher import MOST_COMMANDS, Counting, Watcher

CHROME_SUFFIXES, VCD_SUFFIXES = (".json", ".json.gz"), (".vcd", ".vcd.gz")
SUFFIXES = (*CHROME_SUFFIXES, *VCD_SUFFIXES)


def check_name(path: str | Path) -> None:
    """InputError if the suffix is none of SUFFIXES."""
    if not str(path).endswith(SUFFIXES):
        raise InputError(Problem(str(path), 1, 1, "", f"a timeline's name ends in {', '.join(SUFFIXES)}"))


def _check_count(config: Config, device: Device, span: tuple[int, int], most: int) -> None:
    """InputError if a run has more than `most` commands in the window: counting them is a hundredth of the work."""
    counting = Counting(device, span, most)
    peek(compile_plan(config), counting, until=span[1])
    counting.check_shown()


@contextmanager
def timeline(
    path: str | Path, config: Config, window_ns: tuple[float, float] | None = None, most: int = MOST_COMMANDS
) -> Iterator[Watcher]:
    """The observer that writes a run's timeline to `path`, complete when the block ends, absent if it raises.

    window_ns  (start, end) of what is shown; InputError if it holds more than `most` commands
    """
    path = Path(path)
    check_name(path)
    device = device_of(config)
    span = window_clocks(window_ns, device.tCK_ps)
    module = writer_module(path) if path.name.endswith(VCD_SUFFIXES) else None
    check_output(path, CANNOT_WRITE)
    _check_count(config, device, span, most)
    with whole_text(path) as file:
        watcher: ChromeTimeline | VcdTimeline
        if module:
            watcher = VcdTimeline(file, module, device, span, most)
        else:
            watcher = ChromeTimeline(file, device, Prices.of(config), span, most)
        yield watcher
        watcher.close()
