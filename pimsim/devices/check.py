"""What must hold between the tables of a device and the class of its configuration.

Shipped devices are checked by a test, those of other packages and of files when they are registered:
all that is wrong is found at once.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import fields
from itertools import product
from typing import Any, get_args

from pydantic import BaseModel

from pimsim.config.devices import CONFIGS
from pimsim.config.loader import default_reasons
from pimsim.config.schema import AnyConfig, Config, DeviceConfig, Timings
from pimsim.config.validate import subsection
from pimsim.devices.device import Hardware
from pimsim.dram.spec import Column, Scope, Standard
from pimsim.dram.timing import evaluate
from pimsim.errors import did_you_mean
from pimsim.labels import LABELS

_ANY = "*"  # in a row of causes
_COUNT = re.compile(r"([1-9][0-9]*|B)(/([1-9][0-9]*|B))?")  # how often a command counts in a price
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")  # of a command
_MOVED = ("column", "banks", "element")  # names in what a command moves
_PLACED = ("bank", "banks", "bank_groups", "banks_per_group")  # names in the node of a level
_COMPUTED = ("nBL",)  # from column and pins, of every device
_LABEL = re.compile(r"\((\w+)\b")  # in the reason of a default: "16 (adjacent: AiM)"


def problems(
    hardware: Hardware, kind: type[AnyConfig], prices: Collection[str], causes: Collection[str]
) -> Iterator[str]:
    """Everything that is wrong with hardware and the class of its configurations.

    prices  of `energy.formulas`; causes: those of clocks, of a device that runs language models
    """
    table = hardware.table
    yield from _wrong_commands(table, prices if hardware.layouts else ())
    yield from _wrong_levels(table)
    yield from _wrong_roles(table)
    yield from _wrong_rows(table)
    yield from _wrong_causes(table, causes if hardware.layouts else ())
    yield from _wrong_masks(hardware)
    yield from _wrong_class(hardware, kind)
    timing = timing_class(kind)
    if timing is None:
        yield "its configuration has no section dram.timing of `Timings`"
        return
    given = {clocks(key) for key in timing.model_fields}
    used = set(names_used(table))
    known = {*given, *computed(hardware)}
    yield from _wrong_expressions(table, known)
    yield from (f"dram.timing.{time(name)} is used by no row of the table" for name in sorted(given - used - {"nREFI"}))
    yield from (f"{name} is computed and used by no row of the table" for name in sorted(set(hardware.computed) - used))
    if "nREFI" not in given:
        yield "dram.timing.tREFI_ns is missing"
    optional = {key for key, value in timing.model_fields.items() if not value.is_required()}
    yield from (
        f"dram.timing.{name}_ns has a default in DEFAULTS, and is no key that may be left out"
        for name in timing.DEFAULTS
        if f"{name}_ns" not in optional
    )


def clocks(key: str) -> str:
    """The name in clocks of a key of `dram.timing`: nRP of tRP_ns."""
    return f"n{key[1:].removesuffix('_ns')}"


def time(name: str) -> str:
    """The key of a name in clocks."""
    return f"t{name[1:]}_ns"


def computed(hardware: Hardware) -> tuple[str, ...]:
    """Names in clocks that no key gives."""
    return (*_COMPUTED, *hardware.computed)


def timing_class(kind: type[BaseModel]) -> type[Timings] | None:
    """The class of `dram.timing`."""
    dram = subsection(kind, "dram") if "dram" in kind.model_fields else None
    timing = subsection(dram, "timing") if dram is not None and "timing" in dram.model_fields else None
    return timing if timing is not None and issubclass(timing, Timings) else None


# -- tables ---------------------------------------------------------------------------


class _Asked(dict[str, int]):
    """Remembers the names that an expression asks for; each is 64, which may be halved."""

    def __missing__(self, name: str) -> int:
        self[name] = 64
        return 64


def _names(expression: str) -> tuple[str, ...] | None:
    """The names in an expression; None if it is none."""
    asked = _Asked()
    try:
        evaluate(expression, asked)
    except (ValueError, SyntaxError, TypeError, ArithmeticError, RecursionError):
        return None
    return tuple(asked)


def _expressions(table: Standard) -> Iterator[tuple[str, str]]:
    """(where, expression) of every expression over timing names."""
    for command in table.commands:
        for name in ("completion", "on_pins", "lasts"):
            if text := getattr(command, name):
                yield f"{command.name}.{name}", text
    for row in table.constraints:
        yield describe(row.level, row.preceding, row.following, row.window), row.latency
    yield from ((f"derived {name}", text) for name, text in table.derived.items())


def describe(level: str, preceding: Collection[str], following: Collection[str], window: int) -> str:
    """A row of constraints in a message."""
    count = f", window {window}" if window != 1 else ""
    return f"row {'/'.join(preceding)} -> {'/'.join(following)} ({level}{count})"


def names_used(table: Standard) -> Iterator[str]:
    """Timing names in the expressions of a table, but for those that it derives."""
    for _, text in _expressions(table):
        yield from (name for name in _names(text) or () if name not in table.derived)


def _wrong_expressions(table: Standard, known: Collection[str]) -> Iterator[str]:
    so_far = set(known)
    derived = {f"derived {name}": name for name in table.derived}
    for where, text in sorted(_expressions(table), key=lambda each: each[0] not in derived):
        names = _names(text)
        if names is None:
            yield f"{where}: {text!r} is no expression of timing names"
        for name in names or ():
            if name not in so_far:
                yield f"{where}: unknown timing name {name!r}{did_you_mean(name, so_far)}"
        if where in derived:
            so_far.add(derived[where])


def _unknown(table: Standard, names: Collection[str], where: str) -> Iterator[str]:
    known = [command.name for command in table.commands]
    for name in names:
        if name not in known:
            yield f"{where}: unknown command {name!r}{did_you_mean(name, known)}"


def _wrong_commands(table: Standard, prices: Collection[str]) -> Iterator[str]:
    names = [command.name for command in table.commands]
    yield from (f"command {name} is there twice" for name in dict.fromkeys(names) if names.count(name) > 1)
    if len(table.modes) not in (0, 2):
        yield f"modes: a channel has two modes or none, not {len(table.modes)}"
    for command in table.commands:
        if not _NAME.fullmatch(command.name):
            yield f"command {command.name!r}: a name has letters, digits and _ only"
        if command.mode and command.mode not in table.modes:
            yield f"{command.name}.mode: unknown mode {command.mode!r}{did_you_mean(command.mode, table.modes)}"
        moved = _names(command.moves) if command.moves else ()
        if moved is None or set(moved) - set(_MOVED):
            yield f"{command.name}.moves: {command.moves!r} is no expression of {', '.join(_MOVED)}"
        if prices and command.energy is None:
            yield f"{command.name}.energy: a device that runs language models has a price for every command"
        for price, count in command.energy or ():
            if prices and price not in prices:
                yield f"{command.name}.energy: unknown price {price!r}{did_you_mean(price, prices)}"
            if not _COUNT.fullmatch(count):
                yield f"{command.name}.energy: {count!r} is no number and no share of the banks (B, 1/B, B/4)"


def levels(table: Standard) -> tuple[str, ...]:
    """The names of a table's levels."""
    return tuple(level.name for level in table.levels)


def _wrong_levels(table: Standard) -> Iterator[str]:
    known = levels(table)
    for level in table.levels:
        names = _names(level.node)
        if names is None or set(names) - set(_PLACED):
            yield f"level {level.name}: {level.node!r} is no expression of {', '.join(_PLACED)}"
    if table.pins not in known:
        yield f"pins: unknown level {table.pins!r}{did_you_mean(table.pins, known)}"
    for command in table.commands:
        if command.scope not in (*Scope, *known):
            near = did_you_mean(command.scope, (*Scope, *known))
            yield f"{command.name}.scope: unknown scope or level {str(command.scope)!r}{near}"


def _wrong_roles(table: Standard) -> Iterator[str]:
    for field in fields(table.roles):
        name = getattr(table.roles, field.name)
        if name is not None:
            yield from _unknown(table, (name,), f"roles.{field.name}")


def _wrong_rows(table: Standard) -> Iterator[str]:
    for row in table.constraints:
        where = describe(row.level, row.preceding, row.following, row.window)
        if row.level not in levels(table):
            yield f"{where}: unknown level {row.level!r}{did_you_mean(row.level, levels(table))}"
        if row.window < 1:
            yield f"{where}: a window counts back, 1 or more"
        if not row.source.strip():
            yield f"{where}: has no source"
        if not row.preceding or not row.following:
            yield f"{where}: names no commands"
        yield from _unknown(table, (*row.preceding, *row.following), where)


def _wrong_causes(table: Standard, causes: Collection[str]) -> Iterator[str]:
    """Every pair of commands has a cause."""
    for before, after, cause in table.causes:
        where = f"causes ({before}, {after})"
        yield from _unknown(table, [name for name in (before, after) if name != _ANY], where)
        if causes and cause not in causes:
            hint = did_you_mean(cause, causes) or f"; known: {', '.join(causes)}"
            yield f"{where}: unknown cause {cause!r}{hint}"
    names = [command.name for command in table.commands]
    pairs = [pair for pair in product(names, names) if not any(_matches(row, pair) for row in table.causes)]
    if pairs:
        yield f"causes: no row for {', '.join(f'{a} -> {b}' for a, b in pairs[:4])}{' ...' if len(pairs) > 4 else ''}"


def _wrong_masks(hardware: Hardware) -> Iterator[str]:
    """Writes of some elements have names of their own, and stand for writes."""
    commands = {command.name: command for command in hardware.table.commands}
    for name, write in hardware.masks.items():
        yield from _unknown(hardware.table, (write,), f"masks {name}")
        if write in commands and commands[write].column is not Column.WRITE:
            yield f"masks {name}: {write} writes no column"
        if name in commands:
            yield f"masks {name}: the table has a command of this name"
        if not _NAME.fullmatch(name):
            yield f"masks {name}: a name has letters, digits and _ only"


def _matches(row: tuple[str, str, str], pair: tuple[str, str]) -> bool:
    return all(name in (_ANY, given) for name, given in zip(row[:2], pair, strict=True))


# -- the class of configurations --------------------------------------------------------


def _wrong_class(hardware: Hardware, kind: type[AnyConfig]) -> Iterator[str]:
    name, whole = hardware.table.name, issubclass(kind, Config)
    if hardware.layouts is not None and not whole:
        yield f"{kind.__name__}: hardware with layouts runs language models, so its configuration is a `Config`"
    if hardware.layouts is None and not (issubclass(kind, DeviceConfig) and kind.COMMAND):
        yield f"{kind.__name__}: hardware without layouts has a `DeviceConfig`, whose COMMAND says what simulates it"
    dram = subsection(kind, "dram")
    standard: Any = dram.model_fields["standard"].annotation if dram is not None else None
    if get_args(standard) != (name,):
        yield f"{kind.__name__}: `dram.standard` must be Literal[{name!r}]"
    scheme = dram.model_fields.get("refresh") if dram is not None else None
    for refresh in get_args(scheme.annotation) if scheme is not None else ():
        if refresh != "none" and hardware.table.roles.refresh(refresh) is None:
            yield f"{kind.__name__}: `dram.refresh` may be {refresh}, and roles name no command for that"
    others = {x.__name__: x for key, other in CONFIGS.items() if key != name for x in sections(other)}
    for section in sections(kind):
        if others.get(section.__name__, section) is not section:
            yield f"a section is called {section.__name__} as another is: JSON Schema tells them by their names"
        yield from _wrong_fields(section)
    yield from _wrong_defaults(kind)


def sections(kind: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """A section with all sections in it."""
    yield kind
    for name in kind.model_fields:
        inner = subsection(kind, name)
        if inner is not None:
            yield from sections(inner)


def _wrong_fields(section: type[BaseModel]) -> Iterator[str]:
    for name, field in section.model_fields.items():
        if not field.description:
            yield f"{section.__name__}.{name} has no description"


def _wrong_defaults(kind: type[BaseModel]) -> Iterator[str]:
    for key, reason in default_reasons(kind).items():
        for label in _LABEL.findall(reason):
            near = did_you_mean(label, LABELS)
            if label not in LABELS and near:
                yield f"{key}: unknown label {label!r} in its default's reason{near}"
