"""A device and its channels as compiled code reads them: records that are made of the constraint rows."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

import numpy as np
from numpy.typing import NDArray

from pimsim.dram.kernel.numbers import ALL, ALL_BANK, BANK, CHANNEL, NEVER, NO_REFRESH, PER_BANK
from pimsim.dram.kernel.state import R_DUE, R_LEVEL, State
from pimsim.dram.kernel.table import Table
from pimsim.dram.records import named
from pimsim.dram.spec import Effect, Needs, Scope, TimingConstraint
from pimsim.dram.timing import Device

Ints = NDArray[np.int64]


NO_FUNCTIONS = 1 << 40  # no row has this number


def sizes_of(device: Device, causes: int) -> dict[str, int]:
    """The extents of what compiled code knows of a device and of a channel."""
    windows, commands = _windows(device), len(device.standard.commands)
    return {
        "commands": commands,
        "previous": 1 + commands,
        "counts": commands + 1,
        "causes": causes,
        "windows": len(windows),
        "depth": max((x.window for x, _ in windows), default=0),
        "groups": device.bank_groups,
        "banks": device.banks,
        "nodes": 1 + device.banks + device.bank_groups,
    }


def build_table(device: Device, causes: tuple[str, ...], sizes: Mapping[str, int]) -> Ints:
    """The device's tables as compiled code reads them."""
    standard, commands, names = device.standard, device.standard.commands, device.command_names
    roles, windows = standard.roles, _windows(device)
    record = Table.new(
        sizes,
        **{name: sizes[name] for name in ("commands", "windows", "depth", "causes", "groups", "banks")},
        per_group=device.banks_per_group,
        columns=device.columns,
        functions=standard.function_rows[0] or NO_FUNCTIONS,
        refresh={"none": NO_REFRESH, "all_bank": ALL_BANK, "per_bank": PER_BANK}[device.refresh],
        interval=device.refresh_interval,
        logs_request=standard.logs_request,
        **{role: _role(device, getattr(roles, role)) for role in ROLES},
        open_rest=_role(device, roles.open_rest or roles.open_bank),
    )
    table, gaps = named(Table, record), _gaps(device)
    table.channel_gap[:], table.group_gap[:], table.bank_gap[:] = gaps
    table.scope[:] = [_SCOPES[x.scope] for x in commands]
    table.needs_open[:] = [x.needs is Needs.OPEN for x in commands]
    table.opens[:] = [x.effect is Effect.OPEN for x in commands]
    table.closes[:] = [x.effect is Effect.CLOSE for x in commands]
    table.shows[:] = [x.shows_column or standard.logs_request for x in commands]
    table.completion[:] = [device.completion(x) for x in commands]
    table.cause[:] = [[causes.index(_cause(device, p, n)) for n in names] for p in (None, *names)]
    for k, (x, latency) in enumerate(windows):
        table.length[k], table.latency[k] = x.window, latency
        table.before[k] = [name in x.preceding for name in names]
        table.after[k] = [name in x.following for name in names]
    table.reach[:] = gaps[1:].max(axis=(0, 2))
    table.mode[:] = [standard.modes.index(x.mode) if x.mode else -1 for x in commands]
    return record


def _windows(device: Device) -> list[tuple[TimingConstraint, int]]:
    """The constraints that count commands in a window, and its clocks."""
    constraints = [(x, device.latency(x)) for x in device.standard.constraints if x.window > 1]
    return [(x, latency) for x, latency in constraints if latency > 0]


def _role(device: Device, name: str | None) -> int:
    return -1 if name is None else device.standard.index(name)


ROLES = ("open_bank", "open_all", "close_bank", "close_all", "refresh_all", "refresh_bank", "switch_mode")
_SCOPES = {Scope.CHANNEL: CHANNEL, Scope.BANK: BANK, Scope.ALL_BANKS: ALL}


def _gaps(device: Device) -> Ints:
    """(3, c, c): clocks from one command to another in the channel, in a bank group, in a bank."""
    commands = device.standard.commands
    gaps = np.full((3, len(commands), len(commands)), NEVER, np.int64)
    for constraint in device.standard.constraints:
        latency = device.latency(constraint)
        if constraint.window > 1:
            if constraint.level != "channel":
                raise ValueError(f"a window needs level channel, not {constraint.level!r}")
            continue
        for before, after in product(constraint.preceding, constraint.following):
            a, b = device.standard.index(before), device.standard.index(after)
            level = _level(constraint.level, commands[a].scope, commands[b].scope)
            if latency > 0 and level is not None:
                gaps[level, a, b] = max(gaps[level, a, b], latency)
    return gaps


def _level(level: str, before: Scope, after: Scope) -> int | None:
    """Which gap matrix a constraint goes to: 0 channel, 1 bank group, 2 bank; None: never binds."""
    if level == "channel":
        return 0
    if Scope.CHANNEL in (before, after):
        return None
    if Scope.ALL_BANKS in (before, after):
        return 0  # every bank is shared
    return 1 if level == "bank_group" else 2


def _cause(device: Device, previous: str | None, name: str) -> str:
    for before, after, cause in device.standard.causes:
        if before in ("*", previous) and after in ("*", name):
            return cause
    raise ValueError(f"{device.standard.name}: no cause for {previous} -> {name}")


def initial_states(device: Device, sizes: Mapping[str, int]) -> Ints:
    """All banks closed, nothing pending, the first refresh due after one interval."""
    record = State.new(sizes)
    state = named(State, record)
    state.reg[R_DUE], state.reg[R_LEVEL] = device.refresh_interval, -1
    state.rows[:] = -1
    state.clocks[:] = state.recent[:] = NEVER
    return np.tile(record, (device.channels, 1))
