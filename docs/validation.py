"""What the validation page reports, found by running it: golden identities and random agreement."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from blocks import table
from hypothesis import settings

TESTS = Path(__file__).resolve().parent.parent / "tests"
SHARE = 20  # the build tries 1 case where `make test` tries this many

# Modules of property tests that compare readings of the same tables.
AGREEMENT = (
    "agreement.test_kernel_twin",
    "agreement.test_walks",
    "agreement.test_twin_controller",
    "agreement.test_checker",
    "agreement.test_traffic",
    "agreement.test_streams",
    "aim.test_agreement",
)


def report() -> str:
    """The tables of the page."""
    golden = table(
        ("device", "what is compared", "equal", "of"), [_programs(), _commands(), _random(), _gemv(), _gaps()]
    )
    tests = agreement()
    tried, usual = sum(row[2] for row in tests), sum(row[3] for row in tests)
    cases = table(("tests", "what holds", "this build", "`make test`"), tests)
    return (
        f"### Golden data of reference simulators\n\n{golden}\n\n### Random agreement\n\n"
        f"This build tried {tried:,} random cases without a difference; `make test` tries {usual:,}.\n\n{cases}\n"
    )


def _programs() -> tuple[Any, ...]:
    from tests.aim.test_golden import PROGRAMS, replayed

    equal = sum(replayed(name, "fast")[0] == cycles for name, cycles, _ in PROGRAMS)
    return "aim-reference", "instruction programs: cycles", equal, len(PROGRAMS)


def _commands() -> tuple[Any, ...]:
    from tests.aim import test_golden as golden

    equal = total = 0
    for name, _, count in golden.PROGRAMS:
        if count:
            log = golden.replayed(name, "fast")[1]
            wanted = golden.read_log(golden.GOLDEN / "commands" / f"{name}.csv", golden.DEVICE.standard)
            rows = zip(zip(*vars(log).values(), strict=True), zip(*vars(wanted).values(), strict=True), strict=True)
            equal += sum(ours == theirs for ours, theirs in rows)
            total += len(wanted)
    return "aim-reference", "their commands: clock, channel, command, bank, row, column", f"{equal:,}", f"{total:,}"


def _random() -> tuple[Any, ...]:
    from tests.aim.test_golden import is_golden, table

    rows = table("random.csv")
    return "aim-reference", "random programs of any masks: cycles and commands", sum(map(is_golden, rows)), len(rows)


def _gemv() -> tuple[Any, ...]:
    from tests.aim.test_golden import GEMV, machine

    equal = sum(machine().gemv(m, k, channels).cycles == cycles for m, k, channels, cycles, _ in GEMV)
    return "aim-reference", "matrix-vector products: cycles", equal, len(GEMV)


def _gaps() -> tuple[Any, ...]:
    from pimsim.dram.gaps import gaps
    from tests.device_timings.test_gaps import GOLDEN, NAMES, device

    found = gaps(device("gddr6"))
    golden = GOLDEN["GDDR6_14000_1350mV_double"]
    return "gddr6", "smallest distances of command pairs", sum(found[NAMES[k]] == golden[k] for k in NAMES), len(NAMES)


def cases() -> int:
    """How many random cases `make test` tries."""
    return sum(n for module in AGREEMENT for _, _, n in _properties(module))


def agreement() -> list[tuple[str, str, int, int]]:
    """(module, what the test says, cases tried now, cases of `make test`); an error if one disagrees."""
    import tests.examples

    usual = tests.examples.examples
    settings.register_profile("docs", derandomize=True, database=None)
    settings.load_profile("docs")
    tests.examples.examples = lambda n: usual(n) // SHARE
    try:
        return [row for module in AGREEMENT for row in _module(module)]
    finally:
        tests.examples.examples = usual


def _module(name: str) -> list[tuple[str, str, int, int]]:
    """A row for each property test of a module."""
    return [(name, _words(words), _run(test), n) for test, words, n in _properties(name)]


def _properties(name: str) -> list[tuple[Any, str, int]]:
    """The property tests of a module, but those that pytest must give parameters; with names and cases."""
    module = import_module(f"tests.{name}")
    source = (TESTS / f"{name.replace('.', '/')}.py").read_text(encoding="utf-8")
    counts = re.findall(r"max_examples=examples\((\d+)\).*?\ndef (test_\w+)", source, flags=re.DOTALL)
    tests = [(getattr(module, test), test, int(n)) for n, test in counts]
    return [found for found in tests if not _has_parameters(found[0])]


def _has_parameters(test: Any) -> bool:
    return any(mark.name == "parametrize" for mark in getattr(test, "pytestmark", ()))


def _words(test: str) -> str:
    return test.removeprefix("test_").replace("_", " ")


def _run(test: Any) -> int:
    """How many cases the property test tries; its error if one fails."""
    inner: Callable[..., None] = test.hypothesis.inner_test
    tried = 0

    def counted(*args: Any, **kwargs: Any) -> None:
        nonlocal tried
        inner(*args, **kwargs)
        tried += 1

    test.hypothesis.inner_test = counted
    test()
    return tried


if __name__ == "__main__":
    sys.path.insert(0, str(TESTS.parent))  # of a build they are there already
    print(report())
