"""What scripts put into pages: tables as Markdown, and the text between two comments that name it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

BEGIN, END = "<!-- {name}: made by docs/{script}.py -->\n\n", "\n\n<!-- {name}: end -->"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *([str(cell).replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def filled(page: str, script: str, name: str, block: str) -> str:
    """The page with `block` where docs/`script`.py puts `name`; ValueError if the page has no place for it."""
    begin, end = BEGIN.format(name=name, script=script), END.format(name=name)
    before, rest = page.split(begin.rstrip())
    _, after = rest.split(end.lstrip())
    return f"{before}{begin}{block.strip()}{end}{after}"
