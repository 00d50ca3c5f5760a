"""`pimsim config`: show, validate, schema, gaps, import."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import click

from pimsim.cli.options import config_argument, configurations, located_in, options_located, set_option
from pimsim.cli.problems import ReportingGroup
from pimsim.cli.say import emit, listed, say

WIDTH = 80


@click.group(cls=ReportingGroup)
def config() -> None:
    """Show, check or import configurations."""


@config.command()
@config_argument
@set_option
def show(config: str, overrides: tuple[str, ...]) -> None:
    """Print every key of CONFIG, its value and its source."""
    from pimsim import api
    from pimsim.config.resolved import dump_yaml

    loaded = api.load(config, overrides)
    emit(dump_yaml(loaded.config, loaded.provenance), nl=False)


@config.command()
@config_argument
@set_option
def validate(config: str, overrides: tuple[str, ...]) -> None:
    """Check CONFIG as a run would, without running it."""
    from pimsim import api

    loaded = api.load(config, overrides)
    with located_in(loaded):
        api.preflight(loaded)
    say(f"{config}: valid")


@config.command()
@click.argument("config", required=False, shell_complete=configurations)
@set_option
def schema(config: str | None, overrides: tuple[str, ...]) -> None:
    """Print the JSON Schema of configurations, for editors.

    CONFIG, if given, is loaded first.
    """
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
    """Print the smallest legal distance of every pair of commands.

    Distances are in clocks of CONFIG's memory. A pair is in the same bank, in two banks of one bank group, or in two
    bank groups; some memories have more levels, such as pseudo-channels.
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


@config.command("import")
@click.argument("file")
@click.option("--out", metavar="FILE.yaml", help="Write the configuration to this file, not to standard output.")
@click.option("--standard", default="", metavar="NAME", help="The memory that it is read as, if FILE names no other.")
def import_memory(file: str, out: str | None, standard: str) -> None:
    """Make a configuration from another simulator's FILE.

    FILE is a memspec of DRAMSys or DRAMPower (JSON), or a configuration of DRAMSim3 (INI).  Every value says which
    key it is from; each key of FILE is used, or named with the reason why not.
    """
    import os

    from pimsim import files
    from pimsim.config import imports
    from pimsim.errors import InputError

    with options_located():
        if out is not None and os.path.realpath(out) == os.path.realpath(file):
            raise InputError("is the file that is read", key="--out")
        found = imports.import_memory(file, standard)
        if out is not None:
            files.write_bytes(out, found.text.encode())
    listed(f"{file}: not there, and as shipped in {found.base}:", found.shipped)
    listed(f"{file}: dropped:", imports.drops(found))
    if out is None:
        emit(found.text, nl=False)
    else:
        say(f"wrote {out}: {len(found.mapped)} keys of {file} as {found.standard}")
