"""`pimsim traffic`."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pimsim.cli import options
from pimsim.cli.options import config_argument, located_in, set_option
from pimsim.cli.say import emit, say
from pimsim.errors import InputError

if TYPE_CHECKING:
    from pimsim.dram.timing import Device
    from pimsim.traffic.run import Queues, Source

FORMATS = ("ramulator-ldst", "ramulator-rw", "dramsim3", "dramsys-stl")
OF_PATTERNS = ("pattern", "requests", "read_fraction", "seed", "stride")
OF_TRACES = ("trace_format", "mapping", "access_bytes")


@click.command()
@config_argument
@set_option
@click.option(
    "--pattern", type=click.Choice(["stream", "random"]), default="stream", help="Which addresses are read and written."
)
@click.option(
    "--requests", type=click.IntRange(1, 10**10), default=100_000, help="How many requests, on all channels together."
)
@click.option("--read-fraction", type=click.FloatRange(0, 1), default=1.0, help="Share of reads; the others write.")
@click.option(
    "--stride", type=click.IntRange(1, 10**9), default=1, help="Columns from one access of a stream to the next."
)
@click.option("--trace", metavar="FILE", help="Serve the accesses of a trace (.gz too) in place of a pattern.")
@click.option(
    "--trace-format", type=click.Choice(FORMATS), help="Format of the trace (default: told from its first line)."
)
@click.option(
    "--mapping",
    default="RoBaCoBgCh",
    show_default=True,
    help="Fields of a trace's addresses, from the highest bits down: Ro, Ba, Bg, Ra, Co, Ch.",
)
@click.option(
    "--access-bytes",
    type=click.IntRange(1, 1 << 20),
    metavar="N",
    help="Size of an access of a trace (default: a column).",
)
@click.option(
    "--rate", type=click.FloatRange(0, min_open=True), metavar="GB/s", help="Rate of arrivals (default: all at once)."
)
@click.option("--seed", type=click.IntRange(0), default=0, help="Seed of the random choices.")
@click.option(
    "--depth", type=click.IntRange(1, 4096), default=32, show_default=True, help="Places in the queue of a channel."
)
@click.option(
    "--patience",
    type=click.IntRange(0),
    default=128,
    show_default=True,
    help="Younger requests that may go before the oldest.",
)
@click.option(
    "--write-queue",
    type=click.IntRange(0, 4096),
    default=0,
    show_default=True,
    help="Places for writes alone; with 0 they wait with the reads.",
)
@click.option(
    "--write-high", type=click.IntRange(1), help="Serve writes once so many wait (default: 7/8 of their places)."
)
@click.option("--write-low", type=click.IntRange(0), help="Go back to reads once so few are left (default: 1/4).")
@click.option("--commands", metavar="FILE", help="Write every DRAM command to FILE (.csv, .csv.gz or .parquet).")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON and nothing else.")
@click.pass_context
def traffic(context: click.Context, /, config: str, overrides: tuple[str, ...], as_json: bool, **given: Any) -> None:
    """Serve reads and writes of a host on the memory of CONFIG.

    The controller takes row hits first, then the oldest request (FR-FCFS), and leaves rows open.
    """
    from pimsim import api
    from pimsim.devices.registry import device_of
    from pimsim.traffic.run import serve

    loaded = api.load(config, overrides)
    with located_in(loaded), options.patience():
        _check(context, given)
        device = device_of(loaded.config)
        if device.standard.modes:  # a front-end of its own drives them
            raise InputError(f"{device.standard.name!r} serves no host traffic; use 'gddr6'", key="dram.standard")
        result = serve(device, _source(device, given), _queues(given), given["commands"])
    summary = result.summary()
    if as_json:
        emit(json.dumps(summary, indent=2))
    else:
        say(_table(summary))


def _check(context: click.Context, given: dict[str, Any]) -> None:
    """InputError if options do not go together or are out of range."""
    from pimsim.traffic.run import RATES

    others = OF_TRACES if given["trace"] is None else OF_PATTERNS
    for name in others:
        if context.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT:
            what = "needs --trace" if given["trace"] is None else "says nothing about a trace"
            raise InputError(what, key="--" + name.replace("_", "-"))
    if not 0 <= given["read_fraction"] <= 1:  # NaN passes click's ranges
        raise InputError("must be from 0 to 1", key="--read-fraction")
    if given["rate"] is not None and not RATES[0] <= given["rate"] <= RATES[1]:
        raise InputError(f"must be from {RATES[0]} to {RATES[1]:,.0f} GB/s", key="--rate")


def _source(device: Device, given: dict[str, Any]) -> Source:
    """What makes the requests."""
    from pimsim.traffic.mapping import Mapping
    from pimsim.traffic.patterns import Pattern
    from pimsim.traffic.traces import Trace

    if given["trace"] is None:
        names = ("pattern", "requests", "read_fraction", "rate", "seed", "stride")
        return Pattern(device, *(given[name] for name in names))
    mapping = Mapping(given["mapping"], device)
    return Trace(Path(given["trace"]), device, mapping, given["trace_format"], given["access_bytes"], given["rate"])


def _queues(given: dict[str, Any]) -> Queues:
    """The queues of a channel."""
    from pimsim.dram.traffic import WriteQueue
    from pimsim.traffic.run import Queues

    places, high, low = given["write_queue"], given["write_high"], given["write_low"]
    if not places:
        for name, value in (("--write-high", high), ("--write-low", low)):
            if value is not None:
                raise InputError("needs --write-queue", key=name)
        return Queues(given["depth"], given["patience"])
    high = max(places * 7 // 8, 1) if high is None else high
    if high > places:
        raise InputError(f"must be at most the {places} places of --write-queue", key="--write-high")
    low = min(places // 4, high - 1) if low is None else low
    if low >= high:
        raise InputError(f"must be less than the {high} of --write-high", key="--write-low")
    return Queues(given["depth"], given["patience"], WriteQueue(places, high, low))


def _table(summary: dict[str, Any]) -> str:
    latency = summary["latency_ns"]
    lines = [
        ("requests", f"{summary['requests']:,}"),
        ("time", f"{summary['time_ns']:,.1f} ns = {summary['cycles']:,} clocks"),
        (
            "bandwidth",
            f"{summary['bandwidth_GBps']:.2f} GB/s of {summary['peak_GBps']:.2f} GB/s ({summary['of_peak']:.1%})",
        ),
        ("row hits", f"{summary['row_hit_rate']:.1%}"),
        ("refresh", f"{summary['refresh_duty']:.2%} of the time"),
        ("latency", ", ".join(f"{name} {ns:,.1f}" for name, ns in latency.items()) + " ns"),
        ("commands", ", ".join(f"{name} {n:,}" for name, n in summary["commands"].items())),
    ]
    return "\n".join(textwrap.fill(f"{name:10} {text}", 80, subsequent_indent=" " * 11) for name, text in lines)
