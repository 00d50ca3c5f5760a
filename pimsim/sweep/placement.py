"""Search for a placement: every combination of what `mapping` lets one choose, each priced by the engine.

The placement of the configuration is one of them, so that what is found is never slower.  Beside it stands what no
placement can go below: the multiply-accumulates at the rate of the units, and all that has to cross the pins once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from typing import Any

from pimsim import api
from pimsim.config.schema import Config
from pimsim.errors import InputError
from pimsim.formats import FORMATS, SUM_BITS
from pimsim.mapping.plan import Plan
from pimsim.sweep.many import map_points
from pimsim.sweep.pareto import front
from pimsim.workload.formats import cached_bits, pair, weight_bits
from pimsim.workload.graph import Workload
from pimsim.workload.ops import Operator

LATENCY, ENERGY = "system.latency_ns", "system.energy_pJ"


def _words(*values: Any) -> Callable[[Config, Plan], Sequence[Any]]:
    return lambda config, plan: values


def _chunk_columns(config: Config, plan: Plan) -> Sequence[int | None]:
    """All of the buffer, a half and a quarter of it."""
    columns = config.pim.global_buffer_bytes // config.dram.column_bytes
    return [None, *(columns // part for part in (2, 4) if columns // part)]


def _chunk_heads(config: Config, plan: Plan) -> Sequence[int | None]:
    """As many as there are, half of them, and one."""
    most = max((o.kv_heads for o in plan.workload.operators if o.op == "attention"), default=1)
    return [None, *dict.fromkeys(heads for heads in (most // 2, 1) if 0 < heads < most)]


def _several_inputs(config: Config, plan: Plan) -> Sequence[str]:
    """Open rows that serve several inputs, where a step has several."""
    work = config.workload
    several = config.pim.SHARES_ROWS and max(work.batch, work.query_tokens, work.prefill_chunk) > 1
    return ("repeat", "row_reuse") if several else ("repeat",)


# What is tried of each key of `mapping`; keys that a configuration does not have are left out.
KNOBS: Mapping[str, Callable[[Config, Plan], Sequence[Any]]] = {
    "values": _words("heads", "tokens"),
    "value_append": _words("single_bank", "all_bank"),
    "attention": _words("whole", "per_head"),
    "verify": _several_inputs,
    "chunk_columns": _chunk_columns,
    "chunk_heads": _chunk_heads,
}


@dataclass(frozen=True)
class Placed:
    """One placement and what it costs.

    mapping  keys of `mapping`; rows: that every bank uses
    """

    mapping: Mapping[str, Any]
    latency_ns: float
    energy_pJ: float
    rows: int

    @property
    def costs(self) -> tuple[float, float, float]:
        """What is to be small, latency first."""
        return self.latency_ns, self.energy_pJ, self.rows


@dataclass(frozen=True)
class Bound:
    """What no placement goes below, ns: all multiply-accumulates at the units' rate, all bytes at the pins' rate."""

    macs_ns: float
    pins_ns: float

    @property
    def latency_ns(self) -> float:
        """The larger one."""
        return max(self.macs_ns, self.pins_ns)


@dataclass(frozen=True)
class Searched:
    """The placements that were simulated: the configuration's own first.

    refused  those that do not fit, or are no placement of this memory: how many, by the reason
    """

    tried: tuple[Placed, ...]
    refused: Mapping[str, int]
    bound: Bound

    @property
    def own(self) -> Placed:
        """The configuration's."""
        return self.tried[0]

    @property
    def best(self) -> Placed:
        """The fastest; of several the one with less energy, then fewer rows, then the one that comes first."""
        return min(self.tried, key=lambda placed: placed.costs)

    @property
    def front(self) -> list[Placed]:
        """Those that none beats in latency, energy and rows, the fastest first; of equal ones the first."""
        costs: dict[int, Sequence[float]] = {}
        for number, placed in enumerate(self.tried):
            if placed.costs not in costs.values():
                costs[number] = placed.costs
        return [self.tried[number] for number in front(costs)]


def candidates(config: Config, plan: Plan) -> Iterator[dict[str, Any]]:
    """The keys of `mapping` of each placement: the configuration's own, then all that differ from it."""
    fields = type(config.mapping).model_fields
    own = {name: getattr(config.mapping, name) for name in KNOBS if name in fields}
    yield own
    options = {name: list(dict.fromkeys([value, *KNOBS[name](config, plan)])) for name, value in own.items()}
    for chosen in product(*options.values()):
        found = dict(zip(options, chosen, strict=True))
        if found != own:
            yield found


def search(config: Config, workers: int = 1) -> Searched:
    """Simulate every candidate, by so many processes (0: by this one).

    InputError if the configuration itself cannot be run, if it has other devices or another machine, or if its trace
    has a schedule.
    """
    if config.system.several:
        raise InputError("a placement is searched for one device; leave the system out", key="system.devices")
    if key := config.placement.key:
        what = "what lies where is searched for a memory that has all of the work; leave the section placement out"
        raise InputError(what, key=key)
    config = config.model_copy(update={"baselines": ()})
    plan = api.prepare(config).plan
    if plan.schedule is not None:
        what = "a placement is searched for plain decoding, and the trace's schedule is more than that"
        raise InputError(what, key="workload.trace")
    wanted = list(candidates(config, plan))
    made = [_with(config, keys) for keys in wanted]
    rows = map_points(made, workers)
    if rows[0]["status"] != "ok":
        raise InputError(str(rows[0]["error"]))
    tried = tuple(
        Placed(keys, row[LATENCY], row[ENERGY], _rows(placed))
        for keys, placed, row in zip(wanted, made, rows, strict=True)
        if row["status"] == "ok"
    )
    refused = Counter(str(row["error"]) for row in rows if row["status"] != "ok")
    return Searched(tried, dict(refused), bound(config, plan))


def _with(config: Config, keys: Mapping[str, Any]) -> Config:
    """The configuration with another placement."""
    return config.model_copy(update={"mapping": config.mapping.model_copy(update=dict(keys))})


def _rows(config: Config) -> int:
    return api.prepare(config).plan.memory.rows


def bound(config: Config, plan: Plan) -> Bound:
    """What a run takes at least, wherever things lie.

    macs_ns   sum of products / (channels x banks that all units take at once x units of a bank x lanes x MAC clock),
              with the lanes of each product's formats
    pins_ns   each input of a product enters a channel once, each result leaves one once, K and V are written once:
              those bytes / (channels x pins x data rate)
    """
    dram, pim, work = config.dram, config.pim, config.workload
    units = dram.channels * plan.device.mac_columns * Fraction(pim.units_per_bank) * Fraction(pim.clock_GHz)
    clocks, bits = Fraction(0), Fraction(0)
    for o, position in _run(config, plan.workload):
        times = plan.workload.repeats(o) * work.batch
        lanes = pim.pairs.get(pair(o).name, pim.lanes) if o.op in ("linear", "attention") else 1
        clocks += Fraction(o.macs().at(position) * times, lanes)
        bits += _bits(o, position) * times
    rate = dram.channels * dram.io.pins * Fraction(dram.io.data_rate_Gbps)
    return Bound(float(clocks / units), float(bits / rate))


def _run(config: Config, workload: Workload) -> Iterator[tuple[Operator, int]]:
    """Each operator with the context of each token that it runs for; of a prompt the last one alone goes on."""
    work = config.workload
    for phase, context, tokens in work.steps():
        for position in range(context - tokens + 1, context + 1):
            last = phase == "decode" or position == work.start
            for operator in workload.operators:
                once = operator.per == "sequence" or operator.tokens
                if (last or operator.scope != "once_after") and (not once or position == context):
                    yield operator, position


def _bits(operator: Operator, context: int) -> Fraction:
    """Bits that an operator has to send over the pins for one token."""
    if operator.op == "linear":
        given = FORMATS[pair(operator).given.name].bits
        sent = operator.inputs * (operator.active if operator.role == "ffn_down" else 1) * given
        return Fraction(operator.rows * (sent + operator.outputs * operator.active * SUM_BITS))
    if operator.op == "attention":
        given, seen = pair(operator).given.bits, operator.attended().at(context)
        queries = operator.heads * operator.head_dim * given
        kept = operator.kv_token * cached_bits(operator) * operator.append
        scores = operator.heads * seen * (SUM_BITS + given)
        return Fraction(queries + kept + scores + operator.outputs * SUM_BITS)
    if operator.op == "embedding":
        return Fraction(len(operator.tables) * operator.outputs) * weight_bits(operator)
    return Fraction(0)
