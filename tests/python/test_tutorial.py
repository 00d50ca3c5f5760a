"""The page docs/tutorial.md: what it shows is what the command prints."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from click.testing import CliRunner

from pimsim.cli import cli

PAGE = (Path(__file__).parents[2] / "docs" / "tutorial.md").read_text(encoding="utf-8")


def test_the_first_result_is_the_one_that_is_shown(tmp_path: Path) -> None:
    command, shown = re.findall(
        r"^\.venv/bin/pimsim (run .*?) --out .*?^```$.*?^```$\n(.*?)^\.\.\.$", PAGE, re.M | re.S
    )[0]
    arguments = shlex.split(command.replace("configs/pim-gpt.yaml", "pim-gpt"))
    printed = CliRunner().invoke(cli, arguments).stdout
    lines = [line.rstrip() for line in printed.splitlines()]
    assert lines[: len(shown.splitlines())] == shown.splitlines()
