"""What other packages and scripts add: devices, models, baselines, ASIC functions, tables, configurations.

One mechanism for all: it is checked as what is shipped is, everything that is wrong is said at once,
a name that is taken stays whose it is, and everybody can ask where a name is from.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeVar

import yaml

from pimsim.asic.function import Function
from pimsim.asic.units import KINDS, KINDS_OF_WAYS
from pimsim.baselines import devices as baselines
from pimsim.config.devices import CONFIGS
from pimsim.config.loader import read_text
from pimsim.config.schema import AnyConfig
from pimsim.config.shipped import CONFIGURATIONS, SUFFIXES
from pimsim.devices import check, written
from pimsim.devices.device import Hardware
from pimsim.devices.registry import HARDWARE
from pimsim.energy import table as energy
from pimsim.energy.formulas import FORMULAS
from pimsim.errors import InputError, Problem, did_you_mean
from pimsim.labels import LABELS
from pimsim.mapping.supported import ARITHMETIC
from pimsim.registry import Origin, Registry, caller, derived, loading
from pimsim.sim.tally import DEVICE_CAUSES
from pimsim.workload.models import MODELS, ModelShape, build
from pimsim.workload.ops import OPS, Op

Named = str | os.PathLike[str]

PRICES = tuple(formula.name for formula in FORMULAS)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")

T = TypeVar("T")


def register(
    *,
    hardware: Hardware | None = None,
    config: type[AnyConfig] | None = None,
    configuration: Named | Iterable[Named] = (),
    table: Named | None = None,
    model: ModelShape | None = None,
    baseline: Named | Mapping[str, Any] | None = None,
    energy_table: Named | Mapping[str, Any] | None = None,
    function: Function | None = None,
    source: str = "",
    replace: bool = False,
) -> None:
    """Give names to what is not shipped, for this process; a package does it in an entry point of group `pimsim`.

    hardware, config  a memory: its tables and layouts, and the class of its configurations, both together
    configuration     YAML files whose names, without the suffix, stand for them
    table             a YAML file that changes rows of another standard's table
    model             the sizes of a language model
    baseline          a machine to compare with: a YAML file, or a mapping of the same form
    energy_table      what prices the counts: a YAML file, or a mapping of the same form; `energy.table` may name it
    function          a function of the ASIC, which operators of traces and activations of models may name
    source            of a model's sizes or a function's passes: "LABEL: reason", LABEL as `pimsim config show` has them
    replace           also names that were registered before, never those that are shipped

    InputError has everything that is wrong; nothing is registered then.
    """
    wanted = _Wanted(caller(1), replace)
    if hardware is not None or config is not None:
        wanted.device(hardware, config)
    for file in (configuration,) if isinstance(configuration, str | os.PathLike) else configuration:
        wanted.configuration(os.fspath(file))
    if table is not None:
        wanted.collect(lambda: wanted.table(os.fspath(table)))
    if model is not None:
        wanted.model(model, source)
    if baseline is not None:
        wanted.collect(lambda: wanted.baseline(baseline))
    if energy_table is not None:
        wanted.collect(lambda: wanted.energy_table(energy_table))
    if function is not None:
        wanted.function(function, source)
    if wanted.problems:
        raise InputError(wanted.problems)
    for add in wanted.additions:
        add()


def table_file(path: str) -> str:
    """The standard that a table file, named in a configuration, describes; InputError with all that is wrong."""
    return _standard_of(path, read_text(path))


@derived
@cache
def _standard_of(path: str, _: str) -> str:
    """The same, once for each text: sweeps ask for every point."""
    wanted = _Wanted("", replace=False)
    name = wanted.table(path)
    if wanted.problems:
        raise InputError(wanted.problems)
    for add in wanted.additions:
        add()
    return name


@dataclass
class _Wanted:
    """What one call registers, if nothing is wrong with any of it."""

    home: str
    replace: bool
    additions: list[Callable[[], None]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def complain(self, what: str, message: str, file: str = "") -> None:
        self.problems.append(Problem(file, 1 if file else 0, 1 if file else 0, what, message))

    def collect(self, add: Callable[[], object]) -> None:
        """Keep the problems of a file."""
        try:
            add()
        except InputError as error:
            self.problems += error.problems

    def add(self, registry: Registry[T], name: str, thing: T, origin: Origin) -> None:
        """Have a name mean a thing, if it is a name and free."""
        what = f"{registry.what} {name}"
        if not _NAME.fullmatch(name) or name.endswith(SUFFIXES):
            self.complain(what, "a name has letters, digits, '.', '_' and '-', and ends in no suffix of a file")
        elif owner := registry.taken(name, thing, origin.home, self.replace):
            self.complain(what, f"the name is taken by {owner}")
        else:
            self.additions.append(partial(registry.add, name, thing, origin))

    def source(self, what: str, text: str) -> str:
        label, _, reason = (part.strip() for part in text.partition(":"))
        if label not in LABELS or not reason:
            hint = did_you_mean(label, LABELS) or f"; labels: {', '.join(LABELS)}"
            self.complain(what, f"source must be LABEL: reason, not {text!r}{hint if label not in LABELS else ''}")
        return text

    # -- what there is to register ------------------------------------------------------

    def device(self, hardware: Hardware | None, kind: type[AnyConfig] | None) -> None:
        """A memory; its configurations have a class."""
        if hardware is None or kind is None:
            self.complain("hardware", "hardware and config go together")
            return
        name = hardware.table.name
        for message in check.problems(hardware, kind, PRICES, DEVICE_CAUSES):
            self.complain(f"standard {name}", message)
        origin = Origin(self.home, digest=written.digest(hardware.table))
        self.add(HARDWARE, name, hardware, origin)
        if not HARDWARE.taken(name, hardware, self.home, self.replace):
            self.add(CONFIGS, name, kind, origin)

    def table(self, path: str) -> str:
        """A table in YAML, which may have been read before."""
        home = loading() or os.path.realpath(path)
        found = written.load_table(path, PRICES, DEVICE_CAUSES)
        name = found.hardware.table.name
        if HARDWARE.origin(name) != Origin(home, digest=found.digest):
            self.add(HARDWARE, name, found.hardware, Origin(home, digest=found.digest))
            if not HARDWARE.taken(name, found.hardware, home, self.replace):
                self.add(CONFIGS, name, found.kind, Origin(home, digest=found.digest))
            for problem in (problem for problem in self.problems if not problem.file):
                self.problems[self.problems.index(problem)] = Problem(path, 1, 1, problem.key, problem.message)
        return name

    def configuration(self, path: str) -> None:
        """A file whose name stands for it; it is read when it is used."""
        stem, suffix = os.path.splitext(os.path.basename(path))
        if suffix not in SUFFIXES or not Path(path).is_file():
            self.complain("configuration", "must be a YAML file that is there", path)
            return
        self.add(CONFIGURATIONS, stem, os.path.abspath(path), Origin(self.home))

    def model(self, shape: ModelShape, source: str) -> None:
        """The sizes of a model, whose graph can be made."""
        if not isinstance(shape, ModelShape):
            self.complain("model", f"is a `pimsim.ModelShape`, not {shape!r}")
            return
        what = f"model {shape.name}"
        origin = Origin(self.home, self.source(what, source))
        try:
            build(shape, lm_head=True)
        except (ValueError, KeyError) as error:
            self.complain(what, str(error))
        self.add(MODELS, shape.name, shape, origin)

    def baseline(self, given: Named | Mapping[str, Any]) -> None:
        """A machine to compare with."""
        if isinstance(given, Mapping):
            device = baselines.parse_device(yaml.safe_dump(dict(given), sort_keys=False), "baseline")
        else:
            device = baselines.load_file(os.fspath(given))
        self.add(baselines.DEVICES, device.name, device, Origin(self.home))

    def energy_table(self, given: Named | Mapping[str, Any]) -> None:
        """A table that prices what was counted."""
        if isinstance(given, Mapping):
            made = energy.table_of(yaml.safe_dump(dict(given), sort_keys=False), "energy table")
        else:
            made = energy.load_file(os.fspath(given))
        self.add(energy.ENERGY_TABLES, made.name, made, Origin(self.home))

    def function(self, function: Function, source: str) -> None:
        """A function of the ASIC: an operator, what it costs, and how the hardware runs it."""
        if not isinstance(function, Function):
            self.complain("function", f"is a `pimsim.Function`, not {function!r}")
            return
        what = f"operator {function.name}"
        origin = Origin(self.home, self.source(what, source))
        for message in function.problems():
            self.complain(what, message)
        if function.name in (*KINDS_OF_WAYS, *DEVICE_CAUSES) or function.name in KINDS.shipped:
            self.complain(what, "the name is taken by pimsim")
            return
        op = Op(
            function.operations, as_wide=True, activation=True, experts=True, launches=function.launches
        )  # fmt: skip
        self.add(OPS, function.name, op, origin)
        if not OPS.taken(function.name, op, self.home, self.replace):
            self.add(KINDS, function.name, function.passes, origin)
            self.add(ARITHMETIC, function.name, (function.name, function.streams), origin)
