"""`pimsim traffic`."""

from __future__ import annotations

import json
import textwrap
from typing import Any

import click

from pimsim.cli import options
from pimsim.cli.options import config_argument, located_in, set_option
from pimsim.cli.say import emit, say
from pimsim.errors import InputError


@click.command()
@config_argument
@set_option
@click.option("--pattern", type=click.Choice(["stream", "random"]), default="stream", help="Where accesses go.")
@click.option("--requests", type=click.IntRange(1, 100_000_000), default=100_000, help="How many, on all channels.")
@click.option("--read-fraction", type=click.FloatRange(0, 1), default=1.0, help="Reads among them; the rest write.")
@click.option(
    "--rate", type=click.FloatRange(0, min_open=True), metavar="GB/s", help="Of arrivals; default: all at once."
)
@click.option("--seed", type=click.IntRange(0), default=0, help="Of the random choices.")
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
@click.option("--commands", metavar="FILE", help="Write every DRAM command to FILE (.csv, .csv.gz or .parquet).")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON and nothing else.")
def traffic(
    config: str,
    overrides: tuple[str, ...],
    pattern: str,
    requests: int,
    read_fraction: float,
    rate: float | None,
    seed: int,
    depth: int,
    patience: int,
    commands: str | None,
    as_json: bool,
) -> None:
    """Serve reads and writes of a host on the memory of CONFIG (FR-FCFS, open rows)."""
    from pimsim import api
    from pimsim.devices.registry import device_of
    from pimsim.traffic.run import RATES, simulate_traffic

    loaded = api.load(config, overrides)
    with located_in(loaded), options.patience():
        if not 0 <= read_fraction <= 1:  # NaN passes click's ranges
            raise InputError("must be from 0 to 1", key="--read-fraction")
        if rate is not None and not RATES[0] <= rate <= RATES[1]:
            raise InputError(f"must be from {RATES[0]} to {RATES[1]:,.0f} GB/s", key="--rate")
        device = device_of(loaded.config)
        if device.standard.modes:  # a front-end of its own drives them
            raise InputError(f"{device.standard.name!r} serves no host traffic; use 'gddr6'", key="dram.standard")
        result = simulate_traffic(device, pattern, requests, read_fraction, rate, seed, depth, patience, commands)
    summary = result.summary()
    if as_json:
        emit(json.dumps(summary, indent=2))
    else:
        say(_table(summary))


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
