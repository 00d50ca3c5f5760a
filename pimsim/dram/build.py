"""A device and its channels as compiled code reads them: records that are made of the constraint rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

from pimsim.dram.kernel import numbers as k
from pimsim.dram.kernel.state import R_DUE, R_LEVEL, State
from pimsim.dram.kernel.table import Table
from pimsim.dram.records import named
from pimsim.dram.spec import BANK, BANK_GROUP, CHANNEL, Command, Effect, Needs, Scope, TimingConstraint
from pimsim.dram.timing import Device

Ints = NDArray[np.int64]


NO_FUNCTIONS = 1 << 40  # no row has this number


def sizes_of(device: Device, causes: int) -> dict[str, int]:
    """The extents of what compiled code knows of a device and of a channel."""
    windows, levels, commands = _windows(device), _levels(device), len(device.standard.commands)
    return {
        "commands": commands,
        "previous": 1 + commands,
        "counts": commands + 1,
        "causes": causes,
        "windows": len(windows),
        "depth": max((x.window for x, _ in windows), default=0),
        "groups": device.bank_groups,
        "banks": device.banks,
        "levels": len(levels),
        "nodes": 1 + device.banks + device.bank_groups + sum(max(device.nodes[level]) + 1 for level in levels),
        "turns": max(1, len(device.turns)),
    }


def build_table(device: Device, causes: tuple[str, ...], sizes: Mapping[str, int]) -> Ints:
    """The device's tables as compiled code reads them."""
    standard, commands, names = device.standard, device.standard.commands, device.command_names
    roles, windows, levels = standard.roles, _windows(device), _levels(device)
    refresh = roles.refresh(device.refresh)
    turns = device.turns or (tuple(range(device.banks)),)
    record = Table.new(
        sizes,
        **{name: sizes[name] for name in NUMBERS},
        per_group=device.banks_per_group,
        columns=device.columns,
        functions=standard.function_rows[0] or NO_FUNCTIONS,
        refresh=k.NO_REFRESH if refresh is None else k.ALL_BANK if len(turns) == 1 else k.IN_TURN,
        interval=device.refresh_interval,
        together=device.together,
        logs_request=standard.logs_request,
        **{role: _role(device, getattr(roles, role)) for role in ROLES},
        open_rest=_role(device, roles.open_rest or roles.open_bank),
        refresh_next=_role(device, refresh),
        refresh_close=_role(device, standard.closing(refresh) if refresh else None),
    )
    table = named(Table, record)
    gaps = _gaps(device, levels)
    table.channel_gap[:], table.bank_gap[:], table.group_gap[:] = gaps[:3]
    table.level_gap[:] = gaps[3:]
    table.node[:] = _nodes(device, levels)
    table.turn_bank[:] = [banks[0] for banks in turns]
    table.turn_of[:] = [next(turn for turn, banks in enumerate(turns) if b in banks) for b in range(device.banks)]
    table.scope[:] = [_scope(x, levels) for x in commands]
    table.lowest[:], table.next_bank[:] = _banks_in_order(device)
    table.needs_open[:] = [x.needs is Needs.OPEN for x in commands]
    table.opens[:] = [x.effect is Effect.OPEN for x in commands]
    table.closes[:] = [x.effect is Effect.CLOSE for x in commands]
    table.shows[:] = [x.shows_column or standard.logs_request for x in commands]
    table.completion[:] = [device.completion(x) for x in commands]
    table.cause[:] = [[causes.index(_cause(device, p, n)) for n in names] for p in (None, *names)]
    for number, (x, node) in enumerate(windows):
        table.length[number], table.latency[number] = x.window, device.latency(x)
        table.before[number] = [name in x.preceding for name in names]
        table.after[number] = [name in x.following for name in names]
        table.whole[number] = x.level == CHANNEL.name
        table.within[number] = [other == node for other in device.nodes[x.level]]
    table.reach[:] = gaps[1:].max(axis=(0, 2))
    table.mode[:] = [standard.modes.index(x.mode) if x.mode else -1 for x in commands]
    return record


def _windows(device: Device) -> list[tuple[TimingConstraint, int]]:
    """The constraints that count commands in a window, each once for every node of its level."""
    rows = [x for x in device.standard.constraints if x.window > 1 and device.latency(x) > 0]
    return [(x, node) for x in rows for node in range(max(device.nodes[x.level]) + 1)]


FIRST = (CHANNEL.name, BANK.name, BANK_GROUP.name)  # levels that every device has


def _levels(device: Device) -> list[str]:
    """The levels besides those that every device has, as far as constraints name them."""
    used = {x.level for x in device.standard.constraints if x.window == 1}
    return [x.name for x in device.standard.levels if x.name in used.difference(FIRST)]


def _nodes(device: Device, levels: Sequence[str]) -> Ints:
    """(levels, banks): the node of each bank, numbered on from channel, banks and bank groups."""
    nodes, first = np.zeros((len(levels), device.banks), np.int64), 1 + device.banks + device.bank_groups
    for number, level in enumerate(levels):
        nodes[number] = first + np.array(device.nodes[level])
        first = int(nodes[number].max()) + 1
    return nodes


def _role(device: Device, name: str | None) -> int:
    return -1 if name is None else device.standard.index(name)


NUMBERS = ("commands", "windows", "depth", "causes", "levels", "nodes", "turns", "groups", "banks")
ROLES = ("open_bank", "open_all", "close_bank", "close_all", "switch_mode")
_SCOPES: Mapping[str, int] = {Scope.CHANNEL: k.CHANNEL, Scope.BANK: k.BANK, Scope.ALL_BANKS: k.ALL}


def _scope(command: Command, levels: Sequence[str]) -> int:
    scope = _SCOPES.get(command.scope, k.BANKS)
    return k.BANKS if levels and scope == k.BANK else scope


def _banks_in_order(device: Device) -> Ints:
    """(2, c, banks): of the banks that a command addresses with this one the lowest, and the next after this or -1."""
    commands = device.standard.commands
    found = np.empty((2, len(commands), device.banks), np.int64)
    found[0], found[1] = np.arange(device.banks), -1
    for number, command in enumerate(commands):
        if command.scope in (Scope.CHANNEL, Scope.BANK):
            continue
        for bank in range(device.banks):
            own = device.banks_of(command, bank)
            found[0, number, bank] = own[0]
            found[1, number, bank] = next((other for other in own if other > bank), -1)
    return found


def _gaps(device: Device, levels: Sequence[str]) -> Ints:
    """(3 + levels, c, c): clocks from one command to another in a node of FIRST and of the others.

    In the channel they are 0 at least: time goes on.
    """
    commands, places = device.standard.commands, [*FIRST, *levels]
    gaps = np.full((len(places), len(commands), len(commands)), k.NEVER, np.int64)
    gaps[0] = 0
    for constraint in device.standard.constraints:
        latency = device.latency(constraint)
        if constraint.window > 1 or latency <= 0:
            continue
        for before, after in product(constraint.preceding, constraint.following):
            a, b = device.standard.index(before), device.standard.index(after)
            level = _level(constraint.level, commands[a].scope, commands[b].scope)
            if level is not None:
                place = places.index(level)
                gaps[place, a, b] = max(gaps[place, a, b], latency)
    return gaps


def _level(level: str, before: str, after: str) -> str | None:
    """The level at which a constraint between two scopes binds; None: it never does."""
    if level != CHANNEL.name and Scope.CHANNEL in (before, after):
        return None
    return CHANNEL.name if Scope.ALL_BANKS in (before, after) else level  # all banks share every node


def _cause(device: Device, previous: str | None, name: str) -> str:
    for before, after, cause in device.standard.causes:
        if before in ("*", previous) and after in ("*", name):
            return cause
    raise ValueError(f"{device.standard.name}: no cause for {previous} -> {name}")


def initial_states(device: Device, sizes: Mapping[str, int]) -> Ints:
    """All banks closed, nothing pending, the first refreshes due after as many intervals."""
    record = State.new(sizes)
    state = named(State, record)
    state.reg[R_DUE], state.reg[R_LEVEL] = device.together * device.refresh_interval, -1
    state.rows[:] = -1
    state.clocks[:] = state.recent[:] = k.NEVER
    return np.tile(record, (device.channels, 1))
