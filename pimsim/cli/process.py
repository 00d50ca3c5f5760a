"""What a process has from the system: standard streams, which may be closed or full, signals that end it, and its end.

What is here is for the `pimsim` command alone: whoever calls `pimsim.cli.cli` has a process of their own.
"""

from __future__ import annotations

import atexit
import gc
import io
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import IO, Any, NoReturn

from pimsim.cli import later
from pimsim.errors import InputError, Problem

ENDING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


class Terminated(BaseException):
    """A signal asks this process to end; what is on its way is cleaned up first."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@contextmanager
def terminable() -> Iterator[None]:
    """SIGTERM and SIGHUP raise `Terminated` where they would kill; one that is ignored (nohup) stays so."""
    mine = []
    if threading.current_thread() is threading.main_thread():
        mine = [number for number in ENDING if signal.getsignal(number) is signal.SIG_DFL]

    def terminate(number: int, _: FrameType | None) -> NoReturn:
        for each in mine:
            signal.signal(each, signal.SIG_IGN)  # nothing cuts the cleaning up short
        raise Terminated(number)

    for number in mine:
        signal.signal(number, terminate)
    try:
        yield
    finally:
        for number in mine:
            signal.signal(number, signal.SIG_DFL)


@contextmanager
def interruptible() -> Iterator[None]:
    """SIGTERM, as a batch system sends it, is Ctrl-C for those who stop at that in good order; within `terminable`."""

    def interrupt(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def die_of(number: int) -> None:
    """End as the signal would have ended this process, so that a shell, or whoever waits, sees it."""
    os.kill(os.getpid(), number)


# -- begin and end --------------------------------------------------------------------


def leave(ended: SystemExit) -> NoReturn:
    """End this process with the status of `ended`, at once: the system takes back what it had.

    To take libraries apart one object after the other, as Python does at its end, is a fifth of a short run.
    What was registered to be done at the end is done, and streams are flushed; where more may be wanted
    (`_is_watched`, other threads, files that plugins may have left open), Python ends as usual.
    """
    threads = [thread for thread in threading.enumerate() if not thread.daemon]
    plugins = getattr(sys.modules.get("pimsim.registry"), "has_plugins", bool)
    if not isinstance(ended.code, int) or len(threads) > 1 or plugins() or _is_watched():
        raise ended
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:
            raise ended from None  # of what was written by now: Python reports it as it always does
    os._exit(ended.code)


def _is_watched() -> bool:
    """Whether a debugger, a profiler or a person wants to see what is left of this process."""
    monitoring: Any = getattr(sys, "monitoring", None)  # since Python 3.12
    tools = [monitoring.get_tool(number) for number in range(6)] if monitoring else []
    asked = sys.flags.interactive or os.environ.get("PYTHONINSPECT")
    return bool(asked or sys.gettrace() or sys.getprofile() or any(tools))


# -- standard streams -----------------------------------------------------------------


class _Output(io.FileIO):
    """Standard output: what cannot be written is a problem of the one who redirected it."""

    broken = False

    def write(self, data: object, /) -> int:
        """As FileIO; BrokenPipeError where the reader is gone, once an InputError for anything else."""
        if self.broken:  # it has been said: what is still in buffers when Python ends goes nowhere
            return memoryview(data).nbytes  # type: ignore[arg-type]
        try:
            return super().write(data)  # type: ignore[arg-type]
        except BrokenPipeError:
            raise
        except OSError as error:
            self.broken = True
            why = f"cannot be written: {error.strerror or error}"
            raise InputError(Problem("standard output", 1, 1, "", why)) from error


class _Errors(io.FileIO):
    """Standard error: where it cannot be written there is nobody left to tell."""

    def write(self, data: object, /) -> int:
        """As FileIO, and silent if that fails."""
        try:
            return super().write(data)  # type: ignore[arg-type]
        except OSError:
            return memoryview(data).nbytes  # type: ignore[arg-type]


def is_ours() -> bool:
    """Whether this process is the `pimsim` command, and nobody else's."""
    return isinstance(sys.stdout, io.TextIOWrapper) and isinstance(getattr(sys.stdout.buffer, "raw", None), _Output)


_SETTINGS = {"OPENBLAS_NUM_THREADS": "1", "PYDANTIC_DISABLE_PLUGINS": "__all__"}
_ours: list[str] = []  # those that the user has not made


def as_usual() -> None:
    """Take back what `prepare` has changed in Python and the environment: for commands that run other libraries."""
    later.end()
    while _ours:
        os.environ.pop(_ours.pop(), None)


def prepare() -> None:
    """Standard streams that hold whatever happens to them, warnings on one line, and nothing that costs time unasked.

    Imports make many objects and few cycles: to look for these as often as Python does takes a tenth of the time.
    numpy multiplies no matrices here, so it needs no threads for that; pydantic looks through every installed
    package for plugins, which would watch each value that is read.
    """
    gc.set_threshold(20_000, 50, 100)
    later.begin()
    for name, value in _SETTINGS.items():
        if name not in os.environ:
            os.environ[name] = value
            _ours.append(name)
    for descriptor in (0, 1, 2):
        _open_if_closed(descriptor)
    sys.stdout = _text(_Output(1, "wb", closefd=False), sys.stdout)
    sys.stderr = _text(_Errors(2, "wb", closefd=False), sys.stderr, "backslashreplace")
    warnings.showwarning = _show


def _open_if_closed(descriptor: int) -> None:
    """A stream that was closed (`>&-`) is /dev/null: no file that is opened later takes its number."""
    try:
        os.fstat(descriptor)
    except OSError:
        opened = os.open(os.devnull, os.O_RDWR)
        if opened != descriptor:
            os.dup2(opened, descriptor)
            os.close(opened)


def _text(raw: io.FileIO, like: IO[str] | None, errors: str | None = None) -> io.TextIOWrapper:
    encoding = getattr(like, "encoding", None) or "utf-8"
    errors = errors or getattr(like, "errors", None) or "strict"
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding, errors, line_buffering=errors[0] == "b" or raw.isatty())


def _show(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: object = None,
    line: object = None,
) -> None:
    """A warning as `FILE:LINE:COLUMN: key: warning: text`; of other packages, their name says whose it is."""
    text = " ".join(str(message).split())
    problem = Problem("pimsim", 1, 1, category.__name__, text)
    sys.stderr.write(f"{problem.as_warning()}\n")
