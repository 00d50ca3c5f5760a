"""The points on an existing Dask cluster.  Its workers need this version of pimsim; files that a point names are sent.

A worker that dies is Dask's to replace: it gives its points to others, those too that were
finished and not yet fetched, and gives a point up after
`distributed.scheduler.allowed-failures`; the row is then that of a lost point.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from types import TracebackType
from typing import Any

import pimsim
from pimsim.errors import InputError
from pimsim.held import Held, holding
from pimsim.sweep.kept import Kept
from pimsim.sweep.point import Row, describe, evaluate_request, lost_row
from pimsim.sweep.space import PointRequest

_TIMEOUT_S = 20.0
_HELD = 4  # points on their way for each thread of the cluster
_LEAST = 16  # also where workers are still to come
_LOOK = 100  # points after which the cluster is measured again
_KEPT = Kept()  # by a worker, of the points before


class Cluster:
    """A client of the scheduler at `address`, as a context."""

    def __init__(self, address: str, contents: Mapping[str, bytes] | None = None) -> None:
        self.address = address
        self.contents = contents or {}  # of files, by SHA-256
        self._client: Any = None
        self._sent: dict[str, Any] = {}  # futures of them: a worker fetches each once

    def __enter__(self) -> Cluster:
        client = _distributed().Client
        try:
            self._client = client(self.address, timeout=_TIMEOUT_S, set_as_default=False)
        except (OSError, ValueError, TypeError) as error:
            raise InputError(f"no scheduler at {self.address}: {describe(error)}", key="--scheduler") from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the cluster; points that are not finished are given up."""
        self._client.close(timeout=_TIMEOUT_S)

    def map(
        self, items: Iterable[tuple[int, PointRequest]], run_of: Callable[[int], int] | None = None
    ) -> Iterator[tuple[int, Row]]:
        """(number, row) of each item, as they come; which worker has which is Dask's to say."""
        source, waiting, done = iter(items), _distributed().as_completed(loop=self._client.loop), 0
        points: dict[str, tuple[int, PointRequest]] = {}
        room = self._room()
        while True:
            for index, request in islice(source, max(0, room - len(points))):
                files = {path: self._content(digest) for path, digest in request.files.items()}
                future = self._client.submit(_evaluate, pimsim.__version__, request, files, pure=False)
                points[future.key] = index, request
                waiting.add(future)
            if not points:
                return
            future = next(waiting)
            index, request = points.pop(future.key)
            yield index, self._row(future, request)
            done += 1
            if done % _LOOK == 0:
                room = self._room()

    def _content(self, digest: str | None) -> Any:
        """A file on the cluster: a task that the scheduler can repeat when the workers that have it die."""
        if digest is None:
            return None
        if digest not in self._sent:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Dask's, of large tasks
                self._sent[digest] = self._client.submit(bytes, self.contents[digest], pure=False)
        return self._sent[digest]

    def _room(self) -> int:
        """How many points may be on their way."""
        return int(max(_LEAST, _HELD * sum(self._client.ncores().values())))

    def _row(self, future: Any, request: PointRequest) -> Row:
        """What came of a point; InputError if the cluster cannot simulate."""
        from distributed import CancelledError
        from distributed.scheduler import KilledWorker

        try:
            row: Row = future.result()  # waits again for one that its worker took along
        except CancelledError:
            message = f"the scheduler at {self.address} went away; finished points are kept, go on with --resume"
            raise InputError(message, key="--scheduler") from None
        except KilledWorker:
            return lost_row(request)
        except Exception as error:
            message = f"the workers at {self.address} cannot simulate: {describe(error)}"
            raise InputError(message, key="--scheduler") from None
        return row


def _distributed() -> Any:
    try:
        return importlib.import_module("distributed")
    except ImportError:
        raise InputError("needs dask[distributed]: pip install 'pimsim[dse]'", key="--scheduler") from None


def _evaluate(version: str, request: PointRequest, files: Held) -> Row:
    """What a worker runs; RuntimeError if its pimsim is another one."""
    if pimsim.__version__ != version:
        raise RuntimeError(f"a worker has pimsim {pimsim.__version__}, the sweep {version}")
    with holding(files):
        return evaluate_request(request, _KEPT)
