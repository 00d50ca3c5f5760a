"""Command logs as Parquet: only here, and only when asked for, is pyarrow needed."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from pimsim.dram.log_csv import COLUMNS, HEADER_LINES, MAX_PROBLEMS, Ints, value_problem
from pimsim.errors import InputError, Problem


def _pyarrow(path: Path) -> Any:
    """The module pyarrow, with pyarrow.parquet; InputError says how to install it."""
    try:
        import_module("pyarrow.parquet")
        return import_module("pyarrow")
    except ImportError as error:
        why = "Parquet needs pyarrow: install pimsim[analysis], or use .csv.gz"
        raise InputError(Problem(str(path), 1, 1, "", why)) from error


def read_parquet(path: Path, names: list[str]) -> list[Ints]:
    """The columns of a Parquet log, commands as numbers; InputError if it is not a command log."""
    pyarrow = _pyarrow(path)
    try:
        table = pyarrow.parquet.read_table(path)
    except pyarrow.ArrowInvalid as error:
        raise InputError(Problem(str(path), 1, 1, "", f"cannot read the command log: {error}")) from error
    if tuple(table.column_names) != COLUMNS:
        raise InputError(Problem(str(path), 1, 1, "", f"the columns must be {', '.join(COLUMNS)}"))
    problems: list[Problem] = []
    columns = [_read_column(pyarrow, table, name, str(path), names, problems) for name in COLUMNS]
    if problems:
        raise InputError(problems[:MAX_PROBLEMS])
    return columns


def _read_column(pyarrow: Any, table: Any, name: str, file: str, names: list[str], problems: list[Problem]) -> Ints:
    column = table.column(name)
    if name == "command":
        return _read_commands(column.to_pylist(), file, names, problems)
    if column.null_count or not pyarrow.types.is_integer(column.type):
        problems.append(Problem(file, 1, 1, name, f"must be integers without gaps, not {column.type}"))
        return np.empty(0, dtype=np.int64)
    return np.asarray(column.to_numpy(), dtype=np.int64)


def _read_commands(words: list[Any], file: str, names: list[str], problems: list[Problem]) -> Ints:
    numbers = {name: number for number, name in enumerate(names)}
    for word in sorted(set(words) - set(names), key=words.index):
        line = words.index(word) + 1 + HEADER_LINES
        problems.append(Problem(file, line, 1, "command", value_problem("command", str(word), names)))
    return np.array([numbers.get(word, -1) for word in words], dtype=np.int64)


class ParquetSink:
    """A Parquet file that grows by blocks of columns."""

    def __init__(self, path: Path, log_path: Path, names: list[str]) -> None:
        self._pyarrow = _pyarrow(log_path)
        self._names = self._pyarrow.array(names)
        word = self._pyarrow.dictionary(self._pyarrow.int8(), self._pyarrow.string())
        kinds = [(name, word if name == "command" else self._pyarrow.int64()) for name in COLUMNS]
        self._schema = self._pyarrow.schema(kinds)
        self._writer = self._pyarrow.parquet.ParquetWriter(path, self._schema)

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
