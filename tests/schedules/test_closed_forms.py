"""What each mechanism multiplies, reads and writes, by arithmetic on sizes alone (PIM-GPT's device).

A bank has a column of 16 elements: of K a token's head takes ceil(head_dim / 16) columns, of V every dimension one
for 16 tokens, in units of 16 dimensions of a head, one for each bank.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import floor
from typing import Any

import pytest

from pimsim import InputError, api
from pimsim.results.result import Result
from tests.schedules.traces import (
    AIM,
    TINY,
    TREES,
    Line,
    attention,
    cross,
    decode,
    group,
    hybrid,
    loaded,
    mixing,
    model,
    of_tree,
    prefill,
    ssm,
    template,
)

BYTES, COLUMN = 2, 16


def up(a: int, b: int = COLUMN) -> int:
    return -(-a // b)


@dataclass(frozen=True)
class Sizes:
    """A model, and what it takes of memory for a token, a sequence and a layer."""

    of: Line
    batch: int = 1

    @property
    def key_columns(self) -> int:
        return self.of["kv_heads"] * up(self.of["head_dim"])

    @property
    def value_columns(self) -> int:
        return self.key_columns * COLUMN  # dimensions, padded to banks

    @property
    def vector(self) -> int:
        """Elements of K, or of V, of a token."""
        return self.of["kv_heads"] * self.of["head_dim"]

    @property
    def queries(self) -> int:
        return self.of["heads"] * self.of["head_dim"]

    @property
    def linears(self) -> int:
        """Columns of every bank that a vector is multiplied with, in a block."""
        d, ff, q = self.of["d_model"], self.of["d_ff"], self.queries
        return sum(up(n) * up(m) for n, m in ((d, q + 2 * self.vector), (q, d), (d, ff), (ff, d)))

    def seen(self, slots: int) -> int:
        """Columns of every bank that q K^T (or p V) over so many slots of one cache takes."""
        return self.of["heads"] // self.of["kv_heads"] * self.key_columns * up(slots)


SMALL = Sizes(TINY)
SIZES = [SMALL, Sizes(model(head_dim=24), 2), Sizes(model(kv_heads=4, layers=3), 3)]
OF = pytest.mark.parametrize("of", SIZES, ids=["small", "wide heads", "three sequences"])


def run(lines: Sequence[Line], of: Sizes = SMALL, **keys: Any) -> Result:
    """A run without refreshes."""
    given = {"dram.channels": 4, "dram.refresh": "none"} | {k.replace("__", "."): v for k, v in keys.items()}
    return api.run(api.prepare(loaded(lines, given, of=of.of)))


def total(result: Result, operator: str, what: str) -> int:
    """A count of all rows of an operator: of a command, or of a column."""
    rows = [row for row in result.tally.rows if row.operator == operator]
    return sum(row.commands[what] if what.isupper() else getattr(row, what) for row in rows)


@dataclass
class Expected:
    """What a run comes to, for one sequence and one layer."""

    of: Sizes
    tokens: int = 0  # that products multiply
    written: int = 0  # tokens of K and V
    scored: int = 0  # tokens that a token attends to
    columns: int = 0  # of every bank: q K^T
    weighed: int = 0  # of every bank: p V
    moved: tuple[int, int] = (0, 0)  # columns of K and of V that are copied
    carried: int = 0  # elements in them

    def step(self, attended: Iterable[int], slots: Iterable[int], written: int | None = None) -> Expected:
        """A step whose tokens attend to so many of so many slots."""
        attended, slots = list(attended), list(slots)
        self.tokens += len(attended)
        self.written += len(attended) if written is None else written
        self.scored += sum(attended)
        self.columns += sum(map(self.of.seen, slots))
        self.weighed += sum(map(self.of.seen, slots))
        return self

    def causal(self, end: int, tokens: int) -> Expected:
        """A step of tokens up to a context, each of which sees those before it."""
        seen = range(end - tokens + 1, end + 1)
        return self.step(seen, seen)

    def check(self, result: Result) -> None:
        """Every count of a run."""
        of, each = self.of, self.of.of["layers"] * self.of.batch
        for name, columns in (("key_append", of.key_columns), ("value_append", of.value_columns)):
            assert total(result, name, "WR") == each * self.written * columns, name
            assert total(result, name, "payload_bytes") == each * self.written * of.vector * BYTES, name
        for name in ("scores", "values"):
            assert total(result, name, "macs") == each * self.scored * of.queries, name
        assert total(result, "scores", "MACAB") == each * self.columns
        assert total(result, "values", "MACAB") == each * self.weighed
        for name, command in (("copy_read", "RD"), ("copy_write", "WR")):
            assert total(result, name, command) == each * sum(self.moved), name
            assert total(result, name, "payload_bytes") == each * self.carried * BYTES, name
        commands = Counter(result.tally.commands)
        assert commands["MACAB"] == each * (self.tokens * of.linears + self.columns + self.weighed)
        assert commands["RD"] == each * sum(self.moved)
        appended = self.written * (of.key_columns + of.value_columns)
        assert commands["WR"] == each * (appended + sum(self.moved))


def mixed(of: Sizes, **keys: Any) -> list[Line]:
    """A template with such an attention."""
    lines = template(mixer=mixing(of.of, attention(of.of, **keys)), of=of.of)
    return [{key: value for key, value in line.items() if key != "model"} for line in lines]  # the header's


@OF
@pytest.mark.parametrize("mean", [1, 1.25, 1.6, 2.32, 3])
def test_chunks_that_keep_some(of: Sizes, mean: float) -> None:
    """Rejected tokens are written as well, and written over."""
    accept = {"mean": mean}
    lines = [*mixed(of), decode(9, "kept+31", 3, of.batch, accept=accept, cycle="c")]
    expected, kept = Expected(of), 0
    for n in range(9):
        expected.causal(31 + kept, 3)
        kept = floor(Fraction(str(mean)) * (n + 1))
    result = run(lines, of)
    expected.check(result)
    assert result.summary["workload"]["tokens_run"] == 9 * 3 * of.batch
    assert result.summary["workload"]["tokens_kept"] == kept * of.batch
    assert floor(9 * Fraction(str(mean))) == kept


# of each tree: tokens on the path to each node, and nodes of the kept path
PATHS = {"wide": ((1, 1, 1), (0,)), "fork": ((1, 2, 2, 3), (0, 2, 3)), "deep": ((1, 2, 3, 2, 3, 3, 4), (0, 3, 5, 6)),
         "roots": ((1, 1, 2, 2, 3, 3), (1, 2, 4))}  # fmt: skip


@OF
@pytest.mark.parametrize("name", TREES)
def test_trees_score_their_paths_and_move_what_they_keep(of: Sizes, name: str) -> None:
    deep, path = PATHS[name]
    expected = Expected(of)
    for step in range(3):
        before = len(path) * step + 40 - len(deep)
        slots = range(before + 1, before + len(deep) + 1)
        expected.step([before + depth for depth in deep], slots)
    moved = 3 * sum(node != at for at, node in enumerate(path))
    expected.moved = (moved * of.key_columns, moved * of.value_columns)
    expected.carried = moved * 2 * of.vector
    expected.check(run([*mixed(of), of_tree(name, B=of.batch)], of))


@OF
def test_a_block_scores_all_of_its_step(of: Sizes) -> None:
    lines = [*mixed(of, mask="block"), prefill(21, of.batch), decode(3, "3*step+24", 3, of.batch)]
    expected = Expected(of).step([21] * 21, [21] * 21)
    for end in (24, 27, 30):
        expected.step([end] * 3, [end] * 3)
    expected.check(run(lines, of))


@OF
def test_queries_alone_write_nothing(of: Sizes) -> None:
    lines = [*mixed(of, append=False), decode(3, "2*step+31", 2, of.batch)]
    expected = Expected(of)
    for end in (31, 33, 35):
        expected.step([end] * 2, [end] * 2, written=0)
    expected.check(run(lines, of))


@OF
def test_sinks_and_a_window_are_all_that_is_seen(of: Sizes) -> None:
    lines = [*mixed(of, window=20, sinks=3), decode(30, "step+10", B=of.batch)]
    expected = Expected(of)
    for end in range(10, 40):
        expected.step([min(end, 23)], [min(end, 23)])
    expected.check(run(lines, of))


@OF
@pytest.mark.parametrize(("length", "slope", "more"), [("T-8", 1, -8), (20, 0, 20)])
def test_other_lengths(of: Sizes, length: str | int, slope: int, more: int) -> None:
    lines = [*mixed(of, head_groups=[group(of.of, length)]), decode(6, "step+31", B=of.batch)]
    expected = Expected(of)
    for end in range(31, 37):
        expected.step([slope * end + more], [slope * end + more])
    expected.check(run(lines, of))


def forked(of: Sizes, at: int, fork: int, steps: int) -> Expected:
    """A prompt, and sequences of which all but the first read its whole columns where they lie."""
    expected = Expected(Sizes(of.of))
    for end in range(1, at + 1):
        expected.causal(end, 1)
    whole = at - at % COLUMN
    for end in range(at + 1, at + steps + 1):
        expected.causal(end, 1)
        for _ in range(fork - 1):
            expected.step([end], [])
            expected.columns += of.seen(at) + of.seen(end - whole)
            expected.weighed += of.seen(whole) + of.seen(end - whole)
    if at % COLUMN:
        expected.moved = (0, (fork - 1) * of.value_columns)
        expected.carried = (fork - 1) * (at % COLUMN) * of.vector
    return expected


@pytest.mark.parametrize("of", [Sizes(each.of) for each in SIZES], ids=["small", "wide heads", "three layers"])
@pytest.mark.parametrize("fork", [2, 3])
@pytest.mark.parametrize("at", [15, 16, 21, 32])
def test_a_fork_copies_the_column_that_is_partly_filled(of: Sizes, at: int, fork: int) -> None:
    lines = [*mixed(of), prefill(at), decode(4, f"step+{at + 1}", B=fork, fork=fork)]
    forked(of, at, fork, 4).check(run(lines, of))


@pytest.mark.parametrize("of", [Sizes(each.of) for each in SIZES], ids=["small", "wide heads", "three layers"])
@pytest.mark.parametrize("reorder", [1, 1.5, 0.4, 3])
@pytest.mark.parametrize("at", [16, 21])
def test_hypotheses_that_move_take_what_is_new(of: Sizes, at: int, reorder: float) -> None:
    """Before step n the hypotheses that move copy n - 1 tokens; those of V that share a column go together."""
    steps, fork = 14, 3
    lines = [*mixed(of), prefill(at), decode(steps, f"step+{at + 1}", B=fork, fork=fork, reorder=reorder)]
    expected = forked(of, at, fork, steps)
    keys, values = expected.moved
    each = Fraction(str(reorder))
    for n in range(1, steps + 1):
        moving = floor(each * n) - floor(each * (n - 1))
        tokens = n - 1
        columns = len({(at + token) // COLUMN for token in range(tokens)})
        keys += moving * tokens * of.key_columns
        values += moving * columns * of.value_columns
        expected.carried += moving * tokens * 2 * of.vector
    expected.moved = (keys, values)
    expected.check(run(lines, of))


def test_a_cross_cache_is_written_once() -> None:
    """20 vectors of a source give K and V in the first step; the decoder's own are written token by token."""
    source, batch = 20, 2
    lines = [*cross("first", "x", source, first=True), *cross("decode", "x", source)]
    lines += [decode(1, 1, B=batch, of="first"), decode(4, "step+2", B=batch)]
    result = run(lines)
    each = TINY["layers"] * batch
    written = source + 5
    assert total(result, "key_append", "WR") == each * written * SMALL.key_columns
    assert total(result, "value_append", "WR") == each * written * SMALL.value_columns
    seen = [*(source for _ in range(5)), *range(1, 6)]
    for name in ("scores", "values"):
        assert total(result, name, "macs") == each * sum(seen) * SMALL.queries
        assert total(result, name, "MACAB") == each * sum(map(SMALL.seen, seen))
    for name in ("ck", "cv"):
        assert total(result, name, "MACAB") == each * source * up(32) * up(32)
    assert total(result, "cq", "MACAB") == each * 5 * up(32) * up(64)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("mixer", ["ssm", "hybrid"])
def test_states_move_whole_for_every_token(mixer: str, batch: int) -> None:
    """32 channels of 4 elements, and 2 columns of 32: for each token, kept or not, read once and written once."""
    lines = [*template(mixer=ssm() if mixer == "ssm" else hybrid()), prefill(5, batch)]
    lines += [decode(4, "2*step+8", 3, batch, accept=2)]
    result = run(lines)
    updates = TINY["layers"] * batch * (5 + 4 * 3)
    for name, command in (("state_read", "RD"), ("state_write", "WR")):
        assert total(result, name, "payload_bytes") == updates * (32 * 4 + 2 * 32) * BYTES
        assert total(result, name, command) == updates * (up(32 * 4) + up(2 * 32))
    assert result.summary["workload"]["tokens_kept"] == 4 * 2 * batch


def test_states_go_with_the_sequences_that_are_forked() -> None:
    result = run([*template(mixer=ssm()), prefill(5), decode(3, "step+6", B=3, fork=3)])
    for name, command in (("copy_read", "RD"), ("copy_write", "WR")):
        assert total(result, name, "payload_bytes") == TINY["layers"] * 2 * (32 * 4 + 2 * 32) * BYTES
        assert total(result, name, command) == TINY["layers"] * 2 * (up(32 * 4) + up(2 * 32))


def test_states_in_the_sram_move_nothing() -> None:
    result = run([*template(mixer=ssm(state="sram")), prefill(5), decode(3, "step+6")])
    assert result.tally.commands["RD"] == result.tally.commands["WR"] == 0


@pytest.mark.parametrize("layers", [1, [1], [0, 1], 2])
def test_layers_that_do_not_run_take_nothing(layers: Any) -> None:
    ran = layers if isinstance(layers, int) else len(layers)
    expected = Expected(Sizes(model(layers=ran)))
    for end in range(31, 35):
        expected.causal(end, 1)
    expected.check(run([*mixed(SMALL), decode(4, "step+31", layers=layers)]))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_sampled_steps_keep_as_many_as_their_chances_say(seed: int) -> None:
    """Of 400 steps one token is kept in half, two in a quarter, three in a quarter: within 4 deviations of that."""
    lines = [*mixed(SMALL), decode(400, "step+31", 3, accept={"positions": [0.5, 0.25]})]
    keys = {"workload__acceptance": "sampled", "workload__acceptance_seed": seed}
    chances = {1: 0.5, 2: 0.25, 3: 0.25}
    mean = sum(n * p for n, p in chances.items())
    deviation = (400 * (sum(n * n * p for n, p in chances.items()) - mean * mean)) ** 0.5
    assert abs(run(lines, **keys).summary["workload"]["tokens_kept"] - 400 * mean) < 4 * deviation


@pytest.mark.parametrize("at", [16, 17, 21, 31])
def test_a_fork_on_aim_copies_whole_columns(at: int) -> None:
    """Bank by bank, where a column has several tokens; one alone is an element of each of 16 banks, in one command."""
    given = {"dram.channels": 4, "dram.refresh": "none"}
    lines = [*mixed(SMALL), prefill(at), decode(4, f"step+{at + 1}", B=3, fork=3)]
    result = api.run(api.prepare(loaded(lines, given, AIM)))
    columns = TINY["layers"] * 2 * SMALL.key_columns  # of every bank, of two new sequences
    assert total(result, "copy_read", "RD") == (columns * COLUMN if at % COLUMN else 0)
    assert total(result, "copy_write", "WRA16") == (columns if at % COLUMN == 1 else 0)
    assert total(result, "copy_write", "WR") == (columns * COLUMN if at % COLUMN > 1 else 0)
    for name in ("copy_read", "copy_write"):
        assert total(result, name, "payload_bytes") == TINY["layers"] * 2 * (at % COLUMN) * SMALL.vector * BYTES


def test_a_tree_whose_tokens_come_before_what_they_follow_is_refused() -> None:
    with pytest.raises(InputError) as caught:
        run([*mixed(SMALL), decode(2, "step+31", 3, tree=[2, 0, -1], accept=1)])
    (problem,) = caught.value.problems
    assert problem.key == "tree.0" and problem.line == len(mixed(SMALL)) + 2
    assert problem.message.startswith("2 stands behind 0;")


def test_a_tree_in_a_window_is_seen_by_depth() -> None:
    """Of four tokens the last four positions are seen, whatever else is in the ring."""
    lines = [*mixed(SMALL, window=4, sinks=1), of_tree("deep")]
    deep, path = PATHS["deep"]
    expected = Expected(SMALL)
    for step in range(3):
        before = len(path) * step + 40 - len(deep)
        expected.step([min(before + depth, 5) for depth in deep], [5] * len(deep))
    result = run(lines)
    for name in ("scores", "values"):
        assert total(result, name, "macs") == TINY["layers"] * expected.scored * SMALL.queries
        assert total(result, name, "MACAB") == TINY["layers"] * expected.columns
