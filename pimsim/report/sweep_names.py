"""Columns of a sweep as people read them: a short name, a unit that suits their size, and which way is better."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from pimsim.report.page import words
from pimsim.report.sweep_columns import Column
from pimsim.results.headline import energy_scale, power_scale, time_scale

_SCALES = {"ns": time_scale, "pJ": energy_scale, "mW": power_scale}
_UNITS = {"mm2": "mm²", **{unit: unit for unit in ("GHz", "KiB", "bytes", "Gbps", "ps", "mA", "V", "W", *_SCALES)}}
_SECTIONS = ("system.", "proxy.", "accuracy.", "workload.", "baselines.")  # of figures
_RISING = ("tokens_per_s", "row_hit_rate", "data_movement_reduction", "mac_utilization", "agreement", "speedup",
           "energy_ratio", "acceptance", "kept_per_verification")  # fmt: skip
_SPELLED = {"tpot": "time per kept token", "ttft": "time to first token"}


@dataclass(frozen=True)
class Named:
    """A column's name on the page; a value over `factor` is in `unit`; better: "high" or "low"."""

    label: str
    unit: str = ""
    factor: float = 1.0
    better: str = "low"

    @property
    def axis(self) -> str:
        """The name with its unit."""
        return f"{self.label} ({self.unit})" if self.unit else self.label


def named(columns: Mapping[str, Column], inputs: Collection[str]) -> dict[str, Named]:
    """The names of columns: the last part, of inputs the whole key where two have the same."""
    found = {name: _input(name) if name in inputs else _figure(name, column) for name, column in columns.items()}
    often = Counter(entry.label for entry in found.values())
    return {name: replace(entry, label=name) if often[entry.label] > 1 else entry for name, entry in found.items()}


def _input(key: str) -> Named:
    """An input keeps the unit in which it is written."""
    last = key.rpartition(".")[2]
    stem, _, suffix = last.rpartition("_")
    return Named(words(stem), _UNITS[suffix]) if stem and suffix in _UNITS else Named(words(last))


def _figure(name: str, column: Column) -> Named:
    last = name.rpartition(".")[2]
    stem, _, suffix = last.rpartition("_")
    factor, unit = _SCALES[suffix](column.middle(), least=1) if suffix in _SCALES else (1.0, _UNITS.get(suffix, ""))
    section = next((section for section in _SECTIONS if name.startswith(section)), "")
    path = name.removeprefix(section).removesuffix(f"_{suffix}" if unit else "").replace(".", " ")
    return Named(_SPELLED.get(path, words(path)), unit, factor, "high" if last in _RISING else "low")
