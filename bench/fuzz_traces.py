"""Mutate traces at random and see that every one is read or refused, never with another exception.

    python bench/fuzz_traces.py [--mutations 10000] [--seed 0]

Prints what happened to the mutated files; exit 1 if one raised anything but InputError.
"""

from __future__ import annotations

import argparse
import gzip
import random
import re
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from pimsim.errors import InputError
from pimsim.workload.trace import table
from pimsim.workload.trace.bind import runs_of, workload_of
from pimsim.workload.trace.reader import load_trace
from pimsim.workload.trace.writer import dump_trace

TRACES = Path(__file__).parent.parent / "traces"

# Text put in the place of a number, a word or a whole value.
_VALUES = (
    b"0", b"-1", b"1.5", b"1e999", b"NaN", b"99999999999999999999", b"null", b"true", b'""', b'"T"', b'"2*T-3"',
    b'"T*T"', b'"-T"', b"[]", b"{}", b'"\\ud800"', b'"step"', b'"input"', b'"lineer"', b"[[[[[[]]]]]]", b'"1.7"',
    b'{"a":1,"a":2}', b'"' + b"x" * 300 + b'"', b"1" * 5000, b"[" * 60,
)  # fmt: skip

_NUMBER = re.compile(rb"\b[0-9]{1,9}\b")
_ID = re.compile(rb'"id":"([^"]*)"')
_DEPS = re.compile(rb'"deps":\[[^]]*\]')


def mutated(data: bytes, chance: random.Random) -> bytes:
    """`data` with one to three random changes."""
    for _ in range(chance.choice((1, 1, 2, 3))):
        data = chance.choice(_MUTATIONS)(data, chance)
    return data


def _flip(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data) or 1)
    return data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :]


def _cut(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data) + 1)]


def _remove(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data) + 1)
    return data[:at] + data[at + chance.randrange(40) :]


def _lines(change: Callable[[list[bytes], random.Random], None]) -> Callable[[bytes, random.Random], bytes]:
    def mutate(data: bytes, chance: random.Random) -> bytes:
        lines = data.split(b"\n")
        change(lines, chance)
        return b"\n".join(lines)

    return mutate


def _drop(lines: list[bytes], chance: random.Random) -> None:
    del lines[chance.randrange(len(lines))]


def _double(lines: list[bytes], chance: random.Random) -> None:
    lines.insert(chance.randrange(len(lines)), chance.choice(lines))


def _swap(lines: list[bytes], chance: random.Random) -> None:
    a, b = chance.randrange(len(lines)), chance.randrange(len(lines))
    lines[a], lines[b] = lines[b], lines[a]


def _value(data: bytes, chance: random.Random) -> bytes:
    """Something else behind a random colon."""
    colons = [i for i, byte in enumerate(data) if byte == 0x3A]
    if not colons:
        return data
    at = chance.choice(colons) + 1
    ends = [end for end in (data.find(mark, at) for mark in (b",", b"}", b"\n")) if end >= 0]
    return data[:at] + chance.choice(_VALUES) + data[min(ends, default=len(data)) :]


def _number(data: bytes, chance: random.Random) -> bytes:
    """Another number in the place of one: a little more, twice as much, or one that stands elsewhere."""
    numbers = list(_NUMBER.finditer(data))
    if not numbers:
        return data
    found, other = chance.choice(numbers), chance.choice(numbers)
    value = int(found[0])
    new = chance.choice((b"%d" % (value + 1), b"%d" % (2 * value), b"%d" % (value // 2), other[0]))
    return data[: found.start()] + new + data[found.end() :]


def _slice(data: bytes, chance: random.Random) -> bytes:
    """A `take` of something, in one operator."""
    names = _ID.findall(data) or [b"x"]
    ops = [found.start() for found in _DEPS.finditer(data)]
    if not ops:
        return data
    at, size = chance.choice(ops), chance.choice((1, 64, 10**9))
    take = b'"take":{"%s":[%d,%d]},' % (chance.choice(names), chance.choice((0, 0, 3)), size)
    return data[:at] + take + data[at:]


def _dep(data: bytes, chance: random.Random) -> bytes:
    """Other dependencies for one operator: one more, or those of another."""
    names, lists = _ID.findall(data), list(_DEPS.finditer(data))
    if not lists or not names:
        return data
    found, other = chance.choice(lists), chance.choice(lists)
    more = found[0][:-1] + b',"' + chance.choice(names) + b'"]'
    return data[: found.start()] + chance.choice((other[0], more, b'"deps":[]')) + data[found.end() :]


def _key(data: bytes, chance: random.Random) -> bytes:
    """Another name for a random key, of this file or none."""
    words = data.split(b'"')
    if len(words) < 4:
        return data
    at = chance.randrange(1, len(words), 2) if len(words) > 1 else 0
    words[at] = chance.choice((chance.choice(words[1::2]), words[at] + b"x", words[at][1:], b""))
    return b'"'.join(words)


_MUTATIONS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    _flip, _cut, _remove, _lines(_drop), _lines(_double), _lines(_swap), _value, _value, _value, _key, _key, _number,
    _number, _number, _slice, _dep, _dep,
)  # fmt: skip


def outcome(path: Path) -> str:
    """What every reader makes of a file: "accepted", or "refused" with its problems; other exceptions pass."""
    try:
        trace = load_trace(path)
        table_lines = list(table.lines_of(table.overview(path)))
        assert table_lines and dump_trace(trace)
        workload_of(trace), runs_of(trace)
    except InputError as error:
        assert error.problems and all(problem.message for problem in error.problems), "an empty error"
        assert "\n" not in str(error.problems[0]), "a problem of several lines"
        return "refused"
    return "accepted"


def fuzz(mutations: int, seed: int, folder: Path, sources: list[Path]) -> tuple[Counter[str], list[str]]:
    """Outcomes of mutated files, and the tracebacks of those that raised something else."""
    chance = random.Random(seed)
    texts = [path.read_bytes() for path in sources]
    counts: Counter[str] = Counter()
    crashes: list[str] = []
    for number in range(mutations):
        packed = chance.random() < 0.2
        data = chance.choice(texts)
        if packed and chance.random() < 0.5:
            data = mutated(gzip.compress(data, mtime=0), chance)
        else:
            data = mutated(data, chance)
            data = gzip.compress(data, mtime=0) if packed else data
        path = folder / ("fuzzed.jsonl.gz" if packed else "fuzzed.jsonl")
        path.write_bytes(data)
        try:
            counts[outcome(path)] += 1
        except Exception:
            counts["crashed"] += 1
            crashes.append(f"mutation {number} of seed {seed}:\n{traceback.format_exc()}")
    return counts, crashes


def main() -> int:
    """Fuzz the traces that come with pimsim."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--mutations", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        sources = sorted(TRACES.glob("*.jsonl"))
        counts, crashes = fuzz(options.mutations, options.seed, Path(folder), sources)
    for crash in crashes[:5]:
        print(crash)
    outcomes = ", ".join(f"{count:,} {name}" for name, count in sorted(counts.items()))
    print(
        f"{options.mutations:,} mutated traces, seed {options.seed}: {outcomes} ({time.perf_counter() - start:.0f} s)"
    )
    return 1 if crashes else 0


if __name__ == "__main__":
    sys.exit(main())
