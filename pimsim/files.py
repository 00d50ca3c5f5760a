"""Files that a user names: what may be read, how much of it, and how a file is written so that it appears whole.

Input is a regular file: a FIFO may never end, a device may never stop.  Every reader has a
limit on what it keeps in memory.  What the system refuses is an InputError with the file's name.
"""

from __future__ import annotations

import errno
import io
import math
import os
import re
import stat
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from typing import IO, Any, BinaryIO, cast

from pimsim import held
from pimsim.errors import InputError, Problem

Named = str | os.PathLike[str]

CANNOT_READ, CANNOT_WRITE = "cannot be read", "cannot be written"
CHUNK = 1 << 16
GZIP_LEVEL = 3  # logs and timelines repeat themselves: higher levels cost much and gain little
_GZIP_MAGIC = b"\x1f\x8b"
_GZIP = 31  # zlib's window bits for a gzip header and trailer
_KINDS = (
    (stat.S_ISDIR, os.strerror(errno.EISDIR)),
    (stat.S_ISFIFO, "is a pipe, not a file"),
    (stat.S_ISCHR, "is a device, not a file"),
    (stat.S_ISBLK, "is a device, not a file"),
    (stat.S_ISSOCK, "is a socket, not a file"),
)


def reason(error: Exception) -> str:
    """Why the system refused, without the name of the file."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _refused(path: Named, what: str, why: str) -> InputError:
    return InputError(Problem(os.fspath(path), 1, 1, "", f"{what}: {why}"))


def _wrong_name(path: Named) -> str:
    """Why no file can have this name, "" if one can."""
    try:
        name = os.fsencode(path)
    except UnicodeEncodeError:
        return "half a surrogate pair in its name, which no file's has"
    if not name:
        return "its name is empty"
    return "a NUL character in its name, which no file's has" if b"\0" in name else ""


def size(number: int) -> str:
    """A size in bytes for people: 3.2 MB."""
    for unit, scale in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if number >= scale:
            return f"{number / scale:.{0 if number >= 100 * scale else 1}f} {unit}"
    return f"{number} bytes"


# -- reading --------------------------------------------------------------------------


def open_input(path: Named, what: str = CANNOT_READ) -> BinaryIO:
    """A regular file to read; InputError "{what}: why" if it is none or cannot be opened."""
    if wrong := _wrong_name(path):
        raise _refused(path, what, wrong)
    try:
        return held.opened(path, lambda: _open(path, what))
    except OSError as error:
        raise _refused(path, what, reason(error)) from None


def _open(path: Named, what: str) -> BinaryIO:
    _refuse_special(os.stat(path), path, what)
    # without blocking: what was a file a moment ago may be a pipe now
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        _refuse_special(os.fstat(descriptor), path, what)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def _refuse_special(status: os.stat_result, path: Named, what: str) -> None:
    for is_kind, name in _KINDS:
        if is_kind(status.st_mode):
            raise _refused(path, what, name)


def read_bytes(path: Named, limit: int, what: str = CANNOT_READ) -> bytes:
    """The content of a file of at most `limit` bytes."""
    with open_input(path, what) as file:
        try:
            data = file.read(limit + 1)
        except OSError as error:
            raise _refused(path, what, reason(error)) from None
    if len(data) > limit:
        raise _refused(path, what, f"has more than {limit:,} bytes")
    return data


def read_text(path: Named, limit: int, what: str = CANNOT_READ) -> str:
    """The text of a UTF-8 file of at most `limit` bytes."""
    return decoded(read_bytes(path, limit, what), path)


def decoded(data: bytes, path: Named) -> str:
    """UTF-8, with or without a byte order mark, as text; InputError says where it is none."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line, column = before.count(b"\n") + 1, error.start - before.rfind(b"\n")
        message = f"is not UTF-8 (byte 0x{data[error.start]:02x})"
        raise InputError(Problem(os.fspath(path), line, column, "", message)) from None


def inflated(stream: IO[bytes]) -> Iterator[bytes]:
    """The bytes in a gzip file in pieces, all that there are before an error.

    EOFError if the end is missing, zlib.error if it is damaged.
    """
    inflater, complete = zlib.decompressobj(_GZIP), False
    while data := inflater.unconsumed_tail or inflater.unused_data or stream.read(CHUNK):
        if inflater.eof:  # gzip files may be put behind each other
            inflater = zlib.decompressobj(_GZIP)
        yield inflater.decompress(data, CHUNK)
        complete = inflater.eof
    if not complete:
        raise EOFError("the file is cut off")


def pieces_of(stream: IO[bytes], packed: bool, size: int = CHUNK) -> Iterator[bytes]:
    """The bytes of a file in pieces (of `size` bytes); of one that is packed with gzip, those `inflated`."""
    return inflated(stream) if packed else iter(lambda: stream.read(size), b"")


def is_gzip(stream: IO[bytes]) -> bool:
    """True if the file, which is at its beginning and stays there, begins as gzip does."""
    magic = stream.read(len(_GZIP_MAGIC))
    stream.seek(0)
    return magic == _GZIP_MAGIC


# -- JSON -----------------------------------------------------------------------------


class _NotFinite(ValueError):
    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise _NotFinite(text)
    return value


class JsonError(ValueError):
    """Text that is not JSON as every program reads it: what is wrong, and how many characters come before."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.offset = offset


def json_value(text: str, pairs: Callable[[list[tuple[str, Any]]], Any] | None = None, strict: bool = True) -> Any:
    """The value of a JSON text; JsonError, and nothing else, if it is none.

    strict: numbers are finite, and texts are Unicode.
    """
    import json

    number = _finite if strict else float
    try:
        value = json.loads(text, object_pairs_hook=pairs, parse_float=number, parse_constant=number)
    except json.JSONDecodeError as error:
        raise JsonError(f"not JSON: {error.msg[:1].lower()}{error.msg[1:]}", error.pos) from None
    except RecursionError:
        raise JsonError("is nested too deeply", 0) from None
    except _NotFinite as error:
        raise JsonError(f"{error.text[:40]} is not a finite number", max(text.find(error.text), 0)) from None
    except ValueError:  # Python refuses to convert thousands of digits
        digits = max(re.finditer("[0-9]+", text), key=lambda found: found.end() - found.start())
        raise JsonError("a number with too many digits", digits.start()) from None
    escape = text.lower().find("\\ud") if strict else -1
    if escape >= 0:
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise JsonError("half a surrogate pair, which no text may have", escape) from None
    return value


def parse_json(data: bytes, path: Named) -> Any:
    """The value in a JSON file of another program's (Python's write Infinity); InputError with the place."""
    text = decoded(data, path)
    try:
        return json_value(text, strict=False)
    except JsonError as error:
        line, column = text.count("\n", 0, error.offset) + 1, error.offset - text.rfind("\n", 0, error.offset)
        message = f"is {error}" if str(error).startswith("not") else str(error)
        raise InputError(Problem(os.fspath(path), line, column, "", message)) from None


# -- writing --------------------------------------------------------------------------


class _Guarded(io.FileIO):
    """A file whose failures to write are problems of the file that it will be."""

    def __init__(self, descriptor: int, path: Named, what: str) -> None:
        super().__init__(descriptor, "wb")
        self._path, self._what = path, what

    def write(self, data: Any, /) -> int:
        """As FileIO; InputError if the disk is full."""
        try:
            return super().write(data)
        except OSError as error:
            raise _refused(self._path, self._what, reason(error)) from error


def check_output(path: Named, what: str = CANNOT_WRITE) -> None:
    """InputError if no file can be written there."""
    if wrong := _wrong_name(path):
        raise _refused(path, what, wrong)
    if os.path.isdir(path):
        raise _refused(path, what, os.strerror(errno.EISDIR))


@contextmanager
def whole_file(path: Named, what: str = CANNOT_WRITE, compress: bool = False) -> Iterator[BinaryIO]:
    """A file to write, which appears under its name when the block ends; if the block raises, nothing is left.

    compress: gzip, without a name or a time in it: equal content makes equal files.
    Until then it has no name where the system can do that, so that not even a killed process
    leaves anything; elsewhere a hidden one.  A pipe or a device is written to as it is.
    InputError "{what}: why" for whatever the system refuses.
    """
    check_output(path, what)
    target = os.path.realpath(path)  # a link stays a link
    try:
        pending = _Direct(target) if _is_special(target) else _Pending(target)
    except OSError as error:
        raise _refused(path, what, reason(error)) from error
    try:
        with io.BufferedWriter(_Guarded(pending.descriptor, path, what), 1 << 20) as raw:
            if compress:
                import gzip

                with gzip.GzipFile("", "wb", GZIP_LEVEL, raw, mtime=0) as packed:
                    yield cast(BinaryIO, packed)
            else:
                yield raw
            raw.flush()
            try:
                pending.publish()
            except OSError as error:
                raise _refused(path, what, reason(error)) from error
    finally:
        pending.forget()


def write_bytes(path: Named, data: bytes, what: str = CANNOT_WRITE) -> None:
    """Write a file as a whole; InputError if that cannot be."""
    with whole_file(path, what) as file:
        file.write(data)


def write_new(folder: Named, content: Mapping[str, bytes]) -> None:
    """Write files into a folder, which is made if it is not there: all of them, or none, and none in another's place.

    content: by name. InputError has a problem for each name that is taken.
    """
    where = os.fspath(folder)
    targets = {os.path.join(where, name): data for name, data in content.items()}
    if taken := [target for target in targets if os.path.lexists(target)]:
        raise InputError(Problem(target, 1, 1, "", "is there already, and nothing is overwritten") for target in taken)
    take_back = ExitStack()
    try:
        for missing in _missing_folders(where):
            os.mkdir(missing)
            take_back.callback(os.rmdir, missing)
        for target, data in targets.items():
            take_back.callback(os.unlink, target)
            write_bytes(target, data)
    except BaseException as error:
        with suppress(OSError):  # of the file that could not be written
            take_back.close()
        if isinstance(error, OSError):
            raise _refused(error.filename or where, CANNOT_WRITE, reason(error)) from error
        raise


def _missing_folders(folder: str) -> list[str]:
    """A folder and those that it is in, as far as they are not there, the outermost first."""
    missing = []
    while folder and not os.path.lexists(folder):
        missing.append(folder)
        folder = os.path.dirname(folder)
    return missing[::-1]


def _is_special(target: str) -> bool:
    return os.path.lexists(target) and not os.path.isfile(target)


class _Direct:
    """What is no regular file, and gets its bytes as they come."""

    def __init__(self, target: str) -> None:
        self.descriptor = os.open(target, os.O_WRONLY | os.O_CLOEXEC)

    def publish(self) -> None:
        """It is there already."""

    def forget(self) -> None:
        """It stays."""


class _Pending:
    """A file that has no name yet, or a hidden one."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._folder, name = os.path.split(target)
        self._hidden = os.path.join(self._folder, f".{name[:100]}.{os.getpid()}.tmp")
        self._named = False
        self.descriptor = self._nameless()
        if self.descriptor < 0:
            self._named = True
            self.descriptor = os.open(self._hidden, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)

    def _nameless(self) -> int:
        """A descriptor of a file without a name; -1 where there is no such thing."""
        if not hasattr(os, "O_TMPFILE") or not os.path.isdir("/proc/self/fd"):
            return -1
        try:
            return os.open(self._folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o666)
        except OSError:
            return -1

    def publish(self) -> None:
        """Give the file its name, in the place of an older one."""
        if not self._named:
            with suppress(FileNotFoundError):
                os.unlink(self._hidden)
            folder = os.open(self._folder, os.O_RDONLY)
            try:  # only with folders does Python follow the link to the file
                open_file = f"/proc/self/fd/{self.descriptor}"
                os.link(open_file, self._hidden, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=True)
            finally:
                os.close(folder)
            self._named = True
        os.replace(self._hidden, self._target)
        self._named = False

    def forget(self) -> None:
        """Leave nothing behind."""
        if self._named:
            with suppress(OSError):
                os.unlink(self._hidden)
