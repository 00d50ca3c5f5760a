"""The command line.

Only click is imported here; a command is imported when it is asked for, and imports what it needs
when it runs, so `pimsim --help` answers at once.
"""

from __future__ import annotations

import os

import click

import pimsim
from pimsim.cli.problems import Commands, ReportingGroup
from pimsim.cli.process import leave, prepare

_COMMANDS = Commands(
    {
        "init": "pimsim.cli.init:init",
        "run": "pimsim.cli.run:run",
        "generate": "pimsim.cli.generate:generate",
        "accuracy": "pimsim.cli.generate:accuracy",
        "compare": "pimsim.cli.compare:compare",
        "sweep": "pimsim.cli.sweep:sweep",
        "map": "pimsim.cli.map:map_",
        "check": "pimsim.cli.check:check",
        "replay": "pimsim.cli.replay:replay",
        "traffic": "pimsim.cli.traffic:traffic",
        "config": "pimsim.cli.config:config",
        "list": "pimsim.cli.list:list_",
        "models": "pimsim.cli.models:models",
        "devices": "pimsim.cli.models:devices",
        "trace": "pimsim.cli.trace:trace",
        "export": "pimsim.cli.export:export",
        "calibrate": "pimsim.cli.calibrate:calibrate",
        "reproduce": "pimsim.cli.reproduce:reproduce",
    }
)


@click.group(
    "pimsim",
    cls=ReportingGroup,
    commands=_COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(pimsim.__version__, message="%(prog)s %(version)s")
def cli() -> None:
    """Simulate PIM-GPT: latency, energy and DRAM commands of a language model in memory.

    CONFIG is a YAML file or the name of a shipped configuration, such as aim.

    Exit status: 0 done, 1 a check failed, 2 the input is wrong, 3 an internal error.
    """


def main() -> None:
    """The entry point of the `pimsim` command."""
    prepare()
    if "_PIMSIM_COMPLETE" in os.environ:
        from pimsim.cli.completion import register

        register()
    try:
        cli.main(prog_name="pimsim")
    except SystemExit as ended:
        leave(ended)
