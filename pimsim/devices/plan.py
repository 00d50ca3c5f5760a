"""From a configuration to a plan: on which device, where everything lies, which instructions a step has."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from pimsim.asic.units import Units
from pimsim.config.schema import Config
from pimsim.devices.registry import HARDWARE, resolve
from pimsim.dram.timing import Device
from pimsim.mapping.fit import check_fits
from pimsim.mapping.functions import functions_in_banks
from pimsim.mapping.memory import Memory, place, supply_grid
from pimsim.mapping.operands import Operand, operands
from pimsim.mapping.plan import Plan
from pimsim.mapping.routing import routing_of
from pimsim.mapping.supported import check_supported
from pimsim.workload.graph import Workload
from pimsim.workload.source import requested_workload


def compile_plan(
    config: Config, workload: Workload | None = None, device: Device | None = None, whole: Config | None = None
) -> Plan:
    """Compile a config; InputError if the workload does not fit the device, or is nothing that it can run.

    workload: a graph to run in the place of the one that the config names; device: that of the config, if it is known;
    whole: the config, if `config` is the part of it that a simulation reads (`sim.inputs`).
    """
    workload = workload or requested_workload(config)
    check_supported(workload)
    made = operands(workload)
    memory = place_in(config, workload, made, device)
    check_fits(whole or config, memory, partial(place_in, workload=workload, made=made))
    device, routing = memory.grid.device, routing_of(config, workload)
    functions = functions_in_banks(workload, memory.matrices, config.workload.biases)
    return Plan(config, device, workload, Units(config.asic), memory.grid, memory, made, routing, functions)


def compiled(config: Config | Plan) -> Plan:
    """The plan of a config, if it is not that already; InputError as `compile_plan`."""
    return config if isinstance(config, Plan) else compile_plan(config)


def place_in(config: Config, workload: Workload, made: Sequence[Operand], device: Device | None = None) -> Memory:
    """Where a workload and its operands lie in the device of a config, whether or not it has as many rows."""
    layouts = HARDWARE[config.dram.standard].layouts
    assert layouts is not None  # a `Config` is of hardware that multiplies
    grid = supply_grid(config, device or resolve(config.dram, config.pim), Units(config.asic))
    return place(config, workload, made, grid, layouts(config))
