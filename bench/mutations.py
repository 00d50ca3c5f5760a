"""Every constraint of every timing table, off by one clock: python bench/mutations.py [STANDARD].

Each mutant is the whole program with one row of one table a clock longer or shorter.  It
meets the tests that expect clocks written down without the table: by hand, by formula, or
golden figures of reference simulators.  Prints a line per row with the test that caught
each mutant; the exit status is 1 if one survives.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from pimsim.devices.aim import HARDWARE as AIM  # noqa: E402
from pimsim.devices.aim import table as aim  # noqa: E402
from pimsim.devices.gddr6 import table as gddr6  # noqa: E402
from pimsim.devices.hbm2_pim import table as hbm2_pim  # noqa: E402
from pimsim.devices.hbm3 import table as hbm3  # noqa: E402
from pimsim.devices.lpddr5x import table as lpddr5x  # noqa: E402
from pimsim.devices.lpddr5x_pim import table as lpddr5x_pim  # noqa: E402
from pimsim.devices.pim_gpt import HARDWARE as PIM_GPT  # noqa: E402
from pimsim.devices.pim_gpt import table as gddr6_pim  # noqa: E402
from pimsim.dram.spec import Standard  # noqa: E402

TABLES = {
    "gddr6-pim": (
        gddr6_pim.STANDARD,
        tuple(f"tests/device_timings/test_gddr6_pim_{name}.py" for name in ("gaps", "timings")),
    ),
    "gddr6": (gddr6.STANDARD, tuple(f"tests/device_timings/test_{name}.py" for name in ("gddr6_gaps", "gaps"))),
    "gddr6-pim-masked": (
        PIM_GPT.masked_table,
        ("tests/device_timings/test_masked_writes.py",),
    ),
    "gddr6-pim-formats": (
        PIM_GPT.table_for(pairs=("bf16xbf16", "int4xint8", "int8xbf16")),
        ("tests/formats/test_formats_commands.py",),
    ),
    "gddr6-pim-several": (PIM_GPT.table_for(units=(1, 2, 4, 1)), ("tests/sharing/test_sharing_table.py",)),
    "gddr6-pim-turns": (PIM_GPT.table_for(units=(2, 1, 1, 1)), ("tests/sharing/test_sharing_table.py",)),
    "gddr6-pim-buffers": (PIM_GPT.table_for(units=(1, 2, 4, 2)), ("tests/sharing/test_sharing_buffers.py",)),
    "aim": (aim.STANDARD, ("tests/aim/test_tables.py",)),
    "aim-masked": (AIM.masked_table, ("tests/device_timings/test_masked_writes.py",)),
    "aim-reference": (aim.REFERENCE, ("tests/aim/test_tables.py",)),
    "lpddr5x": (lpddr5x.STANDARD, tuple(f"tests/device_timings/test_{name}.py" for name in ("lpddr5x_gaps", "gaps"))),
    "lpddr5x-pim": (
        lpddr5x_pim.STANDARD,
        tuple(f"tests/device_timings/test_{name}.py" for name in ("lpddr5x_pim_gaps", "gaps")),
    ),
    "hbm3": (hbm3.STANDARD, tuple(f"tests/device_timings/test_{name}.py" for name in ("hbm3_gaps", "gaps"))),
    "hbm2-pim": (
        hbm2_pim.STANDARD,
        tuple(f"tests/device_timings/test_{name}.py" for name in ("hbm2_pim_gaps", "gaps")),
    ),
}


@dataclass(frozen=True)
class Mutant:
    """Row `row` of a table, `change` clocks off."""

    table: str
    row: int
    change: int


class FirstFailure:
    """A pytest plugin that remembers the first test that fails."""

    name = ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and not self.name:
            self.name = report.nodeid.rpartition("/")[2].partition("[")[0]


def mutate(standard: Standard, row: int, change: int) -> None:
    """Change the row in place, for everything that has a reference to it."""
    constraint = standard.constraints[row]
    object.__setattr__(constraint, "latency", f"{constraint.latency} {'+' if change > 0 else '-'} {abs(change)}")


def trial(mutant: Mutant) -> str:
    """The test that catches the mutant, "" if none does; runs in a process of its own."""
    standard, tests = TABLES[mutant.table]
    if mutant.change:
        mutate(standard, mutant.row, mutant.change)
    first = FirstFailure()
    os.chdir(ROOT)
    with contextlib.redirect_stdout(io.StringIO()):
        pytest.main(["-x", "-q", "-p", "no:cacheprovider", *tests], plugins=[first])
    return first.name


def mutants(tables: list[str]) -> Iterator[Mutant]:
    """Every row of the tables, a clock longer and a clock shorter; of one that adds to another those that are new."""
    for table in tables:
        standard = TABLES[table][0]
        known = [] if table == standard.name else TABLES[standard.name][0].constraints
        for number, row in enumerate(standard.constraints):
            if row not in known:
                yield from (Mutant(table, number, 1), Mutant(table, number, -1))


def describe(mutant: Mutant) -> str:
    """The row in words."""
    c = TABLES[mutant.table][0].constraints[mutant.row]
    before, after = (names[0] + (f" (+{len(names) - 1})" if names[1:] else "") for names in (c.preceding, c.following))
    return f"{mutant.table:13} {c.level:10} {before} -> {after}: {c.latency} {mutant.change:+d}"


def main(*tables: str) -> int:
    """Try every mutant, two at a time, each in a process of its own."""
    chosen = list(tables or TABLES)
    everything = list(mutants(chosen))
    survivors = 0
    with get_context("fork").Pool(2, maxtasksperchild=1) as pool:
        for table in chosen:  # tests that fail by themselves catch nothing
            if failed := pool.apply(trial, (Mutant(table, 0, 0),)):
                print(f"{table}: {failed} fails without a mutation")
                return 1
        for mutant, caught in zip(everything, pool.imap(trial, everything), strict=True):
            survivors += not caught
            print(f"{describe(mutant):78} {caught or 'SURVIVES'}", flush=True)
    print(f"{len(everything)} mutants, {survivors} survivors")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
