"""Input files as they were when somebody began to hold them.

A sweep takes hours, and a trace that is edited meanwhile would be the input of some of its
points and not of others.  So a sweep reads every file once, when it is loaded, and its
points read what it read, in whichever process they are simulated.
"""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import BinaryIO

Held = Mapping[str, bytes | None]  # contents by normalised path; None: there is no such file
_PIECE = 1 << 20
MOST = 1 << 30  # bytes of a sweep's files together

_HELD: ContextVar[Held | None] = ContextVar("held", default=None)
_KEPT: ContextVar[dict[str, bytes | None] | None] = ContextVar("kept", default=None)


def opened(path: str | os.PathLike[str], open_file: Callable[[], BinaryIO]) -> BinaryIO:
    """What is held of a file, or the file itself, which `open_file` opens; OSError if it is held not to be there."""
    name, held, kept = os.path.normpath(os.fspath(path)), _HELD.get(), _KEPT.get()
    if kept is not None:
        if name not in kept:
            room = MOST - sum(len(content or b"") for content in kept.values())
            kept[name] = _content(name, room, open_file) if os.path.lexists(path) else None
        held = kept
    if held is None or name not in held:
        return open_file()
    content = held[name]
    if content is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
    return io.BytesIO(content)


def held(path: str | os.PathLike[str]) -> bytes | None:
    """The content that is held of a file; None if none is."""
    files = _HELD.get()
    return None if files is None else files.get(os.path.normpath(os.fspath(path)))


@contextmanager
def holding(files: Held) -> Iterator[None]:
    """These files have these contents, whatever is on the disk."""
    token = _HELD.set(files)
    try:
        yield
    finally:
        _HELD.reset(token)


@contextmanager
def keeping() -> Iterator[dict[str, bytes | None]]:
    """What is read in this block is read once; the value given has it, by normalised path."""
    kept: dict[str, bytes | None] = {}
    token = _KEPT.set(kept)
    try:
        yield kept
    finally:
        _KEPT.reset(token)


@contextmanager
def on_disk() -> Iterator[None]:
    """Files are read where they are, and nothing is kept of them: they may be too large."""
    held, kept = _HELD.set(None), _KEPT.set(None)
    try:
        yield
    finally:
        _HELD.reset(held)
        _KEPT.reset(kept)


def _content(name: str, room: int, open_file: Callable[[], BinaryIO]) -> bytes:
    content = bytearray()
    with open_file() as file:
        while piece := file.read(_PIECE):  # read(n) takes n bytes of memory, however short the file
            content += piece
            if len(content) > room:
                raise OSError(errno.EFBIG, f"the files of a sweep have more than {MOST:,} bytes together", name)
    return bytes(content)
