"""`pimsim check`."""

from __future__ import annotations

import click

from pimsim.cli.options import configurations, set_option
from pimsim.cli.problems import Exit
from pimsim.cli.say import say

_SHOWN = 100


@click.command()
@click.argument("commands")
@click.option(
    "--config", required=True, metavar="CONFIG", help="Configuration of the device that issued the commands.",
    shell_complete=configurations,
)  # fmt: skip
@set_option
def check(commands: str, config: str, overrides: tuple[str, ...]) -> int:
    """Check that a command log keeps the rules of its memory.

    The checker shares no code with the engine that wrote the log.

    The log must be complete: one limited by --window starts in a state that the checker
    cannot know.  Exit status 1 if a command breaks a rule.
    """
    from pimsim import api
    from pimsim.devices.registry import device_of
    from pimsim.kinds import LOG, expecting
    from pimsim.logs import checker
    from pimsim.logs.log import read_log

    loaded = api.load(config, overrides)
    device = device_of(loaded.config)
    with expecting(LOG, commands):
        log = read_log(commands, device.standard)
    violations = checker.check(log, device)
    for violation in violations[:_SHOWN]:
        say(f"{commands}: {violation}")
    found = len(violations) + violations.more
    if found > _SHOWN:
        say(f"... and {found - _SHOWN:,} more")
    say(f"{len(log):,} commands checked, {_count(found)}")
    return Exit.CHECK_FAILED if violations else Exit.DONE


def _count(violations: int) -> str:
    return f"{violations or 'no':,} violation{'' if violations == 1 else 's'}" if violations else "no violations"
