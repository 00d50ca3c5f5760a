"""The studies in pictures: one each, and one of all mechanisms."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from pimsim.plots import style
from pimsim.plots.pictures import Picture, rows_high
from pimsim.reproduce.decoding.found import Answer, Found
from pimsim.reproduce.decoding.jobs import A100, H100, PIM, T4
from pimsim.reproduce.decoding.studies import (
    ATTENTION,
    BATCHED,
    CONTEXTS,
    DECODED,
    DRAFTS,
    HYPOTHESES,
    KEEPS,
    KEPT,
    NAMES,
    QUERIES,
    SKIPPED,
    STATE,
    STATE_CONTEXTS,
    Points,
)
from pimsim.results.csv_text import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = {PIM: style.VERMILION, T4: style.SKY, A100: style.BLUE, H100: style.GREEN}
LINES = ("-", "--", ":")
WIDTH = {H100: 4.0, A100: 3.0, T4: 2.0, PIM: 1.2}  # of lines that may lie on each other, the widest behind
MECHANISMS = "mechanisms"
_COMPARED = (PIM, H100)


def _lines(
    ax: Axes,
    xs: Sequence[int],
    values: Callable[[str], Iterable[float]],
    machines: Sequence[str] = (H100, A100, T4, PIM),
) -> None:
    """A line for each machine, those behind others wider."""
    for machine in machines:
        colour, width = COLOURS[machine], WIDTH[machine]
        ax.plot(xs, list(values(machine)), "o-", color=colour, label=NAMES[machine], markersize=3, linewidth=width)


def _ticks(ax: Axes, xs: Sequence[int], label: str, base: int = 2) -> None:
    ax.set_xscale("log", base=base)
    style.ticks_x(ax, list(xs), [f"{x:,}" for x in xs])
    style.label_x(ax, label)


def _times(ax: Axes, label: str) -> None:
    ax.set_yscale("log")
    style.log_ticks(ax.yaxis)
    style.label_y(ax, label)
    ax.grid()


def query(points: Points, ax: Axes) -> None:
    """Time of a step over its tokens."""
    _lines(ax, QUERIES, lambda machine: (points[f"Q{n}"].step_ns(machine) / 1e6 for n in QUERIES))
    _ticks(ax, QUERIES, "tokens verified in a step")
    _times(ax, "step (ms)")


def speculation(points: Points, ax: Axes) -> None:
    """Speed over plain decoding, by the number of drafts."""
    for line, name in zip(LINES, KEEPS, strict=False):
        for machine in (PIM, H100):
            one = points["none"].token_ns(machine)
            speeds = [one / points[f"{name} {n}"].token_ns(machine) for n in DRAFTS]
            label = f"{NAMES[machine]}, kept: {name}"
            ax.plot(DRAFTS, speeds, f"o{line}", color=COLOURS[machine], label=label, markersize=3)
    ax.axhline(1, color=style.GREY, linewidth=0.8)
    ax.set_xticks(list(DRAFTS))
    ax.set_ylim(bottom=0)
    style.label_x(ax, "drafts in a cycle")
    style.label_y(ax, "speed over plain decoding (x)")
    ax.grid()


def batch(points: Points, ax: Axes) -> None:
    """Time of a step over its sequences, as a share of a T4's."""
    for colour, (model, ns) in zip(style.SERIES, BATCHED.items(), strict=False):
        runs = [points[f"{model} B{n}"] for n in ns]
        ax.plot(ns, [run.step_ns(PIM) / run.step_ns(T4) for run in runs], "o-", color=colour, label=model, markersize=3)
    ax.axhline(1, color=style.GREY, linewidth=0.8)
    ax.set_ylim(bottom=0)
    style.label_x(ax, "sequences")
    style.label_y(ax, "step of PIM-GPT over that of a T4")
    ax.grid()


def prefix(points: Points, ax: Axes) -> None:
    """Time of prefix and output together, over output tokens."""
    for line, name in zip(LINES, KEPT, strict=False):
        for machine in (PIM, T4):
            totals = [points[f"{name} {n}"].costs[machine].all_ns / 1e6 for n in DECODED]
            ax.plot(DECODED, totals, f"o{line}", color=COLOURS[machine], markersize=3,
                    label=f"{NAMES[machine]}, {KEPT[name]} tokens of the prefix")  # fmt: skip
    style.label_x(ax, "output tokens")
    ax.set_ylim(bottom=0)
    style.label_y(ax, "prefix and output (ms)")
    ax.grid()


def retrieval(points: Points, ax: Axes) -> None:
    """Speed over all heads attending to all tokens, by context."""

    def speeds(machine: str) -> Iterable[float]:
        for context in CONTEXTS:
            yield points[f"all {context}"].step_ns(machine) / points[f"streaming {context}"].step_ns(machine)

    _lines(ax, CONTEXTS, speeds, (H100, PIM))
    _ticks(ax, CONTEXTS, "context (tokens)")
    ax.set_ylim(bottom=0)
    style.label_y(ax, "speed with 25 % retrieval heads (x)")
    ax.grid()


def layers(points: Points, ax: Axes) -> None:
    """Share of the time that is left, by layers that run."""
    ran = [24 - n for n in SKIPPED]

    def shares(machine: str) -> Iterable[float]:
        return (100 * points[f"skip {n}"].step_ns(machine) / points["skip 0"].step_ns(machine) for n in SKIPPED)

    _lines(ax, ran, shares, (H100, PIM))
    style.label_x(ax, "layers that run, of 24")
    ax.set_xlim(left=0)
    ax.set_ylim(bottom=0)
    style.label_y(ax, "time of a step (%)")
    ax.grid()


def hypotheses(points: Points, ax: Axes) -> None:
    """Time of a step over one hypothesis, by their number."""
    for line, name in zip(LINES, ("beams", "superposed"), strict=False):
        for machine in (H100, PIM):
            first = points[f"{name} 1"].step_ns(machine)
            steps = [points[f"{name} {n}"].step_ns(machine) / first for n in HYPOTHESES]
            label = f"{NAMES[machine]}, {name}"
            colour, width = COLOURS[machine], WIDTH[machine]
            ax.plot(HYPOTHESES, steps, f"o{line}", color=colour, label=label, markersize=3, linewidth=width)
    style.label_x(ax, "hypotheses")
    ax.set_ylim(bottom=0)
    style.label_y(ax, "time of a step (1 with one)")
    ax.grid()


def states(points: Points, ax: Axes) -> None:
    """Time of a step over the context, of a model with states and one with attention."""
    for line, model in zip(LINES, (ATTENTION, STATE), strict=False):
        for machine in (PIM, H100):
            steps = [points[f"{model} {context}"].step_ns(machine) / 1e3 for context in STATE_CONTEXTS]
            label = f"{NAMES[machine]}, {model}"
            ax.plot(STATE_CONTEXTS, steps, f"o{line}", color=COLOURS[machine], label=label, markersize=3)
    _ticks(ax, STATE_CONTEXTS, "context (tokens)")
    ax.set_ylim(bottom=0)
    style.label_y(ax, "step (µs)")
    ax.grid()


def _mechanisms(found: Found) -> list[Record]:
    """How many times as fast each machine is with a mechanism."""
    return [
        {"mechanism": gain.row.mechanism, **{f"{NAMES[m]}_x": gain.gains[m] for m in _COMPARED}} for gain in found.gains
    ]


def _draw_mechanisms(found: Found, ax: Axes) -> None:
    """The same as dots, with a line from 1, where a mechanism changes nothing."""
    names = [gain.row.mechanism for gain in found.gains]
    for k, machine in enumerate(_COMPARED):
        colour = COLOURS[machine]
        for row, gain in enumerate(found.gains):
            place, value = row + (k - 0.5) * 0.3, gain.gains[machine]
            ax.plot([1, value], [place, place], color=colour, linewidth=1.2, alpha=0.5)
            ax.plot([value], [place], "o", color=colour, markersize=4)
    ax.axvline(1, color=style.BLACK, linewidth=0.8)
    ax.set_xscale("log")
    style.log_ticks(ax.xaxis)
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.tick_params(axis="y", length=0)
    style.label_x(ax, "times as fast as without, for each kept token")
    style.key_below(ax, [style.mark("o", COLOURS[machine], NAMES[machine], line=True) for machine in _COMPARED])
    style.title(ax, "What helps memory that computes, and what helps a GPU")
    ax.grid(axis="x")


PICTURES: Mapping[str, Callable[[Points, Axes], None]] = {
    "query": query,
    "speculation": speculation,
    "batch": batch,
    "prefix": prefix,
    "retrieval": retrieval,
    "layers": layers,
    "hypotheses": hypotheses,
    "states": states,
}


def draw(answer: Answer, ax: Axes) -> None:
    """The picture of a study."""
    PICTURES[answer.study.name](answer.points, ax)
    style.key_below(ax, style.labelled(ax))
    style.title(ax, answer.study.title)


def pictures(found: Found) -> dict[str, Picture]:
    """A picture of each study, and one of all mechanisms, by the name of their files."""
    studies = {answer.study.name: Picture(partial(draw, answer)) for answer in found.answers}
    high = partial(rows_high, len(found.gains), each_in=0.22)
    return studies | {MECHANISMS: Picture(partial(_draw_mechanisms, found), partial(_mechanisms, found), high)}
