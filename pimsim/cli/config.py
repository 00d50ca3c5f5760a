"""`pimsim config`: show, validate, schema."""

from __future__ import annotations

import click

from pimsim.cli.options import config_argument, located_in, set_option
from pimsim.cli.problems import ReportingGroup


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
    click.echo(dump_yaml(loaded.config, loaded.provenance), nl=False)


@config.command()
@config_argument
@set_option
def validate(config: str, overrides: tuple[str, ...]) -> None:
    """Check everything about CONFIG that a run would refuse, without running it."""
    from pimsim import api

    loaded = api.load(config, overrides)
    with located_in(loaded):
        api.preflight(loaded.config)
    click.echo(f"{config}: valid")


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
    click.echo(json.dumps(json_schema(api.known_names()), indent=2))
