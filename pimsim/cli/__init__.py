"""The command line.

Only click is imported here; each command imports what it needs when it runs, so
`pimsim --help` answers at once.
"""

from __future__ import annotations

import gc

import click

import pimsim
from pimsim.cli.calibrate import calibrate
from pimsim.cli.check import check
from pimsim.cli.config import config
from pimsim.cli.interchange import import_trace, to_chakra
from pimsim.cli.models import devices, models
from pimsim.cli.problems import ReportingGroup
from pimsim.cli.process import prepare
from pimsim.cli.replay import replay
from pimsim.cli.reproduce import reproduce
from pimsim.cli.run import run
from pimsim.cli.sweep import sweep
from pimsim.cli.trace import trace
from pimsim.cli.traffic import traffic


@click.group(
    "pimsim", cls=ReportingGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(pimsim.__version__, message="%(prog)s %(version)s")
def cli() -> None:
    """Simulate PIM-GPT: latency, energy and DRAM commands of a language model in memory.

    CONFIG is a YAML file or the name of a shipped configuration, such as aim.

    Exit status: 0 done, 1 a check failed, 2 the input is wrong, 3 an internal error.
    """


for command in (run, sweep, check, replay, traffic, config, models, devices, trace, calibrate, reproduce):
    cli.add_command(command)
for command in (import_trace, to_chakra):
    trace.add_command(command)


def main() -> None:
    """The entry point of the `pimsim` command."""
    prepare()
    gc.set_threshold(20_000, 50, 100)  # imports and compilation make many objects and few cycles: a tenth of the time
    try:
        cli.main(prog_name="pimsim")
    finally:
        gc.freeze()  # all memory goes at once: looking for cycles at the end is another tenth
