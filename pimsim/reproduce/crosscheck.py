"""The same command stream priced in several ways, and what can account for v1 against v2 of the paper.

Between its versions the paper's energy ratios fell by the same factor over both baselines, and
the latencies stayed: so the energy of the PIM side grew by that factor, in every model alike.
A single component can be the reason only if it can grow enough, and if its share is so much the
same in all models that the factor comes out the same in all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from importlib.resources import files
from typing import Any

from pimsim.energy.model import EnergyBreakdown, Prices, price, usual_activation_pJ
from pimsim.energy.table import TABLES, load_table
from pimsim.reproduce.data import published
from pimsim.reproduce.runs import Job, configure
from pimsim.sim.tally import Tally


@dataclass(frozen=True)
class Priced:
    """One way to price a run: pJ per token by component, and the usual formula's activation (None: negative)."""

    name: str
    source: str
    note: str
    components_pJ: Mapping[str, float]
    activation_usual_pJ: float | None

    @property
    def total_pJ(self) -> float:
        """pJ per token."""
        return sum(self.components_pJ.values())


@dataclass(frozen=True)
class Candidate:
    """A component that may be what grew from v1 to v2 of the paper.

    share       of the energy with table v1, lowest and highest of the models
    factor      by which it must grow so that the energy of GPT3-XL grows by the paper's mean factor
    ratios      the growth of the whole that this factor gives, lowest and highest of the models
    """

    component: str
    share: tuple[float, float]
    factor: float
    ratios: tuple[float, float]


@cache
def _literature() -> list[dict[str, Any]]:
    import yaml

    text = files("pimsim.reproduce").joinpath("literature.yaml").read_text(encoding="utf-8")
    tables: list[dict[str, Any]] = yaml.safe_load(text)["tables"]
    return tables


def priced(job: Job, tally: Tally, tokens: int) -> list[Priced]:
    """A run priced with both energy tables, and as the literature does."""
    found = [_with_table(name, job, tally, tokens) for name in TABLES]
    for entry in _literature():
        config = configure(Job(job.model, (*job.changes, *entry["config"].items()), job.contexts))
        energy = price(tally, Prices.of(config))
        usual = usual_activation_pJ(config)
        own = {name: Fraction(str(value)) for name, value in entry["action_pJ"].items()}
        components = {name: float(pJ / tokens) for name, pJ in _repriced(energy, own).items()}
        found.append(
            Priced(entry["name"], entry["source"], entry["note"], components, float(usual) if usual >= 0 else None)
        )
    return found


def _with_table(name: str, job: Job, tally: Tally, tokens: int) -> Priced:
    config = configure(job)
    table = load_table(name)
    energy = price(tally, Prices.of(config, table=table))
    components = {component: float(pJ / tokens) for component, pJ in energy.exact().items()}
    return Priced(f"table {name}", "recalled currents, IDD formulas", "", components, energy.activation_usual_pJ)


def _repriced(energy: EnergyBreakdown, own: Mapping[str, Fraction]) -> dict[str, Fraction]:
    """pJ by component with other costs of one count: count x cost = pJ x cost / old cost."""
    return {
        name: pJ * own[name] / energy.action_pJ[name] if name in own and energy.action_pJ[name] else pJ
        for name, pJ in energy.exact().items()
    }


def paper_factors() -> dict[str, float]:
    """How much the paper's energy ratios fell from v1 to v2, by baseline and end of the range."""
    found = published()
    ends = [(b, end) for b in ("t4", "xeon") for end in ("lowest", "highest")]
    return {f"{b}.{end}": _one(found[f"energy_{b}_v1.{end}"]) / _one(found[f"energy_{b}_v2.{end}"]) for b, end in ends}


def _one(figure: Any) -> float:
    return float(figure.paper)


def candidates(v1: Mapping[str, Priced], anchor: str = "gpt3-xl") -> list[Candidate]:
    """Each component as the single reason, from each model's energy with table v1; the largest share first.

    The growth factor is solved for at `anchor`; it is a question put to the data, and nothing else uses it.
    """
    factors = paper_factors()
    wanted = sum(factors.values()) / len(factors)
    found = []
    for component in v1[anchor].components_pJ:
        shares = {model: run.components_pJ[component] / run.total_pJ for model, run in v1.items()}
        if not shares[anchor]:
            continue
        factor = 1 + (wanted - 1) / shares[anchor]
        ratios = [1 + (factor - 1) * share for share in shares.values()]
        found.append(
            Candidate(component, (min(shares.values()), max(shares.values())), factor, (min(ratios), max(ratios)))
        )
    return sorted(found, key=lambda candidate: -candidate.share[1])
