"""`pimsim reproduce`."""

from __future__ import annotations

import json

import click

from pimsim.cli.options import Folder
from pimsim.cli.process import as_usual
from pimsim.cli.say import console, emit, say


@click.command()
@click.argument("paper", type=click.Choice(["pim-gpt"]), metavar="pim-gpt")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON and nothing else on standard output.")
@click.option("--out", metavar="DIR", type=Folder(), help="Write tables, JSON and plots to DIR.")
@click.option("--workers", metavar="N", type=click.IntRange(1, 256), help="Processes; default: the cores, at most 8.")
def reproduce(paper: str, as_json: bool, out: str | None, workers: int | None) -> None:
    """The paper's figures beside the simulated ones, and what the unknown inputs make of them."""
    import os

    as_usual()  # Dask has threads and processes
    from pimsim.reproduce.reproduction import reproduce as run
    from pimsim.reproduce.sheets import sheets

    with console(stderr=True).status("starting") as status:
        found = run(workers or min(os.cpu_count() or 1, 8), status.update)
        if out is not None:
            from pimsim.reproduce.folder import save

            status.update("drawing")
            save(found, out)
    if as_json:
        emit(json.dumps(found.record(), indent=2, allow_nan=False))
        return
    screen = console()
    for sheet in sheets(found):
        sheet.print(screen)
    if out is not None:
        say(f"written to {out}")
