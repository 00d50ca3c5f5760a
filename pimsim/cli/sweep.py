"""`pimsim sweep`."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from pimsim.cli.options import options_located
from pimsim.cli.problems import Exit, option_problem
from pimsim.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

    from pimsim.sweep.result import SweepResult
    from pimsim.sweep.runner import Stopped

_WIDTH = 12  # of a heading
_SHOWN = 10  # rows of the front, and messages of failed points


@click.command()
@click.argument("sweep")
@click.option("--out", metavar="DIR", help="Folder of the results (default: results/NAME, NAME as of the sweep).")
@click.option("--workers", metavar="N", type=click.IntRange(0), help="Processes (default: one per core; 0: none).")
@click.option("--scheduler", metavar="ADDRESS", help="Simulate on the Dask cluster of this scheduler.")
@click.option("--resume", is_flag=True, help="Go on with the sweep that is in DIR.")
@click.option("--shard", metavar="I/N", help="Simulate the I-th of N parts only.")
@click.option("--merge", "shards", metavar="DIR", multiple=True, help="Make the whole from shards, one option each.")
@click.option("--format", "kind", type=click.Choice(["parquet", "csv"]), help="Of the results (default: parquet).")
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
    as_json: bool,
) -> int:
    """Simulate every point of SWEEP, a file as docs/sweeps.md explains it."""
    import json

    from rich.console import Console

    part = parse_shard(shard)
    from pimsim import sweep as api
    from pimsim.sweep.progress import progress_bar
    from pimsim.sweep.runner import Stopped, run_sweep

    loaded = api.load_sweep(sweep)
    directory = out or f"results/{loaded.name}"
    with options_located(), _terminable():
        if shards:
            result = api.merge(loaded, shards, directory, kind)
        else:
            try:
                with progress_bar(Console(stderr=True)) as progress:
                    result = run_sweep(
                        loaded, directory, workers=workers, scheduler=scheduler, resume=resume, shard=part, kind=kind,
                        progress=progress,
                    )  # fmt: skip
            except Stopped as stopped:
                return _say_how_to_go_on(stopped, sweep, out, shard, scheduler)
    if as_json:
        click.echo(json.dumps(result.summary(), indent=2))
    else:
        _print(result, Console())
    return Exit.DONE


def parse_shard(text: str | None) -> tuple[int, int]:
    """I/N as two numbers; InputError if it is not that."""
    if text is None:
        return 1, 1
    part, slash, parts = text.partition("/")
    if not slash or not part.isdecimal() or not parts.isdecimal() or not 1 <= int(part) <= int(parts):
        raise InputError(option_problem("--shard", f"must be I/N with 1 <= I <= N, not {text!r}"))
    return int(part), int(parts)


@contextmanager
def _terminable() -> Iterator[None]:
    """A batch system's SIGTERM stops a sweep as Ctrl-C does."""

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _say_how_to_go_on(stopped: Stopped, sweep: str, out: str | None, shard: str | None, scheduler: str | None) -> int:
    options = {"--out": out, "--shard": shard, "--scheduler": scheduler}
    given = "".join(f" {name} {value}" for name, value in options.items() if value is not None)
    click.echo(f"stopped: {stopped.done} of {stopped.total} points are finished and kept; go on with", err=True)
    click.echo(f"  pimsim sweep {sweep}{given} --resume", err=True)
    return Exit.INTERRUPTED


def _print(result: SweepResult, console: Console) -> None:
    summary = result.summary()
    shard = "" if summary["shard"] == "1/1" else f", shard {summary['shard']}"
    click.echo(f"{summary['name']}: {summary['points']} points{shard}, {summary['dropped']} dropped by constraints")
    click.echo("  ".join(f"{count} {status}" for status, count in summary["statuses"].items()))
    for error, count in _errors(result)[:_SHOWN]:
        click.echo(f"  {count} x {error}")
    if result.objectives:
        _print_front(result.pareto(), result.keys, summary["objectives"], console)
    click.echo(f"written to {result.directory}")


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


def _print_front(
    front: Sequence[Mapping[str, Any]], keys: Sequence[str], objectives: Sequence[Mapping[str, str]], console: Console
) -> None:
    """The front as a table: the keys that vary, then the objectives."""
    from rich.table import Table

    names = [name for objective in objectives for name in objective.values()]
    table = Table(box=None, pad_edge=False, title_justify="left")
    shown = f", the first {_SHOWN}" if len(front) > _SHOWN else ""
    table.title = f"Pareto front: {len(front)} points{shown}" if len(names) > 1 else "best"
    columns = ("index", *keys, *names)
    for heading in headings(columns):
        table.add_column(heading, justify="right", vertical="bottom")
    for row in front[:_SHOWN]:
        table.add_row(*(_text(row.get(name)) for name in columns))
    console.print(table)


def headings(names: Sequence[str]) -> list[str]:
    """The last part of each name, on lines of a dozen characters; the whole name where that is not enough."""
    last = [name.rpartition(".")[2] for name in names]
    return [_broken(name if last.count(short) > 1 else short) for name, short in zip(names, last, strict=True)]


def _broken(name: str) -> str:
    lines = [""]
    for part in re.split(r"(?<=[._])", name):
        if lines[-1] and len(lines[-1] + part) > _WIDTH:
            lines.append("")
        lines[-1] += part
    return "\n".join(lines)


def _text(value: Any) -> str:
    return "" if value is None else f"{value:,.6g}" if isinstance(value, float) else str(value)
