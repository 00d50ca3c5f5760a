"""What the figures are made of: a run priced with both energy tables, beside both baselines.

Inputs of energy and of the baselines need no simulation: the same counts are priced again,
the same workload is put to the changed machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, TypeVar

from pydantic import BaseModel

from pimsim.baselines import devices
from pimsim.baselines.evaluation import evaluate
from pimsim.config.schema import Config
from pimsim.devices.registry import device_of
from pimsim.energy.model import Prices, price
from pimsim.energy.table import TABLES, EnergyTable, load_table
from pimsim.reproduce.runs import BASELINE, TABLE, Job, configure, simulate_job
from pimsim.results import metrics
from pimsim.sim.tally import Tally
from pimsim.workload.models import Workload
from pimsim.workload.source import requested_workload

T4, XEON = "gpu-t4", "cpu-xeon-6154"
BASELINES = (T4, XEON)
A100, H100 = "gpu-a100", "gpu-h100"
NEWER = (A100, H100)  # beside the shipped system: the paper compares with neither

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class BaselineCost:
    """Time and energy of all decoded tokens, ns and pJ."""

    latency_ns: float
    energy_pJ: float


@dataclass(frozen=True)
class Values:
    """A run: its time, its energy by table, the baselines' costs by (name, "eager" or "roofline"), and its ratios."""

    tokens: int
    latency_ns: float
    energy_pJ: Mapping[str, float]
    baselines: Mapping[tuple[str, str], BaselineCost]
    causes_ns: Mapping[str, float]
    row_hit_rate: float
    non_vmm: float
    data_movement: float
    operations_per_parameter: float

    @property
    def token_ns(self) -> float:
        """Time per token, ns."""
        return self.latency_ns / self.tokens

    def speedup(self, baseline: str, model: str = "eager") -> float:
        """The baseline's time over the simulated time."""
        return self.baselines[baseline, model].latency_ns / self.latency_ns

    def energy_ratio(self, baseline: str, table: str, model: str = "eager") -> float:
        """The baseline's energy over the simulated energy."""
        return self.baselines[baseline, model].energy_pJ / self.energy_pJ[table]


@dataclass(frozen=True)
class Outcome:
    """A job done: its values, and the counts that they come from."""

    values: Values
    tally: Tally


def evaluate_job(job: Job) -> Outcome:
    """Simulate a job (or know it from a job that differs in prices only) and measure it."""
    config, tally = configure(job), simulate_job(job.simulated)
    workload = requested_workload(config)
    contexts = list(job.contexts or range(1, job.tokens + 1))
    payload = sum(row.payload_bytes for row in tally.rows)
    causes = metrics.in_order(tally.causes())
    rows = job.others(TABLE)
    values = Values(
        tokens=len(contexts),
        latency_ns=metrics.nanoseconds(tally.cycles, tally.tCK_ps),
        energy_pJ={name: _priced(tally, config, with_rows(load_table(name), rows)) for name in TABLES},
        baselines=dict(_baselines(workload, contexts, job.others(BASELINE))),
        causes_ns={cause: metrics.nanoseconds(clocks, tally.tCK_ps) for cause, clocks in causes.items()},
        row_hit_rate=metrics.row_hit_rate(tally.commands, device_of(config)),
        non_vmm=metrics.non_vmm_fraction(causes),
        data_movement=metrics.ratio(metrics.moved_without_pim(workload, contexts), payload),
        operations_per_parameter=workload.operations_per_parameter(contexts),
    )
    return Outcome(values, tally)


def _priced(tally: Tally, config: Config, table: EnergyTable) -> float:
    return price(tally, Prices.of(config, table=table)).total_pJ()


def with_rows(table: EnergyTable, values: Mapping[str, Any]) -> EnergyTable:
    """The table with other values in some rows."""
    rows = {key: replace(row, value=Fraction(values.get(key, row.value))) for key, row in table.rows.items()}
    return replace(table, rows=rows)


def _baselines(
    workload: Workload, contexts: list[int], changes: Mapping[str, Any]
) -> Iterator[tuple[tuple[str, str], BaselineCost]]:
    for name in BASELINES:
        device = devices.load(name)
        for key, value in changes.items():
            if key.startswith(f"{name}."):
                device = changed(device, f"{key.removeprefix(f'{name}.')}.value", float(value))
        found = evaluate(device, workload, contexts)
        for model, figures in (("eager", found), ("roofline", found["roofline"])):
            yield (name, model), BaselineCost(figures["latency_ns"], figures["energy_pJ"])


def newer(model: str) -> dict[tuple[str, str], BaselineCost]:
    """What machines that the paper does not compare with take for its run of a model, by (name, form)."""
    job = Job(model)
    workload, contexts = requested_workload(configure(job)), range(1, job.tokens + 1)
    found = {name: evaluate(name, workload, contexts) for name in NEWER}
    return {
        (name, form): BaselineCost(figures["latency_ns"], figures["energy_pJ"])
        for name, whole in found.items()
        for form, figures in (("eager", whole), ("compiled", whole["compiled"]), ("roofline", whole["roofline"]))
    }


def changed(model: Model, path: str, value: Any) -> Model:
    """A copy of a frozen model with the value at a dotted path changed."""
    name, _, rest = path.partition(".")
    return model.model_copy(update={name: changed(getattr(model, name), rest, value) if rest else value})
