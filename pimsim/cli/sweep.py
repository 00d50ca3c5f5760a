"""`pimsim sweep`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from pimsim.cli.options import completed, figures_options, options_located, wrong_figures
from pimsim.cli.problems import Exit, option_problem
from pimsim.cli.process import as_usual, interruptible
from pimsim.cli.say import console, emit, say
from pimsim.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

    from pimsim.sweep.result import SweepResult
    from pimsim.sweep.runner import Stopped

_WIDTH, _NARROW, _MANY = 12, 9, 6  # of a heading, and where there are more columns than that
_LONG = 40  # characters of an option that are shown
_ENDS = ("_low", "_high")  # of intervals, which sensitivity.csv and the page have
_MISSING = {
    "points": ("", "go on"),
    "results": (", but the results files are not written", "write them"),
    "reports": (", but reports of points are missing", "make them"),
}  # of a sweep that was stopped: what is told, and what its command does
_SHOWN = 10  # rows of the front, and messages of failed points


@click.command()
@click.argument("sweep", shell_complete=completed("sweeps"))
@click.option("--out", metavar="DIR", help="Folder of the results (default: results/ and the sweep's name).")
@click.option("--workers", metavar="N", type=click.IntRange(0), help="Processes (default: one per core; 0: none).")
@click.option("--scheduler", metavar="ADDRESS", help="Simulate on the Dask cluster of this scheduler.")
@click.option("--resume", is_flag=True, help="Go on with the sweep that is in DIR.")
@click.option("--shard", metavar="I/N", help="Simulate the I-th of N parts only.")
@click.option("--merge", "shards", metavar="DIR", multiple=True, help="Put shards together; one option for each.")
@click.option(
    "--format", "kind", type=click.Choice(["parquet", "csv"]), help="Format of the results (default: parquet)."
)
@figures_options
@click.option(
    "--reports",
    metavar="WHICH",
    help="Points whose own reports are written, as DIR/points/INDEX: none, front (16 of it at most; the default), all, "
    "or numbers as 3,17. --resume adds what is missing.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else on standard output.")
def sweep(
    sweep: str,
    out: str | None,
    workers: int | None,
    scheduler: str | None,
    resume: bool,
    shard: str | None,
    shards: tuple[str, ...],
    kind: str | None,
    figures: str | None,
    style: str | None,
    reports: str | None,
    as_json: bool,
) -> int:
    """Simulate every point of SWEEP and write one table.

    docs/sweeps.md explains the file. The exit status is 1 if points failed, or none was feasible.
    """
    import json

    part = parse_shard(shard)
    if wrong := wrong_figures(figures, style, out or sweep):
        raise InputError(wrong)
    as_usual()  # Dask has threads and processes
    from pimsim import sweep as api
    from pimsim.sweep.progress import progress_bar
    from pimsim.sweep.reports import FRONT, NONE, parse_which
    from pimsim.sweep.runner import Stopped, run_sweep

    with options_located():
        which = parse_which(reports or (FRONT if part == (1, 1) else NONE))
    loaded = api.load_sweep(sweep)
    directory = out or f"results/{loaded.name}"
    with options_located(), interruptible():
        try:
            if shards:
                result = api.merge(loaded, shards, directory, kind, which)
            else:
                with progress_bar(console(stderr=True)) as progress:
                    result = run_sweep(
                        loaded, directory, workers=workers, scheduler=scheduler, resume=resume, shard=part, kind=kind,
                        progress=progress, reports=which,
                    )  # fmt: skip
        except Stopped as stopped:
            options = {
                "--out": out, "--shard": shard, "--scheduler": scheduler, "--format": kind, "--figures": figures,
                "--style": style, "--reports": reports,
            }  # fmt: skip
            return _say_how_to_go_on(stopped, sweep, options)
        if figures is not None or style is not None:
            _draw(result, figures, style)
    if as_json:
        emit(json.dumps(result.summary(), indent=2))
    else:
        _print(result, console())
    return _say_what_is_missing(result)


def _draw(result: SweepResult, figures: str | None, style: str | None) -> None:
    """Write the pictures of a sweep, or say that there is none."""
    from pimsim.plots.looks import order
    from pimsim.sweep.pictures import save

    if not save(result, order(figures, style)):
        say(f"{result.directory}: no picture: it needs two objectives, one or two keys, or one_at_a_time", err=True)


def parse_shard(text: str | None) -> tuple[int, int]:
    """I/N as two numbers; InputError if it is not that."""
    if text is None:
        return 1, 1
    found = re.fullmatch(r"0*([0-9]{1,9})/0*([0-9]{1,9})", text, re.ASCII)
    part, parts = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 1 <= part <= parts:
        shown = repr(text if len(text) <= _LONG else f"{text[:_LONG]}...")
        raise InputError(option_problem("--shard", f"must be I/N with 1 <= I <= N, not {shown}"))
    return part, parts


def _say_what_is_missing(result: SweepResult) -> int:
    """The exit status; on standard error which points have no figures, where that is not as it should be."""
    statuses, rows = result.statuses, sum(result.statuses.values())
    for problem in _missing(result, rows):
        say(f"{result.directory}: {problem}", err=True)
    none_feasible = not statuses["ok"] and (rows or result.dropped == result.manifest["points"])
    return Exit.CHECK_FAILED if statuses["failed"] or none_feasible else Exit.DONE


def _missing(result: SweepResult, rows: int) -> Iterator[str]:
    failed, points = result.statuses["failed"], result.manifest["points"]
    if failed:
        yield f"{failed} of {rows} points failed, for reasons that are not in the input; --resume tries them again"
    elif rows and not result.statuses["ok"]:
        yield f"none of {rows} points is feasible"
    if not rows and result.dropped == points:
        yield f"the constraints drop all {points} points"
    for index, problem in list(result.unreported.items())[:_SHOWN]:
        yield f"point {index} has no report: {problem}"
    for text, count in list(result.warnings().items())[:_SHOWN]:
        yield f"warning: {count} of {rows} points: {text}"
    for objective, value in result.undecided().items():
        if value is None:
            yield f"warning: no point has a figure for {objective}: the front is empty"
        else:
            yield f"warning: {objective} is {_text(value)} at every point: as an objective it decides nothing"


def _say_how_to_go_on(stopped: Stopped, sweep: str, options: Mapping[str, str | None]) -> int:
    from pimsim.sweep.commands import going_on

    if stopped.unwritten:
        say(f"{stopped.directory}: no report.html of what is finished: {stopped.unwritten}", err=True)
    what, how = _MISSING[stopped.missing]
    say(f"stopped: {stopped.done} of {stopped.total} points are finished and kept{what}; {how} with", err=True)
    say(f"  {going_on(sweep, options)}", err=True)
    return Exit.INTERRUPTED


def _print(result: SweepResult, screen: Console) -> None:
    summary = result.summary()
    shard = "" if summary["shard"] == "1/1" else f", shard {summary['shard']}"
    say(f"{summary['name']}: {summary['points']} points{shard}, {summary['dropped']} dropped by constraints")
    say("  ".join(f"{count} {status}" for status, count in summary["statuses"].items()))
    for error, count in _errors(result)[:_SHOWN]:
        say(f"  {count} x {error}")
    if effects := result.sensitivity():
        _print_effects(effects, screen)
    elif result.objectives:
        _print_front(result, screen)
    say(f"written to {result.directory}")


def _errors(result: SweepResult) -> list[tuple[str, int]]:
    """What is said of points without figures, the most frequent first."""
    if not (result.statuses["infeasible"] or result.statuses["failed"]):
        return []
    counts: dict[str, int] = {}
    for row in result.rows():
        if row["error"]:
            text = f"{row['status']}: {row['error']}"
            counts[text] = counts.get(text, 0) + 1
    return sorted(counts.items(), key=lambda item: -item[1])


def _print_front(result: SweepResult, screen: Console) -> None:
    """The keys that vary and the objectives of the front."""
    front, names = result.pareto(), [objective.name for objective in result.objectives]
    shown = f", the first {_SHOWN}" if len(front) > _SHOWN else ""
    title = f"Pareto front: {len(front)} points{shown}" if len(names) > 1 else "best"
    _print_table(title, front[:_SHOWN], ["index", *result.keys, *names], screen)


def _print_effects(effects: Sequence[Mapping[str, Any]], screen: Console) -> None:
    """What each key does, a table per objective."""
    for objective in dict.fromkeys(row["objective"] for row in effects):
        rows = [row for row in effects if row["objective"] == objective]
        base = f": {_text(rows[0]['base'])} at the base" if "base" in rows[0] else ": shares of the variance"
        columns = [name for name in rows[0] if name not in ("objective", "base") and not name.endswith(_ENDS)]
        _print_table(f"{objective}{base}", rows, columns, screen)


def _print_table(title: str, rows: Sequence[Mapping[str, Any]], columns: Sequence[str], screen: Console) -> None:
    from rich.table import Table

    say(title)
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for heading in headings(columns):
        table.add_column(heading, justify="right", vertical="bottom", overflow="fold")
    for row in rows:
        table.add_row(*(_text(row.get(name)) for name in columns))
    screen.print(table)


def headings(names: Sequence[str]) -> list[str]:
    """The last part of each name, on short lines; the whole name where two have the same last part."""
    last = [name.rpartition(".")[2] for name in names]
    width = _WIDTH if len(names) <= _MANY else _NARROW
    return [_broken(name if last.count(short) > 1 else short, width) for name, short in zip(names, last, strict=True)]


def _broken(name: str, width: int) -> str:
    lines = [""]
    for part in re.split(r"(?<=[._])", name):
        if lines[-1] and len(lines[-1] + part) > width:
            lines.append("")
        lines[-1] += part
    return "\n".join(lines)


def _text(value: Any) -> str:
    if not isinstance(value, float):
        return "" if value is None else str(value)
    return f"{value:,.5g}" if abs(value) < 1e5 else f"{value:.4g}"
