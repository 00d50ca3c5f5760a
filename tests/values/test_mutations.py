"""The values can be wrong: whatever is changed in a log, a program or a layout changes a logit, or is refused.

More than a thousand mutants of ten models and devices; `bench/values_mutations.py` makes as many as one likes, and
a table of who finds what.  What is no mutant, and why, say `log_mutants` and `plan_mutants`.
"""

from __future__ import annotations

import time
from random import Random

import numpy as np
import pytest

pytest.importorskip("ml_dtypes")
pytest.importorskip("safetensors")

from pimsim.values.machine.machine import CommandError, Machine
from tests.examples import INTERPRETED, TIMES, examples
from tests.values import log_mutants
from tests.values.mutants import Tried, mutants
from tests.values.mutations import CASES, CHANNEL, CLK, COLUMN, Case, Ints, Mutant, Run, Verdict, run_of, trial

pytestmark = pytest.mark.skipif(INTERPRETED, reason="a thousand runs, each a hundred times slower")
SEED = time.time_ns() if TIMES else 13
LEAST = 150  # mutants of each of the ten: more than a thousand in all


@pytest.fixture(scope="module", params=CASES, ids=lambda case: case.name)
def run(request: pytest.FixtureRequest) -> Run:
    """A model on a device, without a fault."""
    case: Case = request.param
    return run_of(case)


def test_every_mutant_is_found(run: Run) -> None:
    tried, survivors = 0, []
    for each in mutants(run, Random(SEED), of_log=examples(1), of_plan=examples(1)):
        verdict, _ = trial(run, each.mutant)
        tried += 1
        if each.survives(verdict):
            survivors.append(f"{each.mutant.kind}: {each.mutant.what}: {verdict}")
    assert not survivors, f"seed {SEED}: " + "\n".join(survivors)
    assert tried >= LEAST


def test_what_is_no_mutant_is_accepted(run: Run) -> None:
    """The log as it was gives the same logits, in every step, and breaks no rule."""
    assert trial(run, Mutant("log", "none", "as it was", run.log.copy())) == (Verdict("", ""), "")
    assert sorted(run.logits) == [context for context, _, _ in run.steps]
    assert len(set(run.logits.values())) == len(run.steps)


def test_an_empty_log_is_refused(run: Run) -> None:
    with pytest.raises(CommandError, match="the log ends before"):
        run.carry_out(run.log[:0])


class Deaf(Machine):
    """A machine that carries out commands at the addresses that it expects, whatever the log says."""

    def __init__(self, expected: Ints, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        self._expected = expected

    def append(self, clk: Ints, channel: Ints, command: Ints, bank: Ints, row: Ints, column: Ints) -> None:
        """Carry out commands."""
        super().append(clk, channel, command, *self._expected[:, 3:].T)


@pytest.mark.parametrize("kind", ["a product in another column", "all of an opened row in another row",
                                  "a column written in another column"])  # fmt: skip
def test_mutants_survive_a_machine_that_ignores_addresses(run: Run, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "make", lambda *args: Deaf(run.log, *args))
    kinds = [each for each in log_mutants.kinds(run) if each.name.startswith(kind)]
    assert kinds or kind.startswith("a column written")  # some devices write K and V in all banks at once only
    for each in kinds:
        for mutant in _some(run, each, 3):
            found, said = trial(run, mutant)
            assert found.by in ("", "checker"), f"{mutant.what}: {found}"
            assert Tried(mutant, "values").survives(found), said


def test_without_the_checker_a_refresh_may_be_missing(run: Run) -> None:
    """Why the verdict is the machine's and the checker's: a refresh moves no number."""
    kind = next(kind for kind in log_mutants.kinds(run) if kind.name == "a refresh dropped")
    for mutant in _some(run, kind, 3):
        assert mutant.log is not None
        run.carry_out(mutant.log)  # raises nothing: the logits are the same
        assert run.violations(mutant.log)


def test_a_machine_that_works_with_other_weights_is_seen(run: Run) -> None:
    """A bit of one weight's exponent changes the logits."""
    random, image = np.random.default_rng(5), run.image.words
    name = sorted(run.plan.memory.matrices)[0]
    layout, base = run.plan.memory.matrices[name], run.plan.memory.regions[name].bases[0]
    for _ in range(3):
        output, element = (int(random.integers(n)) for n in (layout.outputs, layout.inputs))  # type: ignore[attr-defined]
        at = run.image.at(layout.locate(np.array([output]), np.array([element])), base)
        before = image.reshape(-1)[at].copy()
        image.reshape(-1)[at] ^= 0x4000  # of the exponent
        try:
            assert trial(run, Mutant("layout", "a bit", f"{name}[{output}, {element}]"))[0].by == "logits"
        finally:
            image.reshape(-1)[at] = before


def _some(run: Run, kind: log_mutants.Kind, count: int) -> list[Mutant]:
    made = (log_mutants.mutant(run, kind, Random(seed)) for seed in range(count * 3))
    return [mutant for mutant in made if mutant is not None][:count]


def test_a_refusal_says_where(run: Run) -> None:
    log = run.log.copy()
    at = next(i for i, carried in enumerate(run.carried) if carried.means and run.log[i, COLUMN] >= 0)
    log[at, CHANNEL] = run.plan.device.channels
    said = rf"clock {log[at, CLK]}, channel {log[at, CHANNEL]}: .* no such command, or it goes to a channel"
    with pytest.raises(CommandError, match=said):
        run.carry_out(log)
