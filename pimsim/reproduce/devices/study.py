"""How a mark is simulated: a function of the inputs, and what decides it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pimsim.reproduce.data import Input

Keys = Mapping[str, Any]  # of the configuration; `case.NAME`: of what is run on it (a size, say)
CASE = "case."


@dataclass(frozen=True)
class Study:
    """One mark, simulated.

    mark      its name in `marks.yaml`
    value     the figure, with some keys of the configuration (or of the case) at other values; none: as shipped
    inputs    what the source leaves open, each with a range; a value that the device does not give is one too
    because   one sentence: what decides the figure, and where it is off, why
    inferred  what was chosen because it meets this mark, which is then no evidence
    """

    mark: str
    value: Callable[[Keys], float]
    inputs: tuple[Input, ...]
    because: str
    inferred: tuple[str, ...] = ()


def case(keys: Keys, name: str, usual: Any) -> Any:
    """What a study runs: a value of the case, or the usual one."""
    return keys.get(CASE + name, usual)


def of_config(keys: Keys) -> dict[str, Any]:
    """The keys of the configuration."""
    return {key: value for key, value in keys.items() if not key.startswith(CASE)}
