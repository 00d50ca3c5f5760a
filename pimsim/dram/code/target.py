"""What code is made for: any processor of this platform, or those with wider vectors too.

A target is part of a file's name.  Code for the wide one is worth it for few functions; they run it where Linux says
that the processor has all that it needs, and it is made on any.  Both compute the same to the bit: nothing is fused
or reordered in either.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from pimsim.dram.code.load import PLATFORM

WIDE = "linux-x86_64-v3"  # vectors of 256 bits: AVX2, and what the psABI has in its level 3 besides
# Targets of this platform, and the processor that LLVM knows each by: "" is any.
TARGETS = {PLATFORM: ""} | ({WIDE: "x86-64-v3"} if PLATFORM == "linux-x86_64" else {})
# All of level 3, as Linux names it: the compiler may use any of it.  Without the system's support there is no avx.
NEEDED = frozenset({"abm", "avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "movbe", "xsave"})
CPUINFO = Path("/proc/cpuinfo")


@cache
def widest() -> str:
    """The target with the widest vectors that this processor has."""
    return WIDE if WIDE in TARGETS and _flags() >= NEEDED else PLATFORM


def _flags() -> frozenset[str]:
    try:
        lines = CPUINFO.read_text(errors="replace").splitlines()
    except OSError:
        return frozenset()
    found = (line.partition(":")[2] for line in lines if line.startswith("flags"))
    return frozenset(next(found, "").split())
