"""The page docs/python.md: its code runs as it stands, and what it shows is what comes out."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path
from typing import Any

import pytest

import pimsim

PAGE = (Path(__file__).parents[2] / "docs" / "python.md").read_text(encoding="utf-8")
# A block of code, and what it prints or raises where the next block says so.
BLOCKS = re.findall(r"```python\n(.*?)```(?:\n\n```\n(.*?)```)?", PAGE, re.DOTALL)


def ran(code: str, names: dict[str, Any]) -> str:
    """What a block prints, or the error that ends it."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        try:
            exec(compile(code, "python.md", "exec"), names)
        except pimsim.InputError as error:
            return f"{type(error).__module__}.{type(error).__name__}: {error}\n"
    return printed.getvalue()


def test_every_block_runs_and_shows_what_the_page_says() -> None:
    pytest.importorskip("pandas")
    names: dict[str, Any] = {"__name__": "__main__"}
    for code, shown in BLOCKS:
        found = ran(code.replace("workers=2", "workers=0"), names)
        comments = "".join(f"{line}\n" for line in re.findall(r"^ *print\(.*\)  # (<.*)$", code, re.MULTILINE))
        assert found.replace(" us/", " µs/") == (shown or comments), code
    assert len(BLOCKS) > 4 and sum(bool(shown) for _, shown in BLOCKS) == 3
    figure = names["figures"].loc["system.latency_per_token_ns"]
    assert f"# value {figure['value']}, unit {figure['unit']}" in PAGE
    assert len(list(names["result"].rows())) == 5
