"""Figures of a row, or of a table, in one unit, so that they can be read down and across."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from pimsim.comparison.figures import SHARES
from pimsim.results.headline import energy_scale, number, power_scale, size_scale, time_scale

_DIGITS = 5  # of the largest figure of a table
_SCALES = {"ns": time_scale, "pJ": energy_scale, "mW": power_scale, "bytes": size_scale}


class Unit(NamedTuple):
    """How many of its own units a figure has in the unit that is shown, and that one's name; decimals of a table."""

    factor: float
    name: str
    decimals: int | None = None

    def value(self, value: float | None) -> str:
        """A figure, "-" where there is none."""
        if value is None:
            return "-"
        return number(value / self.factor) if self.decimals is None else self._fixed(value)

    def difference(self, value: float | None) -> str:
        """The same with its sign; nothing that is no difference has one."""
        if not value:
            return "-" if value is None else "0"
        text = self.value(abs(value))
        return text if not text.strip("0.") else ("+" if value > 0 else "-") + text

    def _fixed(self, value: float) -> str:
        return f"{value / self.factor:,.{self.decimals}f}"


def of_row(figure: str, unit: str, values: Iterable[float | None]) -> Unit:
    """That of a figure by its dotted name, from its largest value."""
    largest = max((abs(value) for value in values if value is not None), default=0.0)
    if figure.rpartition(".")[2] in SHARES:
        return Unit(0.01, "%")
    if unit in _SCALES:
        return Unit(*_SCALES[unit](largest, 1.0))
    return Unit(1.0, "x" if unit == "1" else unit)


def of_table(unit: str, values: Iterable[float]) -> Unit:
    """That of a table whose rows sum to its last: as many decimals in each."""
    largest = max(map(abs, values), default=0.0)
    factor, name = _SCALES[unit](largest, 1.0)
    digits = math.floor(math.log10(largest / factor)) + 1 if largest else 1
    return Unit(factor, name, max(0, _DIGITS - max(digits, 1)))


def ratio(value: float | None) -> str:
    """A ratio to the base, "-" where there is none."""
    return "-" if value is None else f"{number(value)}x"
