"""What pages show of the program: commands in their text, and examples with what they print."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from pimsim.cli import cli

ROOT = Path(__file__).parents[2].resolve()
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]

_BLOCK = re.compile(r"^```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`([^`\n]+)`")
_CALL = re.compile(r"(?:^|[|;&] ?)(?:\$ )?(?:\.venv/bin/)?pimsim (.+)")


def blocks(page: Path) -> list[str]:
    """Blocks of code: between fences, or indented."""
    text = page.read_text(encoding="utf-8")
    indented = re.findall(r"(?:^    .*\n(?:\n(?=    ))?)+", _BLOCK.sub("", text), re.MULTILINE)
    return [*_BLOCK.findall(text), *(re.sub(r"^    ", "", block, flags=re.MULTILINE) for block in indented)]


def code(page: Path) -> list[str]:
    """Code inside of sentences and tables."""
    return _CODE.findall(_BLOCK.sub("", page.read_text(encoding="utf-8")))


def commands(page: Path) -> Iterator[list[str]]:
    """The arguments of each `pimsim` command of a page."""
    lines = [line for block in blocks(page) for line in re.sub(r"\\\n\s*", "", block).splitlines()]
    for line in [*lines, *code(page)]:
        for call in _CALL.findall(re.sub(r"\s+#.*", "", line)):
            arguments = shlex.split(re.split(r" (?:\||&&|;|2>&1|>) ?", call)[0])
            if arguments[0].islower() or arguments[0][0] == "-":
                yield [argument for argument in arguments if argument != "..."]


def wrong(arguments: list[str], command: click.Command = cli) -> list[str]:
    """What of a command line the program does not have: commands, options, words that an option may be."""
    context = click.Context(command, **cli.context_settings)  # else the command forgets -h: click keeps its options
    if isinstance(command, click.Group) and arguments and arguments[0][0] != "-":
        name, *rest = arguments
        inner = command.get_command(context, name)
        return (wrong(rest, inner) if inner else [name]) if name.islower() else []
    options = {name: option for option in command.get_params(context) for name in option.opts}
    found = []
    for argument, following in zip(arguments, [*arguments[1:], ""], strict=False):
        name, _, value = argument.partition("=")
        if name[:1] != "-" or name == "-":
            continue
        if name not in options:
            found.append(name)
            continue
        kind, value = options[name].type, value or following
        if isinstance(kind, click.Choice) and value.islower() and not set(value.split("|")) <= set(kind.choices):
            found.append(f"{name} {value}")
    return found


@dataclass(frozen=True)
class Example:
    """A block of commands, each behind "$ ", and what the page shows of what they print."""

    page: str
    steps: tuple[tuple[str, tuple[str, ...]], ...]

    @property
    def name(self) -> str:
        """The page and the first command, for a test's name."""
        return f"{self.page}: {self.steps[0][0]}"


def examples(page: Path) -> Iterator[Example]:
    """The examples of a page."""
    for block in blocks(page):
        if block.startswith("$ "):
            text = re.sub(r"\\\n\s*", "", block)
            parts = re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]
            steps = ((first, tuple(shown)) for first, *shown in (part.rstrip().splitlines() for part in parts))
            yield Example(page.stem, tuple(steps))


def fits(shown: tuple[str, ...], printed: list[str]) -> bool:
    """Whether lines are those that are shown, where `...` stands for any lines."""
    pattern = "".join(r"(?:.*\n)*?" if line == "..." else re.escape(line.rstrip()) + r"\n" for line in shown)
    return re.fullmatch(pattern, "".join(f"{line.rstrip()}\n" for line in printed)) is not None
