"""What a shell completes: names, keys of `--set` and their values.

Each press of the key is a process, so nothing is imported here that reads a configuration: the keys are in keys.txt,
which docs/make_tables.py writes.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from glob import escape, glob
from pathlib import Path

import click
from click.shell_completion import BashComplete, CompletionItem, ZshComplete, add_completion_class

KEYS = Path(__file__).with_name("keys.txt")


def configurations(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of shipped configurations, and YAML files."""
    from pimsim.config.shipped import CONFIGURATIONS, SUFFIXES

    return [*_starting(CONFIGURATIONS.shipped, incomplete), *_files(SUFFIXES, incomplete)]


def sweeps(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of shipped sweeps, and YAML files."""
    from pimsim.config.shipped import SUFFIXES, SWEEPS

    return [*_starting(SWEEPS, incomplete), *_files(SUFFIXES, incomplete)]


def traces(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of shipped traces, and files that may be some."""
    from pimsim.config.shipped import TRACE_SUFFIXES, TRACES

    return [*_starting(TRACES, incomplete), *_files(TRACE_SUFFIXES, incomplete)]


def settings(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """KEY=VALUE: keys until there is a `=`, then what the key may be."""
    key, equals, value = incomplete.partition("=")
    known = dict(_keys())
    if not equals:
        return _starting((f"{key}=" for key in known), key)
    found = traces(ctx, param, value) if key == "workload.trace" else _starting(known.get(key, ()), value)
    return [CompletionItem(f"{key}={item.value}") for item in found]


def _keys() -> Iterator[tuple[str, list[str]]]:
    """Each key with the values that it may have, none where there is no list of them."""
    for line in KEYS.read_text(encoding="utf-8").splitlines():
        key, *values = line.split()
        yield key, values


def _starting(names: Iterable[str], incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def _files(suffixes: tuple[str, ...], incomplete: str) -> list[CompletionItem]:
    """The files with one of the suffixes, and the folders, whose names begin so."""
    found = sorted(glob(f"{escape(incomplete)}*"))
    folders = [f"{name}/" for name in found if os.path.isdir(name)]
    return [CompletionItem(name) for name in (*(name for name in found if name.endswith(suffixes)), *folders)]


class _Bash(BashComplete):
    """As click's, with KEY=VALUE: bash takes a word apart at `=`, and would put a space after a key or a folder."""

    source_template = BashComplete.source_template.replace(
        "COMPREPLY+=($value)", "COMPREPLY+=($value)\n            [[ $value == *[=/] ]] && compopt -o nospace"
    )
    _kept = ""  # what stands before the `=`, which bash leaves as it is

    def get_completion_args(self) -> tuple[list[str], str]:
        """The words before the one that is completed, and that one, each KEY=VALUE in one."""
        args, incomplete = super().get_completion_args()
        *args, incomplete = _joined([*args, incomplete])
        self._kept = incomplete[: incomplete.rfind("=") + 1]
        return args, incomplete

    def format_completion(self, item: CompletionItem) -> str:
        """The line of what may be put there."""
        return f"{item.type},{item.value.removeprefix(self._kept)}"


class _Zsh(ZshComplete):
    """As click's, without the space after a key or a folder."""

    source_template = ZshComplete.source_template.replace(
        "compadd -U -V unsorted -a completions",
        "compadd -U -V unsorted -S '' -- ${(M)completions:#*[=/]}\n"
        "        compadd -U -V unsorted -- ${completions:#*[=/]}",
    )


def _joined(words: list[str]) -> list[str]:
    """Words that were taken apart at `=`, together."""
    joined: list[str] = []
    for word in words:
        if joined and (word == "=" or joined[-1].endswith("=")):
            joined[-1] += word
        else:
            joined.append(word)
    return joined


def register() -> None:
    """Have click use what is said here of shells."""
    for shell in (_Bash, _Zsh):
        add_completion_class(shell)
