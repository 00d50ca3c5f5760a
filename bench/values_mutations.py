"""Faults in logs, programs and layouts, and who finds them: python bench/values_mutations.py [TIMES] [SEED] [--write].

Ten tiny models on PIM-GPT, AiM and LPDDR5X-PIM, and of each kind of mutant TIMES (default 10):
`tests.values.mutations` says what they are.  Prints a table by kind: how many the machine refused, how many changed a
logit, how many only the checker of the timing table found, and how many the checker finds at all, whoever found them
first; then the words of the refusals.  --write puts the table into docs/values-mutations.part.md.  The exit status is
1 if one survives; each of these is printed with its seed.
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from multiprocessing import get_context
from pathlib import Path
from random import Random
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.values.mutants import mutants  # noqa: E402
from tests.values.mutations import CASES, run_of, trial  # noqa: E402

PAGE = ROOT / "docs" / "values-mutations.part.md"
BEGIN, END = "<!-- made by bench/values_mutations.py -->", "<!-- until here -->"
SOURCES = {"log": "Logs", "program": "Programs", "layout": "Layouts"}


class Row(NamedTuple):
    """What happened to one mutant."""

    source: str
    kind: str
    by: str
    words: str
    checker: bool
    survives: bool
    told: str


def tried(job: tuple[int, int, int]) -> list[Row]:
    """The mutants of one model: its number, how many of each kind, a seed."""
    number, times, seed = job
    run = run_of(CASES[number], seed=seed % 1000)
    rows = []
    for each in mutants(run, Random(seed), times, times):
        verdict, said = trial(run, each.mutant, also_checker=True)
        mutant = each.mutant
        kind, _, detail = mutant.kind.partition(" (")
        told = f"{run.case.name}, seed {seed}: {kind} ({detail}: {mutant.what}: {verdict.words}"
        rows.append(Row(mutant.source, kind, verdict.by, verdict.words, bool(said), each.survives(verdict), told))
    return rows


def table(rows: list[Row]) -> Iterator[str]:
    """Markdown, a row for each kind."""
    for source, name in SOURCES.items():
        mine = [row for row in rows if row.source == source]
        yield f"| {name} | mutants | refused | a logit changes | only the checker | the checker, too | survive |"
        yield "|---|---:|---:|---:|---:|---:|---:|"
        for kind in sorted({row.kind for row in mine}):
            yield _line(kind, [row for row in mine if row.kind == kind])
        yield _line("**all**", mine)
        yield ""


def _line(kind: str, rows: list[Row]) -> str:
    by = Counter(row.by for row in rows)
    numbers = (len(rows), by["refused"], by["logits"], by["checker"],
               sum(row.checker and row.by != "checker" for row in rows), sum(row.survives for row in rows))  # fmt: skip
    return f"| {kind} | {' | '.join(f'{number:,}' for number in numbers)} |"


def words(rows: list[Row]) -> Iterator[str]:
    """How the machine refuses, the most frequent words first."""
    yield "| What the machine says | mutants |"
    yield "|---|---:|"
    found = Counter(row.words for row in rows if row.by == "refused")
    for said, count in found.most_common():
        yield f"| {said} | {count:,} |"


def main(arguments: list[str]) -> int:
    """Try them, a model in each process, two at a time."""
    numbers = [int(argument) for argument in arguments if not argument.startswith("-")]
    times, seed = (numbers + [10, 13][len(numbers) :])[:2]
    rows: list[Row] = []
    with get_context("fork").Pool(2) as pool:
        for number, found in enumerate(pool.imap(tried, [(n, times, seed + n) for n in range(len(CASES))])):
            rows += found
            print(f"{CASES[number].name}: {len(found):,} mutants", file=sys.stderr, flush=True)
    lines = [*table(rows), *words(rows)]
    print("\n".join(lines))
    for row in rows:
        if row.survives:
            print(f"SURVIVES {row.told}")
    if "--write" in arguments:
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
        after = rest.partition(END)[2]
        PAGE.write_text("\n".join([f"{before}{BEGIN}", "", *lines, "", f"{END}{after}"]), encoding="utf-8")
    survivors = defaultdict(int, Counter(row.survives for row in rows))[True]
    print(f"\n{len(rows):,} mutants, {survivors} survive")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
