"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pimsim.config.loader import Loaded

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

config_argument: Decorator = click.argument("config")
set_option: Decorator = click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key, e.g. --set dram.channels=4."
)


@contextmanager
def located_in(loaded: Loaded) -> Iterator[None]:
    """Give problems that name a key of the configuration the place where that key was set."""
    from pimsim.errors import InputError

    try:
        yield
    except InputError as error:
        raise error.located(loaded.locate) from error
