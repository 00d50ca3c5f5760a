"""`pimsim reproduce`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from pimsim.cli.options import Folder, figures_options, wrong_figures
from pimsim.cli.problems import option_problem, print_warnings
from pimsim.cli.process import as_usual
from pimsim.cli.say import console, emit, listed, say
from pimsim.errors import InputError

if TYPE_CHECKING:
    from pimsim.plots.looks import Order
    from pimsim.reproduce.sheets import Sheet

WHAT = ("pim-gpt", "decode", "devices", "cent")


@click.command()
@click.argument("what", type=click.Choice(WHAT), metavar="|".join(WHAT))
@click.option("--rows", metavar="FILE", help="cent: answer these rows in place of the published ones (CSV).")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON and nothing else on standard output.")
@click.option("--out", metavar="DIR", type=Folder(), help="Write tables, JSON and plots to DIR.")
@figures_options
@click.option("--workers", metavar="N", type=click.IntRange(1, 256), help="Processes; default: the cores, at most 8.")
def reproduce(
    what: str,
    rows: str | None,
    as_json: bool,
    out: str | None,
    figures: str | None,
    style: str | None,
    workers: int | None,
) -> None:
    """Compare published figures with the simulated ones.

    Each figure has an interval, which says how far the unknown inputs could move it.

    pim-gpt: the paper's figures. decode: ways of decoding on PIM-GPT and on GPUs, beside a prototype's rough figures.
    devices: published figures of other memories that multiply. cent: CENT's table, or any other rows of it; its
    figures have no interval, since its inputs are all known.
    """
    import os

    if wrong := wrong_figures(figures, style, out, "a reproduction"):
        raise InputError(wrong)
    as_usual()  # Dask has threads and processes
    number = workers or min(os.cpu_count() or 1, 8)
    if what == "cent":
        if drawn := [name for name, value in (("--figures", figures), ("--style", style)) if value is not None]:
            raise InputError([option_problem(name, "is of pictures, and cent has tables alone") for name in drawn])
        _cent(rows, number, as_json, out)
        return
    if rows is not None:
        raise InputError(option_problem("--rows", f"is of `pimsim reproduce cent`; {what} has none"))
    {"pim-gpt": _pim_gpt, "decode": _decode, "devices": _devices}[what](number, as_json, out, figures, style)


def _order(figures: str | None, style: str | None) -> Order:
    from pimsim.plots.looks import order

    return order(figures, style)


def _pim_gpt(workers: int, as_json: bool, out: str | None, *how: str | None) -> None:
    from pimsim.reproduce.reproduction import reproduce as run
    from pimsim.reproduce.sheets import sheets

    with console(stderr=True).status("starting") as status:
        found = run(workers, status.update)
        if out is not None:
            from pimsim.reproduce.folder import save

            status.update("drawing")
            save(found, out, _order(*how))
    _told(found.record(), sheets(found), as_json, out)


def _decode(workers: int, as_json: bool, out: str | None, *how: str | None) -> None:
    from pimsim.reproduce.decoding.found import reproduce as run
    from pimsim.reproduce.decoding.pages import save, sentences, sheets

    with console(stderr=True).status("starting") as status:
        found = run(workers, status.update)
        if out is not None:
            status.update("drawing")
            save(found, out, _order(*how))
    _told(found.record(), sheets(found), as_json, out)
    if not as_json:
        listed("in one sentence each:", [sentence for _, sentence in sentences(found)], err=False)


def _devices(workers: int, as_json: bool, out: str | None, *how: str | None) -> None:
    from pimsim.reproduce.devices.found import reproduce as run
    from pimsim.reproduce.devices.pages import save, sentences, sheets

    with console(stderr=True).status("starting") as status:
        found = run(workers, status.update)
        if out is not None:
            save(found, out, _order(*how))
    _told(found.record(), sheets(found), as_json, out)
    if not as_json:
        listed("what decides:", sentences(found), err=False)


def _cent(rows: str | None, workers: int, as_json: bool, out: str | None) -> None:
    from pimsim.reproduce.cent.found import reproduce as run
    from pimsim.reproduce.cent.pages import save, sheets
    from pimsim.reproduce.cent.rows import read_rows

    asked = None if rows is None else read_rows(rows)
    with console(stderr=True).status("starting") as status:
        found = run(asked, workers, status.update)
        if out is not None:
            save(found, out)
    _told(found.record(), sheets(found), as_json, out)
    if rows is not None:
        print_warnings(found.warnings)


def _told(record: dict[str, Any], sheets: Iterable[Sheet], as_json: bool, out: str | None) -> None:
    """JSON, or tables and where they were written."""
    if as_json:
        emit(json.dumps(record, indent=2, allow_nan=False))
        return
    screen = console()
    for sheet in sheets:
        sheet.print(screen)
    if out is not None:
        say(f"written to {out}")
