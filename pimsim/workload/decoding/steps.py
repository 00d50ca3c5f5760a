"""Lines of a schedule: the prompt, drafts, verification, cycles."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil

from pimsim.errors import InputError
from pimsim.workload.decoding.data import Mechanism
from pimsim.workload.decoding.source import Source
from pimsim.workload.trace.expr import Expr
from pimsim.workload.trace.records import (
    BATCH,
    CONTEXT,
    KEPT,
    QUERY,
    STEP,
    Acceptance,
    Schedule,
    Template,
    Trace,
)


@dataclass(frozen=True)
class Asked:
    """What is wanted of any schedule.

    prompt   tokens that are prefilled first; context: tokens before them whose K and V are there already
    tokens   that are to be kept, at least, of each sequence
    batch    sequences
    """

    prompt: int = 128
    tokens: int = 64
    batch: int = 1
    context: int = 0

    @property
    def base(self) -> int:
        """Tokens before the first that is decoded."""
        return self.context + self.prompt


def bound(context: Expr, batch: int, tokens: int) -> dict[str, Expr]:
    """Bindings of a line."""
    return {CONTEXT: context, BATCH: Expr(batch), QUERY: Expr(tokens)}


def after(tokens: int) -> Expr:
    """The context of a token that stands `tokens` places behind what its cycle has kept."""
    return Expr(tokens, ((KEPT, 1),))


def prompt(asked: Asked, *templates: str, context: int | None = None, tokens: int | None = None) -> list[Schedule]:
    """The prompt on each template; nothing if there is none.

    context, tokens: where a template does not take what the others do.
    """
    tokens = asked.prompt if tokens is None else tokens
    context = asked.base if context is None else context
    if not tokens:
        return []
    bindings = bound(Expr(context), asked.batch, tokens)
    return [Schedule("prefill", 0, 0, template, bindings) for template in templates]


def decode(template: str, steps: int, context: Expr, batch: int, tokens: int = 1, **more: object) -> Schedule:
    """Decode steps of one template."""
    line = Schedule("decode", 0, steps - 1, template, bound(context, batch, tokens))
    return replace(line, **more)  # type: ignore[arg-type]


def drafts_of(template: str, levels: Iterable[int], asked: Asked) -> list[Schedule]:
    """Steps of a draft, one for each depth: it runs for so many tokens, which do not see each other.

    The token at depth d attends to what is kept, the d tokens above it and itself.
    """
    made = []
    for depth, tokens in enumerate(levels):
        tree = (-1,) * tokens if tokens > 1 else ()
        context = after(asked.base + depth + tokens)
        made.append(decode(template, 1, context, asked.batch, tokens, accept=0, tree=tree))
    return made


def verification(
    template: str, asked: Asked, tokens: int, acceptance: Acceptance, tree: tuple[int, ...] = (), **more: object
) -> Schedule:
    """The step that checks the drafts and the known token before them, `tokens` together."""
    accept = None if acceptance.mean == tokens else acceptance
    context = after(asked.base + tokens)
    return decode(template, 1, context, asked.batch, tokens, accept=accept, tree=tree, **more)


def with_layers(line: Schedule, layers: int | tuple[int, ...] | None) -> Schedule:
    """The line with some of the layers (None: all)."""
    return line if layers is None else replace(line, layers=layers)


def repeated(lines: Iterable[Schedule], cycle: str, passes: int) -> list[Schedule]:
    """The lines as a cycle of so many passes; one with n steps has them in each."""
    return [replace(line, cycle=cycle, last=passes * line.steps - 1) for line in lines]


def passes(asked: Asked, mean: Fraction) -> int:
    """Passes that keep `asked.tokens`, if each keeps `mean`."""
    return ceil(asked.tokens / mean)


def fits(asked: Asked, source: Source, last: int) -> None:
    """InputError if the model has no position for the last token of the schedule."""
    positions = source.model.max_positions
    if last > positions:
        message = (
            f"the last step reaches token {last:,}, and {source.model.name} has {positions:,} positions; "
            "ask for fewer tokens, or a shorter prompt"
        )
        raise InputError(message, key="--tokens")


def reach(asked: Asked, mean: Fraction, tokens: int) -> int:
    """The context of the last token of a cycle whose last pass runs `tokens`."""
    return asked.base + int(mean * (passes(asked, mean) - 1)) + tokens


def made(
    source: Source, mechanism: Mechanism, templates: Iterable[Template], lines: Iterable[Schedule], **notes: str
) -> Trace:
    """A trace with what made it in its header."""
    producer: Mapping[str, str] = {
        **source.header.producer, "schedule": mechanism.name, "paper": mechanism.paper, **notes,
    }  # fmt: skip
    return Trace(replace(source.header, producer=producer), tuple(templates), tuple(lines))


def plain(step: int) -> Expr:
    """The context of step i of plain decoding behind `step` tokens."""
    return Expr(step + 1, ((STEP, 1),))
