"""The rows of CENT's published table that are shipped: every split that is there at contexts of 128 to 4096 tokens."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from pimsim.reproduce.cent.models import Split

_FILE = "published.csv"
# Figures of a row, by their names in the table and here.
FIGURES = (
    "pim_cycles", "pim_ms", "cxl_ms", "pnm_ms", "block_ms", "embedding_ms", "token_ms", "tokens_per_s",
    "token_energy_mJ",
)  # fmt: skip


@dataclass(frozen=True)
class Published:
    """A row of the table: a split, a context, and its figures by name."""

    split: Split
    context: int
    values: Mapping[str, float]

    @property
    def pim_cycles(self) -> int:
        """Cycles of a block."""
        return int(self.values["pim_cycles"])


@cache
def published() -> tuple[Published, ...]:
    """The rows, in the order of the file."""
    text = files("pimsim.reproduce.cent").joinpath(_FILE).read_text(encoding="utf-8")
    return tuple(map(_row, csv.DictReader(text.splitlines())))


def _row(row: Mapping[str, str]) -> Published:
    sizes = (int(row[key]) for key in ("devices", "pipeline_stages", "tensor_parallel", "channels_per_block"))
    return Published(
        Split(row["model"], *sizes), int(row["context_tokens"]), {name: float(row[name]) for name in FIGURES}
    )
