"""The pool: every item has a result, whoever dies."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pimsim.sweep.pool import Pool, WorkerError, _Shares, _Task
from tests.sweep import work

ROOT = Path(__file__).parents[2]


def test_every_item_has_its_result_from_any_number_of_workers() -> None:
    for workers in (1, 3):
        with Pool(work.double, workers, work.minus_one) as pool:
            assert dict(pool.map((i, i) for i in range(20))) == {i: 2 * i for i in range(20)}
            assert dict(pool.map([(7, 1)])) == {7: 2}


def test_items_are_taken_only_as_they_are_needed() -> None:
    taken = 0

    def items() -> object:
        nonlocal taken
        for i in range(1000):
            taken += 1
            yield i, i

    with Pool(work.double, 2, work.minus_one) as pool:
        next(iter(pool.map(items())))  # type: ignore[arg-type]
        assert taken <= 6


def test_what_a_killed_worker_was_at_is_tried_again(tmp_path: Path) -> None:
    with Pool(work.die_at_odd_numbers_once, 2, work.minus_one) as pool:
        found = dict(pool.map((i, (i, str(tmp_path))) for i in range(6)))
    assert found == {i: 2 * i for i in range(6)}
    assert len(list(tmp_path.iterdir())) == 3


def test_an_item_that_kills_twice_is_lost_and_no_other() -> None:
    with Pool(work.die_at_three, 1, work.minus_one) as pool:
        assert dict(pool.map((i, i) for i in range(6))) == {i: -1 if i == 3 else 2 * i for i in range(6)}


def test_an_exception_in_a_worker_is_raised_here() -> None:
    with Pool(work.fail, 1, work.minus_one) as pool, pytest.raises(WorkerError, match="ValueError: cannot do 1"):
        list(pool.map([(1, 1)]))


def test_a_script_without_a_main_guard_is_told_so(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from pimsim.sweep.pool import Pool\n"
        "from tests.sweep import work\n"
        "with Pool(work.double, 1, work.minus_one) as pool:\n"
        "    print(list(pool.map([(1, 1)])))\n"
    )
    environment = {"PYTHONPATH": str(ROOT), "PATH": ""}
    done = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True, timeout=100)
    assert done.returncode == 1 and "must do so under `if __name__ == '__main__':`" in done.stderr


def test_workers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    folder = tmp_path / "pids"
    folder.mkdir()
    script.write_text(
        "from pimsim.sweep.pool import Pool\n"
        "from tests.sweep import work\n"
        "if __name__ == '__main__':\n"
        "    with Pool(work.write_pid, 2, work.minus_one) as pool:\n"
        f"        list(pool.map((i, {str(folder)!r}) for i in range(2)))\n"
    )
    with subprocess.Popen([sys.executable, script], env={"PYTHONPATH": str(ROOT), "PATH": ""}) as parent:
        wait_until(lambda: len(list(folder.iterdir())) == 2)
        parent.kill()
    wait_until(lambda: not any(is_alive(int(path.name)) for path in folder.iterdir()))


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that nobody has waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until(condition: object, timeout_s: float = 100) -> None:
    """Poll until a condition holds; AssertionError if it takes unreasonably long."""
    end = time.monotonic() + timeout_s
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def test_items_that_are_alike_go_to_one_worker_while_the_others_have_some() -> None:
    """Ten kinds of three; the source is read no further than one item ahead."""
    taken: list[int] = []

    def tasks() -> Iterator[_Task[int]]:
        for key in range(30):
            taken.append(key)
            yield _Task(key, key)

    shares = _Shares(tasks(), lambda key: key // 3)
    assert [shares.take(worker).key for worker in (0, 1, 0, 1, 1, 0)] == [0, 3, 1, 4, 5, 2]  # type: ignore[union-attr]
    assert taken == list(range(7))
    rest = [shares.take(0) for _ in range(24)]
    assert [task.key for task in rest if task] == list(range(6, 30))
    assert shares.take(0) is shares.take(1) is None


def test_a_worker_without_items_takes_those_of_another() -> None:
    shares = _Shares(iter([_Task(key, key) for key in range(40)]), lambda key: 0)
    assert [shares.take(worker).key for worker in (0, 1, 0)] == [0, 32, 1]  # type: ignore[union-attr]
    rest = [shares.take(1) for _ in range(37)]
    assert [task.key for task in rest if task] == [*range(33, 40), *range(2, 32)]


def test_what_is_alike_changes_no_result() -> None:
    with Pool(work.double, 2, work.minus_one) as pool:
        assert dict(pool.map(enumerate(range(50)), lambda key: key // 7)) == {n: 2 * n for n in range(50)}
