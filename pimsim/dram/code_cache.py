"""The compiled kernel on disk, in numba's files, so that nothing but what was written is ever run.

Each file begins with the SHA-256 of the rest: numba itself runs what it finds, and a bit that
flipped in machine code is a wrong figure or a crash.  What cannot be read is set aside under
another name, with a warning, and compiled anew; what cannot be written is compiled in each run.

`njit(cache=True)`, numba's public way, does neither, and looks for changes only in the file of the
function itself, not in those of the functions that are compiled into it.  So this extends the
classes behind it; `tests/unit/test_code_cache.py` holds them to what is needed, with every numba
of the range.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from numba.core.caching import FunctionCache, IndexDataCacheFile

SET_ASIDE = ".damaged"  # at the end of the new name
_DIGEST = hashlib.sha256().digest_size
_HERE = Path(__file__).parent
_COMPILED_BY = ("compiler.py", "records.py", "code/views.py", "code_cache.py")


class DamagedError(Exception):
    """A file of the cache that is not as it was written."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(why)
        self.path = path


class _Files(IndexDataCacheFile):
    """numba's index and data files; data is kept with its key, as two processes may take one name at once."""

    def load(self, key: Any) -> Any:
        """The data of a key, None if there is none; DamagedError."""
        name = self._load_index().get(key)
        content = None if name is None else self._content(self._data_path(name))
        found, data = (None, None) if content is None else self._unpickled(content, self._data_path(name))
        return data if found == key else None

    def _load_index(self) -> dict[Any, str]:
        content = self._content(self._index_path)
        version, overloads = (None, b"") if content is None else self._unpickled(content, self._index_path)
        if version != (self._version, self._source_stamp):
            return {}
        return dict(self._unpickled(overloads, self._index_path))

    def _save_index(self, overloads: Mapping[Any, str]) -> None:
        version = (self._version, self._source_stamp)
        self._write(self._index_path, pickle.dumps((version, self._dump(overloads))))

    def save(self, key: Any, data: Any) -> None:
        """Keep the data of a key."""
        super().save(key, (key, data))

    def _save_data(self, name: str, data: Any) -> None:
        self._write(self._data_path(name), self._dump(data))

    def _write(self, path: str, content: bytes) -> None:
        with self._open_for_write(path) as file:
            file.write(hashlib.sha256(content).digest() + content)

    @staticmethod
    def _content(path: str) -> bytes | None:
        """What was written to a file, None if there is none."""
        try:
            data = Path(path).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise DamagedError(path, error.strerror or str(error)) from error
        if hashlib.sha256(data[_DIGEST:]).digest() != data[:_DIGEST]:
            raise DamagedError(path, "its contents have changed since they were written")
        return data[_DIGEST:]

    @staticmethod
    def _unpickled(content: bytes, path: str) -> Any:
        try:
            return pickle.loads(content)
        except MemoryError:
            raise
        except Exception as error:  # whatever the classes in it raise
            raise DamagedError(path, f"{type(error).__name__}: {error}") from error


class CodeCache(FunctionCache):
    """The compiled forms of one function; RuntimeError if there is no folder to keep them in."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        stamp = tuple((path.name, _digest(path)) for path in sources(function))
        base = f"{self._impl.filename_base}.sha256"  # numba's own files have the name without it
        self._cache_file = _Files(cache_path=self._cache_path, filename_base=base, source_stamp=stamp)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The compiled form of a signature, None if there is none that can be read."""
        try:
            return super().load_overload(sig, target_context)
        except DamagedError as error:
            _set_aside(error)
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep a compiled form if that is possible."""
        try:
            super().save_overload(sig, data)
        except DamagedError as error:
            _set_aside(error)
        except OSError as error:
            why = error.strerror or str(error)
            _warn(f"compiled code cannot be kept in {self._cache_path} ({why}), so the next run compiles it again")


def sources(function: Callable[..., Any]) -> list[Path]:
    """All that a function may be compiled of: the files of its own folder and of the kernel, and what compiles them.

    numba by itself sees the function's own file alone.
    """
    folders = dict.fromkeys([Path(function.__code__.co_filename).parent, _HERE / "kernel"])
    return [_HERE / name for name in _COMPILED_BY] + [path for each in folders for path in sorted(each.glob("*.py"))]


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _set_aside(damaged: DamagedError) -> None:
    path = damaged.path
    try:
        os.replace(path, path + SET_ASIDE)
        where = f"is set aside as {path}{SET_ASIDE}"
    except OSError as error:  # another process was faster, or the folder cannot be written to
        where = f"stays where it is ({error.strerror or error})"
    _warn(f"compiled code in {path} cannot be read ({damaged}); it {where} and is compiled anew")


def _warn(text: str) -> None:
    warnings.warn(text, RuntimeWarning, stacklevel=2)
