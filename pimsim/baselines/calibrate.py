"""Turns measurements of a machine into a baseline file (`pimsim calibrate`).

The machine is a `Machine`: `pimsim.baselines.measure` has the real one, tests a made
one.  Interference only adds time, so of several runs the one with the smallest median
counts, and the spread over all of them is stated beside it.  What is not measured (rates of
formats that torch was not asked for, the link between cards, tables of kernels) is that of a
machine that the user says it is like, with the label that it has there.
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Protocol

import numpy as np

from pimsim.baselines.cost import Demand, decode_demands
from pimsim.baselines.devices import BaselineDevice, Constant, load, parse_device
from pimsim.baselines.eager import eager
from pimsim.workload.models import ModelShape, Workload, build

# Idle and full power, W, for a file whose machine could not be asked: of a core of cpu-xeon-6154, and of gpu-t4.
_CORE_POWER, _GPU_POWER = (60 / 18, 200 / 18), (26.0, 70.0)
_OP_TIME_US, _EFFICIENCY = (0.1, 1000.0), (0.02, 1.0)  # where the fit looks
_GRID, _ROUNDS = 15, 4


@dataclass(frozen=True)
class Decode:
    """Timed decode of one model.

    contexts: of the first and last timed token. runs: milliseconds of each token, a run
    a tuple. aten_by_op: ATen operators of each operator of a block; aten_ops: of a whole step.
    """

    shape: ModelShape
    contexts: tuple[int, int]
    runs: tuple[tuple[float, ...], ...]
    aten_by_op: Mapping[str, int]
    aten_ops: int

    @property
    def ms(self) -> float:
        """Milliseconds a token: the median of the run that has the smallest."""
        return min(statistics.median(run) for run in self.runs)

    @property
    def spread(self) -> tuple[float, float]:
        """The 10th and 90th percentile of all tokens, ms."""
        tokens = sorted(ms for run in self.runs for ms in run)
        return tokens[len(tokens) // 10], tokens[-1 - len(tokens) // 10]

    @property
    def us_per_op(self) -> float:
        """Microseconds a token for each ATen operator of its step."""
        return self.ms * 1e3 / self.aten_ops


@dataclass(frozen=True)
class PowerDraw:
    """Watts awake without work, and at the limit."""

    idle: float
    cap: float


class Machine(Protocol):
    """What can be measured."""

    kind: str
    data_type: str
    threads: int

    @property
    def description(self) -> str: ...
    def facts(self) -> Mapping[str, str]: ...
    def decode(self, shape: ModelShape, prompt: int, tokens: int, repeats: int) -> Decode: ...
    def copy_GBps(self) -> float: ...
    def peak_TFLOPs(self, data_type: str) -> float: ...
    def power(self) -> PowerDraw | None: ...
    def memory_bytes(self) -> int | None: ...


@dataclass(frozen=True)
class Measurement:
    """Everything measured on one machine; `given_power` is what the user stated."""

    kind: str
    description: str
    data_type: str
    threads: int
    decodes: tuple[Decode, ...]
    copy_GBps: float
    peaks: Mapping[str, float]
    power: PowerDraw | None
    given_power: PowerDraw | None
    memory_bytes: int | None
    provenance: Mapping[str, str]


@dataclass(frozen=True)
class Fit:
    """The two constants of the eager model, and the largest relative error over the models measured."""

    op_time_us: float
    efficiency: float
    error: float


def measure(
    machine: Machine,
    shapes: Iterable[ModelShape],
    prompt: int,
    tokens: int,
    repeats: int,
    given_power: PowerDraw | None,
    provenance: Mapping[str, str],
) -> Measurement:
    """Everything that a baseline file needs of `machine`."""
    data_types = ("fp32",) if machine.kind == "cpu" else tuple(dict.fromkeys(("fp32", "fp16", machine.data_type)))
    return Measurement(
        machine.kind,
        machine.description,
        machine.data_type,
        machine.threads,
        tuple(machine.decode(shape, prompt, tokens, repeats) for shape in shapes),
        machine.copy_GBps(),
        {name: machine.peak_TFLOPs(name) for name in data_types},
        machine.power(),
        given_power,
        machine.memory_bytes(),
        {**provenance, **machine.facts()},
    )


def fit(measurement: Measurement, name: str) -> Fit:
    """Time per operator and bandwidth efficiency: least squares of the logarithms over the models.

    One model cannot tell the two apart, and a GPU's host runs ahead of its memory: there
    the efficiency is 1 (kernels stream as fast as a copy) and only the time is fitted.
    """
    both = measurement.kind == "cpu" and len(measurement.decodes) > 1
    times, shares = _OP_TIME_US, _EFFICIENCY if both else (1.0, 1.0)
    device = parse_device(render(measurement, name, Fit(1.0, 1.0, 0.0)), name)
    best = (math.inf, 1.0, 1.0)
    for _ in range(_ROUNDS):
        for op_time in _spaced(*times):
            for share in _spaced(*shares):
                best = min(best, (_squares(device, measurement.decodes, op_time, share), op_time, share))
        times, shares = _around(times, best[1], _OP_TIME_US), _around(shares, best[2], _EFFICIENCY if both else shares)
    op_time, share = (float(f"{value:.3g}") for value in best[1:])
    errors = [abs(_predict(device, d, op_time, share) / d.ms - 1) for d in measurement.decodes]
    return Fit(op_time, share, max(errors))


def _spaced(low: float, high: float) -> list[float]:
    """Values from low to high, each the same factor above the one before."""
    if low == high:
        return [low]
    return [low * (high / low) ** (i / (_GRID - 1)) for i in range(_GRID)]


def _around(interval: tuple[float, float], value: float, limits: tuple[float, float]) -> tuple[float, float]:
    """One grid step to each side of `value`, within `limits`."""
    step = (interval[1] / interval[0]) ** (1 / (_GRID - 1))
    return max(limits[0], value / step), min(limits[1], value * step)


def _squares(device: BaselineDevice, decodes: Sequence[Decode], op_time: float, share: float) -> float:
    return math.fsum(math.log(_predict(device, d, op_time, share) / d.ms) ** 2 for d in decodes)


def _predict(device: BaselineDevice, decode: Decode, op_time: float, share: float) -> float:
    """What the eager model says for the middle of the timed contexts, ms."""
    part = device.eager
    constants = {
        "op_time": part.op_time.model_copy(update={"value": op_time}),
        "efficiency": part.efficiency.model_copy(update={"value": share}),
    }
    trial = device.model_copy(update={"eager": part.model_copy(update=constants)})
    workload, demands = _demands(decode.shape, sum(decode.contexts) / 2)
    return float(eager(trial, workload, demands)["latency_ns"]) / 1e6


@cache
def _demands(shape: ModelShape, context: float) -> tuple[Workload, list[Demand]]:
    """What one step asks of any device."""
    workload = build(shape, lm_head=True)
    return workload, decode_demands(workload, np.array([context]), 1)


def render(measurement: Measurement, name: str, constants: Fit, like: BaselineDevice | None = None) -> str:
    """The baseline file; like: whose constants stand for what was not measured."""
    lines = [
        f"# {measurement.description}, measured by `pimsim calibrate`. Every constant: value, unit, source, note.",
        "schema: pimsim.baseline/1",
        f"name: {name}",
        f"description: {_quoted(f'{measurement.description}, measured by pimsim calibrate')}",
        "",
        "provenance:",
        *(f"  {key}: {_quoted(value)}" for key, value in measurement.provenance.items()),
        "",
        "memory:",
        *_constant("bandwidth", measurement.copy_GBps, "GB/s", "measured", _COPY_NOTE),
        *_constant("efficiency", 1, "1", "derived", "the bandwidth above is what a copy reached, not a datasheet's"),
        *_capacity(measurement),
        "",
        "data_types:",
        *_data_types(measurement, like),
        "",
        *_between(like),
        "power:",
        *_power(measurement, like),
        "",
        *_eager(measurement, constants),
        "",
        "roofline:",
        f"  data_type: {measurement.data_type}",
    ]
    return "\n".join(lines) + "\n"


_COPY_NOTE = "bytes read and written by the fastest of 10 copies of 256 MiB"


def _capacity(measurement: Measurement) -> list[str]:
    """The memory as the machine states it, if it does."""
    if measurement.memory_bytes is None:
        return []
    what = "the GPU's memory" if measurement.kind == "gpu" else "the machine's memory"
    return _constant("capacity", measurement.memory_bytes / 2**30, "GiB", "measured", f"{what} as the system states it")


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _constant(key: str, value: float, unit: str, source: str, note: str, indent: int = 2) -> list[str]:
    """A constant of the file below its label."""
    pad = " " * indent
    shown = f"{{value: {value:.4g}, unit: {_quoted(unit)}, source: {source}, note: {_quoted(note)}}}"
    return [f"{pad}# source: {source}", f"{pad}{key}: {shown}"]


def _data_types(measurement: Measurement, like: BaselineDevice | None) -> list[str]:
    lines: list[str] = []
    for name, peak in measurement.peaks.items():
        note = "the fastest of 5 square matrix products"
        lines += [f"  {name}:", f"    element_bytes: {4 if name == 'fp32' else 2}"]
        lines += _constant("peak", peak, "TFLOP/s", "measured", note, indent=4)
    for name, found in like.data_types.items() if like else ():
        if like and name not in measurement.peaks:
            lines += [f"  {name}:", f"    element_bytes: {found.element_bytes}"]
            lines += _as_for(like, "peak", found.peak, indent=4)
    return lines


def _as_for(like: BaselineDevice, key: str, constant: Constant, indent: int = 2) -> list[str]:
    """A constant of another machine, with its label."""
    note = f"not measured: as for {like.name}: {constant.note}"
    return _constant(key, constant.value, constant.unit, constant.source, note, indent)


def _between(like: BaselineDevice | None) -> list[str]:
    """The link between cards, and the table of kernels."""
    lines: list[str] = []
    if like and like.link:
        lines += ["link:"]
        for key in type(like.link).model_fields:
            lines += _as_for(like, key, getattr(like.link, key))
        lines += [""]
    if like and like.kernels:
        lines += [f"kernels: {{system: {like.kernels.system}, software: {like.kernels.software}}}", ""]
    return lines


def _power(measurement: Measurement, like: BaselineDevice | None) -> list[str]:
    if measurement.given_power is not None:
        draw, source, notes = measurement.given_power, "spec", ("as stated with --idle-power", "with --full-power")
    elif measurement.power is not None:
        draw, source = measurement.power, "measured"
        notes = ("NVML, a context alive and no work", "NVML's enforced power limit")
    elif like:
        return _as_for(like, "idle", like.power.idle) + _as_for(like, "cap", like.power.cap)
    else:
        draw, source = _assumed_power(measurement), "assumed"
        whose = "gpu-t4's" if measurement.kind == "gpu" else f"{measurement.threads} cores of cpu-xeon-6154"
        notes = (f"not measured: {whose}; state it with --idle-power", f"not measured: {whose}; --full-power states it")
    return _constant("idle", draw.idle, "W", source, notes[0]) + _constant("cap", draw.cap, "W", source, notes[1])


def _assumed_power(measurement: Measurement) -> PowerDraw:
    if measurement.kind == "gpu":
        return PowerDraw(*_GPU_POWER)
    idle, cap = _CORE_POWER
    return PowerDraw(idle * measurement.threads, cap * measurement.threads)


def _eager(measurement: Measurement, constants: Fit) -> list[str]:
    sizes = ", ".join(d.shape.name for d in measurement.decodes)
    joint = f"fitted to {sizes}; the model is at most {constants.error:.0%} from a measurement"
    alone = "kernels stream as fast as a copy; not separable from the time per operator here"
    fitted = measurement.kind == "cpu" and len(measurement.decodes) > 1
    return [
        "eager:",
        f"  data_type: {measurement.data_type}",
        f"  synchronise: {'operator' if measurement.kind == 'cpu' else 'step'}",
        *_constant("op_time", constants.op_time_us, "us", "derived", f"time per ATen operator, {joint}"),
        *_constant("efficiency", constants.efficiency, "1", *(("derived", joint) if fitted else ("assumed", alone))),
        *_aten_ops(measurement),
        "  # Milliseconds a token as measured; each replaces the model above for what its scope says alone.",
        "  measured:",
        *(line for decode in measurement.decodes for line in _measured(decode, measurement.data_type)),
    ]


def _aten_ops(measurement: Measurement) -> list[str]:
    """Counts of the first model measured; operators that GPT-2 lacks as in the shipped file."""
    first = measurement.decodes[0]
    shipped = load("gpu-t4").eager.aten_ops.per_operator
    counts = {**shipped, **first.aten_by_op}
    workload = build(first.shape, lm_head=True)
    inside = sum(counts[operator.op] * workload.repeats(operator) for operator in workload.operators)
    note = f"dispatched in one step of {first.shape.name} here; operators that GPT-2 lacks as for gpu-t4"
    return [
        "  aten_ops:",
        "    # source: measured",
        "    source: measured",
        f"    note: {_quoted(note)}",
        f"    per_operator: {{{', '.join(f'{op}: {n}' for op, n in counts.items())}}}",
        f"    overhead: {first.aten_ops - inside}",
    ]


def _measured(decode: Decode, data_type: str) -> list[str]:
    low, high = decode.spread
    first, last = decode.contexts
    note = (
        f"smallest of the medians of {len(decode.runs)} runs of {len(decode.runs[0])} tokens; "
        f"10th to 90th percentile of all tokens {low:.4g} to {high:.4g} ms"
    )
    digest = build(decode.shape, lm_head=True).sha256()
    return [
        "    # source: measured",
        f"    {decode.shape.name}:",
        f"      {{value: {decode.ms:.4g}, unit: ms, source: measured, note: {_quoted(note)},",
        f"       scope: {{lm_head: true, batch: 1, data_type: {data_type}, contexts: [{first}, {last}],",
        f"               operators_sha256: {digest}}}}}",
    ]
