"""Reads `statistics.yaml`: mechanisms, acceptances and trees, each with its source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from importlib.resources import files
from typing import Any, TypeVar

from pimsim.errors import InputError, did_you_mean
from pimsim.labels import LABELS
from pimsim.workload.decoding.mamba import mamba
from pimsim.workload.graph import Workload
from pimsim.workload.models import build
from pimsim.workload.shapes import ModelShape
from pimsim.workload.trace.records import Acceptance

_T = TypeVar("_T")
PUBLISHED = "published"  # by others than the paper: a leaderboard, a repository, a test
ALL = "all"  # an acceptance: every draft is kept


@dataclass(frozen=True)
class Stated:
    """A value with how well it is known."""

    value: Any
    label: str
    source: str


@dataclass(frozen=True)
class Statistic:
    """An acceptance with its source."""

    name: str
    acceptance: Acceptance
    label: str
    source: str


@dataclass(frozen=True)
class Tree:
    """Nodes at each depth below the known token."""

    name: str
    levels: tuple[int, ...]
    label: str
    source: str

    @property
    def nodes(self) -> int:
        """Nodes of all depths."""
        return sum(self.levels)


@dataclass(frozen=True)
class Mechanism:
    """A way of decoding, named for its paper.

    defaults: published or assumed values of its options.  left_out: what a trace of it does not say.
    """

    name: str
    title: str
    authors: str
    year: int
    what: str
    defaults: Mapping[str, Stated]
    left_out: tuple[str, ...]

    @property
    def paper(self) -> str:
        """Authors, year and title."""
        return f'{self.authors} {self.year}, "{self.title}"'

    def __getitem__(self, option: str) -> Any:
        """The default of an option."""
        return self.defaults[option].value


@cache
def _file() -> Mapping[str, Any]:
    import yaml

    text = files("pimsim.workload.decoding").joinpath("statistics.yaml").read_text(encoding="utf-8")
    loaded: Mapping[str, Any] = yaml.safe_load(text)
    return loaded


def _label(entry: Mapping[str, Any]) -> dict[str, str]:
    if entry["label"] not in (*LABELS, PUBLISHED):
        raise ValueError(f"statistics.yaml: unknown label {entry['label']!r}")
    return {"label": entry["label"], "source": entry["source"]}


@cache
def mechanisms() -> Mapping[str, Mechanism]:
    """All mechanisms by name."""
    found = {}
    for entry in _file()["mechanisms"]:
        stated = {name: Stated(each["value"], **_label(each)) for name, each in entry["defaults"].items()}
        found[entry["name"]] = Mechanism(**(entry | {"defaults": stated, "left_out": tuple(entry["left_out"])}))
    return found


@cache
def acceptances() -> Mapping[str, Statistic]:
    """All acceptances by name."""
    found = {}
    for entry in _file()["acceptances"]:
        kept = exact(entry.get("mean", 0)), tuple(map(exact, entry.get("positions", ())))
        acceptance = Acceptance.of(kept[1]) if kept[1] else Acceptance(kept[0])
        found[entry["name"]] = Statistic(entry["name"], acceptance, **_label(entry))
    return found


@cache
def trees() -> Mapping[str, Tree]:
    """All trees by name."""
    return {entry["name"]: Tree(entry["name"], tuple(entry["levels"]), **_label(entry)) for entry in _file()["trees"]}


@cache
def models() -> Mapping[str, Workload]:
    """The decode step of models that are not built in, by name."""
    found = {}
    for entry in _file()["models"]:
        _label(entry)
        sizes = [entry[size] for size in ("layers", "d_model", "heads", "d_ff", "vocabulary", "max_positions")]
        sizes.insert(3, entry["heads"])  # as many of K and V
        shape = replace(ModelShape(entry["name"], *sizes), tied=False)
        states = entry.get("states")
        found[shape.name] = mamba(replace(shape, family="mamba"), **states) if states else build(shape, lm_head=True)
    return found


def exact(value: object) -> Fraction:
    """A number as it is written: 2.32 is 232/100."""
    return Fraction(str(value))


def share(text: str, what: str, option: str) -> Fraction:
    """A number from 0 to 1; InputError, with what it is and the option that says it, for another one."""
    try:
        found = exact(text)
    except (ValueError, ZeroDivisionError):
        raise InputError(f"{text!r} is no number", key=option) from None
    if not 0 <= found <= 1:
        raise InputError(f"{text}: {what}, from 0 to 1", key=option)
    return found


def tree(name: str) -> Tree:
    """The tree of a name; InputError if there is none."""
    return _named(trees(), name, "tree", "--tree")


def acceptance(text: str) -> Statistic:
    """An acceptance by its name, as a mean ("2.5"), or as the chances of the drafts ("0.7,0.5"); InputError else."""
    if text and not set(text) - set("0123456789., "):
        return _typed(text)
    return _named(acceptances(), text, "acceptance", "--acceptance")


def _typed(text: str) -> Statistic:
    try:
        numbers = tuple(map(exact, text.split(",")))
    except ValueError:
        raise InputError(f"{text!r} is no number, nor numbers with commas", key="--acceptance") from None
    if len(numbers) == 1 and numbers[0] >= 1:
        return Statistic(text, Acceptance(numbers[0]), "assumed", "given on the command line")
    if any(chance > 1 for chance in numbers):
        message = f"{text!r}: a mean is at least 1; chances, with commas, are at most 1 each"
        raise InputError(message, key="--acceptance")
    if any(later > earlier for earlier, later in zip(numbers, numbers[1:], strict=False)):
        message = f"{text!r}: a draft is kept only after the one before it: chances cannot grow"
        raise InputError(message, key="--acceptance")
    return Statistic(text, Acceptance.of(numbers), "assumed", "given on the command line")


def _named(known: Mapping[str, _T], name: str, what: str, key: str) -> _T:
    if name not in known:
        hint = did_you_mean(name, known) or f"; known: {', '.join(known)}"
        raise InputError(f"no {what} {name!r}{hint}", key=key)
    return known[name]


def as_dict() -> dict[str, Any]:
    """Everything, for a program to read: chances and means as numbers."""
    return {
        "mechanisms": [
            {
                "name": mechanism.name,
                "paper": mechanism.paper,
                "what": mechanism.what,
                "defaults": {name: vars(stated) for name, stated in mechanism.defaults.items()},
                "left_out": list(mechanism.left_out),
            }
            for mechanism in mechanisms().values()
        ],
        "acceptances": [
            {
                "name": each.name,
                "mean": float(each.acceptance.mean),
                "positions": list(map(float, each.acceptance.positions)),
                "label": each.label,
                "source": each.source,
            }
            for each in acceptances().values()
        ],
        "trees": [
            {"name": each.name, "levels": list(each.levels), "label": each.label, "source": each.source}
            for each in trees().values()
        ],
    }
