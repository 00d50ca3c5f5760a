"""Memory does not grow with the file."""

from __future__ import annotations

import gzip
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from pimsim.workload.trace.reader import Findings, checked_records
from tests.trace.traces import SMALL

LINES = 100_000
BLOCKS = 3000  # objects that may be alive at the end and were not after the first records


def _schedule() -> Iterator[str]:
    """A line for each step."""
    yield from SMALL[:4]
    for i in range(LINES):
        yield (
            f'{{"type":"schedule","phase":"decode","steps":[{i},{i}],"template":"decode",'
            f'"bindings":{{"T":{i % 60 + 1},"B":1,"Q":1}}}}'
        )


def _templates(count: int) -> Iterator[str]:
    """Templates of 501 operators each."""
    yield SMALL[0]
    for t in range(count):
        yield SMALL[1].replace('"decode"', f'"t{t}"')
        for i in range(500):
            yield SMALL[2].replace('"decode"', f'"t{t}"').replace('"qkv","scope"', f'"q{i}","scope"')
        yield SMALL[3].replace('"decode"', f'"t{t}"').replace('["qkv"]', '["q499"]')


def _write(path: Path, lines: Iterator[str]) -> Path:
    text = "".join(f"{line}\n" for line in lines).encode()
    path.write_bytes(gzip.compress(text, 1) if path.suffix == ".gz" else text)
    return path


@pytest.mark.parametrize("name", ["steps.jsonl", "steps.jsonl.gz"])
def test_no_object_of_a_hundred_thousand_lines_is_kept(tmp_path: Path, name: str) -> None:
    findings = Findings(name)
    records = checked_records(_write(tmp_path / name, _schedule()), findings)
    for _ in range(1000):
        next(records)
    early = sys.getallocatedblocks()
    count = 1000 + sum(1 for _ in records)
    assert sys.getallocatedblocks() - early < BLOCKS
    assert count == LINES + 4 and not findings.problems


def _peak(path: Path) -> int:
    findings = Findings(path.name)
    tracemalloc.start()
    try:
        for _ in checked_records(path, findings):
            pass
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        assert not findings.problems


def test_peak_memory_is_that_of_the_largest_template(tmp_path: Path) -> None:
    """Keeping every template would take twenty times the memory; when the collector runs decides the rest."""
    short, long = (_peak(_write(tmp_path / f"{count}.jsonl", _templates(count))) for count in (2, 40))
    assert long < 4 * short
    assert long < 4 << 20
