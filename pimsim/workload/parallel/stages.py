"""How the blocks of a model are cut into stages that follow each other, each on devices of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from pimsim.errors import InputError
from pimsim.workload.graph import Workload
from pimsim.workload.ops import Operator

KEY = "system.pipeline"


@dataclass(frozen=True)
class Stage:
    """`count` equal stages that follow each other: `blocks` blocks each, the first from `first_block` on (from 0)."""

    count: int
    first_block: int
    blocks: int
    workload: Workload


def stages(workload: Workload, pipeline: int) -> list[Stage]:
    """The stages of a pipeline, equal neighbours folded; the graph itself for one stage.

    The first keeps what comes before the blocks, the last what comes after them.  Where the blocks do not divide,
    stages in the middle have one more, then the first: the last one carries the LM head, the first a look-up.
    A matrix that is tied to a table of another stage is there a copy of its own.

    InputError if there are fewer blocks than stages.
    """
    if pipeline == 1:
        return [Stage(1, 0, workload.blocks, workload)]
    if not 1 <= pipeline <= workload.blocks:
        what = f"a pipeline of {pipeline} stages is longer than the {workload.blocks} blocks"
        raise InputError(what if pipeline > 1 else f"a pipeline of {pipeline} stages", key=KEY)
    return list(_folded(_each(workload, _shares(workload.blocks, pipeline))))


def _shares(blocks: int, pipeline: int) -> list[int]:
    """Blocks of each stage."""
    least, more = divmod(blocks, pipeline)
    middle = min(more, pipeline - 2)
    return [least + (more > middle), *([least + 1] * middle), *([least] * (pipeline - 2 - middle)), least]


def _each(workload: Workload, shares: list[int]) -> Iterator[Stage]:
    first, last = 0, len(shares) - 1
    for i, blocks in enumerate(shares):
        scopes = {"block"} | ({"once_before"} if i == 0 else set()) | ({"once_after"} if i == last else set())
        kept = tuple(o for o in workload.operators if o.scope in scopes)
        yield Stage(1, first, blocks, replace(workload, operators=tuple(_untied(kept)), blocks=blocks))
        first += blocks


def _untied(operators: tuple[Operator, ...]) -> Iterator[Operator]:
    names = {operator.name for operator in operators}
    for operator in operators:
        yield operator if operator.tied in names else replace(operator, tied="")


def _folded(each: Iterable[Stage]) -> Iterator[Stage]:
    before: Stage | None = None
    for stage in each:
        if before is not None and before.workload == stage.workload:
            before = replace(before, count=before.count + 1)
            continue
        if before is not None:
            yield before
        before = stage
    if before is not None:
        yield before
