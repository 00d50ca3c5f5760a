"""The two data files: what was published, and the inputs that were not: their ranges, and what was inferred."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from pimsim.labels import LABELS

End = Literal["low", "high"]
ENDS: tuple[End, End] = ("low", "high")


@dataclass(frozen=True)
class Published:
    """A published figure: a value (and all that rounds to it), or a range that the simulated one should lie in."""

    name: str
    paper: float | tuple[float, float]
    unit: str
    label: str
    of: str
    rounding: float = 0.0

    @property
    def meant(self) -> tuple[float, float]:
        """The range of values that the paper's figure allows."""
        if isinstance(self.paper, tuple):
            return self.paper
        return self.paper - self.rounding, self.paper + self.rounding


@dataclass(frozen=True)
class Input:
    """An input with a range: `keys` are all set to one value, `low` or `high`.

    Keys are those of the configuration, `energy.table.ROW` for a row of the energy table,
    and `baselines.NAME.KEY` for a constant of a baseline.
    """

    name: str
    keys: tuple[str, ...]
    low: Any
    high: Any
    label: str
    reason: str

    @property
    def kind(self) -> str:
        """What must be done again when the input changes: "baseline", "energy" or "system" (a simulation)."""
        if self.keys[0].startswith("baselines."):
            return "baseline"
        priced = ("energy.", "dram.power.", "dram.io.energy_pJ_per_bit")
        return "energy" if self.keys[0].startswith(priced) else "system"

    def at(self, end: End) -> dict[str, Any]:
        """The keys with their values at one end."""
        return dict.fromkeys(self.keys, getattr(self, end))

    @property
    def described(self) -> str:
        """Name and label."""
        return f"{self.name} ({self.label})"


@dataclass(frozen=True)
class Inference:
    """A choice that was made because it meets published figures, `of`; `keys` of the configuration, if it has any."""

    name: str
    keys: tuple[str, ...]
    of: tuple[str, ...]
    reason: str


def _load(name: str) -> Any:
    import yaml

    return yaml.safe_load(files("pimsim.reproduce").joinpath(f"{name}.yaml").read_text(encoding="utf-8"))


@cache
def published() -> Mapping[str, Published]:
    """The published figures by name, in the paper's order."""
    figures = [dict(figure) for figure in _load("published")["figures"]]
    for figure in figures:
        figure["paper"] = tuple(figure["paper"]) if isinstance(figure["paper"], list) else figure["paper"]
    return {figure["name"]: Published(**figure) for figure in figures}


@cache
def inputs() -> Mapping[str, Input]:
    """The inputs with ranges, by name."""
    read = [{**entry, "keys": tuple(entry["keys"])} for entry in _load("ranges")["inputs"]]
    found = {entry["name"]: Input(**{key: _exact(value) for key, value in entry.items()}) for entry in read}
    unknown = {name: entry.label for name, entry in found.items() if entry.label not in LABELS}
    if unknown:
        raise ValueError(f"ranges.yaml: unknown labels {unknown}; known: {', '.join(LABELS)}")
    return found


@cache
def inferences() -> tuple[Inference, ...]:
    """What was inferred from published figures."""
    return tuple(
        Inference(entry["name"], tuple(entry["keys"]), tuple(entry["from"]), entry["reason"])
        for entry in _load("ranges")["inferred"]
    )


def circular(figure: str) -> tuple[str, ...]:
    """Names of what was inferred from this very figure, which is then no evidence for the simulation."""
    return tuple(inference.name for inference in inferences() if figure in inference.of)


def _exact(value: Any) -> Any:
    return Decimal(str(value)) if isinstance(value, float) else value
