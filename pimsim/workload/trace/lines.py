"""What the lines of a schedule must say of each other, and of the templates that they run.

Kept are the lines of the open cycle (at most `MOST_LINES`), the names of cycles, and of each model how many
sequences it has.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from pimsim.workload.trace.known import Known
from pimsim.workload.trace.records import (
    BATCH,
    CONTEXT,
    QUERY,
    VERSION,
    Acceptance,
    Header,
    Line,
    ModelInfo,
    Schedule,
)
from pimsim.workload.trees import depths_of, is_chain, wrong_tree

MOST_LINES = 1024  # of one cycle
MOST_CYCLES = 1 << 16  # whose names are remembered
_SHOWN = 4  # layers that are named

Wrong = tuple[str, str]  # key and message


@dataclass(frozen=True)
class Entry:
    """A line of the schedule whose names are right."""

    schedule: Schedule
    line: Line
    known: Known
    told: set[str] = field(default_factory=set)  # keys of what is wrong at a step

    @cached_property
    def first(self) -> dict[str, int]:
        """The values of the symbols at its first step."""
        return self.schedule.binding(self.schedule.first)

    @property
    def is_draft(self) -> bool:
        """True if it keeps nothing: its tokens are to be verified."""
        return self.schedule.accept == 0


@dataclass(frozen=True)
class At:
    """A step at which everything is to be tried: what holds at both ends of a line holds between."""

    entry: Entry
    step: int
    kept: int = 0

    @cached_property
    def binding(self) -> dict[str, int]:
        """The values of the symbols."""
        if (self.step, self.kept) == (self.entry.schedule.first, 0):
            return self.entry.first
        return self.entry.schedule.binding(self.step, self.kept)

    def __str__(self) -> str:
        return f"step {self.step}" + (f", kept {self.kept}" if self.kept else "")


@dataclass
class Lines:
    """The lines so far.

    cycle     the lines of the open cycle; broken: one of them is wrong by itself, so that passes are not known
    ended     the first line of each cycle that has ended
    before    the last line of each model
    draft     the last line that keeps nothing, if no line of another model came after it
    """

    header: Header
    cycle: list[Entry] = field(default_factory=list)
    name: str = ""
    broken: bool = False
    ended: dict[str, int] = field(default_factory=dict)
    before: dict[ModelInfo, Entry] = field(default_factory=dict)
    draft: Entry | None = None
    torn: bool = False  # a line could not be read: the next one's cycle may have begun there
    told: set[str] = field(default_factory=set)  # templates whose vocabulary is told

    def skip(self, schedule: Schedule) -> Iterator[At]:
        """A line that is wrong by itself."""
        yield from self._enter(schedule)
        self.broken = True

    def unread(self) -> None:
        """A line that cannot be read: it may be of any cycle."""
        self.broken = self.torn = True

    def add(self, entry: Entry) -> Iterator[At]:
        """Take in a line: steps that are to be tried, of this line and of a cycle that has ended."""
        schedule = entry.schedule
        yield from self._enter(schedule)
        for key, message in self._wrong(entry):
            entry.line.problem(key, message)
        yield At(entry, schedule.first)
        if schedule.cycle and len(self.cycle) < MOST_LINES:
            self.cycle.append(entry)
        elif schedule.cycle:
            self.broken = True
            entry.line.problem("cycle", f"has more than {MOST_LINES} lines; steps that are alike share one")
        elif schedule.last != schedule.first:
            yield At(entry, schedule.last)
        self.before[entry.known.model] = entry

    def close(self) -> Iterator[At]:
        """The open cycle has ended."""
        entries, self.cycle = self.cycle, []
        if entries and len(self.ended) < MOST_CYCLES:
            self.ended.setdefault(self.name, entries[0].schedule.line)
        if entries and not self.broken:
            yield from _passes(entries)
        self.name, self.broken = "", False

    def _enter(self, schedule: Schedule) -> Iterator[At]:
        torn, self.torn = self.torn, False
        if schedule.cycle != self.name:
            yield from self.close()
            self.name, self.broken = schedule.cycle, torn

    # ---- one line

    def _wrong(self, entry: Entry) -> Iterator[Wrong]:
        schedule = entry.schedule
        if schedule.cycle and not self.cycle and schedule.cycle in self.ended:
            first = self.ended[schedule.cycle]
            message = f"the cycle {schedule.cycle!r} of line {first} has ended; its lines stand one behind the other"
            yield "cycle", f"{message}: move this one there, or give it another name"
        yield from _wrong_layers(schedule, entry.known)
        yield from _wrong_masks(entry)
        yield from self._wrong_sequences(entry)
        self._check_words(entry)

    def _wrong_sequences(self, entry: Entry) -> Iterator[Wrong]:
        """A fork makes more sequences of those that were there; without one none come to be."""
        schedule, batch = entry.schedule, entry.first[BATCH]
        before = self.before.get(entry.known.model)
        if schedule.fork and batch != schedule.fork:
            yield "bindings.B", f"is {batch}, but after `fork` there are {schedule.fork} sequences; say {schedule.fork}"
        if before is None:
            return
        there = before.schedule.fork or before.first[BATCH]
        if schedule.fork and schedule.fork < there:
            grows = f"a fork shares what is there among more of them; {there} or more"
            yield "fork", f"is {schedule.fork}, but line {before.schedule.line} has {there} sequences: {grows}"
        elif not schedule.fork and batch > there and _goes_on(before, entry) and self.header.version != VERSION:
            more = f"line {before.schedule.line} has {there}, and it goes on from there; say `fork`: {batch}"
            yield "bindings.B", f"is {batch}, but {more}"

    def _check_words(self, entry: Entry) -> None:
        """Models that draft and verify together have one vocabulary."""
        others = [*self.cycle, *([self.draft] if self.draft else [])]
        for other in others:
            if not _differ(entry.known, other.known):
                continue
            # One of them has a model of its own, which is named; of two that of what drafts.
            own = min(entry, other, key=lambda each: (each.known.template.model is None, not each.is_draft))
            there = other if own is entry else entry
            if own.known.template.id not in self.told:
                self.told.add(own.known.template.id)
                what = f"line {own.schedule.line} of the schedule runs it with {there.known.template.id!r}"
                own.known.line.problem(
                    "model.vocabulary",
                    f"is {own.known.model.vocabulary}, but {what}, whose model has {there.known.model.vocabulary}: "
                    "a draft has the vocabulary of the model that verifies it",
                )
        if entry.is_draft:
            self.draft = entry
        elif self.draft and self.draft.known.model != entry.known.model:
            self.draft = None


def _differ(one: Known, other: Known) -> bool:
    """True if two templates are of models with words of their own that are not the same."""
    return one.model.vocabulary != other.model.vocabulary and one.words and other.words


def _goes_on(before: Entry, entry: Entry) -> bool:
    """True if a line decodes what another one has begun: the same graph, at later tokens."""
    lines = (before.schedule, entry.schedule)
    ends = before.schedule.binding(before.schedule.last)
    return (
        all(line.phase == "decode" for line in lines)
        and before.known is entry.known
        and entry.first[CONTEXT] > ends[CONTEXT]
    )


def _wrong_layers(schedule: Schedule, known: Known) -> Iterator[Wrong]:
    """Layers that the model has, each once and in order, and whole blocks of them."""
    if schedule.layers is None:
        return
    has, span = known.model.layers, known.template.layers
    if isinstance(schedule.layers, int):
        if schedule.layers > has:
            yield "layers", f"{schedule.layers}, but the model has {has}"
        elif schedule.layers % span:
            whole = schedule.layers - schedule.layers % span
            yield "layers", f"{schedule.layers}, but {_spans(known)}: {f'{whole} or ' * (whole > 0)}{whole + span}"
        return
    layers = schedule.layers
    for i, layer in enumerate(layers):
        if layer >= has:
            yield f"layers.{i}", f"{layer}, but the model has {has}: 0 to {has - 1}"
        elif i and layer <= layers[i - 1]:
            yield f"layers.{i}", f"{layer} stands behind {layers[i - 1]}; each layer is there once, in their order"
    blocks = {layer // span for layer in layers if layer < has}
    missing = sorted({block * span + i for block in blocks for i in range(span)} - set(layers))
    if missing and span > 1:
        names = ", ".join(map(str, missing[:_SHOWN])) + ", ..." * (len(missing) > _SHOWN)
        yield "layers", f"{_spans(known)}: {names} run with those that are there; add them, or leave the block out"


def _spans(known: Known) -> str:
    span = known.template.layers
    return f"a block of {known.template.id!r} is {span} layers, which run together"


def _wrong_masks(entry: Entry) -> Iterator[Wrong]:
    """What an attention says of a step's tokens agrees with their tree."""
    tree, masks = entry.schedule.tree, entry.known.masks
    at = f"line {entry.schedule.line} of the schedule"
    for mask in ("causal", "block") if not is_chain(tree) else ():
        if mask in masks:
            line, _ = masks.pop(mask)
            line.problem("mask", f"is {mask}, but {at} has a tree: say tree, or nothing")
    if not tree and "tree" in masks:
        _, op = masks["tree"]
        yield "tree", f"is missing: the mask of {op!r} is tree; say which token follows which, or no `mask`"


def wrong_steps(at: At) -> Iterator[Wrong]:
    """What does not fit at one step: bindings, and what is kept of how many tokens."""
    schedule, binding = at.entry.schedule, at.binding
    for message in wrong_context(binding):
        yield "bindings", f"{message} at {at}"
    tokens = binding[QUERY]
    if schedule.tree and len(schedule.tree) != tokens:
        yield "tree", f"has {len(schedule.tree)} tokens, but step {at.step} has {tokens}: one for each of Q"
    yield from _wrong_acceptance(schedule, tokens, at.step)


def wrong_context(binding: Mapping[str, int]) -> Iterator[str]:
    """Values of symbols that no step has."""
    for symbol, value in binding.items():
        if value < 1:
            yield f"{symbol} is {value}"
    if min(binding.values()) >= 1 and binding[CONTEXT] < binding[QUERY]:
        yield f"{binding[QUERY]} query tokens, but a context of {binding[CONTEXT]}"


def _wrong_acceptance(schedule: Schedule, tokens: int, step: int) -> Iterator[Wrong]:
    accept = schedule.accept
    if isinstance(accept, Acceptance) and accept.positions:
        if len(accept.positions) > tokens - 1:
            drafts = f"step {step} has {tokens} query tokens, of which one is the target's own"
            yield "accept.positions", f"has {len(accept.positions)}, but {drafts}: {tokens - 1} at most"
    elif isinstance(accept, Acceptance) and accept.mean > tokens:
        yield "accept.mean", f"{float(accept.mean):g}, but step {step} has {tokens} query tokens, and keeps no more"
    elif isinstance(accept, int) and accept > tokens:
        yield "accept", f"{accept}, but step {step} has {tokens} query tokens, and keeps no more"


def wrong_alone(schedule: Schedule) -> Iterator[Wrong]:
    """What is wrong with a line whatever its bindings and its template are."""
    positions = schedule.accept.positions if isinstance(schedule.accept, Acceptance) else ()
    for i, (one, other) in enumerate(zip(positions, positions[1:], strict=False), 1):
        if other > one:
            why = "a draft is kept only with those before it"
            yield f"accept.positions.{i}", f"{float(other):g} is more than {float(one):g} before it: {why}"
    if not schedule.tree:
        return
    wrong = list(wrong_tree(schedule.tree))
    yield from wrong
    if not wrong:
        yield from _wrong_path(schedule, max(depths_of(schedule.tree)) + 1)


def _wrong_path(schedule: Schedule, longest: int) -> Iterator[Wrong]:
    """Nothing beyond a path of the tree is kept."""
    accept, tree = schedule.accept, f"the longest path of the tree has {longest}"
    if accept is None and longest < len(schedule.tree):
        yield "accept", f"is missing: a step would keep all {len(schedule.tree)} tokens, but {tree}"
    elif isinstance(accept, int) and accept > longest:
        yield "accept", f"{accept}, but {tree} tokens"
    elif isinstance(accept, Acceptance) and accept.positions and len(accept.positions) > longest - 1:
        yield "accept.positions", f"has {len(accept.positions)}, but {tree} tokens, the target's own among them"
    elif isinstance(accept, Acceptance) and not accept.positions and accept.mean > longest:
        yield "accept.mean", f"{float(accept.mean):g}, but {tree} tokens"


# ---- a cycle


def _passes(entries: list[Entry]) -> Iterator[At]:
    """The lines of a cycle run equally often; their last steps, with what is kept until the last pass begins."""
    least = min(entries, key=lambda entry: entry.schedule.steps)
    passes = least.schedule.steps
    odd = [entry for entry in entries if entry.schedule.steps % passes]
    for entry in odd:
        steps, of = entry.schedule.steps, f"the cycle passes {passes} times (line {least.schedule.line})"
        below = steps - steps % passes
        entry.line.problem("steps", f"{steps}, but {of}: as many, or a multiple, {below} or {below + passes}")
    if odd:
        return
    kept = sum(_kept(entry, entry.schedule.steps // passes * (passes - 1)) for entry in entries)
    for entry in entries:
        yield At(entry, entry.schedule.last, kept)


def _kept(entry: Entry, steps: int) -> int:
    """Tokens that the first steps of a line keep, as it is expected."""
    accept = entry.schedule.accept
    if isinstance(accept, Acceptance):
        return int(accept.mean * steps)
    return (entry.first[QUERY] if accept is None else accept) * steps
