"""Memories that other simulators describe, as configurations."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pimsim.config.devices import CONFIGS, known_as, refresh_parts
from pimsim.config.imports.files import MEMSPEC, SECTIONS, Given, MemoryFile, read
from pimsim.config.imports.keys import DROPPED, SHORT, known
from pimsim.config.imports.memory import Reader, Value, Values
from pimsim.config.loader import DEFAULT, Origin, provenance, put, read_tree
from pimsim.config.resolved import dump_yaml
from pimsim.config.schema import AnyConfig
from pimsim.config.shipped import CONFIGURATIONS
from pimsim.config.tree import Entry, Position, Tree, leaves, locate, merge, plain
from pimsim.config.validate import keys, required_keys, subsection, validate
from pimsim.errors import InputError, Problem, did_you_mean
from pimsim.text import one_line

_FORMS = {MEMSPEC: "a memspec of DRAMSys and DRAMPower", "ini": "a configuration of DRAMSim3"}
_TYPES = {MEMSPEC: "memoryType", "ini": "dram_structure.protocol"}


@dataclass(frozen=True)
class Imported:
    """A configuration made of another simulator's file.

    text     YAML, which loads
    dropped  the keys of the file that are nothing here, each with the reason
    shipped  keys that the file does not have, with the value of the configuration `base`
    default  keys that the file does not have, left to their defaults
    """

    text: str
    standard: str
    base: str
    mapped: tuple[Given, ...]
    dropped: tuple[tuple[Given, str], ...]
    shipped: tuple[str, ...]
    default: tuple[str, ...]


def import_memory(path: str | os.PathLike[str], standard: str = "") -> Imported:
    """The memory that a file describes, as a configuration of a shipped standard.

    standard: of the configuration; by default the one that the file names.
    InputError with everything that is wrong, each with its place in the file.
    """
    file = read(os.fspath(path))
    name = standard or _standard_of(file)
    base, tree = _shipped(name)
    return _Import(file, name, base, tree).made()


# -- which standard --------------------------------------------------------------------


def _standard_of(file: MemoryFile) -> str:
    """The standard that a file names; InputError if it is none that is here."""
    key, names = _TYPES[file.form], known_as()
    given = file.get(key)
    if given is not None and given.value in names:
        return names[str(given.value)]
    supported = f"supported: {', '.join(names)}; with --standard it is read as another memory"
    if given is None:
        raise InputError(file.problem(key, f"required key is missing; {supported}"))
    name = str(given.value)[:40]
    hint = did_you_mean(name.upper(), names)
    raise InputError(given.problem(f"no memory here is called {name!r}{hint}; {supported}"))


def _shipped(standard: str) -> tuple[str, Tree]:
    """The configuration that has what a file of a standard has not: the one of its name, or the first."""
    trees: dict[str, tuple[str, Tree]] = {}
    for name in sorted(CONFIGURATIONS.shipped, key=lambda name: (name != standard, name)):
        tree = read_tree(CONFIGURATIONS.shipped[name])
        trees.setdefault(str(_plain_standard(tree)), (name, tree))
        if standard in trees:
            return trees[standard]
    hint = did_you_mean(standard, trees) or f"; standards: {', '.join(sorted(trees))}"
    raise InputError(f"unknown standard {standard!r}{hint}", key="--standard")


def _plain_standard(tree: Tree) -> Any:
    dram = tree.entries["dram"].value
    return dram["standard"].value if isinstance(dram, Mapping) else None


# -- the configuration -----------------------------------------------------------------


@dataclass
class _Import:
    """A file on its way to a configuration."""

    file: MemoryFile
    standard: str
    base: str
    shipped: Tree

    @property
    def name(self) -> str:
        """The file without its folder, as text of one line."""
        return one_line(os.path.basename(self.file.path)).encode("utf-8", "replace").decode()

    def made(self) -> Imported:
        kind = CONFIGS[self.standard]
        reader = Reader(self.file, refresh_parts(self.standard), tuple(_section(kind, "timing")))
        values = self.values(kind, reader)
        if reader.problems:
            raise InputError(sorted(set(reader.problems)))
        tree = self.tree(kind, values)
        try:
            config = validate(plain(tree.entries), {})
        except InputError as error:
            raise InputError(sorted(self.located(tree, problem) for problem in error.problems)) from None
        origins = {key: self.origin(origin) for key, origin in provenance(config, tree).items()}
        used = {given.key.lower(): given for value in values.values() for given in value.of}
        dropped = tuple(self.dropped(used, {given.key for given in reader.absent}))
        others = {key: origin for key, origin in origins.items() if key.startswith("dram.") and key not in values}
        shipped = tuple(key for key, origin in others.items() if origin.label != DEFAULT)
        default = tuple(key for key, origin in others.items() if origin.label == DEFAULT)
        found = Imported("", self.standard, self.base, tuple(used.values()), dropped, shipped, default)
        return replace(found, text="".join(self.text(config, origins, found)))

    def values(self, kind: type[AnyConfig], reader: Reader) -> Values:
        """What the file says, by key of the configuration."""
        found = reader.values()
        power = {key: value for key, value in found.items() if key.startswith("dram.power.")}
        fields = _section(kind, "power")
        needed = {f"dram.power.{key}" for key in fields if key.startswith(("VDD", "IDD"))}
        if _may_be_absent(kind) and set(power) != needed:
            found = {key: value for key, value in found.items() if key not in power}
        elif power and "reference" in fields:
            found |= _reference(found)
        given = self.file.get(_TYPES[self.file.form])
        found["dram.standard"] = Value(self.standard, (given,) if given else (), "" if given else "--standard")
        named = self.file.get("memoryId") if self.file.form == MEMSPEC else None
        if named is not None and isinstance(named.value, str) and named.value.isprintable() and named.value:
            found["name"] = Value(named.value, (named,))
        else:
            found["name"] = Value(os.path.splitext(self.name)[0] or self.standard, (), "the name of the file")
        return found

    def tree(self, kind: type[AnyConfig], values: Values) -> Tree:
        """The shipped configuration with what the file says; of keys that may be left out, what the file says alone."""
        needed, over = set(required_keys(kind)), Tree(Position(self.file.path, 1, 1))
        for key, entry in leaves(self.shipped.entries):
            if not key.startswith("dram.") or key in needed:
                put(over, key, entry)
        for key, value in values.items():
            place = value.of[0].place if value.of else over.place
            label, reason = "derived" if value.derived else "adjacent", _reason(value)
            put(over, key, Entry(place, value.value, label, reason))
        return Tree(over.place, merge({}, over.entries))

    def located(self, tree: Tree, problem: Problem) -> Problem:
        """A problem of a key of the configuration, at the key of the file that it is of."""
        place = locate(tree, problem.key)
        if place.file == self.file.path:
            return Problem(place.file, place.line, place.column, problem.key, problem.message)
        message = f"{problem.message} (not in the file, and so as shipped in {self.base})"
        return Problem(self.file.path, 1, 1, problem.key, message)

    def origin(self, origin: Origin) -> Origin:
        own = origin.file == self.file.path
        return replace(origin, file=self.name if own else os.path.basename(origin.file), before=None)

    def dropped(self, used: Mapping[str, Given], absent: set[str]) -> Iterator[tuple[Given, str]]:
        """The keys that are not used, each with the reason."""
        for given in self.file.keys.values():
            if given.key.lower() not in used:
                nothing = "it is 0, and taken for not given" if given.key in absent else ""
                yield given, nothing or self.reason(given)

    def reason(self, given: Given) -> str:
        """Why a key is nothing here."""
        table, names = DROPPED[self.file.form], list(dict.fromkeys(known(self.file.form)))
        own = next((name for name in names if self.same(name, given.name)), "")
        section = next((name for name in table if self.same(name, f"{given.key.partition('.')[0]}.")), "")
        if own == "nbrOfRanks" and given.value != 1:
            return f"a channel has one rank here: what {given.value} have is not there"
        if own in table:
            return table[own]
        if own:
            return self.unused(given)
        if section:
            return table[section]
        ours = given.key.partition(".")[0].lower() in (*SECTIONS[self.file.form], "power")
        return f"unknown key{did_you_mean(given.name, names) if ours else ''}"

    def same(self, name: str, given: str) -> bool:
        """Whether two names are one: capitals do not count in an INI file."""
        return name == given or (self.file.form != MEMSPEC and name.lower() == given.lower())

    def unused(self, given: Given) -> str:
        """Why a key that is something in general is nothing here."""
        if given.key in [f"timing.{name.replace('_S', '_L')}" for name in SHORT.values()]:
            return "all banks are one group, for which DRAMSim3 takes the short time"
        if given.key.lower().startswith(("mempowerspec.", "power.")):
            return "dram.power needs voltage and currents all together"
        return f"{self.standard} has no such time here"

    def text(self, config: AnyConfig, origins: Mapping[str, Origin], found: Imported) -> Iterator[str]:
        """The configuration, and what became of the file."""
        name = self.name
        yield f"# {name}, {_FORMS[self.file.form]}, as {self.standard}: made by `pimsim config import`.\n"
        yield dump_yaml(config, origins)
        if found.shipped:
            yield f"\n# Not in {name}, as shipped in {self.base}:\n"
            yield from (f"#   {key}\n" for key in found.shipped)
        if found.default:
            yield f"\n# Not in {name}, left to the defaults:\n"
            yield from (f"#   {key}\n" for key in found.default)
        if found.dropped:
            yield f"\n# Of {name}, dropped:\n"
            yield from (f"#   {line}\n" for line in drops(found))


def drops(found: Imported) -> Iterator[str]:
    """Each key that was dropped, with its line and the reason."""
    for given, reason in found.dropped:
        yield one_line(f"{given.key} (line {given.place.line}): {reason}")


def _reference(found: Values) -> Values:
    """Where the currents of a file hold: in the channel that it describes."""
    same = {"rows": "rows", "row_bytes": "row_bytes", "column_bytes": "column_bytes", "tCCD_ns": "timing.tCCDS_ns",
            "tRC_ns": "timing.tRC_ns", "tRAS_ns": "timing.tRAS_ns", "tRFC_ns": "timing.tRFC_ns"}  # fmt: skip
    made = {
        f"dram.power.reference.{key}": replace(found[f"dram.{of}"], reason="where the currents hold", derived=True)
        for key, of in same.items()
        if f"dram.{of}" in found
    }
    groups, banks = found.get("dram.bank_groups"), found.get("dram.banks_per_group")
    if groups and banks:
        of = tuple(dict.fromkeys((*groups.of, *banks.of)))
        made["dram.power.reference.banks"] = Value(groups.value * banks.value, of, "where the currents hold", True)
    return made


def _section(kind: type[AnyConfig], name: str) -> Mapping[str, str]:
    """The keys of a section of `dram`."""
    memory = subsection(kind, "dram")
    section = memory and subsection(memory, name)
    return keys(section) if section else {}


def _may_be_absent(kind: type[AnyConfig]) -> bool:
    """Whether a memory has no currents unless all are given."""
    memory = subsection(kind, "dram")
    return memory is not None and memory.model_fields["power"].get_default() is None and not (
        memory.model_fields["power"].is_required() or memory.model_fields["power"].default_factory
    )  # fmt: skip


def _reason(value: Value) -> str:
    """The keys that a value is of, each section named once, and what else there is to say."""
    sections: dict[str, list[str]] = {}
    for given in value.of:
        section, dot, name = given.key.rpartition(".")
        sections.setdefault(f"{section}{dot}", []).append(name)
    of = [f"{section}{', '.join(names)}" for section, names in sections.items()]
    return "; ".join(part for part in (*of, value.reason) if part)
