"""Records as CSV text; small, since processes that draw load it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from pimsim.text import csv_cell

Record = dict[str, Any]

TOGETHER = 4096  # records that are held at once


def to_csv(records: Iterable[Record]) -> str:
    """`csv_parts` as one text."""
    return "".join(csv_parts(records))


def csv_parts(records: Iterable[Record]) -> Iterator[str]:
    """Records with the same keys as CSV text, in parts, `\\n` at the end of each line; no cell is a formula."""
    rows = iter(records)
    text = io.StringIO()
    writer = None
    while some := list(islice(rows, TOGETHER)):
        if writer is None:
            writer = csv.DictWriter(text, fieldnames=list(some[0]), lineterminator="\n")
            writer.writeheader()
        writer.writerows({key: csv_cell(value) for key, value in record.items()} for record in some)
        yield text.getvalue()
        text.seek(0)
        text.truncate()
