"""`pimsim replay`."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from pimsim.cli.options import configurations, located_in, patience, set_option
from pimsim.cli.problems import option_problem
from pimsim.cli.say import emit, say
from pimsim.errors import InputError, Problem, collected

if TYPE_CHECKING:
    from pimsim.devices.aim.instructions import Instructions
    from pimsim.devices.aim.replay import Replay
    from pimsim.devices.aim.table import Difference
    from pimsim.dram.timing import Device

WIDTH = 80


@click.command()
@click.argument("program")
@click.option(
    "--config", required=True, metavar="CONFIG", shell_complete=configurations,
    help="A configuration whose DRAM is aim, aim-reference or a table that extends one of them.",
)  # fmt: skip
@set_option
@click.option("--commands", metavar="FILE", help="Write every DRAM command to FILE (.csv, .csv.gz or .parquet).")
@click.option("--json", "as_json", is_flag=True, help='Print {"cycles": n, "commands": n} and nothing else.')
@click.option("--engine", type=click.Choice(["fast", "stepped"]), default="fast", help="Results are the same.")
def replay(
    program: str,
    config: str,
    overrides: tuple[str, ...],
    commands: str | None,
    as_json: bool,
    engine: Literal["fast", "stepped"],
) -> None:
    """Run the AiM instructions in PROGRAM."""
    from pimsim import api
    from pimsim.devices.aim.replay import costs, runs_programs
    from pimsim.devices.aim.replay import replay as run
    from pimsim.devices.aim.table import REFERENCE, STANDARD
    from pimsim.devices.registry import device_of

    loaded = api.load(config, list(overrides))
    with located_in(loaded), patience():
        device = device_of(loaded.config)
        if not runs_programs(device):
            what = f"{device.standard.name!r} runs no AiM programs; use {STANDARD.name!r} or {REFERENCE.name!r}"
            raise InputError(what, key="dram.standard")
        instructions = _instructions(program, device, commands)
        result = run(instructions, device, commands, engine)
        if as_json:
            emit(json.dumps({"cycles": result.cycles, "commands": result.commands}))
            return
        _print(program, device, result, costs(instructions, device, engine, result.cycles))


def _instructions(program: str, device: Device, commands: str | None) -> Instructions:
    """The program; InputError has what is wrong with it and with where its log goes."""
    problems: list[Problem] = []
    with collected(problems):
        instructions = _read(program, device)
    if commands is not None:
        with collected(problems):
            _check_log(commands, program)
    if problems:
        raise InputError(problems)
    return instructions


def _check_log(commands: str, program: str) -> None:
    """InputError if no log can be written there, or if it would replace the program."""
    from pimsim.logs.log import log_target

    log_target(Path(commands))
    if os.path.exists(commands) and os.path.exists(program) and os.path.samefile(commands, program):
        raise InputError(option_problem("--commands", f"{commands!r} is the program, which the log would replace"))


def _read(path: str, device: Device) -> Instructions:
    from pimsim.devices.aim.instructions import Instructions
    from pimsim.files import open_input
    from pimsim.kinds import PROGRAM, expecting

    if not path:
        raise InputError(option_problem("PROGRAM", "needs the name of a file, but it is empty"))
    with expecting(PROGRAM, path), open_input(path, "cannot read the program") as file:
        return Instructions.read(file, device, path)


def _print(program: str, device: Device, result: Replay, costs: Sequence[tuple[Difference, int]]) -> None:
    say(f"{Path(program).name} on {device.standard.name}, {device.channels} channels"[:WIDTH])
    say(f"  cycles    {result.cycles:>14,}   {result.ns:,.1f} ns at {device.tCK_ps} ps")
    say(f"  commands  {result.commands:>14,}")
    for name, count in result.counts.items():
        if count:
            say(f"    {name:<8}{count:>14,}")
    if costs:
        say("What this profile costs against the reference simulator, each alone:")
    for difference, clocks in costs:
        say(f"  {difference.name:<20}{clocks:>8,}  {difference.why}"[:WIDTH])
