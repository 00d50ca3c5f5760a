"""The `axes` of a sweep file: which keys vary, and how.

    dram.channels: [4, 8]                        a grid axis; every other form of `domains` as well
    zip: {dram.channels: [4, 8], dram.rows: [32768, 16384]}     these together; a list for several
    random: {samples: 100, seed: 1, axes: {...}}                drawn, independent
    latin_hypercube: {samples: 100, seed: 1, axes: {...}}       drawn, spread evenly
    one_at_a_time: {dram.channels: [4, 16], ...}                the base, then each value alone
    sobol: {samples: 64, seed: 1, axes: {...}}                  Saltelli's design, for Sobol indices

Grid axes, zips and samples multiply; the last two stand alone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pimsim.config.tree import Entry, Position
from pimsim.errors import InputError, did_you_mean
from pimsim.sweep import designs
from pimsim.sweep.domains import MOST, Complain, Domain, Listed, identity, read_domain
from pimsim.sweep.keys import is_whole, unknown
from pimsim.sweep.space import PointTable

if TYPE_CHECKING:
    from pimsim.sweep.designs import Shares

BLOCKS = ("zip", "random", "latin_hypercube", "one_at_a_time", "sobol")
ALONE = ("one_at_a_time", "sobol")
_DESIGNS: Mapping[str, Callable[[int, int, int], Shares]] = {
    "random": designs.random_shares,
    "latin_hypercube": designs.latin_hypercube_shares,
    "sobol": designs.sobol_shares,
}


@dataclass
class AxesReader:
    """Reads axes and remembers every key that varies.

    complain  takes each problem; `fixed`: keys that the sweep file sets
    checks    (key, value, place) of values that the schema must still allow
    """

    complain: Complain
    fixed: Mapping[str, Position]
    seen: dict[str, Position] = field(default_factory=dict)
    checks: list[tuple[str, Any, Position]] = field(default_factory=list)

    def tables(self, axes: Mapping[str, Entry]) -> list[PointTable]:
        """The tables of the section `axes`."""
        tables: list[PointTable] = []
        for name, entry in axes.items():
            tables += self._block(name, entry) if name in BLOCKS else self._grid(name, entry)
        for name in ALONE:
            if name in axes and len(axes) > 1:
                self.complain(axes[name].place, f"axes.{name}", "must be the only axis: its rows are read as a whole")
        return tables

    def domains(
        self, entry: Entry | None, path: str, place: Position, draws: bool, repeats: bool = False
    ) -> dict[str, Domain]:
        """The domain of each key in a mapping; keys with a problem are left out."""
        if entry is None or not isinstance(entry.value, Mapping) or not entry.value:
            self.complain(entry.place if entry else place, path, "must be a mapping of keys to values, at least one")
            return {}
        found = {key: self._domain(key, inner, draws, repeats=repeats) for key, inner in entry.value.items()}
        return {key: domain for key, domain in found.items() if domain is not None}

    def _domain(
        self, key: str, entry: Entry, draws: bool, others: Collection[str] = (), repeats: bool = False
    ) -> Domain | None:
        message = unknown(key, others) or self._clash(key)
        if message:
            self.complain(entry.place, key, message)
            return None
        self.seen[key] = entry.place
        domain = read_domain(key, entry, is_whole(key), draws, self.complain, repeats)
        if domain is not None:
            self.checks += ((key, value, place) for value, place in domain.ends())
        return domain

    def _clash(self, key: str) -> str | None:
        """What is said of a key that is given already, by itself, as a part or as a whole."""
        for other, place in (*self.seen.items(), *self.fixed.items()):
            if other == key or other.startswith(f"{key}.") or key.startswith(f"{other}."):
                where = "set" if other in self.fixed else "an axis"
                name = "" if other == key else f" as {other}"
                return f"duplicate: already {where}{name} on line {place.line}"
        return None

    def _grid(self, key: str, entry: Entry) -> Iterator[PointTable]:
        domain = self._domain(key, entry, draws=False, others=BLOCKS)
        if isinstance(domain, Listed):
            yield PointTable("grid", (key,), tuple({key: value} for value in domain.values))

    def _block(self, name: str, entry: Entry) -> Iterator[PointTable]:
        if name == "zip":
            for i, group in enumerate(entry.value) if isinstance(entry.value, tuple) else [(0, entry)]:
                yield from self._zip(group, f"axes.zip.{i}" if isinstance(entry.value, tuple) else "axes.zip")
        elif name == "one_at_a_time":
            yield from self._one_at_a_time(entry)
        else:
            yield from self._sampled(name, entry)

    def _zip(self, entry: Entry, path: str) -> Iterator[PointTable]:
        domains = self.domains(entry, path, entry.place, draws=False, repeats=True)
        lists = {key: domain.values for key, domain in domains.items() if isinstance(domain, Listed)}
        lengths = {len(values) for values in lists.values()}
        if len(lengths) > 1:
            counts = ", ".join(f"{key} has {len(values)}" for key, values in lists.items())
            self.complain(entry.place, path, f"must be lists of one length: {counts}")
        elif lists:
            rows = list(zip(*lists.values(), strict=True))
            self._check_rows(rows, path, entry.place)
            yield PointTable("zip", tuple(lists), tuple(dict(zip(lists, row, strict=True)) for row in rows))

    def _check_rows(self, rows: Sequence[tuple[Any, ...]], path: str, place: Position) -> None:
        """Complain of values of a zip that come together twice."""
        seen: dict[tuple[Hashable, ...], int] = {}
        for number, row in enumerate(rows, 1):
            first = seen.setdefault(tuple(map(identity, row)), number)
            if first < number:
                self.complain(place, path, f"the values at place {number} are those at place {first}")

    def _one_at_a_time(self, entry: Entry) -> Iterator[PointTable]:
        domains = self.domains(entry, "axes.one_at_a_time", entry.place, draws=False)
        rows: list[dict[str, Any]] = [{}]
        for key, domain in domains.items():
            rows += ({key: value} for value in (domain.values if isinstance(domain, Listed) else ()))
        if domains:
            yield PointTable("one_at_a_time", tuple(domains), tuple(rows))

    def _sampled(self, name: str, entry: Entry) -> Iterator[PointTable]:
        given = entry.value if isinstance(entry.value, Mapping) else {}
        for other in given:
            if other not in ("samples", "seed", "axes"):
                hint = did_you_mean(other, ("samples", "seed", "axes"))
                self.complain(given[other].place, f"axes.{name}.{other}", f"unknown key{hint}")
        samples = self.count(given, "samples", f"axes.{name}", entry.place, 1, MOST)
        seed = self.count(given, "seed", f"axes.{name}", entry.place, 0, 2**32 - 1)
        domains = self.domains(given.get("axes"), f"axes.{name}.axes", entry.place, draws=True)
        if samples is None or seed is None or not domains:
            return
        if name == "sobol" and samples & (samples - 1):
            self.complain(given["samples"].place, "axes.sobol.samples", f"must be a power of 2, not {samples}")
            return
        try:
            shares = _DESIGNS[name](samples, len(domains), seed)
        except InputError as error:
            self.complain(entry.place, f"axes.{name}", error.problems[0].message)
            return
        yield PointTable(name, tuple(domains), tuple(_row(domains, row) for row in shares))

    def count(
        self, given: Mapping[str, Entry], name: str, path: str, place: Position, low: int, high: int, default: int = -1
    ) -> int | None:
        """A whole number from `low` to `high`; None after a complaint. A default below 0: it is needed."""
        entry = given.get(name)
        if entry is None and default >= 0:
            return default
        value = entry.value if entry is not None else None
        if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
            return value
        where = f"{path}.{name}"
        what = "is needed: " if entry is None else "must be "
        self.complain(entry.place if entry else place, where, f"{what}a whole number from {low} to {high}")
        return None


def _row(domains: Mapping[str, Domain], shares: Any) -> dict[str, Any]:
    return {key: domain.at(float(share)) for (key, domain), share in zip(domains.items(), shares, strict=True)}
