"""When an instruction may start, and what the ASIC does when, in plain Python.

The readable twin of `compiled`, which is what runs; `tests/agreement` compares the two on
random graphs.  What a program of the channels does is not its business: `carry_out` says
when its results are there.

`paper`: an instruction starts when all before it are done.  `overlap`: when those that it
waits for are.

The ASIC has three parts that work side by side: its units, and the read port and the write
port of its SRAM.  Each serves one instruction at a time, clock by clock: every clock goes to
the earliest instruction of the program that has work there by then, and none goes by unused
while there is any.  So an instruction is placed once, in the first clocks that those before
it leave free, and none after it changes that.

- Work that needs its whole input has all of it there when it may start.
- Work that streams takes the results of the channels portion by portion: the first when the
  first complete results are there (or the first partial sums that there is something to add
  to), the last when all are and all else that it waits for is done.  In between, results
  arrive evenly, in the equal parts that `work.Work` explains.
- What is outside of the device, its links or another machine, works beside the ASIC's units, and takes its operands
  from the SRAM as they do.
- The results of a program are stored, and the vectors that it is sent are read, by the
  ports; it is done when they are, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from pimsim.mapping.instructions import LANE, START, Instruction


class Moments(NamedTuple):
    """Of a program: its start; its first partial sums, complete results and results of the last part; its end."""

    begin: int
    partial: int
    complete: int
    last: int
    end: int


class Server:
    """A part of the ASIC, and the clocks that are taken of it."""

    def __init__(self) -> None:
        self.taken: set[int] = set()

    def serve(self, ready: int, clocks: int) -> list[int]:
        """Take the first free clocks from `ready` on."""
        served: list[int] = []
        while len(served) < clocks:
            if ready not in self.taken:
                served.append(ready)
            ready += 1
        self.taken.update(served)
        return served


class Asic:
    """The units and the ports, and the clocks at which the units worked for the latest instruction."""

    def __init__(self) -> None:
        self.units = Server()
        self.outside = {"link": Server(), "machine": Server()}
        self.ports = (Server(), Server())
        self.worked: list[int] = []

    def move(self, ready: int, clocks: Sequence[int]) -> int:
        """Use the ports from `ready` on; when both are done."""
        served = [port.serve(ready, n) for port, n in zip(self.ports, clocks, strict=True)]
        return max([ready, *(taken[-1] + 1 for taken in served if taken)])

    def work(self, ready: int, clocks: int, place: str = "") -> int:
        """Use the units, or what is outside at a place, from `ready` on; when they are done."""
        self.worked += (served := self.outside.get(place, self.units).serve(ready, clocks))
        return served[-1] + 1 if served else ready


def carry_out_part(
    instructions: Sequence[Instruction],
    asic: Asic,
    latest: Moments,
    accounted: int,
    serial: bool,
    carry_out: Callable[[int, int], Moments],
    watch: Callable[[int, Moments], None] = lambda i, moments: None,
    lanes: dict[str, int] | None = None,
) -> tuple[Moments, int]:
    """One copy of a part of a step; the moments of its last instruction, and the clocks accounted for.

    latest: the moments of what came before.  carry_out(i, start): when the program of
    instruction i makes its results.  watch(i, moments) is called after each instruction.
    lanes: the end of the last instruction of each sub-batch, by what its keys end with; it is brought up to date.  A
    sub-batch begins where its own work of the copy before ends, whatever others still do.
    """
    moments: list[Moments] = []
    place: dict[str, int] = {}
    lanes = {} if lanes is None else lanes
    for i, instruction in enumerate(instructions):
        waits = [
            moments[place[key]].end if key in place else lanes.get(key.removeprefix(START), latest.end)
            for key in instruction.after
        ]
        start = accounted if serial else max(waits)
        asic.worked = []
        if instruction.work is not None:
            done = carry_out(i, start)
            done = done._replace(end=max(done.end, asic.move(start, instruction.ports)))
        elif instruction.tail is None:
            end = max(asic.work(start, instruction.clocks, instruction.place), asic.move(start, instruction.ports))
            done = _asic_moments(asic, end)
        else:
            done = _stream(instructions, instruction, place, moments, waits, asic, start)
        moments.append(done)
        place[instruction.key] = i
        accounted = max(accounted, done.end)
        watch(i, done)
    lanes |= {LANE + key.partition(LANE)[2]: moments[i].end for key, i in place.items() if LANE in key}
    return moments[-1], accounted


def _asic_moments(asic: Asic, end: int) -> Moments:
    begin = asic.worked[0] if asic.worked else end
    return Moments(begin, begin, begin, begin, end)


def _stream(
    instructions: Sequence[Instruction],
    instruction: Instruction,
    place: dict[str, int],
    moments: Sequence[Moments],
    waits: Sequence[int],
    asic: Asic,
    start: int,
) -> Moments:
    """Work on results as they arrive; what it reads besides them is there as a whole first."""
    assert instruction.tail is not None
    places = instruction.feed.places
    whole = [place[key] for key in instruction.after if key in place]
    whole = [j for j in whole if j != places[-1] and instructions[j].feed.places[-1:] != places[-1:]]
    before = [end for key, end in zip(instruction.after, waits, strict=True) if key not in place]
    floor = max([moments[j].end for j in whole] + before, default=0)
    arrivals = list(_arrivals(instruction, [moments[j] for j in places]))
    flow, gaps = instruction.clocks - instruction.tail, len(arrivals) - 1
    done, ready, end = 0, floor, start
    for n, arrival in enumerate(arrivals, 1):
        ready = max(ready, arrival, start if n > gaps else 0)
        until = instruction.clocks if n > gaps else -(-n * flow // gaps)
        if until > done:
            end = asic.work(ready, until - done)
        done = until
    last = [clocks * instruction.tail // instruction.clocks for clocks in instruction.ports]
    flowing = [clocks - kept for clocks, kept in zip(instruction.ports, last, strict=True)]
    asic.move(max(floor, arrivals[0]), flowing)
    return _asic_moments(asic, max(end, asic.move(start, last)))


def _arrivals(instruction: Instruction, programs: Sequence[Moments]) -> Iterator[int]:
    """When each portion of the results is there."""
    portions, early = instruction.portions, (instruction.feed.parts - 1) * instruction.portions
    for program in programs:
        first = program.complete if instruction.feed.complete else program.partial
        for j in range(early):
            yield first + (program.last - first) * j // early
        for j in range(portions):
            yield program.last + (program.end - program.last) * j // (portions - 1) if portions > 1 else program.end
