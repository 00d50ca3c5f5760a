"""`pimsim init`: files to start from, which are copied from what is shipped."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import click

from pimsim.cli.options import Folder
from pimsim.cli.say import listed, say

# The examples, and the shipped trace that each brings besides its own files.
EXAMPLES: Mapping[str, str] = {"basics": "qwen2.5-0.5b", "own-model": "", "own-device": "qwen2.5-0.5b"}
README = "README.md"
_COMMANDS = re.compile(r"^```\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@click.command()
@click.argument("dir", default=".", type=Folder())
@click.option(
    "--example", metavar="NAME", type=click.Choice([*EXAMPLES]), default="basics", show_default=True,
    help="basics: two designs to compare; own-model: a model by its sizes, and by its config.json; own-device: a "
    "memory by its data sheet.",
)  # fmt: skip
def init(dir: str, example: str) -> None:
    """Write configurations, a sweep, a trace and a notebook to start from.

    They go into the folder DIR, by default the one that you are in. Nothing that is there is overwritten.
    """
    from pimsim import files

    content = _content(example)
    files.write_new(dir, content)
    listed(f"written to {dir}:", content, err=False)
    if _may_mean(dir):
        say(f"these are the basics; --example {Path(dir).name} writes the example of that name")
    say("next:")
    for line in _next(dir, content[README].decode()):
        say(f"  {line}")


def _may_mean(directory: str) -> bool:
    """True where the folder has the name of an example, and none was asked for."""
    chosen = click.get_current_context().get_parameter_source("example")
    return Path(directory).name in EXAMPLES and chosen is click.core.ParameterSource.DEFAULT


def _content(example: str) -> dict[str, bytes]:
    """The files of an example by name, README first."""
    from pimsim.config.shipped import TRACES, folder_of

    own = sorted(folder_of("examples").joinpath(example).iterdir(), key=lambda file: (file.name != README, file.name))
    trace = EXAMPLES[example]
    brought = [Path(TRACES[trace])] if trace else []
    return {file.name: file.read_bytes() for file in (*own, *brought) if file.is_file()}


def _next(directory: str, readme: str) -> Iterator[str]:
    """The commands to go on with: those of the README, and the way to its folder."""
    import shlex

    if os.path.realpath(directory) != os.path.realpath("."):
        yield f"cd {shlex.quote(directory)}"
    found = _COMMANDS.search(readme)
    yield from found[1].splitlines() if found else ()
