"""The figures of a result: exact counts in, one float out, each with its definition."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from fractions import Fraction

from pimsim.config.schema import Config
from pimsim.dram.timing import ELEMENT_BYTES, Device
from pimsim.mapping.routing import Routing, experts_read, routing_of
from pimsim.sim.tally import COMMON_CAUSES, DEVICE_CAUSES, Tally
from pimsim.workload.branches import copied_bits, ran, seen_together
from pimsim.workload.formats import cached_bits, pair, weight_bits
from pimsim.workload.models import Workload
from pimsim.workload.ops import Affine
from pimsim.workload.schedule import Ints, Schedule, Stage

_WORD = 8 * ELEMENT_BYTES  # bits of an element of a state


def nanoseconds(cycles: int, tCK_ps: int) -> float:
    """Clocks in ns: cycles x tCK_ps / 1000, rounded once."""
    return cycles * tCK_ps / 1000


def ratio(numerator: Fraction | float | int, denominator: Fraction | float | int) -> float:
    """numerator / denominator, and 0 where there is nothing to divide by."""
    return float(numerator / denominator) if denominator else 0.0


def in_order(counts: Mapping[str, int]) -> dict[str, int]:
    """Clocks by cause in the order of the summary: the device's causes, then the ASIC's that occur, by name.

    Of the device's, those that not every device has are left out where they do not occur.
    """
    device = {cause: counts.get(cause, 0) for cause in DEVICE_CAUSES if cause in COMMON_CAUSES or counts.get(cause)}
    return device | {cause: counts[cause] for cause in asic_causes(counts) if counts[cause]}


def asic_causes(causes: Iterable[str]) -> list[str]:
    """The causes that are exposed ASIC arithmetic: all that are not the device's or its pins', by name."""
    return sorted(cause for cause in causes if cause not in DEVICE_CAUSES)


def row_hit_rate(commands: Mapping[str, int], device: Device) -> float:
    """Share of the banks' column accesses that no activation was made for; an all-bank command counts once per bank.

    1 - activations / accesses.  A row that a refresh closes before anything is accessed in it is activated
    twice for one access: with rows of a column or two activations can outnumber accesses, and none is a hit.
    """
    accesses = device.columns_accessed(commands)
    return 1 - min(device.banks_activated(commands), accesses) / accesses if accesses else 0.0


def non_vmm_fraction(causes: Mapping[str, int]) -> float:
    """Share of the latency that is exposed ASIC arithmetic.

    K and V writes move data and are not in it; they have a cause of their own.
    """
    return ratio(sum(causes[cause] for cause in asic_causes(causes)), sum(causes.values()))


def mac_utilization(
    tally: Tally, config: Config, workload: Workload, device: Device, schedule: Schedule | None = None
) -> float:
    """Useful MACs / (devices x channels x banks that all units take at once x units of a bank x lanes x MAC clock x
    latency), the lanes those of each product's formats.

    schedule: what runs, where it is more than plain decoding.
    """
    units = tally.devices * device.channels * device.mac_columns * Fraction(config.pim.units_per_bank)
    graphs = [workload] if schedule is None else [stage.workload for stage in schedule.stages]
    ns, lanes = Fraction(tally.cycles * tally.tCK_ps, 1000), dict[str, int]()
    for graph in dict.fromkeys(graphs):
        lanes |= _lanes(config, graph)
    busy = sum(Fraction(row.macs, lanes.get(row.operator, config.pim.lanes)) for row in tally.rows if row.macs)
    return ratio(busy, units * Fraction(config.pim.clock_GHz) * ns)


def _lanes(config: Config, workload: Workload) -> dict[str, int]:
    """Multipliers that a unit has for the products of a row of the tally."""
    pairs, found = config.pim.pairs, dict[str, int]()
    for operator in workload.operators:
        rows = {"linear": (operator.name,), "attention": ("scores", "values")}.get(operator.op, ())
        found |= dict.fromkeys(rows, pairs.get(pair(operator).name, config.pim.lanes))
    return found


def bytes_without_pim(config: Config, workload: Workload, schedule: Schedule | None = None) -> Fraction:
    """Bytes across the bus in the decode steps if memory only stored, see `moved_without_pim`.

    schedule: what runs, where it is more than plain decoding.
    """
    work, routing = config.workload, routing_of(config, workload)
    if schedule is not None:
        return moved_by_schedule(schedule, routing)
    return moved_without_pim(workload, work.decode_contexts, work.batch, work.query_tokens, routing)


def moved_without_pim(
    workload: Workload, contexts: Iterable[int], batch: int = 1, tokens: int = 1, routing: Routing | None = None
) -> Fraction:
    """Bytes across the bus in steps at `contexts` if memory only stored: weights, K, V and states that are read.

    For GPT blocks of BF16 that is 2 B x (12 L d^2 + 2 t d L) at context t, the accounting that
    was inferred from the paper's 110-259x; other formats take the bits that they have.  Weights cross
    once per step of `batch` sequences of `tokens` tokens, K, V and states once per sequence; of experts
    cross those that the step's tokens choose, each once: as drawn, or in expectation where the routing
    is `expected`.
    """
    routing, steps = routing or Routing(workload.routing), list(contexts)
    bits = ((o.kv_read() * cached_bits(o) + Affine(o.state_elements * _WORD)) * workload.repeats(o)
            for o in workload.operators)  # fmt: skip
    kv = sum(bits, Affine(0)) * batch
    return _weights_moved(workload, steps, batch, tokens, routing) + Fraction(sum(map(kv.at, steps)), 8)


def _weights_moved(workload: Workload, steps: list[int], batch: int, tokens: int, routing: Routing) -> Fraction:
    """Bytes of matrices that cross the bus in steps at these contexts."""
    weights = Fraction(0)
    for operator in workload.operators:
        if operator.experts == 1:
            elements = Fraction(operator.matrix * workload.repeats(operator) * len(steps))
        elif operator.matrix:
            read = experts_read(workload, operator, steps, operator.tokens or tokens, batch, routing)
            elements = Fraction(operator.matrix, operator.active) * sum(map(Fraction, read))
        else:
            continue
        weights += elements * weight_bits(operator) / 8
    return weights


def moved_by_schedule(schedule: Schedule, routing: Routing | None = None) -> Fraction:
    """As `moved_without_pim`, in the decode steps of a schedule.

    A prefix that several sequences share crosses once a step, and so does what is copied of K and V
    (read, as the rest: what is written is left out everywhere).  What stands behind the blocks crosses
    in the steps that run it.
    """
    decode, moved = schedule.of_phase("decode"), Fraction(0)
    for number, stage in enumerate(schedule.stages):
        for head in (True, False):
            here = decode & (schedule.stage == number) & (schedule.head == head)
            if here.any():
                workload = ran(stage.workload, head)
                chosen = replace(routing or Routing(), weights=workload.routing)
                moved += _bytes_of_stage(stage, workload, schedule.context[here], chosen)
    for copies in (schedule.before, schedule.after):
        for step in filter(decode.__getitem__, copies):
            stage = schedule.stages[schedule.stage[step]]
            moved += Fraction(copied_bits(stage.workload, copies[step], stage.batch), 8)
    return moved


def _bytes_of_stage(stage: Stage, workload: Workload, contexts: Ints, routing: Routing) -> Fraction:
    """Bytes that cross the bus in steps of one stage at `contexts` (n,), but for what is copied."""
    moved = _weights_moved(workload, contexts.tolist(), stage.batch, stage.tokens, routing)
    for operator in workload.operators:
        bits = stage.batch * operator.state_elements * len(contexts) * _WORD
        if operator.op == "attention":
            tokens = int(seen_together(operator, contexts, stage.batch, stage.branches).sum())
            bits += operator.kv_token * cached_bits(operator) * tokens
        moved += Fraction(bits * workload.repeats(operator), 8)
    return moved


def data_movement_reduction(
    tally: Tally, config: Config, workload: Workload, schedule: Schedule | None = None
) -> float | None:
    """`bytes_without_pim` / payload bytes on the pins, both over the decode steps; 0 where there are none.

    None where the pins carry nothing, since another machine has all of the work.
    """
    rows = list(tally.phase_rows("decode"))
    payload = sum(row.payload_bytes for row in rows)
    if rows and not payload:
        return None
    return ratio(bytes_without_pim(config, workload, schedule), payload)
