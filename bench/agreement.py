"""The long mode of the random tests: python bench/agreement.py [TIMES].

Kernel (fast, stepped, folded or not), plain-Python twin and log checker on random programs,
timing tables and refresh phases, and relations between whole runs: TIMES as many cases as
`make test` tries, and new ones each time.  Prints each comparison with its time; the exit status is pytest's.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
TESTS = (
    "tests/agreement",
    "tests/aim/test_agreement.py",
    "tests/aim/test_host.py",
    "tests/formulas/test_host_traffic.py",
    "tests/metamorphic",
)


def main(times: int = 20) -> int:
    """Run the comparisons."""
    command = [sys.executable, "-m", "pytest", "-q", "--durations=20", *TESTS]
    return subprocess.run(command, cwd=ROOT, env={**os.environ, "PIMSIM_CASES": str(times)}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
