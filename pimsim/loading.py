"""Configurations as they are loaded: with the names that they may use, and where each value came from."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from pimsim.config import loader
from pimsim.config.devices import CONFIGS
from pimsim.config.loader import Origin, Overrides
from pimsim.config.schema import AnyConfig, Common, Config, PlacementConfig
from pimsim.config.shipped import SUFFIXES
from pimsim.errors import InputError
from pimsim.registry import Registry

if TYPE_CHECKING:
    import os

    from pimsim.workload.trace.records import Trace


class _Names(Collection[str]):
    """Names that a configuration may use; who asks for none of them does not load what they name."""

    def __init__(self, of: Callable[[], Registry[Any]]) -> None:
        self._of = of

    def __contains__(self, name: object) -> bool:
        return name in self._of()

    def __iter__(self) -> Iterator[str]:
        return iter(self._of())

    def __len__(self) -> int:
        return len(self._of())


class _OrFiles(_Names):
    """The same; a path stands for a file, which is checked when it is read."""

    def __contains__(self, name: object) -> bool:
        return str(name).endswith(SUFFIXES) or super().__contains__(name)


class _Baselines(_OrFiles):
    """Names of machines or files, and groups of machines."""

    def __contains__(self, name: object) -> bool:
        from pimsim.baselines.devices import is_known

        return super().__contains__(name) or is_known(str(name))

    def near(self, name: str) -> Collection[str]:
        """What one that is not known may have meant."""
        from pimsim.baselines.devices import suggestions

        return suggestions(name)


class _Beside(_Baselines):
    """The same, and what else may be said of a part of the work."""

    WORDS = (PlacementConfig.PIM, PlacementConfig.AUTO)

    def __contains__(self, name: object) -> bool:
        return name in self.WORDS or super().__contains__(name)

    def near(self, name: str) -> Collection[str]:
        """As of machines."""
        return [*self.WORDS, *super().near(name)]


def known_names() -> dict[str, Collection[str]]:
    """The names that a configuration may use, by key."""
    return {
        "workload.model": _Names(models_by_name),
        "energy.table": _OrFiles(_energy_tables),
        "baselines": _Baselines(_machines_by_name),
        **{f"placement.{part}": _Beside(_machines_by_name) for part in ("prefill", "linear", "attention")},
        "placement.machine": _Baselines(_machines_by_name),
    }


def models_by_name() -> Registry[Any]:
    from pimsim.workload.shapes import MODELS

    return MODELS


def _machines_by_name() -> Registry[Any]:
    from pimsim.baselines.devices import DEVICES

    return DEVICES


def _energy_tables() -> Registry[Any]:
    from pimsim.energy.table import ENERGY_TABLES

    return ENERGY_TABLES


@dataclass(frozen=True)
class Loaded(loader.Loaded):
    """A valid configuration, with where each value came from, and the trace that it names."""

    trace: Trace | None


def load(path: str | os.PathLike[str], overrides: Overrides | None = None) -> Loaded:
    """The configuration in a file, with where each value came from; InputError has every problem in it."""
    return _told(partial(loader.load, path, overrides))


def change(config: AnyConfig, changes: Overrides, more: Mapping[str, Any] | None = None) -> Loaded:
    """A configuration with changes on top, and more of them by keys at the top; as `load`."""
    return _told(partial(loader.change, config, changes, more or {}))


def _told(read: Callable[..., loader.Loaded]) -> Loaded:
    """What `loader` reads with all that it is to be told."""
    traces: list[Trace] = []

    def said(trace_file: str, given: Mapping[str, Any]) -> tuple[Mapping[str, int | None], int]:
        from pimsim.workload.scheduled import scheduled
        from pimsim.workload.trace.reader import load_trace

        traces.append(load_trace(trace_file))
        return scheduled(traces[-1], given)

    loaded = read(known_names(), said, read_table, read_energy)
    known = {**vars(loaded), "provenance": _with_homes(loaded.config, loaded.provenance)}
    return Loaded(**known, trace=traces[-1] if traces else None)


def read_table(path: str) -> str:
    """The name of the standard that a table file describes, registered; InputError with all that is wrong with it."""
    from pimsim.extension import table_file  # its schema: not for those who have no table of their own

    return table_file(path)


def read_energy(path: str) -> object:
    """The energy table in a file; InputError with all that is wrong with it."""
    from pimsim.energy.table import load_file

    return load_file(path)


def origins(config: AnyConfig) -> dict[str, Origin]:
    """Where each value of a configuration came from, those included that were set in Python since it was loaded."""
    return _with_homes(config, loader.provenance(config, loader.written(config).tree))


def _with_homes(config: AnyConfig, provenance: Mapping[str, Origin]) -> dict[str, Origin]:
    """The origin of each value, with who registered what it names."""
    found = dict(provenance)
    named: list[tuple[str, Registry[Any], Any]] = [("dram.standard", CONFIGS, config.dram.standard)]
    if isinstance(config, Config):
        named.append(("workload.model", models_by_name(), config.workload.model))
        named.append(("energy.table", _energy_tables(), config.energy.table))
        if config.baselines:
            from pimsim.baselines.devices import machine_of

            named += [("baselines", _machines_by_name(), machine_of(name)[0]) for name in config.baselines]
    for key, registry, name in named:
        if registered := registry.origin(name):
            homes = dict.fromkeys(home for home in (found[key].home, registered.name) if home)
            found[key] = replace(found[key], home=", ".join(homes))
    return found


def language_model(config: AnyConfig) -> Config:
    """The same configuration; InputError if it has no language model to run, TypeError if it is none."""
    if isinstance(config, Config):
        return config
    if not isinstance(config, Common):
        example = f"load_config({config!r})" if isinstance(config, str) else "load_config(NAME_OR_FILE)"
        raise TypeError(f"a configuration is needed, as pimsim.{example} gives it, not {type(config).__name__!r}")
    what = f"a memory of standard {config.dram.standard} runs no language model; use `{config.COMMAND}` instead"
    raise InputError(what, key="dram.standard")
