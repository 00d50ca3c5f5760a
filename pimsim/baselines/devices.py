"""Baseline devices: YAML files beside this module, each constant with its unit, source and note.

`NAMExN` is a group of N cards of the machine NAME, which share each step (`pimsim.baselines.groups`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import cache, lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from pimsim.config.loader import BASELINE_SUFFIXES, read_text
from pimsim.config.nodes import parse
from pimsim.config.tree import Position, Tree, locate, plain
from pimsim.errors import InputError, Problem, did_you_mean
from pimsim.kinds import BASELINE, expecting
from pimsim.labels import LABELS
from pimsim.registry import Registry, derived, not_loaded
from pimsim.workload.ops import OPS

SOURCES = ("measured", "published", "spec", *LABELS)


def _float(value: Any) -> Any:
    return float(value) if isinstance(value, Decimal) else value


def _known_source(source: str) -> str:
    if source not in SOURCES:
        raise ValueError(f"unknown source {source!r}{did_you_mean(source, SOURCES)}; known: {', '.join(SOURCES)}")
    return source


def _known_operators(counts: Mapping[str, int]) -> Mapping[str, int]:
    for op in counts:
        if op not in OPS:
            raise ValueError(f"unknown operator {op!r}{did_you_mean(op, OPS)}; known: {', '.join(OPS)}")
    return counts


def _ascending(contexts: tuple[int, int]) -> tuple[int, int]:
    if contexts[0] > contexts[1]:
        raise ValueError(f"must be the first and the last, not {contexts[0]} and {contexts[1]}")
    return contexts


MOST_CARDS = 8  # of a group: what one host and its switch hold

Label = Annotated[str, AfterValidator(_known_source)]
Count = Annotated[int, Field(ge=0)]
AtLeastOne = Annotated[int, Field(ge=1)]
Size = Annotated[int | float, BeforeValidator(_float), Field(gt=0, allow_inf_nan=False)]  # half a byte: 4 bits


class Section(BaseModel):
    """What every part of a device file has in common."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)


class Constant(Section):
    """One figure: `value` in `unit`, how it is known and what it rests on."""

    value: Annotated[float, BeforeValidator(_float), Field(gt=0, allow_inf_nan=False)]
    unit: str
    source: Label
    note: str


def _in(*units: str, at_most: float = float("inf")) -> AfterValidator:
    """A check that a constant is in one of `units`, and not above `at_most`."""

    def check(constant: Constant) -> Constant:
        if constant.unit not in units:
            raise ValueError(f"must be in {' or '.join(units)}, not {constant.unit!r}")
        if constant.value > at_most:
            raise ValueError(f"must be at most {at_most:g}, not {constant.value:g}")
        return constant

    return AfterValidator(check)


# The formats in which a product may run, by what it is of: the first that a machine has.
_UNPACKED: Mapping[str, tuple[str, ...]] = {"int4": ("int4", "int8")}
_BYTES = {"GB": 10**9, "GiB": 2**30}  # bytes of a unit of capacity
Share = Annotated[Constant, _in("1", at_most=1)]
Watts = Annotated[Constant, _in("W")]


class MachineMemory(Section):
    """Bandwidth of the device's memory, the share of it that a plain copy reaches, and how much it holds.

    capacity  may be left out: nothing is then said not to fit
    """

    bandwidth: Annotated[Constant, _in("GB/s")]
    efficiency: Share
    capacity: Annotated[Constant, _in(*_BYTES)] | None = None


class Link(Section):
    """How the cards of a group reach each other, each by links of its own.

    bandwidth   of one card in one direction, as specified; efficiency: the share of it that an all-reduce reaches
    latency     of one step of a ring
    energy      of one bit that crosses one link
    """

    bandwidth: Annotated[Constant, _in("GB/s")]
    efficiency: Share
    latency: Annotated[Constant, _in("us")]
    energy: Annotated[Constant, _in("pJ/bit")]


class Kernels(Section):
    """The table of measured kernel times that stands for a machine, by its names in `aiconfigurator-core`."""

    system: Annotated[str, Field(min_length=1)]
    software: Literal["trtllm", "vllm", "sglang"]


class DataType(Section):
    """A number format: its size and the device's peak rate in it."""

    element_bytes: Size
    peak: Annotated[Constant, _in("TFLOP/s")]


class Power(Section):
    """Power awake without work, and at full load."""

    idle: Watts
    cap: Watts


class FusedAttention(Section):
    """What attention as one kernel changes in recorded counts, which are of attention in pieces.

    attention   ATen operators of one attention, instead of those recorded
    mask        ATen operators of a step's overhead that are then not dispatched
    """

    attention: Count
    mask: Count


class AtenOps(Section):
    """ATen operators that the host dispatches.

    per_operator   for each execution of an operator by op, where none are recorded
    overhead       in the rest of a step (masks, positions), where none are recorded
    fused          given if attention is one kernel
    """

    source: Label
    note: str
    per_operator: Annotated[dict[str, Count], AfterValidator(_known_operators)]
    overhead: Count
    fused: FusedAttention | None = None


class Scope(Section):
    """What a measured time is of; it stands for nothing else.

    operators_sha256  of the decode step's graph: `trace_sha256` in the summary of a run of the same
    lm_head           whether embedding, final norm and LM head are in it
    batch             sequences of a step, of one token each
    data_type         of weights and activations
    contexts          of the first and last timed step
    """

    operators_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    lm_head: bool
    batch: AtLeastOne
    data_type: str
    contexts: Annotated[tuple[AtLeastOne, AtLeastOne], AfterValidator(_ascending)]


class Measured(Constant):
    """A measured time of a decode step; without `scope` (older files) nobody knows of what, and it is not used."""

    scope: Scope | None = None


class Eager(Section):
    """An eager framework: what the host costs, and where it waits for the device."""

    data_type: str
    synchronise: Literal["step", "operator"]
    op_time: Annotated[Constant, _in("us")]
    efficiency: Share
    aten_ops: AtenOps
    measured: dict[str, Annotated[Measured, _in("ms")]]


class Roofline(Section):
    """The bound: the number format that it is printed for."""

    data_type: str


class BaselineDevice(Section):
    """A device to compare with.

    group  cards that share each step; every constant is that of one card
    link   between them; may be left out where there is one card
    kernels  measured times of its kernels, which a configuration may ask for
    beside   shipped machines that a report shows beside it
    """

    schema_: Literal["pimsim.baseline/1"] = Field(alias="schema")
    name: Annotated[str, Field(min_length=1)]
    description: str
    provenance: dict[str, str] = {}  # of a measured file: processor, versions, date, command
    beside: tuple[str, ...] = ()
    group: Annotated[int, Field(ge=1, le=MOST_CARDS)] = 1
    memory: MachineMemory
    data_types: dict[str, DataType]
    link: Link | None = None
    kernels: Kernels | None = None
    power: Power
    eager: Eager
    roofline: Roofline

    @property
    def bandwidth(self) -> float:
        """Bandwidth that a plain copy reaches on one card, GB/s = bytes per ns."""
        return self.memory.bandwidth.value * self.memory.efficiency.value

    @property
    def capacity_bytes(self) -> int | None:
        """Bytes that the memory of all cards holds, None if its file does not say."""
        capacity = self.memory.capacity
        return None if capacity is None else self.group * round(capacity.value * _BYTES[capacity.unit])

    def peak(self, product: str, data_type: str) -> float:
        """TFLOP/s of products in a format, "" for that of `data_type`.

        A format that a machine does not multiply is unpacked to the next one that it does, at last to `data_type`.
        """
        names = (*_UNPACKED.get(product, (product,)), data_type)
        return next(self.data_types[name].peak.value for name in names if name in self.data_types)

    @property
    def watts(self) -> tuple[float, float]:
        """Power of all cards awake without work, and at full load."""
        return self.group * self.power.idle.value, self.group * self.power.cap.value


class _Shipped(Mapping[str, BaselineDevice]):
    """The devices that are shipped, sorted by name, each read when it is needed."""

    def __getitem__(self, name: str) -> BaselineDevice:
        if name not in _names():
            raise KeyError(name)
        return _shipped(name)

    def __contains__(self, name: object) -> bool:
        return name in _names()

    def __iter__(self) -> Iterator[str]:
        return iter(_names())

    def __len__(self) -> int:
        return len(_names())


@cache
def _names() -> tuple[str, ...]:
    return tuple(sorted(file.stem for file in Path(__file__).parent.glob("*.yaml")))


DEVICES: Registry[BaselineDevice] = Registry("baseline", _Shipped())


def available() -> tuple[str, ...]:
    """Names of the devices that are shipped, sorted, and then of those that were registered."""
    return tuple(DEVICES)


def is_path(name: str) -> bool:
    """True if `load` reads `name` as a file: it ends in .yaml or .yml."""
    return name.endswith(BASELINE_SUFFIXES)


_GROUP = re.compile(r"(.+)x([0-9]+)")


def machine_of(name: str) -> tuple[str, int]:
    """The machine that a name means, and how many cards of it: `gpu-h100x8` is 8 of `gpu-h100`."""
    parts = None if name in DEVICES else _GROUP.fullmatch(name)
    return (parts[1], int(parts[2])) if parts else (name, 1)


def is_known(name: str) -> bool:
    """Whether `load` knows a name that is no path, or a group of it by its cards."""
    machine, cards = machine_of(name)
    return machine in DEVICES and 1 <= cards <= MOST_CARDS


def name_of(name_or_path: str) -> str:
    """What a device is called in results: a file's own `name`, or what was given if it cannot be loaded."""
    try:
        return load(name_or_path).name
    except InputError:
        return name_or_path


def load(name_or_path: str) -> BaselineDevice:
    """A device by name, or a file by its path (`is_path`).

    Raises InputError with every problem, each with file, line, column and key.
    """
    if is_path(name_or_path):
        return load_file(name_or_path)
    if not is_known(name_or_path):
        known = ", ".join(DEVICES)
        raise InputError(
            f"unknown baseline {name_or_path!r}{did_you_mean(name_or_path, suggestions(name_or_path))}; "
            f"known: {known}, NAMExN for N cards of one ({MOST_CARDS} at most), "
            f"or a path that ends in .yaml{not_loaded()}",
            key="baselines",
        )
    machine, cards = machine_of(name_or_path)
    return DEVICES[name_or_path] if machine == name_or_path else _grouped(name_or_path, machine, cards)


def suggestions(name: str) -> list[str]:
    """Names that one that is not known may have meant: those of machines, and of groups with as many cards."""
    _, cards = machine_of(name)
    return [*DEVICES, *(f"{known}x{min(cards, MOST_CARDS)}" for known in DEVICES if cards > 1)]


@derived
@cache
def _grouped(name: str, machine: str, cards: int) -> BaselineDevice:
    """So many cards of a machine under the name of the group."""
    device = DEVICES[machine]
    if cards > 1 and device.link is None:
        raise InputError(f"{name!r}: {machine} has no `link` between cards, so there is no group of it", "baselines")
    return device.model_copy(update={"name": name, "group": cards})


def load_file(path: str) -> BaselineDevice:
    """The device in a file; InputError as `load`."""
    with expecting(BASELINE, path):
        return parse_device(read_text(path), path)


@cache
def _shipped(name: str) -> BaselineDevice:
    file = f"{name}.yaml"
    return parse_device(Path(__file__).with_name(file).read_text(encoding="utf-8"), file)


@lru_cache(maxsize=64)  # a sweep asks for each point
def parse_device(text: str, file: str) -> BaselineDevice:
    """The device that YAML `text` describes; InputError as `load`, problems placed in `file`."""
    tree = parse(text, file)
    try:
        device = BaselineDevice.model_validate(plain(tree.entries))
    except ValidationError as error:
        raise InputError(_placed(tree, _key(d), _message(d)) for d in error.errors(include_url=False)) from None
    problems = [_placed(tree, key, message) for key, message in _contradictions(device)]
    if problems:
        raise InputError(problems)
    return device


def _contradictions(device: BaselineDevice) -> list[tuple[str, str]]:
    """What does not fit together, as (key, message)."""
    found = [
        (key, f"{value!r} is not one of data_types: {', '.join(device.data_types)}")
        for key, value in (
            ("eager.data_type", device.eager.data_type),
            ("roofline.data_type", device.roofline.data_type),
            *(
                (f"eager.measured.{name}.scope.data_type", entry.scope.data_type)
                for name, entry in device.eager.measured.items()
                if entry.scope is not None
            ),
        )
        if value not in device.data_types
    ]
    found += [
        (f"beside.{i}", f"unknown baseline {name!r}{did_you_mean(name, suggestions(name))}")
        for i, name in enumerate(device.beside)
        if not is_known(name)
    ]
    if device.group > 1 and device.link is None:
        found.append(("group", f"{device.group} cards need a `link` between them"))
    if device.power.idle.value > device.power.cap.value:
        found.append(("power.idle", f"{device.power.idle.value:g} W is above power.cap {device.power.cap.value:g} W"))
    return found


def _key(details: ErrorDetails) -> str:
    return ".".join(str(part) for part in details["loc"])


def _message(details: ErrorDetails) -> str:
    kind, given = details["type"], details["input"]
    if kind == "missing":
        return "required key is missing"
    if kind == "extra_forbidden":
        wrong = str(details["loc"][-1])
        return f"unknown key{did_you_mean(wrong, [key for key in _KEYS if key != wrong])}"
    if kind == "value_error":
        return str(details["ctx"]["error"])
    shown = "a mapping" if isinstance(given, Mapping) else repr(given)
    message = details["msg"]
    return f"{message[0].lower()}{message[1:]}, not {shown}"


def _keys(section: type[BaseModel]) -> set[str]:
    return {field.alias or name for name, field in section.model_fields.items()}


_SECTIONS: tuple[type[BaseModel], ...] = (
    BaselineDevice,
    MachineMemory,
    Link,
    Kernels,
    DataType,
    Power,
    FusedAttention,
    AtenOps,
    Eager,
    Roofline,
    Constant,
    Measured,
    Scope,
)
_KEYS = sorted({key for section in _SECTIONS for key in _keys(section)})


def _placed(tree: Tree, key: str, message: str) -> Problem:
    place: Position = locate(tree, key)
    return Problem(place.file, place.line, place.column, key, message)


def constants(device: BaselineDevice) -> dict[str, dict[str, Any]]:
    """Every constant of a device by dotted key, for a report: {value, unit, source, note}."""
    found: dict[str, dict[str, Any]] = {}
    _collect(device, "", found)
    return found


def used_constants(device: BaselineDevice) -> dict[str, dict[str, Any]]:
    """Those that decide a result: one card needs no link."""
    found = constants(device)
    return found if device.group > 1 else {key: value for key, value in found.items() if not key.startswith("link.")}


def _collect(value: Any, path: str, found: dict[str, dict[str, Any]]) -> None:
    if isinstance(value, Constant):
        found[path] = value.model_dump(include=set(Constant.model_fields))
        return
    items = value.items() if isinstance(value, Mapping) else value if isinstance(value, BaseModel) else ()
    for key, inner in items:
        _collect(inner, f"{path}.{key}" if path else str(key), found)
