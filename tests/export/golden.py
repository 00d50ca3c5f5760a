"""The committed exports of tiny models, and how they are made again.

python -m tests.export.golden        writes tests/golden/traces and plain.json; needs torch and transformers
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from pathlib import Path
from typing import Any

from tests.export.families import FAMILIES, PUBLISHED, VARIANTS

FOLDER = Path(__file__).parents[1] / "golden" / "traces"
# Hashes of what a recording gives for what can be exported without torch, launches and versions aside.
HASHES = FOLDER.parent / "plain.json"

_RECORDED_ONLY = ("launch", "overhead", "producer")


def write_config(folder: Path, family: str, config: dict[str, Any]) -> Path:
    """A config.json of the name that a golden file has for its model."""
    path = folder / f"tiny-{family}.json"
    path.write_text(json.dumps(config))
    return path


def exported(folder: Path, family: str, prompt: int = 6, steps: int = 4, query: int = 1, batch: int = 1) -> str:
    """The text of a trace; a prompt of 6 tokens and 4 steps unless told otherwise."""
    return text_of(str(write_config(folder, family, FAMILIES[family])), prompt, steps, query, batch)


def text_of(source: str, prompt: int = 6, steps: int = 4, query: int = 1, batch: int = 1) -> str:
    """The text of the trace of any configuration."""
    from pimsim.workload.export import export_trace
    from pimsim.workload.trace.writer import dump_trace

    return dump_trace(export_trace(source, prompt, steps, query, batch))


def without_launches(text: str) -> str:
    """A trace without what only a recording shows: launches, and what counted them."""
    records = [json.loads(line) for line in text.splitlines()]
    kept = [{key: value for key, value in record.items() if key not in _RECORDED_ONLY} for record in records]
    return "".join(f"{json.dumps(record, separators=(',', ':'))}\n" for record in kept)


def digest(text: str) -> str:
    """SHA-256 of a trace without what only a recording shows."""
    return hashlib.sha256(without_launches(text).encode("ascii")).hexdigest()


def main() -> None:
    """Write every golden file."""
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for family in FAMILIES:
            (FOLDER / f"{family}.jsonl").write_text(exported(Path(folder), family), encoding="ascii", newline="\n")
        hashes = {
            name: digest(text_of(str(write_config(Path(folder), name, config)), query=2, batch=3))
            for name, config in {**VARIANTS, **PUBLISHED}.items()
        }
    HASHES.write_text(json.dumps(hashes, indent=1) + "\n", encoding="ascii")


if __name__ == "__main__":
    main()
