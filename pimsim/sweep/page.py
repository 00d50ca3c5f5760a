"""The page of a sweep: DIR/report.html, written from what the folder holds."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pimsim.config.loader import as_text
from pimsim.config.shipped import SWEEPS, written
from pimsim.config.tree import leaves
from pimsim.config.validate import class_of, flat_values
from pimsim.sweep.commands import fixed, from_here, going_on, text_of, texts, words
from pimsim.sweep.definition import Sweep
from pimsim.sweep.folder import JOURNAL, Journal
from pimsim.sweep.reports import made

if TYPE_CHECKING:
    from pimsim.report import Command

REPORT = "report.html"
SHOWN = 100_000  # points of a page


def page_of(
    sweep: Sweep,
    directory: Path,
    journal: Journal,
    front: Sequence[int],
    effects: Sequence[Mapping[str, Any]],
    facts: Mapping[str, Any],
    total: int | None = None,
) -> bytes:
    """The page of finished points.

    front  the numbers of those that no other beats; effects: the rows of sensitivity.csv
    facts  what the folder's manifest says, and `dropped`; total: points of the sweep that was stopped, if it was
    """
    from pimsim.report import About, sweep_html  # jinja2, numpy: not for those who load a sweep

    numbers = shown(list(journal.indexes()), front)
    shard = None if facts["shard"] == "1/1" else str(facts["shard"])
    file = from_here(written(sweep.file, SWEEPS))
    about = About(
        keys=sweep.keys,
        design=str(facts["design"]),
        effects=effects,
        front=frozenset(front),
        reports=made(directory, numbers),
        inputs=list(inputs(sweep)),
        command=_command(sweep),
        go_on=going_on(file, {"--shard": shard}) if file else "",
        shard=shard or "",
        unfinished=0 if total is None else total - journal.finished,
        total=total or 0,
        numbers="the results file" if total is None else JOURNAL,
    )
    rows = (journal.row(number) for number in numbers)
    objectives = [("-" if goal.maximise else "") + goal.name for goal in sweep.objectives]
    meta = {"title": sweep.name, **({"dropped by constraints": facts["dropped"]} if facts["dropped"] else {})}
    if len(numbers) < journal.finished:
        meta["shown"] = f"{len(numbers):,} of {journal.finished:,}, the front among them; all are in {about.numbers}"
    return sweep_html(rows, objectives, meta, about).encode()


def _command(sweep: Sweep) -> Command | None:
    from pimsim.report import Command

    given = {key: text_of(sweep, key, value) for key, value in fixed(sweep).items()}
    return Command(found, given, texts(sweep), f"results/{sweep.name}-") if (found := words(sweep)) else None


def shown(numbers: Sequence[int], front: Collection[int]) -> Sequence[int]:
    """The points that a page has: all, or the front and every n-th."""
    if len(numbers) <= SHOWN:
        return numbers
    step = -(-len(numbers) // (SHOWN - min(len(front), SHOWN // 2)))
    return sorted({*numbers[::step], *front})[:SHOWN]


def inputs(sweep: Sweep) -> Iterator[tuple[str, str, str]]:
    """Every key of the configuration around which the points lie: its value, and who gives it."""
    point: dict[str, Any] = {}
    with suppress(Exception):  # a base that needs what the axes give has the keys that it has
        point = dict(sweep.base.values({}))
    if not point:
        return
    given = {path for path, _ in leaves(sweep.base.tree.entries)}
    ours = set(fixed(sweep))
    for key, value in flat_values(point, class_of(point)):
        if key == "schema" or key.startswith("engine."):
            continue
        who = "set" if _within(key, ours) else "base" if _within(key, given) else "default"
        yield key, as_text(value), who


def _within(key: str, names: Collection[str]) -> bool:
    """Whether a key is one of some names, in one of them, or around one."""
    return any(key == name or key.startswith(f"{name}.") or name.startswith(f"{key}.") for name in names)
