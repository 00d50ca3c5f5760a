"""One call for everything a comparison needs from a baseline."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from pimsim.baselines.capacity import room
from pimsim.baselines.compiled import compiled_figures, compiled_steps
from pimsim.baselines.cost import Demand, decode_demands, prefill_demands
from pimsim.baselines.devices import BaselineDevice, load
from pimsim.baselines.eager import eager
from pimsim.baselines.measured import measured_step
from pimsim.baselines.roofline import roofline_figures, roofline_steps
from pimsim.mapping.routing import Routing
from pimsim.workload.models import Workload

PREFILL = ("latency_ns", "energy_pJ", "energy_cap_pJ", "bound")  # what is told of a prompt


def evaluate(
    device: str | BaselineDevice,
    workload: Workload,
    contexts: Iterable[int],
    batch: int = 1,
    prompt_tokens: int = 0,
    query_tokens: int = 1,
    routing: Routing | None = None,
    before: int = 0,
    kernels: bool = False,
) -> dict[str, Any]:
    """A baseline's latency and energy for decode steps at `contexts`, after a prompt.

    device: a name or path as `load` takes, or a device. contexts: one per step (none: the prompt alone), each
    counts the tokens being decoded, of which a step has `query_tokens`. Whether the LM
    head and the embedding count is the workload's to say (`build(shape, lm_head)`).
    before: tokens before the prompt, whose K and V are there already.
    routing: which experts are chosen (default: as often as the workload says, in expectation).
    kernels: also the decode steps by measured kernels (`measured_kernels`), for a machine whose file names a table.

    Returns plain numbers, text and mappings: decode `latency_ns` and `energy_pJ` of
    the eager model, the same per token (`latency_per_token_ns`) and per token of every
    sequence (`energy_per_token_pJ`), `prefill_latency_ns`, `prefill_energy_pJ` (0
    without a prompt), `model` (the eager model with its constants, and what bound it),
    `compiled` (the same with one launch a step) and `roofline` (the bound, in one format and,
    under `by_data_type`, in each); `fits`, `required_bytes` and `capacity_bytes` (None: not
    stated) in the eager model's format, and in the roofline's under `roofline`.  Latency and
    energy are what the machine would take if it had the memory.

    Raises InputError for a device file that is wrong or lacks an operator, or if measured kernels
    are asked for and their package is not there; ValueError for neither contexts nor a prompt, a context below
    `query_tokens`, a batch below 1, or a negative prompt.
    """
    steps = _steps(contexts, batch, prompt_tokens, query_tokens)
    found = load(device) if isinstance(device, str) else device
    decode = decode_demands(workload, np.array(steps, dtype=np.float64), batch, query_tokens, routing)
    measured, note = None, ""
    if steps:
        measured, note = measured_step(found, workload, (min(steps), max(steps)), batch, query_tokens)
    model = eager(found, workload, decode, measured, note)
    compiled = compiled_figures(found, compiled_steps(found, decode))
    bound = _rooflines(found, decode)
    prefill = (0.0, 0.0)
    if prompt_tokens:
        demands = prefill_demands(workload, prompt_tokens, batch, routing, before)
        whole = eager(found, workload, demands)
        prefill = (whole["latency_ns"], whole["energy_pJ"])
        model["prefill"] = {key: whole[key] for key in PREFILL}
        once = compiled_figures(found, compiled_steps(found, demands))
        compiled["prefill"] = {key: once[key] for key in PREFILL}
        bound["prefill"] = {key: _rooflines(found, demands)[key] for key in ("latency_ns", "energy_pJ")}
    longest = max([*steps, before + prompt_tokens])
    bound |= room(found, workload, longest, batch, found.roofline.data_type)
    return {
        **room(found, workload, longest, batch, found.eager.data_type),
        "latency_ns": model["latency_ns"],
        "energy_pJ": model["energy_pJ"],
        "latency_per_token_ns": _per(model["latency_ns"], len(steps) * query_tokens),
        "energy_per_token_pJ": _per(model["energy_pJ"], len(steps) * query_tokens * batch),
        "prefill_latency_ns": prefill[0],
        "prefill_energy_pJ": prefill[1],
        "model": model,
        "compiled": compiled,
        **(_by_kernels(found, decode, steps, batch, query_tokens) if kernels and steps else {}),
        "roofline": bound,
    }


def _by_kernels(
    device: BaselineDevice, demands: list[Demand], contexts: list[int], batch: int, query_tokens: int
) -> dict[str, Any]:
    """`measured_kernels`, where the machine has a table of them."""
    from pimsim.baselines.aiconfigurator import kernel_times  # not for those who did not ask
    from pimsim.baselines.kernels import kernel_figures

    times = kernel_times(device)
    return {"measured_kernels": kernel_figures(device, demands, contexts, batch, query_tokens, times)} if times else {}


def _steps(contexts: Iterable[int], batch: int, prompt_tokens: int, query_tokens: int) -> list[int]:
    steps = list(contexts)
    if query_tokens < 1 or min(steps, default=query_tokens) < query_tokens:
        raise ValueError(f"contexts must be numbers, each at least the {query_tokens} tokens of a step")
    if batch < 1 or prompt_tokens < 0:
        raise ValueError(f"batch must be at least 1 and prompt_tokens at least 0, got {batch} and {prompt_tokens}")
    if not steps and not prompt_tokens:
        raise ValueError("contexts must be one or more numbers where there is no prompt")
    return steps


def _per(value: float, tokens: int) -> float | None:
    return value / tokens if tokens else None


def _rooflines(device: BaselineDevice, demands: list[Demand]) -> dict[str, Any]:
    """The roofline in the device's own format, and briefly in every format."""
    whole = {name: roofline_figures(device, roofline_steps(device, demands, name), name) for name in device.data_types}
    return in_formats(device, whole)


def in_formats(device: BaselineDevice, whole: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Of rooflines in every format the device's own, and the others in brief."""
    brief = {name: {key: result[key] for key in ("latency_ns", "energy_pJ")} for name, result in whole.items()}
    return {**whole[device.roofline.data_type], "by_data_type": brief}
