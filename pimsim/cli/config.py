"""`pimsim config`: show, validate, schema, gaps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import click

from pimsim.cli.options import config_argument, located_in, set_option
from pimsim.cli.problems import ReportingGroup
from pimsim.cli.say import emit, say

WIDTH = 80


@click.group(cls=ReportingGroup)
def config() -> None:
    """Look at a configuration."""


@config.command()
@config_argument
@set_option
def show(config: str, overrides: tuple[str, ...]) -> None:
    """Print CONFIG resolved: every key, its value, and where the value comes from."""
    from pimsim import api
    from pimsim.config.resolved import dump_yaml

    loaded = api.load(config, overrides)
    emit(dump_yaml(loaded.config, loaded.provenance), nl=False)


@config.command()
@config_argument
@set_option
def validate(config: str, overrides: tuple[str, ...]) -> None:
    """Check everything about CONFIG that a run would refuse, without running it."""
    from pimsim import api

    loaded = api.load(config, overrides)
    with located_in(loaded):
        api.preflight(loaded)
    say(f"{config}: valid")


@config.command()
@click.argument("config", required=False)
@set_option
def schema(config: str | None, overrides: tuple[str, ...]) -> None:
    """Print the JSON Schema of configurations, for editors; CONFIG, if given, is loaded first."""
    import json

    from pimsim import api
    from pimsim.config.json_schema import json_schema

    if config is not None:
        api.load(config, overrides)
    emit(json.dumps(json_schema(api.known_names()), indent=2))


@config.command()
@config_argument
@set_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else on standard output.")
def gaps(config: str, overrides: tuple[str, ...], as_json: bool) -> None:
    """Print the smallest legal distance in clocks of every pair of commands of CONFIG's memory.

    A pair is in the same bank, in two banks of one bank group, or in two bank groups; some
    memories have more levels, such as pseudo-channels.
    """
    import json

    from pimsim import api
    from pimsim.devices.registry import device_of
    from pimsim.dram.gaps import gaps as gaps_of
    from pimsim.dram.gaps import scopes

    device = device_of(api.load(config, overrides).config)
    found = gaps_of(device)
    if as_json:
        emit(json.dumps(found, indent=2))
        return
    for line in _gap_table(found, scopes(device.standard)):
        say(line)


def _gap_table(found: Mapping[str, int], scopes: Sequence[str]) -> Iterator[str]:
    """A line per pair with its scopes side by side, then the windows."""
    pairs: dict[str, dict[str, int]] = {}
    windows: dict[str, int] = {}
    for key, clocks in found.items():
        pair, _, scope = key.rpartition(" ")
        if scope in scopes:
            pairs.setdefault(pair, {})[scope] = clocks
        else:
            windows[key] = clocks
    width, sizes = max(map(len, (*pairs, *windows))), [*map(len, scopes)]
    head = f"{'clocks':<{width}}  {'  '.join(scopes)}"
    if len(head) > WIDTH:  # names of pairs are long: numbers stand closer than the scopes' names
        sizes, head = [len(str(max(found.values())))] * len(scopes), f"clocks  {'  '.join(scopes)}"
    yield head
    for pair, distances in pairs.items():
        shown = zip(scopes, sizes, strict=True)
        yield f"{pair:<{width}}" + "".join(f"  {distances.get(scope, '-'):>{size}}" for scope, size in shown)
    for window, clocks in windows.items():
        yield f"{window:<{width}}  {clocks:>{sizes[0]}}"
