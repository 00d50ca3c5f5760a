"""Options that several commands share."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from pimsim.cli.say import console, may_be_a_terminal, say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from click.shell_completion import CompletionItem

    from pimsim.config.loader import Loaded
    from pimsim.errors import Problem
    from pimsim.logs.log_size import Forecast


WORTH_SAYING = 1_000_000  # bytes of a log


class Folder(click.Path):
    """The name of a folder; an empty one, of a variable that is not set, would be the one that one is in."""

    def __init__(self) -> None:
        super().__init__(file_okay=False)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """As click, and no empty name."""
        if value == "":
            self.fail("needs the name of a folder, but it is empty", param, ctx)
        return super().convert(value, param, ctx)


Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def completed(kind: str) -> Callable[[click.Context, click.Parameter, str], list[CompletionItem]]:
    """What a shell completes to: a function of `cli.completion`, which is imported when a shell asks."""

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from pimsim.cli import completion

        found: list[CompletionItem] = getattr(completion, kind)(ctx, param, incomplete)
        return found

    return complete


configurations = completed("configurations")
traces = completed("traces")
config_argument: Decorator = click.argument("config", shell_complete=configurations)
set_option: Decorator = click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key, e.g. --set dram.channels=4.",
    shell_complete=completed("settings"),
)  # fmt: skip


def figures_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """--figures and --style."""
    what = "Write plots into DIR as pdf, svg, png (several: pdf,svg), each with a CSV of what it shows."
    figures = click.option("--figures", metavar="FORMATS", help=what)
    style = click.option(
        "--style", metavar="NAME", help="Draw them for print: single-column (3.5 in) or double-column (7.16 in)."
    )
    return figures(style(command))


def wrong_figures(figures: str | None, style: str | None, out: str | None, whose: str = "a run") -> list[Problem]:
    """What is wrong with --figures and --style: what is unknown, and that there is no folder for it."""
    from pimsim.cli.problems import option_problem
    from pimsim.errors import InputError

    given = {"--figures": figures, "--style": style}
    problems = [
        option_problem(name, f"is for {whose} with --out, which is not given")
        for name, value in given.items()
        if value is not None and out is None
    ]
    if figures is not None or style is not None:
        from pimsim.plots.looks import order

        try:
            order(figures, style)
        except InputError as error:
            problems += [option_problem(problem.key, problem.message) for problem in error.problems]
    return problems


@contextmanager
def located_in(loaded: Loaded) -> Iterator[None]:
    """Give problems that name a key of the configuration, or an option, the place where it was set."""
    from pimsim.errors import InputError

    def locate(key: str) -> tuple[str, int, int]:
        return (key, 1, 1) if key.startswith("--") else loaded.locate(key)

    try:
        yield
    except InputError as error:
        raise error.located(locate) from error


def patience() -> AbstractContextManager[object]:
    """Say on a terminal, once a command without a progress bar takes long, why that may be."""
    from pimsim.results.progress import notice

    return notice(partial(say, err=True)) if sys.stderr.isatty() else nullcontext()


def progress_bar() -> AbstractContextManager[Callable[[int, int], None] | None]:
    """A progress bar on a terminal."""
    if not may_be_a_terminal(sys.stderr):
        return nullcontext()
    from pimsim.results import progress

    return progress.progress_bar(console(stderr=True))


def announce(forecast: Forecast) -> None:
    """Say how large a log will be, unless nobody would mind."""
    if forecast.size >= WORTH_SAYING:
        say(str(forecast), err=True)


@contextmanager
def options_located() -> Iterator[None]:
    """Give problems that name an option their place: the option."""
    from pimsim.errors import InputError

    try:
        yield
    except InputError as error:
        raise error.located(lambda key: (key, 1, 1)) from error
