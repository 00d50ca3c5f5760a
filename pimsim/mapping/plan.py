"""A configuration, compiled: its device, where everything lies, and the instructions of any step."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from pimsim.asic.units import Units
from pimsim.config.schema import Config
from pimsim.dram.timing import Device, resolve
from pimsim.mapping.fit import check_fits
from pimsim.mapping.instructions import Step
from pimsim.mapping.memory import place, supply_grid
from pimsim.mapping.operands import operands
from pimsim.mapping.placed import Placed
from pimsim.mapping.planner import Draft, Planner
from pimsim.mapping.routing import routing_of
from pimsim.mapping.supported import check_supported
from pimsim.workload.graph import Workload
from pimsim.workload.source import requested_workload


@dataclass
class Plan(Placed):
    """A config, compiled: the device, the memory map, and the instructions of any step."""

    _drafts: dict[tuple[bool, int], Draft] = field(default_factory=dict)  # by head and tokens

    def step(self, context: int, head: bool, tokens: int = 1) -> Step:
        """The instructions that decode the `tokens` tokens up to `context` at once.

        head adds the operators after the blocks.  Steps that are alike but for their context are
        planned once; of the others only what depends on the context is.
        """
        draft = self._drafts.get((head, tokens))
        step = Planner(self, context, tokens).step_like(draft) if draft else None
        if step is None:
            draft = self._drafts[head, tokens] = Planner(self, context, tokens).draft(head)
            step = draft.step
        return step

    def under(self, **changes: Any) -> Plan:
        """The same plan under another `schedule` or `engine`, on which nothing in it depends.

        changes: to these keys of its config.  What one of the two plans, the other knows.
        """
        return replace(self, config=self.config.model_copy(update=changes))


def compile_plan(config: Config, workload: Workload | None = None, device: Device | None = None) -> Plan:
    """Compile a config; InputError if the workload does not fit the device, or is nothing that it can run.

    workload: a graph to run in the place of the one that the config names; device: that of the config, if it is known.
    """
    device = device or resolve(config.dram, config.pim)
    units = Units(config.asic)
    workload = workload or requested_workload(config)
    check_supported(workload)
    grid, made = supply_grid(config, device, units), operands(workload)
    memory = place(config, workload, made, grid)
    check_fits(config, workload, made, memory)
    return Plan(config, device, workload, units, grid, memory, made, routing_of(config, workload))


def compiled(config: Config | Plan) -> Plan:
    """The plan of a config, if it is not that already; InputError as `compile_plan`."""
    return config if isinstance(config, Plan) else compile_plan(config)
