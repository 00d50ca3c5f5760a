"""`summary.json` as a dict: the keys of the contract, in their order."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from pimsim.config.schema import Config
from pimsim.energy.model import EnergyBreakdown, Prices
from pimsim.energy.power import peak_power_mW
from pimsim.results import metrics
from pimsim.results.decoded import Decoded
from pimsim.results.metrics import nanoseconds
from pimsim.sim.tally import Tally
from pimsim.workload.models import Workload
from pimsim.workload.schedule import Schedule

SCHEMA = "pimsim.summary/1"


def summarise_workload(config: Config, workload: Workload, schedule: Schedule | None = None) -> dict[str, Any]:
    """What ran; parameters counts those of the simulated operators, biases included, a tied matrix once.

    Of a schedule output_tokens are those that one sequence keeps, batch the most sequences of a step, and
    parameters those of all its models, each once.
    context                  tokens whose K and V are there before anything is simulated
    lm_head                  whether embedding and LM head are simulated, or the blocks alone
    tokens_run, tokens_kept  of the decode phase, of all sequences
    """
    decoded = Decoded.of(config.workload, schedule)
    return {
        "model": workload.shape.name,
        "context": config.workload.context,
        "prompt_tokens": config.workload.prompt_tokens,
        "output_tokens": decoded.kept,
        "batch": config.workload.batch,
        "lm_head": workload.lm_head,
        "tokens_run": decoded.run_of_all,
        "tokens_kept": decoded.kept_of_all,
        "parameters": workload.parameters if schedule is None else _parameters(schedule),
        "matrix_parameters": workload.matrix_parameters,
    }


def _parameters(schedule: Schedule) -> int:
    from pimsim.baselines.held import parameters_of  # not for those who have no schedule

    return parameters_of(schedule)


def summarise_system(
    prices: Prices, tally: Tally, energy: EnergyBreakdown, workload: Workload, schedule: Schedule | None = None
) -> dict[str, Any]:
    """The figures of the simulated system.

    latency_ns and energy_pJ are totals, the prefill included; the figures per step and
    per token are over the decode steps alone.  latency_per_token_ns is the decode time
    over the tokens that one sequence runs, tpot_ns over those of them that are kept;
    tokens_per_s and energy_per_token_pJ count the kept tokens of every sequence.  A figure per token, or per
    step, is None where there are none.
    data_movement_reduction is None where another machine has everything that is decoded.
    ttft_ns is the time until the first token: the prompt, and what is decoded until the first token is kept.
    peak_power_mW is the largest mean over one refresh interval (`energy.power`); asic_energy_pJ
    is what the breakdown's `asic` is made of.
    """
    causes = metrics.in_order(tally.causes())
    config = prices.config
    decoded = Decoded.of(config.workload, schedule)
    decode_ns = nanoseconds(tally.decode_cycles, tally.tCK_ps)
    exact = energy.exact()
    total = sum(exact.values())
    return {
        "cycles": tally.cycles,
        "latency_ns": nanoseconds(tally.cycles, tally.tCK_ps),
        "prefill_latency_ns": nanoseconds(tally.prefill_cycles, tally.tCK_ps),
        "ttft_ns": _first_token_ns(tally, schedule),
        "latency_per_step_ns": decode_ns / decoded.steps if decoded.steps else None,
        "latency_per_token_ns": _per_token_ns(tally, decoded.run),
        "tpot_ns": _per_token_ns(tally, decoded.kept),
        "tokens_per_s": _tokens_per_s(tally, decoded),
        "energy_pJ": float(total),
        "prefill_energy_pJ": energy.total_pJ("prefill"),
        "energy_per_token_pJ": energy.total_pJ("decode") / decoded.kept_of_all if decoded.kept_of_all else None,
        "average_power_mW": metrics.ratio(total * 1000, tally.cycles * tally.tCK_ps),
        "peak_power_mW": peak_power_mW(prices, tally, energy),
        "latency_breakdown_ns": {cause: nanoseconds(cycles, tally.tCK_ps) for cause, cycles in causes.items()},
        "energy_breakdown_pJ": energy.components_pJ(),
        "asic_energy_pJ": energy.asic_pJ(),
        "activation_usual_pJ": energy.activation_usual_pJ,
        "commands": {name: count for name, count in sorted(tally.commands.items()) if count},
        "row_hit_rate": metrics.row_hit_rate(tally.commands, prices.device),
        "external_bytes": tally.total("pin_bytes"),
        "payload_bytes": tally.total("payload_bytes"),
        "data_movement_reduction": metrics.data_movement_reduction(tally, config, workload, schedule),
        "non_vmm_fraction": metrics.non_vmm_fraction(causes),
        "mac_utilization": metrics.mac_utilization(tally, config, workload, prices.device, schedule),
        "asic_busy_fraction": metrics.ratio(tally.total("asic_busy_cycles"), tally.cycles * tally.devices),
    }


def _per_token_ns(tally: Tally, tokens: int) -> float | None:
    """Decode time over so many tokens."""
    return tally.decode_cycles * tally.tCK_ps / (1000 * tokens) if tokens else None


def _tokens_per_s(tally: Tally, decoded: Decoded) -> float | None:
    """Kept tokens of every sequence over the decode time."""
    per_token_ns = _per_token_ns(tally, decoded.kept)
    return None if per_token_ns is None else metrics.ratio(decoded.kept_of_all / decoded.kept * 1e9, per_token_ns)


def _first_token_ns(tally: Tally, schedule: Schedule | None) -> float | None:
    """Until the first decode step that keeps a token has ended; None if none does."""
    decode = tally.tokens.of_phase("decode")
    keeps = decode if schedule is None else decode & (schedule.kept > 0)
    if not keeps.any():
        return None
    first = tally.tokens[int(np.argmax(keeps))]
    return nanoseconds(first.start_cycle + first.cycles, tally.tCK_ps)


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
