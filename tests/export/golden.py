"""The committed exports of tiny models, and how they are made again.

python -m tests.export.golden        writes tests/golden/traces; needs torch and transformers
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from tests.export.families import FAMILIES

FOLDER = Path(__file__).parents[1] / "golden" / "traces"


def write_config(folder: Path, family: str, config: dict[str, Any]) -> Path:
    """A config.json of the name that a golden file has for its model."""
    path = folder / f"tiny-{family}.json"
    path.write_text(json.dumps(config))
    return path


def exported(folder: Path, family: str, prompt: int = 6, steps: int = 4, query: int = 1, batch: int = 1) -> str:
    """The text of a trace; a prompt of 6 tokens and 4 steps unless told otherwise."""
    from pimsim.workload.export import export_trace
    from pimsim.workload.trace.writer import dump_trace

    config = write_config(folder, family, FAMILIES[family])
    return dump_trace(export_trace(str(config), prompt, steps, query, batch))


def main() -> None:
    """Write every golden file."""
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for family in FAMILIES:
            (FOLDER / f"{family}.jsonl").write_text(exported(Path(folder), family), encoding="ascii", newline="\n")


if __name__ == "__main__":
    main()
