"""Small runs with a timeline, and the same facts worked out from the command log alone."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pimsim import api
from pimsim.config.schema import Config
from pimsim.devices.registry import device_of
from pimsim.dram.timing import Device
from pimsim.logs.log import CommandLog, read_log
from pimsim.results.result import Result
from tests.configs import config_of

SMALL: Mapping[str, Any] = {
    "workload.model_config": {"name": "tiny", "layers": 2, "d_model": 48, "heads": 3, "d_ff": 100},
    "workload.output_tokens": 3,
    "workload.prompt_tokens": 1,
    "dram.channels": 3,
    "dram.bank_groups": 2,
    "dram.banks_per_group": 2,
    "dram.timing.tRFC_ns": 100,
    "dram.timing.tRFCpb_ns": 60,
    "dram.timing.tREFI_ns": 800,
    "dram.tCK_ps": 570,  # no whole ns
}
CASES: list[dict[str, Any]] = [
    {},
    {"schedule": "overlap", "dram.refresh": "per_bank", "workload.batch": 2},
    {"dram.refresh": "none", "mapping.value_append": "all_bank", "dram.tCK_ps": 1000},
]
WINDOW = (3450.0, 4250.0)  # rows are open at its begin, and the run began long before


class Row(NamedTuple):
    """A command as the log has it."""

    clk: int
    channel: int
    command: str
    bank_group: int
    bank: int
    row: int
    column: int


class Open(NamedTuple):
    """A row that is open in a bank (of the channel), from clock to clock."""

    channel: int
    bank: int
    row: int
    begin: int
    end: int


class Run(NamedTuple):
    config: Config
    device: Device
    result: Result
    rows: list[Row]


def watched(path: Path, case: Mapping[str, Any], window_ns: tuple[float, float] | None = None) -> Run:
    """A run with its timeline at `path`; rows: its whole command log."""
    config = config_of({**SMALL, **case})
    log = path.with_name("log.csv")
    whole = api.run(config, log=log)
    result = api.run(config, timeline=path, window_ns=window_ns)
    assert result.tally == whole.tally
    device = device_of(config)
    return Run(config, device, result, rows_of(read_log(log, device.standard), device))


def rows_of(log: CommandLog, device: Device) -> list[Row]:
    columns = zip(*(column.tolist() for column in vars(log).values()), strict=True)
    return [Row(clk, channel, device.command_names[command], *rest) for clk, channel, command, *rest in columns]


def open_rows(run: Run, end: int) -> list[Open]:
    """Every interval with an open row, from the log and the meaning of the commands' names."""
    since: dict[tuple[int, int], tuple[int, int]] = {}
    found = []
    banks = run.device.banks
    for row in run.rows:
        bank = row.bank_group * run.device.banks_per_group + row.bank
        for b in range(banks) if row.command.endswith("AB") else (bank,):
            if row.command.startswith("ACT"):
                since[row.channel, b] = (row.row, row.clk)
            elif row.command.startswith("PRE") and (row.channel, b) in since:
                found.append(Open(row.channel, b, *since.pop((row.channel, b)), row.clk))
    found += [Open(*where, *what, end) for where, what in since.items()]
    return sorted(found)


def clipped(rows: list[Open], low: int, high: int) -> list[Open]:
    """The parts of intervals that lie in a window."""
    parts = [row._replace(begin=max(row.begin, low), end=min(row.end, high)) for row in rows]
    return [row for row in parts if row.begin < row.end]


def window_of(run: Run, window_ns: tuple[float, float]) -> tuple[int, int]:
    """First clock not before the start, first not before the end."""
    low, high = (-int(-ns * 1000 // run.device.tCK_ps) for ns in window_ns)
    return low, min(high, run.result.tally.cycles)


class Trace:
    """A Chrome trace, read back: slices by process and thread name, in clocks."""

    def __init__(self, text: str, tCK_ps: int) -> None:
        content = json.loads(text)
        self.about = content["otherData"]
        self.events = content["traceEvents"]
        self.tCK_ps = tCK_ps
        self.processes = {e["pid"]: e["args"]["name"] for e in self.events if e["name"] == "process_name"}
        self.threads = {e["tid"]: e["args"]["name"] for e in self.events if e["name"] == "thread_name"}

    def clocks(self, us: float) -> int:
        """Microseconds as clocks, which they must be within 0.2 ps."""
        clocks = round(us * 1e6 / self.tCK_ps)
        assert abs(us * 1e6 - clocks * self.tCK_ps) < 0.2
        return clocks

    def slices(self, process: str, thread: str = "") -> list[tuple[int, int, str, dict[str, Any]]]:
        """(begin, end, name, arguments) of the slices of a thread, or of all threads."""
        found = []
        for event in self.events:
            if event["ph"] != "X" or self.processes[event["pid"]] != process:
                continue
            if thread in ("", self.threads[event["tid"]]):
                begin = self.clocks(event["ts"])
                found.append((begin, begin + self.clocks(event["dur"]), event["name"], event["args"]))
        return sorted(found, key=lambda each: each[:3])

    def commands(self) -> list[Row]:
        """The command buses' slices as rows of a log."""
        found = []
        for process in sorted(name for name in self.processes.values() if name.startswith("channel")):
            for begin, end, name, a in self.slices(process, "command bus"):
                assert (a["clk"], end) == (begin, begin + 1)
                where = (a["bank_group"], a["bank"], a["row"], a["column"])
                found.append(Row(begin, int(process.split()[1]), name, *where))
        return sorted(found)

    def rows(self, device: Device) -> list[Open]:
        """The banks' slices that are open rows."""
        found = []
        for channel in range(device.channels):
            for bank in range(device.banks):
                name = f"bank {bank // device.banks_per_group}.{bank % device.banks_per_group}"
                for begin, end, title, about in self.slices(f"channel {channel}", name):
                    if title != "refresh":
                        assert title == f"row {about['row']}"
                        found.append(Open(channel, bank, about["row"], begin, end))
        return sorted(found)

    def counters(self, process: str, name: str) -> list[tuple[int, float]]:
        """(clock, value) of a counter."""
        events = [e for e in self.events if e["ph"] == "C" and e["name"] == name]
        mine = [e for e in events if self.processes[e["pid"]] == process]
        return [(self.clocks(e["ts"]), next(iter(e["args"].values()))) for e in mine]

    def tracks(self) -> dict[int, list[dict[str, Any]]]:
        """The slices of each thread."""
        found: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for event in self.events:
            if event["ph"] == "X":
                found[event["tid"]].append(event)
        return found
