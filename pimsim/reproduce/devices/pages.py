"""The marks of devices as tables, on a terminal and as Markdown, and as a folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pimsim.plots.looks import Order
from pimsim.reproduce.devices.found import VERDICTS, Figure, Found
from pimsim.reproduce.folder import write
from pimsim.reproduce.pictures import intervals
from pimsim.reproduce.reproduction import NEAR
from pimsim.reproduce.sheets import Sheet, span, value

PICTURE = "marks"
TICKS = (1 / 4, 1 / 2, 1, 2, 4)


def sheets(found: Found) -> Iterator[Sheet]:
    """The table of the marks that are simulated."""
    rows = tuple(_row(figure) for figure in found.figures if figure.simulated)
    head = ("mark", "published", "simulated", "interval", "dev.", "decided by")
    yield Sheet("Published marks of memories that multiply", head, rows, _note(found), (0, 5))


def _row(figure: Figure) -> tuple[str, ...]:
    mark, simulated = figure.mark, figure.simulated
    assert simulated is not None
    flags = f" {'' if simulated.explained else '!'}{'c' if simulated.circular else ''}".rstrip()
    return (
        mark.name,
        published(figure),
        value(simulated.simulated, mark.unit),
        span(simulated.low, simulated.high, mark.unit) + flags,
        f"{simulated.deviation or 0.0:+.0%}",
        simulated.decided_by.partition(" (")[0],
    )


def published(figure: Figure) -> str:
    """What was published, a range with its ends; what no publication itself was read for is marked."""
    mark = figure.mark
    shown = span(*mark.paper, mark.unit) if isinstance(mark.paper, tuple) else value(mark.paper, mark.unit)
    return shown + ("" if mark.label == "published" else "?")


def _note(found: Found) -> str:
    count = found.count
    marks, missing = sum(count.values()), count[VERDICTS[-1]]
    return (
        f"Of {marks} marks {marks - missing} are simulated: {count['reproduced']} are reproduced to {NEAR:.0%}, "
        f"{count['compatible']} more lie within their interval, {count['outside']} lie outside it (!), and "
        f"{count['circular']} are circular (c), since an input was chosen to meet them. ?: known from somebody's "
        "notes, or derived. Interval: from the figure with all that its source leaves open at the ends that lower it, "
        "to the figure at those that raise it."
    )


def sentences(found: Found) -> list[str]:
    """What decides each mark that is simulated, and why the others are not."""
    told = [f"{figure.mark.name}: {figure.because}" for figure in found.figures if figure.simulated]
    missing: dict[str, list[str]] = {}
    for figure in found.figures:
        if not figure.simulated:
            missing.setdefault(figure.because, []).append(figure.mark.name)
    return told + [f"not simulated: {', '.join(names)}: {because}" for because, names in missing.items()]


def sources(found: Found) -> str:
    """Every mark with its unit, its source and what decides it, as Markdown."""
    lines = ["| mark | what it is | source | what decides it |", "| --- | --- | --- | --- |"]
    for figure in found.figures:
        mark = figure.mark
        because = figure.because if figure.simulated else f"*Not simulated*: {figure.because}"
        lines.append(
            f"| {mark.name} | {published(figure)} {mark.unit}: {mark.of} | {mark.source} ({mark.label}) | {because} |"
        )
    return "\n".join(lines)


def markdown(found: Found) -> str:
    """All of it as Markdown."""
    return "\n\n".join((*(sheet.markdown() for sheet in sheets(found)), sources(found))) + "\n"


def save(found: Found, directory: str | Path, order: Order | None = None) -> Path:
    """Write reproduction.json, reproduction.md and marks.png; InputError if the folder cannot be written."""
    simulated = [figure.simulated for figure in found.figures if figure.simulated]
    marks = intervals(simulated, "Published marks of memories that multiply", "simulated / published", TICKS)
    return write(directory, found.record(), markdown(found), {PICTURE: marks}, order)
