"""What a run gives back: figures, tables and plots, and their files."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from pimsim.config.loader import Origin
from pimsim.config.readback import Given, read_back
from pimsim.config.resolved import config_sha256, dump_yaml
from pimsim.config.schema import Config
from pimsim.energy.model import EnergyBreakdown, Prices, price
from pimsim.errors import Problem
from pimsim.mapping.plan import Plan
from pimsim.results import tables
from pimsim.results.base import AnyResult, Comparing, PlotFactory, PlotSet
from pimsim.results.beside import summarise
from pimsim.results.csv_text import csv_parts
from pimsim.results.lines import Line, lines_of
from pimsim.results.metrics import nanoseconds
from pimsim.results.parts import summarise_parts, summarise_schedule
from pimsim.results.placement import chosen
from pimsim.results.ratios import with_ratios
from pimsim.results.store import LAST, OPERATORS, RESOLVED, TOKENS, staged, write_files
from pimsim.results.summary import (
    SCHEMA,
    summarise_simulation,
    summarise_system,
    summarise_workload,
    to_json,
)
from pimsim.results.values import Values
from pimsim.results.warnings import figure_warnings
from pimsim.sim.tally import Tally
from pimsim.workload.models import Workload
from pimsim.workload.schedule import Schedule

if TYPE_CHECKING:  # not for those who have no machine beside the memory
    from pimsim.baselines.arrangement import Arrangement

REPORT, VALUES = "report.html", "values.csv"


@dataclass(frozen=True, repr=False)
class Result(AnyResult):
    """A finished run.

    version     of pimsim; wall_s: seconds that the simulation took
    baselines   by name, as `pimsim.baselines` evaluates them
    provenance  origin of each config value by dotted key, if the config was loaded
    plots       injected, so that results do not depend on matplotlib or on `plots`
    report      makes report.html; injected for the same reason, as is what compares (`comparing`)
    odd         what was odd about the input, before it was simulated
    plan        what ran; priced_at: what its actions cost, if that is known
    values      of a run that was watched while it computed tokens
    arranged    what another machine beside the memory does, if there is one
    devices     of several that share the model: who does what, as the summary has it
    """

    config: Config
    tally: Tally
    workload: Workload
    version: str
    wall_s: float = 0.0
    baselines: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    provenance: Mapping[str, Origin] | None = None
    plots: PlotFactory | None = None
    report: Callable[[Result], str] | None = None
    odd: tuple[Problem, ...] = ()
    plan: Plan | None = None
    priced_at: Prices | None = None
    values: Values | None = None
    devices: Mapping[str, Any] | None = None
    comparing: Comparing | None = None
    arranged: Arrangement | None = None

    @property
    def name(self) -> str:
        """That of the configuration."""
        return self.config.name

    @cached_property
    def inputs(self) -> Mapping[str, Given]:
        """Every value of the resolved configuration, as who reads `config.resolved.yaml` finds it."""
        return read_back(self._resolved, RESOLVED)

    @cached_property
    def _resolved(self) -> str:
        return dump_yaml(self.config, self.provenance)

    @property
    def schedule(self) -> Schedule | None:
        """The steps that ran, where they were more than plain decoding."""
        return self.plan.schedule if self.plan else None

    @cached_property
    def prices(self) -> Prices:
        """What everything costs, with the config's energy table."""
        return self.priced_at or Prices.of(self.config)

    @cached_property
    def energy(self) -> EnergyBreakdown:
        """The tally priced with the config's energy table."""
        return price(self.tally, self.prices)

    @cached_property
    def warnings(self) -> tuple[Problem, ...]:
        """What a careful reader would want to know before quoting a figure: of the input, then of the figures."""
        return (*self.odd, *figure_warnings(self.config, self._figures))

    @property
    def _phases(self) -> tuple[float, float, float, float]:
        """Latency (ns) and energy (pJ) of decoding, and of the prefill."""
        decode, prefill = (
            (nanoseconds(cycles, self.tally.tCK_ps), self.energy.total_pJ(phase))
            for phase, cycles in (("decode", self.tally.decode_cycles), ("prefill", self.tally.prefill_cycles))
        )
        return *decode, *prefill

    @cached_property
    def _figures(self) -> dict[str, Any]:
        """The parts of the summary that are figures: workload, system, what ran of a schedule, and baselines."""
        ran = self.arranged.divided.workload if self.arranged else self.workload
        system = summarise_system(self.prices, self.tally, self.energy, ran, self.schedule)
        scheduled: dict[str, Any] = {}
        if self.schedule:
            system |= summarise_parts(self.schedule, self.tally, self.energy)
            scheduled = {"schedule": summarise_schedule(self.schedule, self.tally)}
        return {
            "workload": summarise_workload(self.config, self.workload, self.schedule),
            "system": system,
            **({"placement": summarise(self.arranged, self.config, self.tally, self.plan)} if self.arranged else {}),
            **scheduled,
            "baselines": with_ratios(self.baselines, *self._phases),
        }

    @cached_property
    def beside(self) -> dict[str, Any]:
        """Machines that reports show beside those that the configuration names, in the form of the summary's."""
        from pimsim.baselines.asked import beside  # not for those who write no report

        found = beside(self.config, self.workload, self.schedule, frozenset(self.baselines))
        return with_ratios(found, *self._phases)

    @property
    def _trace_sha256(self) -> str:
        """Of the graph; of a schedule of every graph and of the steps."""
        if self.schedule is None:
            return self.workload.sha256()
        graphs = (stage.workload.sha256() for stage in self.schedule.stages)
        return hashlib.sha256("\n".join((*graphs, self.schedule.sha256)).encode("ascii")).hexdigest()

    @cached_property
    def summary(self) -> dict[str, Any]:
        """The content of `summary.json`."""
        engine = self.config.engine
        return {
            "schema": SCHEMA,
            "pimsim_version": self.version,
            "config_sha256": config_sha256(self.config, self.prices.table.digest),
            "trace_sha256": self._trace_sha256,
            **self._figures,
            **chosen(self.plan, self.config),
            **({"devices": self.devices} if self.devices else {}),
            "warnings": list(dict.fromkeys(problem.message for problem in self.warnings)),
            "simulation": summarise_simulation(self.tally, self.wall_s, engine.mode, engine.fold),
        }

    def _records(self, table: str) -> list[dict[str, Any]]:
        if table == "operators":
            return tables.operator_records(self.tally, self.energy, parts=self.schedule is not None)
        return list(tables.token_records(self.tally, self.schedule))

    def token_columns(self) -> dict[str, NDArray[Any]]:
        """(steps,): a value per decode step in each column of `tokens.csv`."""
        return tables.token_columns(self.tally, self.schedule)

    def lines(self) -> list[Line]:
        """Of a schedule, which decode steps make a line over the context."""
        return lines_of(self.schedule)

    def save(
        self,
        directory: str | Path,
        plots: PlotSet | None = None,
        figures: str | Iterable[str] | None = None,
        style: str | None = None,
    ) -> Path:
        """Write `summary.json`, `config.resolved.yaml`, two CSV tables, the plots and `report.html`; of
        watched values `values.csv`.

        All or nothing: the files appear once every one of them is written.  InputError
        if the folder cannot be written.
        plots: those that are written, if somebody draws them already
        figures, style: formats ("pdf,svg") and style ("single-column") of the plots, with a CSV of what each shows
        """
        target = Path(directory)
        texts: dict[str, str | Iterable[str]] = {
            LAST: to_json(self.summary),
            RESOLVED: self._resolved,
            OPERATORS: csv_parts(self.records("operators")),
            TOKENS: csv_parts(tables.token_records(self.tally, self.schedule)),
        }
        if self.values:
            texts[VALUES] = csv_parts(self.values.records())
        if self.report:
            texts[REPORT] = self.report(self)
        with staged(target, (REPORT, VALUES, *texts, *(self.plots.files if self.plots else ()))) as scratch:
            write_files(scratch, texts)
            if self.plots:
                (plots or self.plot).save(scratch, figures, style)
        return target
