"""How problems are printed, and that they survive a process boundary."""

from __future__ import annotations

import pickle

from pimsim.errors import InputError, Problem, did_you_mean


def test_a_problem_is_one_line_with_place_key_and_message() -> None:
    assert str(Problem("a.yaml", 3, 5, "dram.rows", "is wrong")) == "a.yaml:3:5: dram.rows: is wrong"


def test_a_problem_without_place_is_key_and_message() -> None:
    assert str(InputError("does not fit", key="dram.rows")) == "dram.rows: does not fit"


def test_a_problem_stays_on_one_line() -> None:
    assert str(InputError("is\nwrong\x1b", key="a\tb")) == "a\\tb: is\\nwrong\\x1b"


def test_problems_are_located_once() -> None:
    known = Problem("a.yaml", 3, 5, "dram.rows", "is wrong")
    error = InputError([known, Problem("", 0, 0, "pim.lanes", "too many")]).located(lambda key: (key, 1, 2))
    assert error.problems == (known, Problem("pim.lanes", 1, 2, "pim.lanes", "too many"))


def test_an_input_error_can_be_pickled() -> None:
    error = InputError([Problem("a", 1, 1, "k", "m"), Problem("b", 2, 2, "l", "n")])
    assert pickle.loads(pickle.dumps(error)).problems == error.problems


def test_the_nearest_name_is_suggested_whatever_its_case() -> None:
    assert did_you_mean("TRCD_ns", ["tRC_ns", "tRCD_ns"]) == "; did you mean 'tRCD_ns'?"


def test_nothing_is_suggested_when_nothing_is_near() -> None:
    assert did_you_mean("colour", ["rows", "banks"]) == ""


def test_a_problem_that_several_checks_meet_is_told_once() -> None:
    first, second = Problem("", 0, 0, "b", "wrong"), Problem("", 0, 0, "a", "wrong")
    error = InputError([first, second, first])
    assert error.problems == (first, second)
    assert (
        len(
            InputError([Problem("", 0, 0, "a", "x"), Problem("f", 1, 2, "a", "x")])
            .located(lambda _: ("f", 1, 2))
            .problems
        )
        == 1
    )
