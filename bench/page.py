"""Tables of the scripts here, as text or as docs/performance.md has them."""

from __future__ import annotations

import argparse
import io
import os
import platform
import re
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from pathlib import Path

PAGE = Path(__file__).parent.parent / "docs" / "performance.md"


def table(head: Sequence[str], rows: Sequence[Sequence[str]], markdown: bool) -> str:
    """A table, as text or as Markdown."""
    if markdown:
        ruled = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
        return "\n".join("| " + " | ".join(row) + " |" for row in ruled)
    widths = [max(len(row[k]) for row in [head, *rows]) for k in range(len(head))]
    return "\n".join("  ".join(cell.rjust(w) for cell, w in zip(row, widths, strict=True)) for row in [head, *rows])


def show(title: str, head: Sequence[str], rows: Sequence[Sequence[str]], markdown: bool) -> None:
    """Print a table below its title."""
    print(f"\n**{title}**\n" if markdown else f"\n{title}")
    print(table(head, rows, markdown), flush=True)


def machine() -> str:
    """The class of this machine, and what runs Python here."""
    cores = len(os.sched_getaffinity(0))
    try:
        found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    except OSError:
        found = None
    model = found[1].strip() if found else platform.machine()
    return f"{cores} cores, {model}, Python {platform.python_version()}"


def put(script: str, tables: Callable[[], None]) -> None:
    """Write what `tables` prints to the page, in the place of what the script wrote there last."""
    with redirect_stdout(io.StringIO()) as printed:
        tables()
    begin, end = f"<!-- bench/{script}: begin -->\n", f"<!-- bench/{script}: end -->"
    before, _, rest = PAGE.read_text().partition(begin)
    _, _, after = rest.partition(end)
    PAGE.write_text(f"{before}{begin}\n{printed.getvalue().strip()}\n\n{end}{after}")


def run(
    parser: argparse.ArgumentParser,
    script: str,
    what: str,
    known: Sequence[str],
    tables: Callable[[argparse.Namespace], None],
) -> None:
    """Print the tables that the command line asks for, or write all of them to the page.

    parser  has the other options of the script; what: "race", say, of which there are `known`
    tables  prints those of the arguments (`whats`: the names, none for all; `markdown`)
    """
    whats = f"{what}s"
    parser.add_argument(whats, nargs="*", metavar=what.upper(), help=f"{', '.join(known)} (default: all)")
    parser.add_argument("--markdown", action="store_true", help="print the tables as docs/performance.md has them")
    parser.add_argument("--write", action="store_true", help="write all of them there")
    asked = parser.parse_args()
    if unknown := set(getattr(asked, whats)) - set(known):
        parser.error(f"no such {what}: {', '.join(sorted(unknown))}")
    if asked.write:
        setattr(asked, whats, [])
        asked.markdown = True
        put(script, lambda: tables(asked))
    else:
        tables(asked)
