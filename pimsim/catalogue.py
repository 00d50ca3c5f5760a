"""What there is by name, shipped and registered, as data: what `pimsim models` and `pimsim devices` print."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from pimsim.errors import did_you_mean
from pimsim.registry import Registry
from pimsim.results.base import data_frame
from pimsim.results.layout import columns

if TYPE_CHECKING:
    import pandas

    from pimsim.config.schema import AnyConfig
    from pimsim.workload.shapes import ModelShape


@dataclass(frozen=True)
class Model:
    """A language model for `workload.model`.

    kv_heads    heads of K and V; heads: of queries
    parameters  of the decoder blocks, without embeddings and LM head
    about       what it has besides its sizes
    origin      who registered it, "" if it is shipped
    """

    name: str
    layers: int
    d_model: int
    heads: int
    kv_heads: int
    d_ff: int
    parameters: int
    about: str = ""
    origin: str = ""


@dataclass(frozen=True)
class Machine:
    """A machine for `baselines`.

    memory  its capacity with the unit, "" where it states none; origin: as of a model
    """

    name: str
    memory: str
    about: str = ""
    origin: str = ""


@dataclass(frozen=True)
class Device:
    """A memory.

    name            the `dram.standard` of its configurations
    multiplies      formats of weights and vectors, in units in the banks; None if it multiplies nothing
    command         what runs it
    configurations  the names of those that are shipped or registered
    pairs           of configurations that list several: the pairs of formats that each multiplies
    origin          as of a model
    """

    name: str
    multiplies: str | None
    command: str
    configurations: tuple[str, ...]
    pairs: Mapping[str, tuple[str, ...]]
    origin: str = ""


@dataclass(frozen=True)
class Configuration:
    """A configuration that is named without a path.

    standard  of its memory
    runs      the model or the trace of its workload, "" where it has none
    origin    as of a model
    """

    name: str
    standard: str
    runs: str = ""
    origin: str = ""


Row = TypeVar("Row", Model, Machine, Device, Configuration)


class Catalogue(Sequence[Row], Generic[Row]):
    """Rows by number or by name; a table where it is shown."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._rows: tuple[Row, ...] = tuple(rows)
        self._by_name: dict[str, Row] = {row.name: row for row in self._rows}

    @overload
    def __getitem__(self, which: int | str) -> Row: ...
    @overload
    def __getitem__(self, which: slice) -> Sequence[Row]: ...
    def __getitem__(self, which: int | str | slice) -> Row | Sequence[Row]:
        if not isinstance(which, str):
            return self._rows[which]
        if which not in self._by_name:
            raise KeyError(f"no {which!r}{did_you_mean(which, self._by_name)}")
        return self._by_name[which]

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, which: object) -> bool:
        """Whether there is such a row, or one of that name."""
        return which in self._by_name if isinstance(which, str) else which in self._rows

    @property
    def names(self) -> tuple[str, ...]:
        """In their order."""
        return tuple(self._by_name)

    def to_frame(self) -> pandas.DataFrame:
        """The rows as a pandas data frame; ImportError, saying what to install, without pandas."""
        return data_frame(self._rows)

    def _columns(self) -> list[str]:
        """Those in which any row has something to say; what has names of its own is too wide to show."""
        return [field.name for field in fields(self._rows[0]) if any(map(_shown, self._values(field.name)))]

    def _values(self, name: str) -> list[Any]:
        return [getattr(row, name) for row in self._rows]

    def _cells(self) -> list[list[str]]:
        return [[_cell(getattr(row, name)) for name in self._columns()] for row in self._rows]

    def __repr__(self) -> str:
        """A table, a line for each row."""
        numbers = [isinstance(getattr(self._rows[0], name), int) for name in self._columns()]
        lines = columns(
            [[(cell, "") for cell in row] for row in (self._columns(), *self._cells())],
            ["right" if number else "left" for number in numbers],
            gap=2,
        )
        return "\n".join("".join(text for text, _ in line).rstrip() for line in lines)

    def _repr_html_(self) -> str:
        """The same for notebooks; plain HTML, nothing from the network."""
        from html import escape

        head = "".join(f"<th>{escape(name)}</th>" for name in self._columns())
        rows = ("".join(f"<td>{escape(cell)}</td>" for cell in row) for row in self._cells())
        return f"<table><tr>{head}</tr>{''.join(f'<tr>{row}</tr>' for row in rows)}</table>"


def _shown(value: Any) -> bool:
    return bool(value) and not isinstance(value, Mapping)


def _cell(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(value)
    return f"{value:,}" if isinstance(value, int) else "-" if value is None else str(value)


def models() -> Catalogue[Model]:
    """The language models that `workload.model` may name, with their sizes: `pimsim.models()["gpt2-xl"].layers`."""
    from pimsim.workload.models import MODELS, build

    return Catalogue(
        Model(
            name, shape.layers, shape.d_model, shape.heads, shape.kv_heads, shape.d_ff,
            build(shape, lm_head=False).parameters, _extras(shape), _origin(MODELS, name),
        )
        for name, shape in MODELS.items()
    )  # fmt: skip


def _extras(shape: ModelShape) -> str:
    """What a model has besides its sizes."""
    window = f"window {shape.window}" if shape.window else ""
    return window or (f"{shape.active} of {shape.experts} experts" if shape.experts > 1 else "")


def machines() -> Catalogue[Machine]:
    """The machines that `baselines` may name; NAMExN is N cards of one."""
    from pimsim.baselines import devices as baselines

    def rows() -> Iterator[Machine]:
        for name in baselines.available():
            machine = baselines.load(name)
            capacity = machine.memory.capacity
            memory = "" if capacity is None else f"{capacity.value:g} {capacity.unit}"
            yield Machine(name, memory, machine.description, _origin(baselines.DEVICES, name))

    return Catalogue(rows())


def devices() -> Catalogue[Device]:
    """The memories by their `dram.standard`: what each multiplies, what runs it, and its configurations."""
    from pimsim.config.devices import CONFIGS
    from pimsim.config.schema import DeviceConfig
    from pimsim.devices.registry import HARDWARE
    from pimsim.formats import NATIVE_PAIR, PAIRS

    named = _pairs_by_standard()

    def rows() -> Iterator[Device]:
        for name, hardware in HARDWARE.items():
            kind = CONFIGS[name]
            units: Any = kind.model_fields.get("pim")  # whose first pair of formats is its own
            formats = units.annotation.model_fields["formats"].default if units else {}
            pair = PAIRS[next(iter(formats), NATIVE_PAIR)]
            multiplies = any(command.multiplies for command in hardware.table.commands)
            pairs = named.get(name, {})
            yield Device(
                name,
                f"{pair.stored.name} x {pair.given.name}" if multiplies else None,
                kind.COMMAND if issubclass(kind, DeviceConfig) else "pimsim run",
                tuple(pairs),
                {config: found for config, found in pairs.items() if found},
                _registrar(HARDWARE, name),
            )

    return Catalogue(rows())


def configurations() -> Catalogue[Configuration]:
    """The configurations that need no path: `pimsim.load_config("pim-gpt")`; one that cannot be loaded is left out."""
    from pimsim.config.shipped import CONFIGURATIONS

    return Catalogue(
        Configuration(name, config.dram.standard, _work(config), _registrar(CONFIGURATIONS, name))
        for name, config in _loadable()
    )


def _work(config: AnyConfig) -> str:
    work = getattr(config, "workload", None)
    if work is None:
        return ""
    return work.model or work.trace or (work.model_config_.name if work.model_config_ else "")


def _pairs_by_standard() -> dict[str, dict[str, tuple[str, ...]]]:
    """The names of configurations by their standard, with the pairs of formats that each lists."""
    found: dict[str, dict[str, tuple[str, ...]]] = {}
    for name, config in _loadable():
        units = getattr(config, "pim", None)
        found.setdefault(config.dram.standard, {})[name] = tuple(units.formats) if units else ()
    return found


def _loadable() -> Iterator[tuple[str, AnyConfig]]:
    from pimsim import api
    from pimsim.config.shipped import CONFIGURATIONS
    from pimsim.errors import InputError

    for name, file in CONFIGURATIONS.items():
        try:
            config = api.load_config(file)
        except InputError:
            continue
        yield name, config


def _registrar(registry: Registry[Any], name: str) -> str:
    """Who registered a name, "" if it is shipped."""
    origin = registry.origin(name)
    return origin.name if origin else ""


def _origin(registry: Registry[Any], name: str) -> str:
    """The same, with how well what it means is known."""
    origin = registry.origin(name)
    return "" if origin is None else f"{origin.name}{f' ({origin.source})' if origin.source else ''}"
