"""The reproduction of ways of decoding as tables, on a terminal and as Markdown, and as a folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pimsim.plots.looks import Order
from pimsim.reproduce.decoding.found import INPUTS, Found
from pimsim.reproduce.decoding.jobs import H100, PIM
from pimsim.reproduce.decoding.pictures import pictures
from pimsim.reproduce.decoding.studies import LEFT_OUT, NAMES
from pimsim.reproduce.folder import write
from pimsim.reproduce.sheets import Sheet, number, span, value
from pimsim.workload.decoding.data import mechanisms


def sheets(found: Found) -> Iterator[Sheet]:
    """Every table: figures, answers, mechanisms."""
    yield _figures(found)
    yield _gains(found)


def sentences(found: Found) -> list[tuple[str, str]]:
    """Title and answer of each study."""
    return [(answer.study.title, answer.sentence) for answer in found.answers]


def _figures(found: Found) -> Sheet:
    rows = []
    for figure in found.figures:
        rough, unit = figure.measure.rough, figure.measure.unit
        rows.append(
            (
                figure.measure.name,
                "-" if rough is None else f"{value(rough, unit)}?",
                value(figure.simulated, unit),
                span(figure.low, figure.high, unit),
                "-" if rough is None else f"{figure.simulated / rough - 1:+.0%}",
                figure.decided_by.partition(" (")[0],
            )
        )
    note = (
        "?: a rough figure from a prototype, not from a publication. Interval: the lowest and the highest figure when "
        f"one input at a time is at an end of its range ({', '.join(INPUTS)}). GPUs are at their roofline. "
        f"Left out: {'; '.join(LEFT_OUT)}."
    )
    head = ("figure", "rough", "simulated", "interval", "dev.", "decided by")
    return Sheet("Ways of decoding", head, tuple(rows), note, (0, 5))


def _gains(found: Found) -> Sheet:
    rows = tuple(
        (
            gain.row.mechanism,
            number(gain.gains[PIM]),
            number(gain.gains[H100]),
            number(gain.energy),
            gain.row.against,
        )
        for gain in found.gains
    )
    head = ("mechanism", f"{NAMES[PIM]} (x)", f"{NAMES[H100]} (x)", "energy (x)", "beside")
    note = (
        "How many times as fast a kept token becomes, and how many times less energy it takes on PIM-GPT. The H100 is "
        "at its roofline. The gains of a T4 and an A100 are in the JSON."
    )
    return Sheet("Mechanisms", head, rows, note, (0, 4))


def commands(found: Found) -> str:
    """The table of mechanisms with their sources and commands, as Markdown."""
    lines = [
        "| mechanism | source | trace | PIM-GPT | H100 | left out |",
        "| --- | --- | --- | ---: | ---: | --- |",
    ]
    for gain in found.gains:
        mechanism = mechanisms()[gain.row.mechanism]
        cells = (
            mechanism.name,
            f"{mechanism.paper}: {mechanism.what}",
            f"`{gain.row.command} --out t.jsonl`",
            f"{number(gain.gains[PIM])}x",
            f"{number(gain.gains[H100])}x",
            "; ".join(mechanism.left_out),
        )
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


def markdown(found: Found) -> str:
    """All of it as Markdown."""
    answers = "\n".join(f"- {title}: {sentence}" for title, sentence in sentences(found))
    return "\n\n".join((*(sheet.markdown() for sheet in sheets(found)), f"### Answers\n\n{answers}")) + "\n"


def save(found: Found, directory: str | Path, order: Order | None = None) -> Path:
    """Write reproduction.json, reproduction.md and the pictures; InputError if the folder cannot be written."""
    return write(directory, found.record(), markdown(found), pictures(found), order)
