"""What a simulation counted: actions and DRAM clocks, never energy and never time.

The simulator fills these records, `pimsim.energy` prices them and
`pimsim.results` reports them.  Everything is an integer, so two engines that agree
agree to the bit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

PHASES = ("prefill", "decode")

# What the PIM device and its pins do; every other cause is exposed ASIC arithmetic.
DEVICE_CAUSES = ("mac", "activation", "input_transfer", "result_transfer", "write", "read", "refresh")

_COUNTS = ("count", "cycles", "open_cycles", "asic_busy_cycles", "adds", "multiplies", "pin_bytes", "payload_bytes")


class TallyError(RuntimeError):
    """The counts of a simulation contradict each other: a defect of the simulator."""


@dataclass(frozen=True)
class OperatorTally:
    """One kind of operator in one phase, over all its executions and all channels.

    phase            "prefill" or "decode"
    operator         kind, e.g. "qkv", "scores", "softmax"
    count            executions
    cycles           DRAM clocks of latency
    causes           the same clocks by cause
    commands         DRAM commands by name, over all channels
    open_cycles      clocks with at least one bank open, summed over channels
    asic_busy_cycles DRAM clocks with an ASIC unit at work (hidden or exposed)
    adds, multiplies ASIC arithmetic actions
    pin_bytes        bytes on the DRAM pins of all channels (a broadcast counts per channel)
    payload_bytes    those bytes less the padding up to whole columns and bursts
    macs             useful multiply-accumulates in the banks
    """

    phase: str
    operator: str
    count: int
    cycles: int
    causes: Mapping[str, int]
    commands: Mapping[str, int]
    open_cycles: int
    asic_busy_cycles: int = 0
    adds: int = 0
    multiplies: int = 0
    pin_bytes: int = 0
    payload_bytes: int = 0
    macs: int = 0

    def problems(self) -> list[str]:
        """What contradicts itself in this row, in words."""
        where = f"{self.phase} {self.operator}"
        found = [] if self.phase in PHASES else [f"{where}: phase is not one of {PHASES}"]
        if sum(self.causes.values()) != self.cycles:
            found.append(f"{where}: causes sum to {sum(self.causes.values())} clocks, not {self.cycles}")
        counts = {name: getattr(self, name) for name in (*_COUNTS, "macs")}
        for name, value in {**counts, **self.causes, **self.commands}.items():
            if value < 0:
                found.append(f"{where}: {name} is {value}")
        if self.payload_bytes > self.pin_bytes:
            found.append(f"{where}: payload of {self.payload_bytes} bytes in {self.pin_bytes} bytes on the pins")
        return found


@dataclass(frozen=True)
class TokenTally:
    """One step: `context` counts the token being decoded; times in DRAM clocks."""

    phase: str
    step: int
    context: int
    start_cycle: int
    cycles: int


@dataclass(frozen=True)
class Tally:
    """A whole simulation.

    cycles counts prefill and decode, prefill_cycles the prefill alone; commands are
    over all channels; tokens are in time order, back to back.
    """

    cycles: int
    prefill_cycles: int
    tCK_ps: int
    commands: Mapping[str, int]
    rows: Sequence[OperatorTally]
    tokens: Sequence[TokenTally]

    @property
    def decode_cycles(self) -> int:
        """DRAM clocks after the prefill."""
        return self.cycles - self.prefill_cycles

    def phase_rows(self, phase: str) -> list[OperatorTally]:
        """The rows of one phase."""
        return [row for row in self.rows if row.phase == phase]

    def causes(self, phase: str | None = None) -> dict[str, int]:
        """Clocks by cause over all rows, or those of one phase, in order of first appearance."""
        return total_of(row.causes for row in self.rows if phase in (None, row.phase))

    def total(self, name: str) -> int:
        """The sum of one count (say "pin_bytes") over all rows."""
        return sum(getattr(row, name) for row in self.rows)

    def validate(self) -> Tally:
        """This tally; TallyError lists every contradiction if there is one."""
        found = [problem for row in self.rows for problem in row.problems()]
        found += self._sum_problems() + self._token_problems()
        if found:
            raise TallyError("the simulation's counts contradict each other: " + "; ".join(found))
        return self

    def _sum_problems(self) -> list[str]:
        prefill = sum(row.cycles for row in self.phase_rows("prefill"))
        pairs = [
            ("cycles of all rows", sum(row.cycles for row in self.rows), self.cycles),
            ("cycles of the prefill rows", prefill, self.prefill_cycles),
        ]
        by_rows = total_of(row.commands for row in self.rows)
        for name in sorted({*by_rows, *self.commands}):
            pairs.append((f"{name} of all rows", by_rows.get(name, 0), self.commands.get(name, 0)))
        kinds = Counter((row.phase, row.operator) for row in self.rows)
        found = [f"{what} sum to {left}, not {right}" for what, left, right in pairs if left != right]
        return found + [f"{phase} {kind} has {n} rows" for (phase, kind), n in kinds.items() if n > 1]

    def _token_problems(self) -> list[str]:
        found = []
        for before, after in zip(self.tokens, self.tokens[1:], strict=False):
            if before.start_cycle + before.cycles != after.start_cycle:
                found.append(f"{after.phase} step {after.step} does not start where the step before it ends")
        decode = sum(token.cycles for token in self.tokens if token.phase == "decode")
        if decode != self.decode_cycles:
            found.append(f"decode steps take {decode} clocks, not {self.decode_cycles}")
        return found


def total_of(parts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """The sum of mappings of counts, keys in order of first appearance."""
    total: dict[str, int] = {}
    for part in parts:
        for name, value in part.items():
            total[name] = total.get(name, 0) + value
    return total
