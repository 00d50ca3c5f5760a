"""A tally that contradicts itself is refused, and says where."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pimsim.sim.course import Course
from pimsim.sim.tally import OperatorTally, Tally, TallyError, TokenTallies, TokenTally
from tests.result_samples import small_tally


def with_row(**changes: object) -> Tally:
    tally = small_tally()
    first = replace(tally.rows[0], **changes)  # type: ignore[arg-type]
    return replace(tally, rows=[first, *tally.rows[1:]])


def test_a_consistent_tally_is_returned_unchanged() -> None:
    tally = small_tally(prefill=True)
    assert tally.validate() is tally
    assert tally.decode_cycles == 1000


def test_causes_sum_over_rows_or_over_those_of_one_phase() -> None:
    tally = small_tally(prefill=True)
    assert tally.causes()["mac"] == 560
    assert tally.causes("prefill") == {"mac": 60, "activation": 40}
    assert tally.total("pin_bytes") == 3584


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cycles": 899}, "qkv: causes sum to 900 clocks, not 899"),
        ({"phase": "warmup"}, "phase is not one of"),
        ({"pin_bytes": 1999}, "payload of 2000 bytes in 1999"),
        ({"open_cycles": -1}, "open_cycles is -1"),
        ({"causes": {"mac": 901, "activation": -1}}, "activation is -1"),
        ({"commands": {"MACAB": -400}}, "MACAB is -400"),
    ],
)
def test_a_row_that_contradicts_itself_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(TallyError, match=message):
        with_row(**changes).validate()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cycles": 1001}, "cycles of all rows sum to 1000, not 1001"),
        ({"prefill_cycles": 1}, "cycles of the prefill rows sum to 0, not 1"),
        ({"commands": {"MACAB": 1}}, "MACAB of all rows sum to 400, not 1"),
        ({"tokens": TokenTallies([TokenTally("decode", 1, 1, 0, 999)])}, "decode steps take 999 clocks, not 1000"),
    ],
)
def test_rows_that_do_not_sum_to_the_total_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(TallyError, match=message):
        replace(small_tally(), **changes).validate()  # type: ignore[arg-type]


def test_two_rows_of_one_kind_and_phase_are_refused() -> None:
    empty = OperatorTally("decode", "qkv", 0, 0, {}, {}, 0)
    tally = small_tally()
    with pytest.raises(TallyError, match="decode qkv has 2 rows"):
        replace(tally, rows=[*tally.rows, empty]).validate()


def test_a_gap_between_steps_is_refused() -> None:
    tally = small_tally()
    tokens = [tally.tokens[0], replace(tally.tokens[1], start_cycle=301), tally.tokens[2]]
    with pytest.raises(TallyError, match="decode step 1 does not start"):
        replace(tally, tokens=TokenTallies(tokens)).validate()


COURSE = Course({"prefill": 1, "decode": 2}, [{0: 100}, {0: 600, 1: 300}, {0: 30, 1: 30}, {1: 40}])


def test_a_course_has_the_clocks_of_rows_and_of_steps() -> None:
    tally = replace(small_tally(prefill=True), course=COURSE)
    assert tally.validate() is tally
    assert COURSE.edges("decode", 3).tolist() == [0, 2, 3]
    assert COURSE.of_row(3, 2).tolist() == [0, 40]


@pytest.mark.parametrize(
    ("row", "clocks", "message"),
    [
        (1, {0: 600, 1: 299}, "decode qkv: legs sum to 899 clocks, not 900"),
        (1, {0: 601, 1: 299}, "decode steps 1 to 2 do not take the clocks of their operators"),
        (0, {0: 101, 1: -1}, "prefill qkv: legs sum to 100 clocks, not 100"),
        (2, {0: 30, 2: 30}, "decode steps 3 to 3 do not take the clocks of their operators"),
    ],
)
def test_a_course_that_contradicts_the_rest_is_refused(row: int, clocks: dict[int, int], message: str) -> None:
    changed = Course(COURSE.widths, [*COURSE.clocks[:row], clocks, *COURSE.clocks[row + 1 :]])
    with pytest.raises(TallyError, match=message):
        replace(small_tally(prefill=True), course=changed).validate()


def test_tokens_are_kept_as_they_were_given() -> None:
    given = [TokenTally("prefill", 1, 1, 0, 7), TokenTally("decode", 1, 2, 7, 5), TokenTally("decode", 2, 3, 12, 9)]
    kept = TokenTallies(given)
    assert list(kept) == given and kept == TokenTallies(given) and kept != TokenTallies(given[:2])
    assert kept[-1] == given[-1] and kept[1:] == given[1:]
    assert kept.column("context").tolist() == [1, 2, 3]
    assert kept.of_phase("decode").tolist() == [False, True, True]
