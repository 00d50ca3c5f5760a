"""Runs that nothing refuses, ready to be simulated."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pimsim.config.schema import Config
from pimsim.errors import Problem

if TYPE_CHECKING:
    from pimsim.baselines.arrangement import Arrangement
    from pimsim.energy.model import Prices
    from pimsim.mapping.plan import Plan
    from pimsim.systems.shares import Layout
    from pimsim.systems.wiring import Wiring
    from pimsim.workload.graph import Workload


@dataclass(frozen=True)
class Prepared:
    """A run that nothing refuses, with all that is known of it before it is simulated; each part is made once.

    plan       with the part of the configuration that a simulation reads (`sim.inputs`)
    key        equal for runs that count the same, None if that cannot be told
    prices     what its actions cost
    baselines  by name, as `pimsim.baselines` evaluates them
    odd        what is odd about the input, but no error
    arranged   what another machine beside the memory does, if there is one
    """

    config: Config
    plan: Plan
    key: Hashable | None
    prices: Prices
    baselines: Mapping[str, Mapping[str, Any]]
    odd: tuple[Problem, ...]
    arranged: Arrangement | None = field(default=None, kw_only=True)


@dataclass(frozen=True)
class PreparedSystem(Prepared):
    """The same of several devices that share the model; plan: of the first.

    layout   what each of them runs; members: the runs of its shares, in their order (None: it only waits)
    graph    the whole model
    """

    layout: Layout
    members: tuple[Prepared | None, ...]
    wiring: Wiring
    graph: Workload
