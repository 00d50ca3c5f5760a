"""The schedule of a trace as the steps that run.

Lines go one after another, and those of a cycle together: the pass of a cycle has one step of the line with
the fewest, and of every other line as many as it has in each.  A prefill goes `chunk` tokens at once, but for
one whose tokens see those behind them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby

import numpy as np

from pimsim.errors import InputError, Problem
from pimsim.workload.graph import Workload
from pimsim.workload.schedule import (
    DRAFTING,
    EVERY,
    VERIFICATION,
    Copied,
    Forked,
    Schedule,
    Shared,
    Stage,
    drawn,
    expected,
    path_of,
)
from pimsim.workload.shapes import ModelShape
from pimsim.workload.trace import records
from pimsim.workload.trace.graphs import Graphs, depends_on_queries, problem, wrong_types
from pimsim.workload.trace.records import BATCH, CONTEXT, QUERY, Acceptance, Trace
from pimsim.workload.trace.writer import lines_of


@dataclass(frozen=True)
class Asked:
    """What a configuration says of how a schedule is run.

    lm_head: what stands around the blocks is run as well.  chunk: tokens of a prompt that a step takes at once.
    sampled, seed: see `workload.schedule`.
    """

    lm_head: bool
    chunk: int = 1
    sampled: bool = False
    seed: int = 0


def schedule_of(trace: Trace, asked: Asked) -> Schedule:
    """The steps of a trace; InputError with every place at which they cannot be run."""
    made = _Making(trace, asked)
    for cycle, lines in groupby(trace.schedule, key=lambda line: line.cycle):
        made.lines(list(lines), bool(cycle))
    return made.finished()


def part_of(line: records.Schedule) -> str:
    """The part of decoding that a line is."""
    if line.phase != "decode":
        return ""
    if line.accept == 0:
        return DRAFTING
    may_keep_less = isinstance(line.accept, Acceptance) or (
        line.accept is not None and line.accept < max(line.binding(step)[QUERY] for step in (line.first, line.last))
    )
    return VERIFICATION if may_keep_less or line.tree else ""


@dataclass
class _Sequences:
    """The sequences of one model: of each the tokens that lie in caches of others, and the context they forked at."""

    branches: tuple[tuple[Shared, ...], ...] = ()
    forked: int = 0


@dataclass
class _Making:
    """Steps as they are made: the columns are stage, context, kept and head of each."""

    trace: Trace
    asked: Asked
    stages: dict[Stage, int] = field(default_factory=dict)
    columns: tuple[list[int], ...] = field(default_factory=lambda: ([], [], [], []))
    before: dict[int, tuple[Copied | Forked, ...]] = field(default_factory=dict)
    after: dict[int, tuple[Copied, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.graphs = Graphs(self.trace, list(wrong_types(self.trace)))
        self.sequences: dict[ModelShape, _Sequences] = {}
        self.known: dict[tuple[object, ...], int] = {}  # stages, by what they are made of
        self.places = {id(line): place for place, line in enumerate(self.trace.schedule)}
        self.done = [0] * len(self.places)  # steps of each line
        self.reached: dict[ModelShape, int] = {}  # the last token of each model that was run
        self.gaps: dict[int, str] = {}  # what is told of lines, by their place

    # -- lines --------------------------------------------------------------------

    def lines(self, lines: Sequence[records.Schedule], cycle: bool) -> None:
        """The steps of a line, or of a cycle."""
        if not cycle:
            for line in lines:
                for step in range(line.first, line.last + 1):
                    self.step(line, step, 0)
            return
        passes = min(line.steps for line in lines)
        kept = 0
        for each in range(passes):
            for line in lines:
                together = line.steps // passes
                for step in range(line.first + each * together, line.first + (each + 1) * together):
                    kept += self.step(line, step, kept)

    def step(self, line: records.Schedule, step: int, kept: int) -> int:
        """One step of a line; the tokens that it keeps."""
        binding = line.binding(step, kept)
        workload = self.graphs.of(line.template, binding)
        if workload is None:
            return binding[QUERY]
        place = self.places[id(line)]
        number = self.done[place] = self.done[place] + 1
        keeps = self._kept(line, binding[QUERY], number)
        self._note_gap(line, workload, binding)
        sequences = self._sequences(line, workload, binding)
        if line.phase == "prefill":
            self._prefill(line, binding, workload, sequences)
            return keeps
        self._moves(line, binding, sequences, number)
        stage = self._stage(line, binding, workload, sequences, binding[QUERY])
        if line.tree:
            self._compact(line, binding, keeps)
        self._add(stage, binding[CONTEXT], keeps, True)
        return keeps

    def _prefill(
        self, line: records.Schedule, binding: Mapping[str, int], workload: Workload, sequences: _Sequences
    ) -> None:
        """A prompt, or a part of one."""
        tokens, last = binding[QUERY], binding[CONTEXT]
        whole = at_once(self.trace.template(line.template), workload)
        chunk = tokens if whole else min(self.asked.chunk, tokens)
        for context in (*range(last - tokens + chunk, last, chunk), last):
            size = chunk if context < last else tokens % chunk or chunk
            stage = self._stage(line, binding, workload, sequences, size, whole)
            self._add(stage, context, size, context == last)

    def _add(self, stage: int, context: int, kept: int, head: bool) -> None:
        for column, value in zip(self.columns, (stage, context, kept, head), strict=True):
            column.append(value)

    @property
    def number(self) -> int:
        """That of the next step."""
        return len(self.columns[0])

    def _note_gap(self, line: records.Schedule, workload: Workload, binding: Mapping[str, int]) -> None:
        """Tokens between the steps of a model that none of them runs; in a cycle a draft has not run what it missed."""
        before, reached = binding[CONTEXT] - binding[QUERY], self.reached.get(workload.shape)
        self.reached[workload.shape] = max(binding[CONTEXT], reached or 0)
        if reached is not None and before > reached and not line.cycle:
            first = f"no step runs tokens {reached + 1:,} to {before:,} of {workload.shape.name}"
            told = f"{first} (line {line.line} of the trace): their K and V are taken to be there"
            self.gaps.setdefault(self.places[id(line)], told)

    # -- what a step keeps ----------------------------------------------------------

    def _kept(self, line: records.Schedule, tokens: int, number: int) -> int:
        """Tokens that the `number`-th step of a line keeps, from 1 on."""
        accept = line.accept
        if not isinstance(accept, Acceptance):
            return tokens if accept is None else accept
        if self.asked.sampled:
            return min(tokens, drawn(accept.mean, accept.positions, self.asked.seed, self.places[id(line)], number))
        return expected(accept.mean, number) - expected(accept.mean, number - 1)

    def _compact(self, line: records.Schedule, binding: Mapping[str, int], keeps: int) -> None:
        """Tokens of the kept path move behind each other."""
        try:
            path = path_of(line.tree, keeps)
        except ValueError as error:
            self.graphs.problems.append(problem(self.trace, line.line, "accept", str(error)))
            return
        first = binding[CONTEXT] - binding[QUERY]
        moved = [Copied(EVERY, EVERY, first + node, first + at, 1) for at, node in enumerate(path) if node != at]
        if moved:
            self.after[self.number] = tuple(moved)

    # -- sequences --------------------------------------------------------------------

    def _sequences(self, line: records.Schedule, workload: Workload, binding: Mapping[str, int]) -> _Sequences:
        """Those of the model, after a fork if the line is one."""
        found = self.sequences.setdefault(workload.shape, _Sequences())
        batch = binding[BATCH]
        if len(found.branches) != batch and not line.fork:
            found.branches, found.forked = ((),) * batch, 0
        if line.fork and batch > len(found.branches):
            self._fork(found, batch, binding[CONTEXT] - binding[QUERY])
        return found

    def _fork(self, found: _Sequences, batch: int, at: int) -> None:
        """New sequences share what the old ones have."""
        old = len(found.branches) or 1
        branches = list(found.branches) or [()]
        for sequence in range(old, batch):
            parent = sequence % old
            branches.append((*branches[parent], Shared(parent, at)) if at else ())
            if at:
                self.before[self.number] = (*self.before.get(self.number, ()), Forked(parent, sequence, at))
        found.branches, found.forked = tuple(branches), at

    def _moves(self, line: records.Schedule, binding: Mapping[str, int], sequences: _Sequences, number: int) -> None:
        """Hypotheses that go on from another one's tokens take over those since the fork."""
        moved = expected(line.reorder, number) - expected(line.reorder, number - 1)
        batch, since = binding[BATCH], sequences.forked
        tokens = binding[CONTEXT] - binding[QUERY] - since
        if not moved or batch < 2 or tokens < 1:
            return
        copies = [Copied(k, (k + 1) % batch, since, since, tokens) for k in range(batch)][: min(moved, batch)]
        self.before[self.number] = (*self.before.get(self.number, ()), *copies)

    # -- stages -------------------------------------------------------------------------

    def _stage(
        self,
        line: records.Schedule,
        binding: Mapping[str, int],
        workload: Workload,
        sequences: _Sequences,
        tokens: int,
        whole: bool = False,
    ) -> int:
        """The number of the stage of a step."""
        key = (id(line), id(workload), binding[BATCH], tokens, sequences.branches)
        if key not in self.known:
            graph, layers = self._layers(line, workload)
            graph = graph if self.asked.lm_head else graph.blocks_only()
            stage = Stage(
                line.template,
                line.phase,
                graph,
                binding[BATCH],
                tokens,
                layers,
                part_of(line),
                line.tree,
                sequences.branches if any(sequences.branches) else (),
                whole,
                line.line,
                self.trace.template(line.template).weights_of,
                workload.blocks,
            )
            self.known[key] = self.stages.setdefault(stage, len(self.stages))
        return self.known[key]

    def _layers(self, line: records.Schedule, workload: Workload) -> tuple[Workload, tuple[int, ...]]:
        """The graph with the layers that run, and which copies of the block those are (empty: all)."""
        per_block = workload.shape.layers // workload.blocks
        if line.layers is None:
            return workload, ()
        layers = tuple(range(line.layers)) if isinstance(line.layers, int) else line.layers
        copies = tuple(dict.fromkeys(layer // per_block for layer in layers))
        if len(copies) * per_block != len(layers):
            which = f"{', '.join(map(str, layers[:8]))}{', ...' * (len(layers) > 8)}"
            message = f"{which}: a block has {per_block} layers, and runs as a whole or not at all"
            self.graphs.problems.append(problem(self.trace, line.line, "layers", message))
            return workload, ()
        if len(copies) == workload.blocks:
            return workload, ()
        return replace(workload, blocks=len(copies)), copies

    def finished(self) -> Schedule:
        """All steps; InputError if there are problems."""
        problems = self.graphs.problems + list(self._wrong())
        if problems:
            raise InputError(problems)
        stage, context, kept, head = self.columns
        return Schedule(
            tuple(self.stages),
            np.array(stage, np.int64),
            np.array(context, np.int64),
            np.array(kept, np.int64),
            np.array(head, bool),
            self.before,
            self.after,
            tuple(self.gaps.values()),
            self._sha256(),
        )

    def _wrong(self) -> Iterator[Problem]:
        if self.graphs.problems:
            return
        if self.asked.lm_head and not any(stage.workload.lm_head for stage in self.stages):
            yield problem(
                self.trace, self.trace.header.line, "", "no template has an LM head: leave out workload.lm_head"
            )
        for stage in self.stages:
            if not stage.workload.operators:
                message = f"template {stage.name!r} has no operators in its blocks: it runs with workload.lm_head: true"
                yield problem(self.trace, stage.line, "template", message)

    def _sha256(self) -> str:
        """Of the lines, and of how they are run."""
        text = "\n".join((*lines_of(self.trace.schedule), repr(self.asked)))
        return hashlib.sha256(text.encode("ascii")).hexdigest()


def at_once(template: records.Template, workload: Workload) -> bool:
    """Whether the tokens of a prefill cannot go one after another."""
    mixed = any(o.op == "attention" and o.append and o.sees_all for o in workload.operators)
    own = any(o.tokens for o in workload.operators)
    return mixed or own or depends_on_queries(template, QUERY)
