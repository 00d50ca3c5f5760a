"""From a configuration to a plan: on which device, where everything lies, which instructions a step has."""

from __future__ import annotations

from functools import partial

from pimsim.asic.units import Units
from pimsim.config.schema import Config
from pimsim.devices.registry import HARDWARE, resolve
from pimsim.mapping.fit import check_fits
from pimsim.mapping.memory import Memory, place, supply_grid
from pimsim.mapping.operands import operands
from pimsim.mapping.plan import Plan
from pimsim.mapping.routing import routing_of
from pimsim.mapping.supported import check_supported
from pimsim.workload.graph import Workload
from pimsim.workload.source import requested_workload


def compile_plan(config: Config, workload: Workload | None = None) -> Plan:
    """Compile a config; InputError if the workload does not fit the device, or is nothing that it can run.

    workload: a graph to run in the place of the one that the config names.
    """
    workload = workload or requested_workload(config)
    check_supported(workload)
    memory = place_in(config, workload)
    check_fits(config, memory, partial(place_in, workload=workload))
    device, units = memory.grid.device, Units(config.asic)
    return Plan(config, device, workload, units, memory.grid, memory, operands(workload), routing_of(config, workload))


def place_in(config: Config, workload: Workload) -> Memory:
    """Where a workload lies in the device of a config, whether or not it has as many rows."""
    device, layouts = resolve(config.dram, config.pim), HARDWARE[config.dram.standard].layouts
    assert layouts is not None  # a `Config` is of hardware that multiplies
    return place(config, workload, supply_grid(config, device, Units(config.asic)), layouts(config))
