"""`summary.json` as a dict: the keys of the contract, in their order."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pimsim.config.schema import Config
from pimsim.energy.model import EnergyBreakdown
from pimsim.results import metrics
from pimsim.results.metrics import nanoseconds
from pimsim.sim.tally import Tally
from pimsim.workload.models import Workload

SCHEMA = "pimsim.summary/1"


def summarise_workload(config: Config, workload: Workload) -> dict[str, Any]:
    """What ran; parameters counts those of the simulated operators, biases included, a tied matrix once."""
    return {
        "model": workload.shape.name,
        "prompt_tokens": config.workload.prompt_tokens,
        "output_tokens": config.workload.output_tokens,
        "batch": config.workload.batch,
        "parameters": workload.parameters,
        "matrix_parameters": workload.matrix_parameters,
    }


def summarise_system(config: Config, tally: Tally, energy: EnergyBreakdown, workload: Workload) -> dict[str, Any]:
    """The figures of the simulated system.

    latency_ns and energy_pJ are totals, the prefill included; the figures per token
    are over the decode steps alone.  With a batch, latency_per_token_ns is the time of
    a step, and tokens_per_s and energy_per_token_pJ count every sequence's token.
    """
    causes = metrics.in_order(tally.causes())
    steps, batch = config.workload.output_tokens, config.workload.batch
    per_token_ns = tally.decode_cycles * tally.tCK_ps / (1000 * steps)
    exact = energy.exact()
    total = sum(exact.values())
    return {
        "cycles": tally.cycles,
        "latency_ns": nanoseconds(tally.cycles, tally.tCK_ps),
        "prefill_latency_ns": nanoseconds(tally.prefill_cycles, tally.tCK_ps),
        "latency_per_token_ns": per_token_ns,
        "tokens_per_s": metrics.ratio(batch * 1e9, per_token_ns),
        "energy_pJ": float(total),
        "prefill_energy_pJ": energy.total_pJ("prefill"),
        "energy_per_token_pJ": energy.total_pJ("decode") / (steps * batch),
        "average_power_mW": metrics.ratio(total * 1000, tally.cycles * tally.tCK_ps),
        "latency_breakdown_ns": {cause: nanoseconds(cycles, tally.tCK_ps) for cause, cycles in causes.items()},
        "energy_breakdown_pJ": energy.components_pJ(),
        "activation_usual_pJ": energy.activation_usual_pJ,
        "commands": {name: count for name, count in sorted(tally.commands.items()) if count},
        "row_hit_rate": metrics.row_hit_rate(tally.commands, config.dram.bank_groups * config.dram.banks_per_group),
        "external_bytes": tally.total("pin_bytes"),
        "payload_bytes": tally.total("payload_bytes"),
        "data_movement_reduction": metrics.data_movement_reduction(tally, config, workload),
        "non_vmm_fraction": metrics.non_vmm_fraction(causes),
        "mac_utilization": metrics.mac_utilization(tally, config),
    }


def summarise_simulation(tally: Tally, wall_s: float, engine: str, folded: bool) -> dict[str, Any]:
    """How the simulation went: the one part of a summary that differs between runs."""
    commands = sum(tally.commands.values())
    return {
        "wall_s": wall_s,
        "commands_per_s": commands / wall_s if wall_s > 0 else 0.0,
        "engine": engine,
        "folded": folded,
    }


def to_json(summary: Mapping[str, Any]) -> str:
    """The text of `summary.json`: two spaces, floats as Python prints them, one newline at the end.

    ValueError for a NaN or an infinity, which JSON does not have.
    """
    return json.dumps(summary, indent=2, allow_nan=False, ensure_ascii=False) + "\n"
