"""How many random cases a property test tries.

`make test` tries the same ones each time.  PIMSIM_CASES=k tries k times as many, and new
ones each time (bench/agreement.py).  Without the compiler a case costs a hundred times
more, so there are fewer.
"""

from __future__ import annotations

import os

TIMES = int(os.environ.get("PIMSIM_CASES", "0"))
INTERPRETED = os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0")


def examples(n: int) -> int:
    """Cases to try where `make test` tries n."""
    return max(n * max(TIMES, 1) // (10 if INTERPRETED else 1), 1)
