"""The rows of a sweep as a file: Parquet, or CSV.  The same rows give the same bytes."""

from __future__ import annotations

import csv
import importlib.util
import io
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

from pimsim.errors import InputError
from pimsim.sweep.folder import cannot_write
from pimsim.text import csv_cell

FORMATS = ("parquet", "csv")
_GROUP = 1000  # rows in memory, and in a row group
Rows = Callable[[], Iterator[Mapping[str, Any]]]  # every row again, at each call


def default_format() -> str:
    """Parquet where pyarrow is."""
    return "parquet" if importlib.util.find_spec("pyarrow") else "csv"


def check_format(name: str) -> str:
    """The format; InputError if it is none, or cannot be written here."""
    if name not in FORMATS:
        raise InputError(f"must be {' or '.join(FORMATS)}, not {name!r}", key="--format")
    if name == "parquet" and default_format() != "parquet":
        raise InputError("parquet needs pyarrow: pip install 'pimsim[analysis]', or use csv", key="--format")
    return name


def write_table(path: Path, rows: Rows, kind: str) -> None:
    """Write every row to `path`, in the order of `rows`; the file appears as a whole. OSError as an InputError.

    A column for every key that occurs in any row, in the order in which they first occur;
    a row that lacks one has nothing there. It is read twice, never kept.
    """
    columns = column_types(rows())
    scratch = path.with_name(f".{path.name}.new")
    try:
        (_write_parquet if kind == "parquet" else _write_csv)(scratch, rows(), columns)
        with open(scratch, "rb") as file:
            os.fsync(file.fileno())
        os.replace(scratch, path)
    except OSError as error:
        with suppress(OSError):
            scratch.unlink()
        raise cannot_write(path.parent, error) from error


def column_types(rows: Iterable[Mapping[str, Any]]) -> dict[str, type]:
    """The type that holds every value of a column: bool, int, float or str."""
    types: dict[str, type] = {}
    for row in rows:
        for key, value in row.items():
            if value is None:
                types.setdefault(key, type(None))
            else:
                types[key] = _common(types.get(key, type(None)), value)
    return {key: str if kind is type(None) else kind for key, kind in types.items()}


def _common(kind: type, value: Any) -> type:
    new = type(value)
    if new is int and not -(2**63) <= value < 2**63:
        new = float
    if kind in (type(None), new):
        return new if new in (bool, int, float) else str
    return float if {kind, new} == {int, float} else str


def _cell(value: Any, kind: type) -> Any:
    """A value as its column has it."""
    if value is None:
        return None
    if kind is str and isinstance(value, bool):
        return "true" if value else "false"
    return kind(value)


def _write_csv(path: Path, rows: Iterator[Mapping[str, Any]], columns: Mapping[str, type]) -> None:
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        for row in rows:
            writer.writerow([_csv_cell(row.get(key), kind) for key, kind in columns.items()])


def _csv_cell(value: Any, kind: type) -> Any:
    """As `_cell`, true and false in lower case, and text that no spreadsheet takes for a formula."""
    return csv_cell(_cell(value, str if isinstance(value, bool) else kind))


def csv_text(rows: Iterable[Mapping[str, Any]]) -> str:
    """A few rows as CSV text."""
    listed, text = list(rows), io.StringIO()
    columns = column_types(listed)
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_csv_cell(row.get(key), kind) for key, kind in columns.items()] for row in listed)
    return text.getvalue()


def _write_parquet(path: Path, rows: Iterator[Mapping[str, Any]], columns: Mapping[str, type]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {bool: pa.bool_(), int: pa.int64(), float: pa.float64(), str: pa.string()}
    schema = pa.schema([(key, kinds[kind]) for key, kind in columns.items()])
    with pq.ParquetWriter(path, schema) as writer:
        while group := list(islice(rows, _GROUP)):
            data = {key: [_cell(row.get(key), kind) for row in group] for key, kind in columns.items()}
            writer.write_table(pa.table(data, schema=schema))
