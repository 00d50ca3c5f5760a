"""What the pool's processes run in tests; importable, as a spawned process needs."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path


def double(number: int) -> int:
    return 2 * number


def die_at_odd_numbers_once(item: tuple[int, str]) -> int:
    """Kill this process the first time that an odd number comes; the folder remembers which came."""
    number, folder = item
    mark = Path(folder) / str(number)
    if number % 2 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return 2 * number


def die_at_three(number: int) -> int:
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return 2 * number


def fail(number: int) -> int:
    raise ValueError(f"cannot do {number}")


def write_pid(folder: str) -> int:
    """Say who we are, and take long."""
    (Path(folder) / str(os.getpid())).touch()
    time.sleep(60)
    return 0


def minus_one(item: object) -> int:
    return -1
