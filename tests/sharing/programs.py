"""The programs of products by themselves, on the shipped device without refreshes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from pimsim import load_config
from pimsim.asic.units import Units as Asic
from pimsim.config.schema import Config
from pimsim.devices.pim_gpt.reuse import SharedMatrixLayout, Units
from pimsim.devices.registry import device_of
from pimsim.dram.engine import Engine
from pimsim.dram.program import Program
from pimsim.dram.spec import Standard
from pimsim.dram.timing import Device
from pimsim.mapping.grid import Grid
from pimsim.mapping.memory import supply_grid
from pimsim.mapping.work import Work
from tests.conftest import SHIPPED
from tests.strategies import device_of as device_of_cycles


def config_of(**keys: Any) -> Config:
    """The shipped configuration without refreshes and baselines, with other keys (dots are `__`)."""
    changes = {key.replace("__", "."): value for key, value in keys.items()}
    config = load_config(SHIPPED, {"dram.refresh": "none", "baselines": [], **changes})
    assert isinstance(config, Config)
    return config


def grid_of(config: Config) -> Grid:
    """As the mapping has it."""
    return supply_grid(config, device_of(config), Asic(config.asic))


def shared(config: Config, inputs: int, outputs: int, group: int) -> SharedMatrixLayout:
    """A matrix whose rows serve a group of inputs."""
    units = Units(config.pim.parallel, config.pim.kept_sums, config.pim.buffers)
    return SharedMatrixLayout(grid_of(config), inputs, outputs, group, units)


def clocks(grid: Grid, *works: Work) -> int:
    """Clocks of pieces of work, one after another."""
    engine, at = Engine(grid.device), 0
    for work in works:
        at = engine.run(work.program, work.spans, 0, at, engine.new_totals())
    return at


def clocks_of(grid: Grid, program: Program) -> int:
    """Clocks of a program that every channel runs."""
    engine = Engine(grid.device)
    return engine.run(program, np.array([[0, len(program)]] * grid.channels), 0, 0, engine.new_totals())


def device_of_config(config: Config) -> Device:
    """As a run has it."""
    return device_of(config)


def device_with(standard: Standard | None = None, cycles: dict[str, int] | None = None, buffers: int = 1) -> Device:
    """One with these tables and clocks, or that of the shipped configuration."""
    if standard is None or cycles is None:
        return device_of(config_of(pim__buffers=buffers))
    return replace(device_of_cycles(cycles), standard=standard)
