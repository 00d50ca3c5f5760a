"""What a rule between keys is, and what the rules of all standards and of a single one are made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any


@dataclass(frozen=True)
class Rule:
    """`holds(values of keys..., of others...)`, or `message` is reported at the first of `keys`.

    others: keys that not every standard has; None where they are not there.
    """

    keys: tuple[str, ...]
    holds: Callable[..., bool]
    message: str | Callable[..., str]
    others: tuple[str, ...] = ()

    def given(self, values: Mapping[str, Any]) -> list[Any] | None:
        """What it looks at, of `values` by key; None if one of its keys is not there."""
        if not all(key in values for key in self.keys):
            return None
        return [*(values[key] for key in self.keys), *(values.get(key) for key in self.others)]

    def complaint(self, values: Sequence[Any]) -> str:
        """What is said when `values` of the keys break the rule."""
        return self.message(*values) if callable(self.message) else self.message.format(*map(show, values))


def show(value: Any) -> str:
    """A value for a message; a decimal without an exponent if it is short without one."""
    return f"{value:f}" if isinstance(value, Decimal) and abs(value.adjusted()) < 20 else str(value)


def at_least(larger: str, *smaller: str) -> Rule:
    """That a time is as long as others together."""
    keys = tuple(f"dram.timing.{name}_ns" for name in (larger, *smaller))
    total = " + ".join(f"{name} ({{{i}}} ns)" for i, name in enumerate(smaller, 1))
    return Rule(keys, lambda limit, *parts: limit >= sum(parts), f"must be at least {total}, not {{0}}")


# What a refresh takes from the banks before a row is open again and used: the wait to
# close (recovery of a write, or tRC after an activation) and the activation after it.
REOPEN = tuple(f"dram.timing.{name}_ns" for name in ("tRC", "tRCDRD", "tRCDWR", "tCWL", "tWR"))


def reopening(tRC: Any, tRCDRD: Any, tRCDWR: Any, tCWL: Any, tWR: Any) -> Any:
    """How long that is, of the times of REOPEN."""
    return tRC + max(tRCDRD, tRCDWR) + tCWL + tWR
