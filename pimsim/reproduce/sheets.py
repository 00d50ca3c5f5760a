"""The reproduction as tables: one description, shown on a terminal of 80 columns and as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from textwrap import fill
from typing import TYPE_CHECKING

from pimsim.reproduce.curves import CURVES
from pimsim.reproduce.data import Published, inferences, published
from pimsim.reproduce.figures import GPT2
from pimsim.reproduce.reproduction import NEAR, Reproduction
from pimsim.reproduce.runs import TOKENS
from pimsim.reproduce.values import A100, H100, NEWER, T4, XEON, newer
from pimsim.results.written import readable

if TYPE_CHECKING:
    from rich.console import Console

WIDTH = 80
_ENDS = ("lowest", "highest")


@dataclass(frozen=True)
class Sheet:
    """A table: title, column heads, rows of text (the first column is words, the others numbers), and a note."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    words: tuple[int, ...] = (0,)

    def markdown(self) -> str:
        """The sheet as Markdown, its title a heading of level 3."""
        lines = [self.head, tuple("---" if i in self.words else "---:" for i in range(len(self.head))), *self.rows]
        table = "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
        return f"### {self.title}\n\n" + (f"{self.note}\n\n" if self.note else "") + table

    def print(self, console: Console) -> None:
        """The sheet on a terminal."""
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
        for i, head in enumerate(self.head):
            justify = "left" if i in self.words else "right"
            table.add_column(Text(head), justify=justify, overflow="fold", no_wrap=i == 0)  # type: ignore[arg-type]
        for row in self.rows:
            table.add_row(*map(Text, row))
        console.print(Text(self.title, style="bold underline"))
        if self.note:
            console.print(Text(fill(self.note, WIDTH)), style="dim")
        console.print(table, width=min(WIDTH, console.width))
        console.print()


def number(value: float) -> str:
    """Three significant digits, every digit before the point."""
    if value == 0:
        return "0"
    return (
        f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}" if abs(value) < 0.001 else f"{value:#.3g}".rstrip(".")
    )


def span(low: float, high: float, unit: str) -> str:
    """A range, a share in per cent."""
    return f"{100 * low:.3g}-{100 * high:.3g}%" if unit == "share" else f"{number(low)}-{number(high)}"


def value(figure: float, unit: str) -> str:
    """A figure, a share in per cent."""
    return f"{100 * figure:.3g}%" if unit == "share" else number(figure)


def paper_of(published: Published) -> str:
    """The paper's figure, a range with its ends; one that is not the paper's own words is marked."""
    mark = "" if published.label == "paper" else "?"
    if isinstance(published.paper, tuple):
        return span(*published.paper, published.unit) + mark
    return value(published.paper, published.unit) + mark


def sheets(found: Reproduction) -> Iterator[Sheet]:
    """Every table of the reproduction, the published figures first."""
    yield _published(found)
    yield _models(found)
    yield _speedups(found)
    yield _energies(found)
    yield _newer(found)
    yield from _curves(found)
    yield _contexts(found)
    yield _limits(found)
    yield _variants(found)
    yield _prices(found)
    yield _candidates(found)


def _published(found: Reproduction) -> Sheet:
    rows, inputs = [], []
    for figure in found.figures:
        if figure.published is not None:
            name, _, _ = figure.decided_by.partition(" (")
            inputs.append(figure.decided_by)
            marks = f" {'' if figure.explained else '!'}{'c' if figure.circular else ''}".rstrip()
            rows.append(
                (
                    figure.name,
                    paper_of(figure.published),
                    value(figure.simulated, figure.unit),
                    span(figure.low, figure.high, figure.unit) + marks,
                    f"{figure.deviation or 0.0:+.0%}",
                    name,
                )
            )
    known = ", ".join(sorted(filter(None, set(inputs))))
    return Sheet(
        "Published figures",
        ("figure", "paper", "simulated", "interval", "dev.", "decided by"),
        tuple(rows),
        f"{_verdicts(found)} Interval: every input that the paper does not give has a range; the ends of the interval "
        "are the figure with all inputs at the ends that lower it, and at those that raise it. ?: recalled or derived, "
        f"not read in the paper. Decided by: the input that moves the figure most. These inputs are {known}.",
        (0, 5),
    )


def _verdicts(found: Reproduction) -> str:
    """How many figures are evidence, and for what."""
    count = found.count
    evidence = sum(count.values()) - count["circular"]
    return (
        f"Of {evidence} figures {count['reproduced']} are reproduced to {NEAR:.0%}, {count['compatible']} more lie "
        f"within their interval, and {count['outside']} lie outside it (!). {count['circular']} more are circular (c): "
        f"some input was chosen because it meets that figure ({_inferred()}), so they are no evidence and not counted."
    )


def _inferred() -> str:
    return ", ".join(inference.name for inference in inferences())


def _models(found: Reproduction) -> Sheet:
    rows = [
        (
            model,
            number(run.token_ns / 1e6),
            number(run.energy_pJ["v1"] / run.tokens / 1e9),
            number(run.energy_pJ["v2"] / run.tokens / 1e9),
            f"{run.row_hit_rate:.2%}",
            f"1/{number(run.data_movement)}",
            f"{run.non_vmm:.2%}",
            number(run.operations_per_parameter),
        )
        for model, run in found.models.items()
    ]
    head = ("model", "ms/token", "mJ (v1)", "mJ (v2)", "row hits", "data moved", "ASIC only", "op/param")
    note = (
        "1,024 tokens decoded, batch 1. mJ: energy per token, with either energy table. Data moved: over the pins, as "
        "a share of what a memory without PIM moves. ASIC only: share of the time in which nothing but the ASIC works. "
        "op/param: operations for each parameter of the model."
    )
    return Sheet("Simulated system", head, tuple(rows), note)


_BOUNDS = ("roofline", "eager")  # the bound of a machine first, what a program reaches on it beside it


def _speedups(found: Reproduction) -> Sheet:
    picks = [(name, model) for model in _BOUNDS for name in (T4, XEON)]
    rows = [(m, *(number(run.speedup(*pick)) for pick in picks)) for m, run in found.models.items()]
    t4, xeon = ([run.speedup(name, "roofline") for run in found.models.values()] for name in (T4, XEON))
    paper = (paper_of(published()[f"speedup_{name}.{end}"]) for name in ("t4", "xeon") for end in _ENDS)
    note = (
        "Roofline: against the limit of the other machine, which no software on it can beat. PIM-GPT is "
        f"{span(min(t4), max(t4), 'x')} times as fast as the T4's limit (fp16), and {span(min(xeon), max(xeon), 'x')} "
        "times as fast as the Xeon's (fp32). Eager: against a PyTorch program on that machine, which waits for "
        "launches or for memory. The paper's {}-{} (T4) and {}-{} (Xeon) are compared with this one.".format(*paper)
    )
    return Sheet("Speedup", ("model", "T4 roofline", "Xeon roofline", "T4 eager", "Xeon eager"), tuple(rows), note)


def _energies(found: Reproduction) -> Sheet:
    picks = [(n, t, m) for m in _BOUNDS for n in (T4, XEON) for t in ("v1", "v2")]
    rows = [(m, *(number(run.energy_ratio(*pick)) for pick in picks)) for m, run in found.models.items()]
    short = {T4: "T4", XEON: "Xeon", "eager": "eager", "roofline": "roof"}
    head = ("model", *(f"{short[n]} {short[m]} {t}" for n, t, m in picks))
    note = "The other machine's energy over the simulated one, with either energy table."
    return Sheet("Energy ratio", head, tuple(rows), note)


_FORMS = ("roofline", "compiled", "eager")


def _newer(found: Reproduction) -> Sheet:
    """Machines that came after the paper's: what a program in one launch a step reaches on them."""
    short, rows = {A100: "A100", H100: "H100"}, []
    for model, run in found.models.items():
        costs = newer(model)
        times = (costs[name, form].latency_ns / TOKENS / run.token_ns for name in NEWER for form in _FORMS)
        energies = (costs[name, "compiled"].energy_pJ / TOKENS / (run.energy_pJ["v2"] / run.tokens) for name in NEWER)
        rows.append((model, *map(number, (*times, *energies))))
    head = ("model", *(f"{short[name]} {form}" for name in NEWER for form in _FORMS))
    note = (
        "The GPU's time over the simulated one: below 1 the GPU is faster. NVIDIA A100 80 GB and H100 80 GB, bf16, one "
        "sequence. Compiled: the whole step is one launch. Roofline and compiled are limits that small kernels do not "
        "reach: measured ones take up to twice the compiled time on an A100, and up to four times on an H100 "
        "(docs/baselines.md). Energy: the compiled GPU's over the simulated one, table v2. The paper compares with "
        "neither GPU."
    )
    return Sheet("Newer GPUs", (*head, *(f"{short[name]} energy" for name in NEWER)), tuple(rows), note)


def _curves(found: Reproduction) -> Iterator[Sheet]:
    for curve in CURVES:
        points = {(p.model, p.x): p for p in found.curves if p.curve == curve.name}
        rows = []
        for x in curve.points:
            cells = []
            for model in found.varied:
                time, base = points[model, x].token_ns, points[model, curve.shipped].token_ns
                cells.append("does not fit" if time is None or base is None else f"{time / base:.3f}")
            rows.append((f"{x:g} {curve.unit}".strip(), *cells))
        note = f"Time per token over that of the shipped {curve.shipped:g} {curve.unit}".strip() + "."
        yield Sheet(f"Varied: {curve.title}", (curve.title, *found.varied), tuple(rows), note)


def _contexts(found: Reproduction) -> Sheet:
    rows = [
        (p.model, f"{p.x:,.0f}", number(p.token_ns / 1e6))
        for p in found.curves
        if p.curve == "context" and p.token_ns is not None
    ]
    note = (
        "One decode step at each context, also beyond the length that the model was trained for. The last line of a "
        "model is the longest context that fits."
    )
    return Sheet("Context", ("model", "context", "ms/token"), tuple(rows), note)


def _limits(found: Reproduction) -> Sheet:
    names = tuple(next(iter(found.limits.values())))
    rows = [
        (model, *(f"{ns / sum(parts.values()):.1%}" for ns in parts.values()), number(sum(parts.values()) / 1e6))
        for model, parts in found.limits.items()
    ]
    return Sheet("What limits each model", ("model", *names, "ms/token"), tuple(rows), "Shares of the time per token.")


def _variants(found: Reproduction) -> Sheet:
    rows = []
    for model, times in found.variants.items():
        base = times["paper"]
        rows.append((model, *(f"{time / base:.3f}" for name, time in times.items() if name != "paper")))
    head = ("model", *(name for name in next(iter(found.variants.values())) if name != "paper"))
    roofs = ", ".join(number(found.models[m].speedup(T4, "roofline")) for m in GPT2 if m in found.models)
    note = (
        "Two things that the paper does not do: time per token over that of its schedule without LM head. It has no "
        f"speedups over a T4's roofline either; for GPT-2 they are {roofs}."
    )
    return Sheet("Beyond the paper", head, tuple(rows), note)


def _prices(found: Reproduction) -> Sheet:
    runs = found.prices["gpt3-xl"]
    components = [c for c in runs[0].components_pJ if any(run.components_pJ[c] for run in runs)]
    rows = [(readable(c), *(number(run.components_pJ[c] / 1e9) for run in runs)) for c in components]
    rows.append(("total", *(number(run.total_pJ / 1e9) for run in runs)))
    usual = (
        "usual activation pJ",
        *("negative" if r.activation_usual_pJ is None else number(r.activation_usual_pJ) for r in runs),
    )
    note = (
        "mJ per token of GPT3-XL: the same commands, priced in four ways. Last row: an activation by the usual formula."
    )
    return Sheet("Energy priced in other ways", ("component", *(r.name for r in runs)), (*rows, usual), note)


def _candidates(found: Reproduction) -> Sheet:
    spread = max(found.paper_factors.values()) / min(found.paper_factors.values())
    rows = [
        (
            readable(c.component),
            f"{c.share[0]:.1%}-{c.share[1]:.1%}",
            f"{c.factor:.1f}x",
            f"{c.ratios[0]:.2f}-{c.ratios[1]:.2f}",
            "yes" if c.ratios[1] / c.ratios[0] <= spread else "no",
        )
        for c in found.candidates
    ]
    factors = ", ".join(f"{value:.2f}" for value in found.paper_factors.values())
    note = (
        f"Between the versions the paper's energy grew by {factors} (T4 and Xeon, both ends). Could one component be "
        "the only reason? Its share with table v1; how much it must grow for GPT3-XL; how much the whole then grows, "
        "over the eight models; and whether that is as even as the paper's."
    )
    head = ("component", "share", "must grow", "whole grows", "as even")
    return Sheet("From v1 to v2 of the paper", head, tuple(rows), note)


def markdown(found: Reproduction, titles: Sequence[str] = ()) -> str:
    """The sheets as Markdown; only those of `titles` and in their order, if given."""
    by_title = {sheet.title: sheet for sheet in sheets(found)}
    return "\n\n".join(by_title[title].markdown() for title in titles or by_title) + "\n"
