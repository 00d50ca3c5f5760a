"""Processes that draw beside the one that simulates: matplotlib takes longer to load than most runs take.

Drawers are copies of this process (`fork`).  They load matplotlib while this process goes on, and wait for what is
to be drawn.  Then each asks a pipe, which has a byte for every picture, what is next, so that none waits while another
has work left.  A finished picture is a file in memory, and a byte in the other pipe.  What no drawer has finished,
whatever the reason, this process draws itself: what goes wrong goes wrong here, where it is seen.
"""

from __future__ import annotations

import atexit
import gc
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from io import FileIO
from typing import Any, NoReturn

_ENDING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
Draw = Callable[[Any, str], bytes]  # a picture as the content of its file, from what is to be drawn and its name


def possible() -> bool:
    """Whether copies can draw: on a second processor, on a system that copies safely, with no thread left behind."""
    copies = sys.platform == "linux" and hasattr(os, "memfd_create")
    return copies and _processors() > 1 and threading.active_count() == 1


def _processors() -> int:
    return len(os.sched_getaffinity(0))


class Drawers:
    """Processes that draw pictures of some names; without `hire`, or where it cannot be, `pictures` draws them here.

    draw     makes a picture, in whichever process
    prepare  what a drawer does until it knows what to draw
    """

    def __init__(self, names: Sequence[str], draw: Draw, prepare: Callable[[], object]) -> None:
        self._names, self._draw, self._prepare = tuple(names), draw, prepare
        self._pipes: _Pipes | None = None
        self._child = 0
        self._asked: Any = None

    @contextmanager
    def hired(self, most: int | None = None) -> Iterator[Drawers]:
        """One for each processor, at most `most`, until the block ends: then they are gone, whatever they do."""
        with ExitStack() as stack:
            if possible():
                with suppress(OSError):  # no more processes or files are allowed: none then
                    self._hire(min(_processors(), len(self._names), most or len(self._names)), stack)
            yield self

    def _hire(self, number: int, stack: ExitStack) -> None:
        pipes = _Pipes(len(self._names), stack)
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)  # nothing ends this process before it can dismiss
        try:
            child = os.fork()
            if child == 0:
                self._be_drawers(pipes, number)
            stack.callback(_dismiss, child)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        with suppress(OSError):  # it has done so itself, or is gone
            os.setpgid(child, child)
        pipes.saying.close()
        self._pipes = pipes

    def ask(self, what: Any, names: Sequence[str]) -> None:
        """Have the pictures of these names drawn, the first ones first; `what` is anything that can be pickled."""
        self._asked = what
        if self._pipes is None:
            return
        import pickle

        self._pipes.what.write(pickle.dumps(what))
        self._pipes.telling.write(bytes(map(self._names.index, names)))
        self._pipes.telling.close()

    def pictures(self, names: Sequence[str], here: bool) -> Mapping[str, bytes]:
        """The pictures that were asked for; `here`: this process draws some of them meanwhile."""
        found = self._finished(here) if self._pipes else {}
        return {name: found.get(name) or self._draw(self._asked, name) for name in names}

    def _finished(self, here: bool) -> dict[str, bytes]:
        pipes, found = self._pipes, {}
        assert pipes is not None
        while here and (order := pipes.orders.read(1)):
            name = self._names[order[0]]
            found[name] = self._draw(self._asked, name)
        pipes.orders.close()
        while done := pipes.done.read(1):
            found[self._names[done[0]]] = _content(pipes.pictures[done[0]])
        return found

    # -- in a drawer ----------------------------------------------------------------------

    def _be_drawers(self, pipes: _Pipes, number: int) -> NoReturn:
        """Prepare, become as many drawers, draw, and end without a word; the status says whether all went well."""
        status = 1
        try:
            for number_of_signal in _ENDING:
                signal.signal(number_of_signal, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)
            os.setpgid(0, 0)  # Ctrl-C is for the process that we draw for, which dismisses us
            atexit._clear()  # what is to be done at the end of that process
            gc.disable()
            pipes.telling.close()
            pipes.done.close()
            self._prepare()
            for _ in range(number - 1):
                if os.fork() == 0:
                    atexit._clear()
                    break
            self._work(pipes)
            atexit._run_exitfuncs()  # such as matplotlib's folder where a user has none
            status = 0
        finally:
            os._exit(status)

    def _work(self, pipes: _Pipes) -> None:
        what: Any = None
        while order := pipes.orders.read(1):
            if what is None:
                import pickle

                what = pickle.loads(_content(pipes.what))
            pipes.pictures[order[0]].write(self._draw(what, self._names[order[0]]))
            pipes.saying.write(order)


class _Pipes:
    """What goes between the processes.

    what            what is to be drawn, a file in memory
    telling, orders a byte for each picture that nobody has begun, and which it is
    saying, done    a byte for each that is finished
    pictures        files in memory
    """

    def __init__(self, pictures: int, stack: ExitStack) -> None:
        def memory() -> FileIO:
            return stack.enter_context(FileIO(os.memfd_create("pimsim"), "r+"))

        def pipe() -> tuple[FileIO, FileIO]:
            reading, writing = os.pipe()
            return stack.enter_context(FileIO(reading, "r")), stack.enter_context(FileIO(writing, "w"))

        self.what, self.pictures = memory(), [memory() for _ in range(pictures)]
        self.orders, self.telling = pipe()
        self.done, self.saying = pipe()


def _content(file: FileIO) -> bytes:
    """All of a file in memory; where others stand in it is left as it is."""
    return os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0)


def _dismiss(child: int) -> None:
    """End a drawer and those that it has become."""
    with suppress(OSError):
        os.killpg(child, signal.SIGKILL)
    with suppress(OSError):
        os.kill(child, signal.SIGKILL)  # before it was a group
    os.waitpid(child, 0)
