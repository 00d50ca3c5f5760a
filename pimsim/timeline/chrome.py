"""Chrome trace JSON, which ui.perfetto.dev opens: a process per channel, and one of the controller.

Times in it are us, exact to the ps.  (Perfetto cuts them to whole ns; the clock of every
command is in its arguments.)
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from typing import IO, Any

import numpy as np

from pimsim.dram.engine import FOREVER, Ints
from pimsim.dram.timing import Device
from pimsim.energy.model import Prices
from pimsim.sim.observer import Executed
from pimsim.timeline.banks import Turned
from pimsim.timeline.durations import durations
from pimsim.timeline.recorder import Recorder
from pimsim.timeline.steps import Steps
from pimsim.timeline.watcher import MOST_COMMANDS
from pimsim.workload.schedule import Schedule

CONTROLLER = 1  # process; channel c is process 2 + c.  Viewers keep 0 for the idle task
CHANNEL = 2
STEPS, INSTRUCTIONS, UNITS = 1, 2, 3  # threads of the controller; an ASIC unit each, link and machine from UNITS on
COMMANDS, DATA, MACS, BANKS = 1, 2, 3, 4  # threads of a channel; a bank each from BANKS on
THREADS = 1000  # of a process at most: their numbers differ between processes


class ChromeTimeline(Recorder):
    """Writes a Chrome trace as the run goes on; `close` completes it."""

    def __init__(
        self,
        file: IO[str],
        device: Device,
        prices: Prices,
        span: tuple[int, int] = (0, FOREVER),
        most: int = MOST_COMMANDS,
        schedule: Schedule | None = None,
    ) -> None:
        super().__init__(device, span, most)
        self._steps = Steps(schedule)
        self._file = file
        self._prices = prices
        self._names = device.command_names
        self._durations = durations(device)
        self._runs: list[Ints | None] = [None] * device.channels  # MACs since the last gap: clk, row of first and last
        self._units: dict[str, int] = {}
        self._step: tuple[Executed, int] | None = None  # the first instruction of a step, and where the step ends
        self._begin()

    # ---- what comes in

    def take(self, channel: int, clk: Ints, command: Ints, bank: Ints, row: Ints, column: Ints) -> None:
        """Write a channel's commands, the data they move and the rows they close."""
        super().take(channel, clk, command, bank, row, column)
        columns = (x.tolist() for x in (clk, command, bank, row, column))
        for at, number, *address in zip(*columns, strict=True):
            self._write_command(channel, at, number, *address)
        for number in self._durations.macs:
            mine = command == number
            if mine.any():
                self._extend_runs(channel, np.stack([clk[mine], row[mine]], axis=1), number)

    def turn(self, channel: int, turned: Turned) -> None:
        """Write the rows that were closed."""
        for row in turned.rows:
            self._slice(CHANNEL + channel, BANKS + row.bank, (row.begin, row.end), f"row {row.row}", {"row": row.row})

    def carry_out(self, executed: Executed) -> None:
        """Write an instruction: what it added to the latency, and the unit at work that is no channel's."""
        self._note_step(executed)
        about = self.about(executed)
        self._slice(CONTROLLER, INSTRUCTIONS, executed.charged, executed.operator, about)
        if executed.unit:
            for stretch in executed.busy:
                self._slice(CONTROLLER, self._unit(executed), stretch, executed.operator, about)

    def about(self, executed: Executed) -> dict[str, Any]:
        """The arguments of an instruction's slice."""
        about = {"phase": executed.phase, "context": executed.context, "block": executed.block, "key": executed.key}
        return about | self._steps.of_instruction(executed)

    def close(self) -> None:
        """Write what is still open, and the counters."""
        super().close()
        for channel in range(self.device.channels):
            for number, length in self._durations.macs.items():
                self._end_run(channel, number, length)
        self._end_step()
        self._write_counters()
        self._file.write("\n]}\n")

    # ---- commands

    def _write_command(self, channel: int, clk: int, number: int, bank: int, row: int, column: int) -> None:
        name, device = self._names[number], self.device
        if number in self._durations.pins:
            begin, end = self._durations.pins[number]
            self._slice(CHANNEL + channel, DATA, (clk + begin, clk + end), name)
        if number in self._durations.refreshes:
            busy = (clk, clk + self._durations.refreshes[number])
            for b in device.banks_of(device.standard.commands[number], bank):
                self._slice(CHANNEL + channel, BANKS + b, busy, "refresh")
        if clk < self.span[0]:
            return
        group, in_group = divmod(bank, device.banks_per_group) if bank >= 0 else (-1, -1)
        about = f'{{"clk":{clk},"bank_group":{group},"bank":{in_group},"row":{row},"column":{column}}}'
        self._write_slice(CHANNEL + channel, COMMANDS, clk, 1, name, about)

    def _extend_runs(self, channel: int, macs: Ints, number: int) -> None:
        """Join MAC commands that follow each other without a gap in one row."""
        pending = self._runs[channel]
        if pending is not None:
            macs = np.concatenate([pending, macs])
        length = self._durations.macs[number]
        breaks = np.flatnonzero((np.diff(macs[:, 0]) > length) | (np.diff(macs[:, 1]) != 0)) + 1
        *whole, last = np.split(macs, breaks)
        for run in whole:
            self._write_run(channel, run, number, length)
        self._runs[channel] = last

    def _end_run(self, channel: int, number: int, length: int) -> None:
        run = self._runs[channel]
        if run is not None:
            self._write_run(channel, run, number, length)

    def _write_run(self, channel: int, run: Ints, number: int, length: int) -> None:
        begin, end = int(run[0, 0]), int(run[-1, 0]) + length
        about = {"row": int(run[0, 1]), "columns": len(run)}
        self._slice(CHANNEL + channel, MACS, (begin, end), f"{len(run)} {self._names[number]}", about)

    # ---- steps

    def _note_step(self, executed: Executed) -> None:
        end = executed.charged[1]
        if self._step and self._step[0].step == executed.step:
            self._step = (self._step[0], end)
            return
        self._end_step()
        self._step = (executed, end)

    def _end_step(self) -> None:
        if self._step:
            first, end = self._step
            name = f"{self._steps.name(first)} at context {first.context}"
            about = {"context": first.context, **self._steps.of_step(first)}
            self._slice(CONTROLLER, STEPS, (first.charged[0], end), name, about)

    # ---- counters

    def _write_counters(self) -> None:
        activity = self.activity
        total = asic = activity.asic_W(self._prices)
        for channel in range(self.device.channels):
            power = activity.power_W(channel, self._prices)
            total = total + power
            self._write_counter(CHANNEL + channel, "power (W)", "W", power)
            accesses, misses = (activity.clocks(channel, track) for track in ("accesses", "misses"))
            hits = 100 * (accesses - misses) / np.maximum(accesses, 1)
            self._write_counter(CHANNEL + channel, "row hits (% of column accesses)", "%", hits)
        self._write_counter(CONTROLLER, "ASIC power (W)", "W", asic)
        self._write_counter(CONTROLLER, "power (W)", "W", total)

    def _write_counter(self, process: int, name: str, unit: str, values: Iterable[float]) -> None:
        """A value from the begin of each bucket on, where it changes."""
        last = ""
        for clk, value in zip(self.activity.edges.tolist(), values, strict=False):
            if (text := f"{value:.6g}") != last:
                self._write(f'"ph":"C","pid":{process},"name":"{name}","ts":{self._us(clk)},"args":{{"{unit}":{text}}}')
            last = text

    # ---- the file

    def _begin(self) -> None:
        low, high = self.span
        about = {
            "tCK_ps": self.device.tCK_ps,
            "window_clocks": [low, None if high == FOREVER else high],
            "command slices": "one clock each on the command bus; clk and address as in the command log",
            "instruction slices": "what each one added to the latency, in the order of the program",
        }
        self._file.write(f'{{"displayTimeUnit":"ns","otherData":{json.dumps(about)},"traceEvents":[')
        self._first = True
        threads = {STEPS: "steps", INSTRUCTIONS: "instructions"}
        self._name_process(CONTROLLER, "controller and ASIC", threads)
        per_group = self.device.banks_per_group
        banks = {BANKS + b: f"bank {b // per_group}.{b % per_group}" for b in range(self.device.banks)}
        threads = {COMMANDS: "command bus", DATA: "data bus", MACS: "MAC units", **banks}
        for channel in range(self.device.channels):
            self._name_process(CHANNEL + channel, f"channel {channel}", threads)

    def _name_process(self, process: int, name: str, threads: dict[int, str]) -> None:
        self._write_metadata("process_name", process, {"name": name})
        self._write_metadata("process_sort_index", process, {"sort_index": process})
        for thread, title in threads.items():
            self._name_thread(process, thread, title)

    def _name_thread(self, process: int, thread: int, title: str) -> None:
        number = process * THREADS + thread
        self._write_metadata("thread_name", process, {"name": title}, number)
        self._write_metadata("thread_sort_index", process, {"sort_index": thread}, number)

    def _unit(self, executed: Executed) -> int:
        """The thread of an ASIC unit, the link or the machine, in order of first use."""
        title = executed.place or f"ASIC {executed.unit}"
        if title not in self._units:
            self._units[title] = UNITS + len(self._units)
            self._name_thread(CONTROLLER, self._units[title], title)
        return self._units[title]

    def _write_metadata(self, name: str, process: int, args: dict[str, Any], thread: int | None = None) -> None:
        of = "" if thread is None else f'"tid":{thread},'
        self._write(f'"ph":"M","pid":{process},{of}"name":"{name}","args":{json.dumps(args)}')

    def _slice(
        self, process: int, thread: int, busy: tuple[int, int], name: str, about: dict[str, Any] | None = None
    ) -> None:
        """An interval of clocks, as far as it is in the window."""
        shown = self.clip(*busy)
        if shown:
            begin, end = shown
            self._write_slice(process, thread, begin, end - begin, name, json.dumps(about or {}))

    def _write_slice(self, process: int, thread: int, clk: int, clocks: int, name: str, about: str) -> None:
        where = f'"pid":{process},"tid":{process * THREADS + thread}'
        when = f'"ts":{self._us(clk)},"dur":{self._us(clocks)}'
        self._write(f'"ph":"X",{where},{when},"name":{_quoted(name)},"args":{about}')

    def _write(self, event: str) -> None:
        self._file.write("\n{" if self._first else ",\n{")
        self._file.write(event + "}")
        self._first = False

    def _us(self, clocks: int) -> str:
        return microseconds(clocks, self.device.tCK_ps)


def microseconds(clocks: int, tCK_ps: int) -> str:
    """Clocks in us, to the ps.

    Perfetto takes the whole part of 1000 times the number: where that falls below a whole
    ns by its binary rounding, 0.1 ps more keeps it from overlapping the slice before.
    """
    ps = clocks * tCK_ps
    text = f"{ps // 1_000_000}.{ps % 1_000_000:06d}"
    return text if int(float(text) * 1000) >= ps // 1000 else text + "1"


@cache
def _quoted(name: str) -> str:
    """A name as JSON: a template may be called anything."""
    return json.dumps(name)
