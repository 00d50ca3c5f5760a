"""Command logs as Parquet: only here, and only when asked for, is pyarrow needed."""

from __future__ import annotations

from importlib import import_module
from typing import Any, BinaryIO

import numpy as np

from pimsim.errors import InputError, Problem
from pimsim.logs.log_csv import COLUMNS, HEADER_LINES, MAX_PROBLEMS, Ints, compact, too_many, value_problem


def _pyarrow(name: str) -> Any:
    """The module pyarrow, with pyarrow.parquet; InputError says how to install it."""
    try:
        import_module("pyarrow.parquet")
        return import_module("pyarrow")
    except ImportError as error:
        why = "Parquet needs pyarrow: install pimsim[analysis], or use .csv.gz"
        raise InputError(Problem(name, 1, 1, "", why)) from error


def read_parquet(file: BinaryIO, name: str, names: list[str], most_rows: int) -> list[Ints]:
    """The columns of a Parquet log, commands as numbers; InputError if it is not a command log."""
    pyarrow = _pyarrow(name)
    try:
        return _read(pyarrow, pyarrow.parquet.ParquetFile(file), name, names, most_rows)
    except (pyarrow.ArrowException, OSError, ValueError, TypeError, OverflowError) as error:
        why = " ".join(str(error).split())[:300]  # whatever Arrow makes of damaged bytes
        raise InputError(Problem(name, 1, 1, "", f"cannot read the command log: {why}")) from error


def _read(pyarrow: Any, parquet: Any, file: str, names: list[str], most_rows: int) -> list[Ints]:
    schema, problems = parquet.schema_arrow, []
    if tuple(schema.names) != COLUMNS:
        raise InputError(Problem(file, 1, 1, "", f"the columns must be {', '.join(COLUMNS)}"))
    if parquet.metadata.num_rows > most_rows:
        raise InputError(too_many(file, 1, most_rows))
    for name in COLUMNS:
        kind = schema.field(name).type
        if not (_is_text(pyarrow.types, kind) if name == "command" else pyarrow.types.is_integer(kind)):
            problems.append(_wrong_kind(file, name, kind))
    if problems:
        raise InputError(problems)
    parts: list[list[Ints]] = [[np.empty(0, np.int16)] for _ in COLUMNS]
    rows = 0
    for batch in parquet.iter_batches(1 << 16):
        for part, column, name in zip(parts, batch.columns, COLUMNS, strict=True):
            part.append(compact(_column(pyarrow, column, name, file, names, rows, problems)))
        rows += batch.num_rows
        if len(problems) >= MAX_PROBLEMS:
            break
    if problems:
        raise InputError(problems[:MAX_PROBLEMS])
    return [np.concatenate(part) for part in parts]


def _is_text(types: Any, kind: Any) -> bool:
    """Whether a column's type is text, by itself or by numbers into a dictionary of it."""
    inner = kind.value_type if types.is_dictionary(kind) else kind
    return bool(types.is_string(inner) or types.is_large_string(inner))


def _wrong_kind(file: str, name: str, kind: Any) -> Problem:
    wanted = "text" if name == "command" else "integers"
    return Problem(file, 1, 1, name, f"must be {wanted} without gaps, not {str(kind)[:60]}")


def _column(
    pyarrow: Any, column: Any, name: str, file: str, names: list[str], before: int, problems: list[Problem]
) -> Ints:
    """Some rows of a column, `before` rows into the file; what is wrong with them goes to `problems`."""
    column.validate(full=True)  # Arrow reads indices and offsets that damage has made point anywhere
    if column.null_count:
        problems.append(_wrong_kind(file, name, column.type))
        return np.empty(0, dtype=np.int64)
    if name != "command":
        return np.asarray(column.cast(pyarrow.int64()).to_numpy(zero_copy_only=False), dtype=np.int64)
    encoded = column if hasattr(column, "dictionary") else column.dictionary_encode()
    words, rows = encoded.dictionary.to_pylist(), np.asarray(encoded.indices.to_numpy(zero_copy_only=False), np.int64)
    numbers = {word: number for number, word in enumerate(names)}
    found = np.array([numbers.get(word, -1) for word in words] or [-1], dtype=np.int64)[rows]
    for row in np.flatnonzero(found < 0)[:MAX_PROBLEMS].tolist():
        message = value_problem("command", str(words[rows[row]]), names)
        problems.append(Problem(file, before + row + 1 + HEADER_LINES, 1, "command", message))
    return found


class ParquetSink:
    """A Parquet file that grows by blocks of columns."""

    def __init__(self, file: BinaryIO, name: str, names: list[str]) -> None:
        self._pyarrow = _pyarrow(name)
        self._names = self._pyarrow.array(names)
        word = self._pyarrow.dictionary(self._pyarrow.int8(), self._pyarrow.string())
        kinds = [(name, word if name == "command" else self._pyarrow.int64()) for name in COLUMNS]
        self._schema = self._pyarrow.schema(kinds)
        self._writer = self._pyarrow.parquet.ParquetWriter(file, self._schema)

    def write(self, columns: list[Ints]) -> None:
        """Append a block of rows; columns in the order of COLUMNS."""
        arrow = self._pyarrow
        arrays = [arrow.array(values) for values in columns]
        at = COLUMNS.index("command")
        arrays[at] = arrow.DictionaryArray.from_arrays(arrow.array(columns[at].astype(np.int8)), self._names)
        self._writer.write_table(arrow.Table.from_arrays(arrays, schema=self._schema))

    def close(self) -> None:
        """Finish the file."""
        self._writer.close()
