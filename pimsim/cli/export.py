"""`pimsim export`: what other simulators read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pimsim.cli.options import Decorator, config_argument, located_in, patience, progress_bar, set_option
from pimsim.cli.problems import Commands, ReportingGroup, option_problem, print_warnings
from pimsim.cli.say import say
from pimsim.errors import InputError, Problem

if TYPE_CHECKING:
    from pimsim.api import Loaded
    from pimsim.exports.commands import Format
    from pimsim.exports.sources import Source

KINDS = ("latency-table", "aim", "ramulator", "drampower")
MOST_CONTEXT, MOST_BATCH, MOST_PROMPT = 100_000_000, 4096, 65_536  # as the keys of `workload` have them
OF_HOSTS = ("pattern", "requests", "read_fraction", "seed")


@click.group(
    cls=ReportingGroup, commands=Commands({kind: f"pimsim.cli.export:{kind.replace('-', '_')}" for kind in KINDS})
)
def export() -> None:
    """Write what other simulators read: tables, programs and command traces."""


out_option: Decorator = click.option("--out", required=True, metavar="FILE", help="The file to write.")
context_option: Decorator = click.option(
    "--context", metavar="N", type=click.IntRange(1, MOST_CONTEXT),
    help="One decode step alone, at a context of N tokens, its own included (default: all that CONFIG runs).",
)  # fmt: skip


def numbers_option(name: str, most: int, text: str) -> Decorator:
    """An option of whole numbers from 1 to `most` with commas between them, each once."""

    def read(ctx: click.Context, param: click.Parameter, value: str | None) -> list[int] | None:
        if value is None:
            return None
        words = [word.strip() for word in value.split(",")]
        if not all(word.isascii() and word.isdigit() and len(word) < 12 and 1 <= int(word) <= most for word in words):
            raise click.BadParameter(f"must be numbers from 1 to {most} with commas between them, not {value!r}")
        return list(dict.fromkeys(map(int, words)))

    return click.option(name, metavar="N,N,...", callback=read, help=text)


@click.command("latency-table")
@config_argument
@set_option
@click.option("--out", required=True, metavar="FILE", help="FILE.csv, with FILE.csv.json beside it, or FILE.json.")
@numbers_option("--contexts", MOST_CONTEXT, "Tokens of context (default: 128 and its doubles, to the last position).")
@numbers_option("--batches", MOST_BATCH, "Sequences (default: 1, 2, 4 and 8, as far as they fit).")
@numbers_option("--prefill", MOST_PROMPT, "Tokens of prompts, each of which is one step (default: none).")
def latency_table(
    config: str, overrides: tuple[str, ...], out: str, contexts: list[int] | None, batches: list[int] | None,
    prefill: list[int] | None,
) -> None:  # fmt: skip
    """Write latency and energy of a step by operator, context and batch.

    Every point is simulated. Nothing is interpolated.
    """
    from pimsim.exports import table

    path = _target(out)
    table.suffix_of(path)
    with _model(config, overrides) as (api, loaded):
        simulated = api.language_model(loaded.config)
        with patience(), progress_bar() as progress:
            made = table.latency_table(simulated, contexts, batches, prefill or (), progress, _warning(loaded))
    for file in made.save(path):
        _written(file)
    for note in made.left_out:
        say(f"left out: {note}", err=True)


@click.command("aim")
@config_argument
@set_option
@out_option
@click.option(
    "--context", metavar="N", type=click.IntRange(1, MOST_CONTEXT),
    help="Tokens of context, the step's own included (default: that of CONFIG's last step).",
)  # fmt: skip
@click.option("--plain", is_flag=True, help="Write no comments.")
def aim(config: str, overrides: tuple[str, ...], out: str, context: int | None, plain: bool) -> None:
    """Write a decode step as a program of AiM instructions, which `pimsim replay` runs."""
    from pimsim.exports import program

    path = _target(out)
    with _model(config, overrides) as (api, loaded), patience():
        made = program.Step.of(api.language_model(loaded.config), context, _warning(loaded))
        count = made.save(path, plain)
        took = made.on_reference()
    _written(path)
    say(f"{count:,} instructions; on aim-reference {took.cycles:,} cycles, {took.commands:,} commands")


def _host_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Those of `pimsim traffic` that say what a host reads and writes."""
    options = (
        click.option("--pattern", type=click.Choice(["stream", "random"]), default="stream",
                     help="For a memory that only stores: the addresses that a host reads and writes."),
        click.option("--requests", type=click.IntRange(1, 10**10), default=100_000, help="How many, on all channels."),
        click.option("--read-fraction", type=click.FloatRange(0, 1), default=1.0, help="Share of reads."),
        click.option("--seed", type=click.IntRange(0), default=0, help="Seed of the random choices."),
    )  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


@click.command("ramulator")
@config_argument
@set_option
@out_option
@context_option
@click.option("--channel", metavar="N", type=click.IntRange(0), help="Commands of one channel (default: of all).")
@click.option("--rank", is_flag=True, help="Addresses have a rank, which is 0 (LPDDR5, DDR).")
@click.option("--requests-only", is_flag=True, help="The requests of the host, not the commands that serve them.")
@_host_options
@click.pass_context
def ramulator(
    ctx: click.Context, /, config: str, overrides: tuple[str, ...], out: str, context: int | None, channel: int | None,
    rank: bool, requests_only: bool, **host: Any,
) -> None:  # fmt: skip
    """Write DRAM commands as Ramulator 2 records them, or requests as it reads them.

    Commands are a CSV file as CmdTraceRecorder writes it; requests are lines for ReadWriteTrace.
    """
    from pimsim.exports import ramulator as formats
    from pimsim.exports.sources import write_requests

    path = _target(out)
    with _model(config, overrides) as (_, loaded), patience():
        if requests_only:
            if channel is not None:
                raise InputError("is for commands; with --requests-only those of all channels are written", "--channel")
            write_requests(_host(ctx, loaded, context, host), path, rank)
            _written(path)
        else:
            with _source(ctx, loaded, context, host) as source:
                _save(source, formats.Commands(source.device, rank), path, channel)


@click.command("drampower")
@config_argument
@set_option
@out_option
@context_option
@click.option("--channel", metavar="N", type=click.IntRange(0), default=0, show_default=True, help="The channel.")
@click.option(
    "--internal", type=click.Choice(["named", "columns", "none"]), default="named", show_default=True,
    help="Commands that compute inside the memory: by their names, as columns read and written, or left out.",
)  # fmt: skip
@_host_options
@click.pass_context
def drampower(
    ctx: click.Context, /, config: str, overrides: tuple[str, ...], out: str, context: int | None, channel: int,
    internal: Any, **host: Any,
) -> None:  # fmt: skip
    """Write the DRAM commands of a channel as DRAMPower 5 reads them."""
    from pimsim.exports import drampower as formats

    path = _target(out)
    with (
        _model(config, overrides) as (_, loaded),
        patience(),
        _source(ctx, loaded, context, host) as source,
    ):
        _save(source, formats.Commands(source.device, internal), path, channel)


def _target(out: str) -> Path:
    """Where to write; InputError if no file can be there."""
    from pimsim.files import check_output

    if not out:
        raise InputError(option_problem("--out", "needs the name of a file, but it is empty"))
    check_output(out)
    return Path(out)


@contextmanager
def _model(config: str, overrides: tuple[str, ...]) -> Iterator[tuple[Any, Loaded]]:
    """The functions of the package, and a configuration, whose problems have their places."""
    from pimsim import api

    loaded = api.load(config, list(overrides))
    with located_in(loaded):
        yield api, loaded


def _warning(loaded: Loaded) -> Callable[[Iterable[Problem]], None]:
    """Prints what is odd."""
    return lambda odd: print_warnings(odd, loaded.locate)


@contextmanager
def _source(ctx: click.Context, loaded: Loaded, context: int | None, host: dict[str, Any]) -> Iterator[Source]:
    """What issues the commands: a host on a memory that only stores, a model on any other."""
    from pimsim.config.schema import Config
    from pimsim.exports.sources import model_run

    if not isinstance(loaded.config, Config):
        yield _host(ctx, loaded, context, host)
        return
    for name in OF_HOSTS:
        if ctx.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT:
            raise InputError("says nothing about a language model's run", key=_option(name))
    with progress_bar() as progress:
        yield model_run(loaded, context, progress, _warning(loaded))


def _host(ctx: click.Context, loaded: Loaded, context: int | None, host: dict[str, Any]) -> Any:
    from pimsim.exports.sources import Asked, host_run

    if not 0 <= host["read_fraction"] <= 1:  # NaN passes click's ranges
        raise InputError("must be from 0 to 1", key="--read-fraction")
    run = host_run(loaded, Asked(**host))
    if context is not None:
        raise InputError("is for a language model, and this memory only stores", key="--context")
    return run


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


def _save(source: Source, form: Format, path: Path, channel: int | None) -> None:
    from pimsim.exports.sources import write_commands
    from pimsim.exports.table import beside

    about = write_commands(source, form, path, channel)
    _written(path)
    _written(beside(path))
    say(f"{sum(each['count'] for each in about['commands'].values()):,} commands in {about['cycles']:,} clocks")


def _written(path: Path) -> None:
    say(f"wrote {path} ({path.stat().st_size:,} bytes)" if path.is_file() else f"wrote {path}")
