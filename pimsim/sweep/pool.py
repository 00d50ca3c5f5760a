"""Processes that work through items: started by spawn, replaced when they die.

`multiprocessing.Pool` waits forever for a worker that was killed, and
`ProcessPoolExecutor` gives up on everything.  Here each process has a pipe of its own,
so it is known what a dead one was at: that item is tried once more, and then lost.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from types import TracebackType
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_READY = "ready"
_HELD = 2  # items that a worker has: one in work and one at hand, so that it never waits for the parent
_TOGETHER = 32  # items that are alike, at most, which one worker is given before the next one has any
_TRIES = 2
_FALSE_STARTS = 20


class WorkerError(RuntimeError):
    """Worker processes do not start, or what they run raised an exception."""


@dataclass
class _Task(Generic[Item]):
    key: int
    item: Item
    tries: int = 0


@dataclass
class _Worker(Generic[Item]):
    process: Any
    pipe: Connection
    tasks: deque[_Task[Item]] = field(default_factory=deque)
    ready: bool = False


class _Shares(Generic[Item]):
    """Tasks, those that are alike to one worker, as long as others have any.

    alike: of the keys of two tasks; by default no two are.
    """

    def __init__(self, tasks: Iterator[_Task[Item]], alike: Callable[[int], int] | None) -> None:
        self._tasks, self._alike = tasks, alike or (lambda key: key)
        self._next: _Task[Item] | None = None
        self._shares: dict[int, deque[_Task[Item]]] = {}

    def take(self, worker: int) -> _Task[Item] | None:
        """The next task of a worker, by its number; None if there are no more."""
        share = self._shares.setdefault(worker, deque())
        if not share:
            self._fill(share)
        if not share:
            share = max(self._shares.values(), key=len)
        return share.popleft() if share else None

    def _fill(self, share: deque[_Task[Item]]) -> None:
        task = self._next or next(self._tasks, None)
        if task is None:
            return
        share.append(task)
        kind = self._alike(task.key)
        while (task := next(self._tasks, None)) is not None and self._alike(task.key) == kind:
            share.append(task)
            if len(share) == _TOGETHER:
                task = None
                break
        self._next = task


class Pool(Generic[Item, Result]):
    """`workers` processes that call `function`, which must be importable by its name.

    lost: the result of an item whose process died `_TRIES` times.
    """

    def __init__(self, function: Callable[[Item], Result], workers: int, lost: Callable[[Item], Result]) -> None:
        self.function = function
        self.lost = lost
        self._count = workers
        self._workers: list[_Worker[Item]] = []
        self._again: deque[_Task[Item]] = deque()
        self._false_starts = 0

    def __enter__(self) -> Pool[Item, Result]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End every process at once, whatever it is at."""
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.process.join()
            worker.pipe.close()
        self._workers = []

    def map(
        self, items: Iterable[tuple[int, Item]], alike: Callable[[int], int] | None = None
    ) -> Iterator[tuple[int, Result]]:
        """(key, result) of each (key, item), as they come; items are taken as they are needed.

        alike: equal for keys, one after the other, whose items go to one worker if they can.
        """
        source = _Shares((_Task(key, item) for key, item in items), alike)
        while True:
            self._hand_out(source)
            busy = [worker for worker in self._workers if worker.tasks]
            if not busy:
                return
            ready = set(wait([*(worker.pipe for worker in busy), *(worker.process.sentinel for worker in busy)]))
            for worker in busy:
                if worker.pipe in ready or worker.process.sentinel in ready:
                    yield from self._collect(worker)

    def _hand_out(self, source: _Shares[Item]) -> None:
        """Give each worker its items, those that have none first; start workers while there are items for them."""
        for held in range(1, _HELD + 1):
            for i in range(self._count):
                while i >= len(self._workers) or len(self._workers[i].tasks) < held:
                    task = self._again.popleft() if self._again else source.take(i)
                    if task is None:
                        return
                    if i >= len(self._workers):
                        self._workers.append(self._start())
                    self._send(self._workers[i], task)

    def _send(self, worker: _Worker[Item], task: _Task[Item]) -> None:
        worker.tasks.append(task)
        try:
            worker.pipe.send(task.item)
        except OSError:
            return  # it is dead: its sentinel says so

    def _start(self) -> _Worker[Item]:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_work, args=(self.function, theirs), daemon=True)
        with _without_interrupts():
            process.start()
        theirs.close()
        return _Worker(process, ours)

    def _collect(self, worker: _Worker[Item]) -> Iterator[tuple[int, Result]]:
        """What a worker has sent; a dead one is replaced."""
        try:
            while worker.pipe.poll():
                kind, value = worker.pipe.recv()
                if kind == _READY:
                    worker.ready = True
                    continue
                if kind == "error":
                    raise WorkerError(value)
                yield worker.tasks.popleft().key, value
        except (EOFError, OSError):
            yield from self._replace(worker)

    def _replace(self, worker: _Worker[Item]) -> Iterator[tuple[int, Result]]:
        """A new process for a dead one; the item in work has been tried, the one at hand has not."""
        worker.process.join()
        worker.pipe.close()
        if not worker.ready:
            self._refuse_false_start(worker)
        elif worker.tasks:
            worker.tasks[0].tries += 1
            if worker.tasks[0].tries == _TRIES:
                task = worker.tasks.popleft()
                yield task.key, self.lost(task.item)
        self._again.extend(worker.tasks)
        self._workers[self._workers.index(worker)] = self._start()

    def _refuse_false_start(self, worker: _Worker[Item]) -> None:
        self._false_starts += 1
        if worker.process.exitcode > 0 or self._false_starts > _FALSE_STARTS:
            raise WorkerError(
                "worker processes do not start; a script that sweeps must do so under `if __name__ == '__main__':`"
            )


def _work(function: Callable[[Any], Any], pipe: Connection) -> None:
    """What a worker does: an item in, a result out, until the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        pipe.send((_READY, None))
        while True:
            pipe.send(_result(function, pipe.recv()))
    except (EOFError, OSError):
        return


def _result(function: Callable[[Any], Any], item: Any) -> tuple[str, Any]:
    try:
        return "result", function(item)
    except Exception as error:
        return "error", f"{type(error).__name__}: {error}"


def _end_with_parent() -> None:
    """End this process with its parent, however that ended: a point may take hours."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Ctrl-C waits; a process that is started meanwhile never sees one, not even while Python starts."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
