"""Where the time of a warm `pimsim run` goes: python bench/profile.py [RUNS] [-- OPTIONS OF pimsim run].

A timer interrupts a whole process every millisecond, from before the first import to the end of
its main function; the time since the interruption before is charged to what is under way then,
by the modules on the stack.  What lies before (the interpreter) and after (its exit) is measured
from outside, so the rows add up to the whole process.  Printed is the fastest of RUNS (default 5),
after one that is not counted, with the range of each row in all of them: of a run that prints its summary,
and of one that writes its files as well, whose plots are drawn by other processes where there are
processors for them: the row `plots` is what is waited for.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType

ROOT = Path(__file__).resolve().parent.parent
INTERVAL = 0.001  # seconds
# What a process is doing when one of these modules is on its stack, the innermost that is named here.
DOING = (
    ("pimsim.dram.code.store", "load compiled code"),
    ("pimsim.dram.code.load", "load compiled code"),
    ("pimsim.sim.schedule", "channels and schedule (compiled)"),
    ("pimsim.dram.engine", "channels and schedule (compiled)"),
    ("pimsim.dram", "tables of the device"),
    ("pimsim.sim", "lay out blocks, count"),
    ("pimsim.mapping", "plan steps"),
    ("pimsim.asic", "plan steps"),
    ("pimsim.workload", "workload"),
    ("pimsim.config", "configuration"),
    ("pimsim.kinds", "configuration"),
    ("pimsim.baselines", "baselines"),
    ("pimsim.energy", "energy and summary"),
    ("pimsim.results", "energy and summary"),
    ("pimsim.report", "report"),
    ("pimsim.plots", "plots"),
    ("pimsim", "the rest of pimsim"),
)
WORDS = ("numpy", "numba", "llvmlite", "matplotlib", "pydantic", "yaml", "rich", "click", "jinja2", "simpy", "pimsim")
ORDER = (
    "interpreter",
    *(f"import {name}" for name in (*WORDS, "others")),
    *dict.fromkeys(name for _, name in DOING),
    "exit",
)


class Clock:
    """Charges time to what a process is doing."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self.latest = time.monotonic()

    def tick(self, _: int, frame: FrameType | None) -> None:
        """The time since the last tick belongs to what is under way."""
        now = time.monotonic()
        self.seconds[doing(frame)] += now - self.latest
        self.latest = now
        signal.setitimer(signal.ITIMER_REAL, INTERVAL)  # not before: no tick interrupts another


def doing(frame: FrameType | None) -> str:
    """What a stack is busy with: the outermost import of a library, else the innermost module of `DOING`."""
    found = imported = ""
    for each in stack(frame):
        module = each.f_globals.get("__name__", "")
        if module == "importlib._bootstrap" and each.f_code.co_name == "_find_and_load":
            name = str(each.f_locals.get("name", "")).partition(".")[0]
            if name != "pimsim" or not imported:
                imported = name
        elif not found:
            found = next((name for start, name in DOING if f"{module}.".startswith(f"{start}.")), "")
    if imported:
        return f"import {imported if imported in WORDS else 'others'}"
    return found or "the rest of pimsim"


def stack(frame: FrameType | None) -> Iterator[FrameType]:
    """The frames of a stack, the innermost first."""
    while frame is not None:
        yield frame
        frame = frame.f_back


def child(report: str, began: str, *options: str) -> None:
    """Run `pimsim run` in this process, and write what it was doing, and when it ended, to a file."""
    sys.path[0] = str(ROOT)
    clock = Clock()
    clock.seconds["interpreter"] = clock.latest - float(began)
    signal.signal(signal.SIGALRM, clock.tick)
    signal.setitimer(signal.ITIMER_REAL, INTERVAL)
    from pimsim.cli import cli
    from pimsim.cli.process import leave, prepare

    prepare()
    try:
        cli.main(["run", *options], prog_name="pimsim")
    except SystemExit as ended:
        clock.tick(0, sys._getframe())
        signal.setitimer(signal.ITIMER_REAL, 0)
        Path(report).write_text(json.dumps([clock.seconds, time.monotonic()]))
        leave(ended)


def profile(options: list[str], files: bool) -> dict[str, float]:
    """Seconds of a process by what it was doing; files: it writes them as well."""
    with TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        began = time.monotonic()
        out = ["--out", str(Path(folder, "out"))] if files else []
        run = [sys.executable, __file__, "--child", str(report), repr(began), *options, *out]
        subprocess.run(run, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        ended = time.monotonic()
        seconds, left = json.loads(report.read_text())
    return {**seconds, "exit": ended - left}


def main(runs: int, options: list[str]) -> None:
    """Print a table for each kind of run."""
    for files in (False, True):
        profile(options, files)  # compiled, and read from the disk
        profiles = [profile(options, files) for _ in range(runs)]
        print("pimsim run", *options, *(["--out", "DIR"] if files else []))
        show(sorted(profiles, key=lambda seconds: sum(seconds.values())))


def show(profiles: list[dict[str, float]]) -> None:
    """Print the table of runs, the fastest of which is the first."""
    best, whole = profiles[0], sum(profiles[0].values())
    print(f"{'':34}{'ms':>8}{'share':>8}{'all runs, ms':>18}")
    for name in sorted(set().union(*profiles), key=ORDER.index):
        each = [1000 * seconds.get(name, 0) for seconds in profiles]
        print(f"{name:34}{each[0]:8.0f}{best.get(name, 0) / whole:8.1%}{min(each):10.0f} -{max(each):6.0f}")
    print(f"{'whole process':34}{1000 * whole:8.0f}{1:8.0%}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:])
    else:
        arguments, _, rest = " ".join(sys.argv[1:]).partition("--")
        main(int(arguments or 5), rest.split() or [str(ROOT / "configs" / "pim-gpt.yaml")])
