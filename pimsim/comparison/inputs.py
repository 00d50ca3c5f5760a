"""What differs in the inputs of runs, by dotted key, and what a difference means for the figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pimsim.comparison.runs import Run, in_order_of_all
from pimsim.config.readback import Given

DECIDES, FOLLOWS, NAMES = "decides", "follows", "names"
MEANINGS: Mapping[str, str] = {
    DECIDES: "was given, and may change figures",
    FOLLOWS: "is left to its default by every run that has it: it follows from others",
    NAMES: "only names, or says what to compare with or how to simulate: no figure of the system depends on it",
}
_NAMING = ("schema", "name", "workload.model_config.name", "engine.mode", "engine.fold")
_BESIDE = ("baselines", "baseline_kernels")
# Sections of many values, which come behind what usually decides.
_LATER = ("pim.formats", "dram.timing", "dram.power", "dram.io")


class Difference(NamedTuple):
    """A key that not all runs have with the same value; None for a run that does not have it."""

    key: str
    role: str
    given: tuple[Given | None, ...]

    @property
    def identities(self) -> list[tuple[str, str] | None]:
        """Of each run; equal for equal values."""
        return [_identity(each) for each in self.given]

    def record(self) -> dict[str, Any]:
        """As the JSON document has it; a value of a run that lacks the key is null, and `present` tells it apart."""
        return {
            "key": self.key,
            "role": self.role,
            "present": [each is not None for each in self.given],
            "values": [each.value if each else None for each in self.given],
            "labels": [each.label if each else None for each in self.given],
            "reasons": [each.reason if each else "" for each in self.given],
            "places": [each.place if each else "" for each in self.given],
        }


def differences(runs: Sequence[Run]) -> list[Difference]:
    """Every key whose value differs, or that not all have: what decides first, then in the order of a configuration."""
    found = [
        Difference(key, _role(key, given), given)
        for key, given in _keys(runs)
        if len({_identity(each) for each in given}) > 1
    ]
    roles = list(MEANINGS)
    return sorted(found, key=lambda each: (roles.index(each.role), _section(each.key)))


def known_differently(runs: Sequence[Run]) -> list[Difference]:
    """Keys with one value, which another label says to be known better or worse."""
    return [
        Difference(key, DECIDES, given)
        for key, given in _keys(runs)
        if None not in given
        and len({_identity(each) for each in given}) == 1
        and len({each.label for each in given if each}) > 1
    ]


def _keys(runs: Sequence[Run]) -> Iterator[tuple[str, tuple[Given | None, ...]]]:
    for key in in_order_of_all(run.inputs for run in runs):
        yield key, tuple(run.inputs.get(key) for run in runs)


def _identity(given: Given | None) -> tuple[str, str] | None:
    """Equal for equal values; 12 and 12.0 are, 1 and true are not."""
    if given is None:
        return None
    value = given.value
    return ("number", repr(float(value))) if _is_number(value) else (type(value).__name__, repr(value))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 2**53


def _role(key: str, given: Sequence[Given | None]) -> str:
    if key in _NAMING or key in _BESIDE:
        return NAMES
    return FOLLOWS if all(each is None or each.is_default for each in given) else DECIDES


def _section(key: str) -> int:
    """Where the section of a key is listed: work first, names of the memory's parts last."""
    if key.startswith("workload."):
        return 0
    if key == "dram.standard":
        return 1
    return 3 if key.startswith(tuple(f"{section}." for section in _LATER)) else 2


def as_text(given: Given | None) -> str:
    """A value as a configuration has it, "-" where there is none."""
    from pimsim.config.loader import as_text as written

    return "-" if given is None else written(given.value)
