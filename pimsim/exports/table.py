"""Latency and energy of a step by operator, context and batch: what serving simulators look up.

Every point is simulated by itself, as a run of one step from rest.  Nothing is interpolated.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import pimsim
from pimsim import api
from pimsim.config.resolved import config_sha256
from pimsim.config.schema import Config
from pimsim.energy.model import table_of
from pimsim.errors import InputError, Problem, collected
from pimsim.exports.steps import Tell, decoding, plain, prefilling, prepared, unknown
from pimsim.files import whole_file
from pimsim.results.csv_text import csv_parts

SCHEMA = "pimsim.latency-table/1"
SUFFIXES = (".csv", ".json")
NAMED = 3  # of many points that have the same problem
STEP = "step"  # the row that is the sum of the others
FIRST, MOST_CONTEXT, BATCHES = 128, 1 << 17, (1, 2, 4, 8)  # of the points that nobody asked for
UNITS = {
    "phase": "decode or prefill",
    "operator": f"kind of operator of all blocks together; {STEP}: all of them",
    "context_tokens": "tokens in K and V at the end of the step, its own included",
    "step_tokens": "tokens of a sequence that the step takes",
    "batch": "sequences",
    "count": "operators of the kind in a step",
    "latency_ns": "ns that the operators add to the step",
    "energy_pJ": "pJ",
}
ROW = "A row is what the operators of one kind add to one step that starts from rest, "
SUMS = (
    "The rows of a phase, context and batch sum to the row `step`. Points between two contexts are "
    "not in the table: the step's time is no straight line between them where a row, a buffer or a channel fills up."
)
ONE = "on this device, every command and refresh simulated."
MANY = (
    "on a system of {devices} devices, every command and refresh simulated. Times are of the average device: what it "
    "worked, sent and waited for until the system's step was done. Energy is that of all devices and links."
)
BESIDE = (
    "on this device with {machine} beside it. What the device does is simulated, with every command and refresh; what "
    "the machine does takes what its compiled model says, and messages over the link and launches are rows "
    "as well. Energy is that of both and of the link."
)
Row = dict[str, Any]
Asked = tuple[str, int | None, int | None]  # of a point: phase, context and batch; None: nobody asked for this one


class Point(NamedTuple):
    """A step: its phase, the context after it, and its sequences."""

    phase: str
    context: int
    batch: int

    def __str__(self) -> str:
        return f"{self.phase} at context {self.context}, batch {self.batch}"

    def loaded(self, config: Config) -> api.Loaded:
        """The run that has this step alone."""
        return (decoding if self.phase == "decode" else prefilling)(config, self.context, self.batch)


@dataclass(frozen=True)
class Table:
    """What was simulated.

    rows      in order of phase, batch and context; left_out: points that nobody asked for and that are refused
    means     what a row says; warnings: of all points, each once
    config_sha256, trace_sha256  as in `summary.json`, of the configuration as it was given
    """

    name: str
    config_sha256: str
    trace_sha256: str
    rows: tuple[Row, ...]
    left_out: tuple[str, ...]
    warnings: tuple[str, ...]
    means: str

    @property
    def sha256(self) -> str:
        """Of the rows, as JSON without spaces."""
        return hashlib.sha256(json.dumps(self.rows, separators=(",", ":")).encode("ascii")).hexdigest()

    def about(self) -> dict[str, Any]:
        """All but the rows."""
        return {
            "schema": SCHEMA,
            "pimsim_version": pimsim.__version__,
            "name": self.name,
            "config_sha256": self.config_sha256,
            "trace_sha256": self.trace_sha256,
            "table_sha256": self.sha256,
            "columns": UNITS,
            "means": self.means,
            "left_out": list(self.left_out),
            "warnings": list(self.warnings),
        }

    def save(self, path: Path) -> list[Path]:
        """Write FILE.json, or FILE.csv with all else in FILE.csv.json; the files.  InputError for another name."""
        if suffix_of(path) == ".json":
            return _written({path: [_json(self.about() | {"rows": list(self.rows)})]})
        return _written({path: csv_parts(self.rows), beside(path): [_json(self.about())]})


def suffix_of(path: Path) -> str:
    """Its format; InputError if it is none of SUFFIXES."""
    if path.suffix.lower() in SUFFIXES:
        return path.suffix.lower()
    raise InputError(Problem(str(path), 1, 1, "", f"a latency table's name ends in {' or '.join(SUFFIXES)}"))


def beside(path: Path) -> Path:
    """Where that stands which a format has no place for."""
    return path.with_name(f"{path.name}.json")


def _json(value: Any) -> str:
    return json.dumps(value, indent=2) + "\n"


def _written(texts: dict[Path, Iterable[str]]) -> list[Path]:
    with ExitStack() as stack:
        files = {path: stack.enter_context(whole_file(path)) for path in texts}
        for path, parts in texts.items():
            files[path].writelines(part.encode() for part in parts)
    return list(texts)


def latency_table(
    config: Config,
    contexts: Sequence[int] | None = None,
    batches: Sequence[int] | None = None,
    prefill: Sequence[int] = (),
    progress: Callable[[int, int], None] | None = None,
    tell: Tell | None = None,
) -> Table:
    """Simulate one step at each context and batch.

    contexts  None: 128 and its doubles up to the model's positions; batches: None: 1, 2, 4 and 8; of both what fits
    prefill   tokens of prompts, each of which is one step
    progress  called with (points done, points in all); tell: once, with what is odd about any point
    InputError, before anything is simulated, with every context, prompt and batch that was asked for and of which no
    point can be; if nothing was, with why there is none at all.
    """
    points = _points(plain(config, "a latency table"), contexts, batches, prefill)
    left_out, rows, trace, odd = _refused(config, points), list[Row](), "", _Odd()
    todo = [point for point in points if point not in left_out]
    for number, point in enumerate(todo, 1):
        loaded = point.loaded(config)
        result = api.run(prepared(loaded))
        trace = trace or str(result.summary["trace_sha256"])
        rows += _rows(point, result.records("operators"), config.workload.query_tokens)
        rows.append(_step(point, result, config.workload.query_tokens))
        odd.add(point, unknown(loaded, result.odd), result.warnings[len(result.odd) :])
        if progress:
            progress(number, len(todo))
    if tell:
        tell(odd.problems)
    hashed = config_sha256(config, table_of(config).digest)
    notes = (f"{point}: {why}" for point, why in left_out.items())
    return Table(config.name, hashed, trace, tuple(rows), tuple(notes), odd.messages, meaning(config))


def meaning(config: Config) -> str:
    """What a row of its table says."""
    where = MANY if config.system.several else BESIDE if config.placement.key else ONE
    machines = " and ".join(config.placement.named)
    return f"{ROW}{where.format(devices=config.system.devices, machine=machines)} {SUMS}"


class _Odd:
    """What is odd about any point, each once."""

    def __init__(self) -> None:
        self._input: list[Problem] = []
        self._figures: dict[str, list[tuple[Point, Problem]]] = {}

    def add(self, point: Point, odd: Iterable[Problem], figures: Iterable[Problem]) -> None:
        """Of a point's input and figures, but for baselines, and tokens that a prompt does not keep."""
        self._input += odd
        for problem in figures:
            if problem.key not in ("workload.output_tokens", "workload.trace") and not problem.key.startswith(
                "baselines"
            ):
                self._figures.setdefault(problem.key, []).append((point, problem))

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Those of the input first; figures differ from point to point, so those of a key are told as the first is."""
        found = (_about([point for point, _ in those], those[0][1]) for those in self._figures.values())
        return tuple(dict.fromkeys((*self._input, *found)))

    @property
    def messages(self) -> tuple[str, ...]:
        """Without their places."""
        return tuple(dict.fromkeys(problem.message for problem in self.problems))


def _points(
    config: Config, contexts: Sequence[int] | None, batches: Sequence[int] | None, prefill: Sequence[int]
) -> dict[Point, Asked]:
    """The points in their order, each with what of it was asked for."""
    some = _doubles(_positions(config)) if contexts is None else list(contexts)
    points = [Point("decode", context, batch) for batch in batches or BATCHES for context in some]
    points += [Point("prefill", tokens, batch) for batch in batches or BATCHES for tokens in prefill]
    return {point: _asked(point, contexts, batches) for point in points}


def _asked(point: Point, contexts: Sequence[int] | None, batches: Sequence[int] | None) -> Asked:
    any_context = contexts is None and point.phase == "decode"
    return point.phase, None if any_context else point.context, None if batches is None else point.batch


def _positions(config: Config) -> int:
    from pimsim.workload.source import requested_trace, requested_workload

    return requested_workload(config, requested_trace(config)).shape.max_positions


def _doubles(most: int) -> list[int]:
    """128 and its doubles; what there is of a model that has fewer positions."""
    found = [FIRST << n for n in range(MOST_CONTEXT.bit_length()) if FIRST << n <= min(most, MOST_CONTEXT)]
    return found or [most]


def _refused(config: Config, points: dict[Point, Asked]) -> dict[Point, str]:
    """The points that cannot be simulated, each with why; InputError if nothing is left of what was asked for."""
    wrong = {point: found for point in points if (found := _problems(config, point))}
    have = {asked for point, asked in points.items() if point not in wrong}
    missing = [asked for asked in dict.fromkeys(points.values()) if asked not in have]
    if missing:
        raise InputError(_named(chain.from_iterable(_reasons(wrong, points, asked) for asked in missing)))
    return {point: found[0].message for point, found in wrong.items()}


def _problems(config: Config, point: Point) -> list[Problem]:
    found: list[Problem] = []
    with collected(found):
        prepared(point.loaded(config))
    return found


def _reasons(
    wrong: dict[Point, list[Problem]], points: dict[Point, Asked], asked: Asked
) -> Iterator[tuple[Point, Problem]]:
    """Why none of some points can be simulated: of each key, what the first point has that it refuses."""
    known = set[str]()
    for point in (each for each in wrong if points[each] == asked):
        new = [problem for problem in wrong[point] if problem.key not in known]
        known.update(problem.key for problem in new)
        yield from ((point, problem) for problem in new)


def _named(found: Iterable[tuple[Point, Problem]]) -> Iterator[Problem]:
    """Problems that say of which points they are, each once."""
    points: dict[Problem, list[Point]] = {}
    for point, problem in found:
        points.setdefault(problem, []).append(point)
    yield from (_about(those, problem) for problem, those in points.items())


def _about(points: Sequence[Point], problem: Problem) -> Problem:
    """The problem with the names of its points; of many, those of the first and how many more there are."""
    named = points if len(points) <= NAMED + 1 else points[:NAMED]
    more = f" and {len(points) - NAMED} others" if len(named) < len(points) else ""
    return replace(problem, message=f"{'; '.join(map(str, named))}{more}: {problem.message}")


def _rows(point: Point, records: Iterable[Row], query: int) -> Iterator[Row]:
    for record in records:
        if record["phase"] == point.phase:
            yield _row(point, query, *(record[name] for name in ("operator", "count", "latency_ns", "energy_pJ")))


def _step(point: Point, result: Any, query: int) -> Row:
    cycles = result.tally.decode_cycles if point.phase == "decode" else result.tally.prefill_cycles
    latency = cycles * result.tally.tCK_ps / 1000
    return _row(point, query, STEP, 1, latency, result.energy.total_pJ(point.phase))


def _row(point: Point, query: int, operator: str, count: int, latency_ns: float, energy_pJ: float) -> Row:
    tokens = query if point.phase == "decode" else point.context
    values = (point.phase, operator, point.context, tokens, point.batch, count, latency_ns, energy_pJ)
    return dict(zip(UNITS, values, strict=True))
