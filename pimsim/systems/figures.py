"""What a summary says of the devices of a system: who does what, how long it works and waits, and what links carry."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from pimsim.config.schema import Config
from pimsim.mapping.plan import Plan
from pimsim.sim.steps import steps_of
from pimsim.sim.tally import Tally
from pimsim.systems.together import Run, Together
from pimsim.workload.ops import LINK


def summarise_devices(config: Config, whole: Together) -> dict[str, Any]:
    """The part `devices` of a summary.

    shares   who does the same: which stages, how many devices, sequences of a pass, blocks, memory that is used and
             there (bytes), and of the whole time the shares in which one works, exchanges (a part of that) and waits
    steady   once the pipeline is full: time of a step of all sequences, and tokens that all of them then make
    sequence_step_ns   from when a sequence could go on with a decode step until that is done, on average
    exchanges          what groups of devices exchange, each once: kind, elements, algorithm, time and bytes on links
    """
    system, layout = config.system, whole.layout
    return {
        "count": system.devices,
        "tensor": system.tensor,
        "pipeline": system.pipeline,
        "expert": system.expert,
        "replicas": layout.replicas,
        "in_flight": layout.in_flight,
        "idle": system.devices - layout.replicas * system.holders,
        "shares": [_share(run, whole) for run in whole.runs],
        **_steady(config, whole),
        "moved_bytes": whole.tally.total("moved_bytes"),
        "exchanges": list(_exchanges(whole)),
    }


def _share(run: Run, whole: Together) -> dict[str, Any]:
    share, total = run.share, whole.tally.cycles
    busy = whole.layout.in_flight * run.cycles
    links = whole.layout.in_flight * (run.tally.causes().get("link", 0) if run.tally else 0)
    return {
        "first_stage": share.stage + 1,
        "stages": share.stages,
        "devices": share.devices,
        "sequences": share.batch,
        "blocks": share.blocks,
        "leads": share.leads,
        **_memory(_holder(run, whole)),
        "busy_fraction": float(Fraction(busy, total)),
        "link_fraction": float(Fraction(links, total)),
        "bubble_fraction": float(Fraction(total - busy, total)),
    }


def _holder(run: Run, whole: Together) -> Run:
    """Who has as much room taken: a device without sequences is ready for those of the one that leads its stage."""
    stage = run.share.stage
    return next(other for other in whole.runs if other.share.leads and other.share.stage == stage)


def _memory(run: Run) -> dict[str, Any]:
    """Bytes of whole rows in every bank."""
    assert run.plan is not None  # who leads has work
    device = run.plan.device
    return {
        "memory_bytes": run.plan.rows * device.bytes_of_rows,
        "capacity_bytes": device.rows * device.bytes_of_rows,
    }


def _steady(config: Config, whole: Together) -> dict[str, Any]:
    tally, schedule = whole.tally, whole.schedule
    if schedule is None:
        return {"steady_step_ns": None, "steady_tokens_per_s": None, "sequence_step_ns": _step_ns(tally)}
    interval, tokens = schedule.interval, config.workload.query_tokens * config.workload.batch
    # behind a prompt the first step waits for those of other sequences: that is in the time to the first token
    decode = schedule.latency[:, schedule.pipeline.prefill_steps + (schedule.pipeline.prefill_steps > 0) :]
    return {
        "steady_step_ns": None if interval is None else float(interval * tally.tCK_ps / 1000),
        "steady_tokens_per_s": None if not interval else float(tokens * 10**12 / (interval * tally.tCK_ps)),
        "sequence_step_ns": float(decode.mean() * tally.tCK_ps / 1000) if decode.size else None,
    }


def _step_ns(tally: Tally) -> float | None:
    steps = tally.tokens.steps_of("decode")
    return tally.decode_cycles * tally.tCK_ps / (1000 * steps) if steps else None


def exchanged(plan: Plan) -> Iterator[tuple[str, int]]:
    """Kind and elements of every exchange in the steps of a plan; some come again."""
    kinds = dict.fromkeys(step.kind for step in steps_of(plan))
    for operator in (o for o in plan.workload.operators if o.role == LINK):
        for kind in kinds:
            tokens = min(kind.tokens, kind.head) if operator.scope == "once_after" else kind.tokens
            vectors = (operator.tokens or tokens) if operator.per == "token" else min(tokens, 1)
            if vectors and (operator.scope != "once_after" or kind.head):
                yield operator.op, operator.outputs * operator.rows * plan.batch * vectors


def _exchanges(whole: Together) -> Iterator[dict[str, Any]]:
    asked = {each for run in whole.runs if run.plan and run.share.leads for each in exchanged(run.plan)}
    for kind, elements in sorted(asked):
        found = whole.wiring.found(kind, elements)
        yield {
            "kind": kind,
            "elements": elements,
            "algorithm": found.algorithm,
            "ns": found.ps / 1000,
            "link_bytes": found.flit_bytes,
        }
