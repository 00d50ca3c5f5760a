"""A result on one screen: at most 80 columns and 40 lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from pimsim.labels import LABELS
from pimsim.results.headline import headline, number, percent

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

    from pimsim.config.loader import Origin
    from pimsim.results.result import Result

WIDTH = 80
_BAR = 12  # columns of the longest bar
_UNIT = 24  # columns of a unit that leave room for a figure beside it
_NARROW = 60  # columns below which the ratios over machines are two tables
_BARS = 8  # bars per breakdown; the rest are one, "other"
_CAVEAT = (
    "Latency is simulated command by command; energy prices those commands with JEDEC currents. "
    "Both rest on the inputs above that the paper does not give, and a baseline is a model of its machine."
)


def print_summary(result: Result, console: Console) -> None:
    """Print the figures of `result`, in `WIDTH` columns or fewer; in ASCII where the console has no UTF-8."""
    from rich.console import Group

    width = min(WIDTH, console.width)
    ascii_only = not console.encoding.lower().startswith("utf")
    screen = Group(*_blocks(result, result.summary, width, ascii_only))
    console.print(screen, width=width, highlight=False)


def _blocks(result: Result, summary: Mapping[str, Any], width: int, ascii_only: bool) -> Iterable[RenderableType]:
    from rich.text import Text

    title = _title(result.config.name, summary["workload"])
    yield Text(title.encode("ascii", "replace").decode() if ascii_only else title, style="bold")
    yield _headline_table(summary, width, ascii_only)
    yield Text()
    yield _breakdowns(summary["system"], "#" if ascii_only else "█")
    yield Text()
    yield Text(_commands(summary["system"]["commands"], width))
    if summary["baselines"]:
        yield Text()
        yield from _baselines(summary["baselines"], width)
        yield from map(Text, _measured_notes(summary["baselines"]))
    yield Text()
    if result.provenance:
        yield Text(inputs_line(result.provenance))
    yield Text(f"{_table_note(result)} {_CAVEAT}", style="dim")
    yield Text(_simulation(summary), style="dim")


def _title(name: str, workload: Mapping[str, Any]) -> str:
    prompt = f" after a prompt of {workload['prompt_tokens']:,}" if workload["prompt_tokens"] else ""
    before = f" from a context of {workload['context']:,}" if workload["context"] else ""
    batch = f", batch {workload['batch']}" if workload["batch"] > 1 else ""
    steps = workload["output_tokens"]
    scope = "with LM head" if workload["lm_head"] else "without LM head"
    tokens = f"{steps:,} token{'s' if steps > 1 else ''} decoded"
    return f"{name}: {workload['model']}, {tokens}{before}{prompt}{batch}, {scope}"


def _grid(columns: Sequence[str]) -> Table:
    """A table without lines; a column per justification."""
    from rich.table import Table

    grid = Table.grid(padding=(0, 1))
    for justify in columns:
        grid.add_column(justify=justify, no_wrap=True, overflow="crop")  # type: ignore[arg-type]
    return grid


def _headline_table(summary: Mapping[str, Any], width: int, ascii_only: bool) -> RenderableType:
    """The headline in two columns, or in one where the console is narrow; long units have lines of their own."""
    from rich.console import Group
    from rich.text import Text

    figures = headline(summary)
    if ascii_only:
        figures = [(what, value, unit.replace("µ", "u")) for what, value, unit in figures]
    if width < WIDTH:
        return Text("\n".join(f"{what:<15} {value:>9} {unit}" for what, value, unit in figures))
    wide = [figure for figure in figures if len(figure[2]) > _UNIT]
    figures = [figure for figure in figures if figure not in wide]
    grid = _grid(["left", "right", "left"] * 2)
    half = (len(figures) + 1) // 2
    for left, right in zip_longest(figures[:half], figures[half:], fillvalue=("", "", "")):
        grid.add_row(*left, f"  {right[0]}", *right[1:])
    return Group(*(Text(f"{what}  {value} {unit}") for what, value, unit in wide), grid)


def _breakdowns(system: Mapping[str, Any], block: str) -> RenderableType:
    from rich.columns import Columns

    latency = _bars("Latency by cause", system["latency_breakdown_ns"], block, "blue")
    energy = _bars("Energy by component", system["energy_breakdown_pJ"], block, "yellow")
    return Columns([latency, energy], padding=(0, 3))


def _bars(title: str, parts: Mapping[str, float], block: str, colour: str) -> RenderableType:
    from rich.text import Text

    grid = _grid(["left", "left", "right"])
    grid.title = title
    grid.title_justify = "left"
    grid.title_style = "bold"
    rows = _ranked(parts)
    largest = max((value for _, value in rows), default=0.0) or 1.0
    total = sum(parts.values()) or 1.0
    for name, value in rows:
        bar = block * round(_BAR * value / largest)
        grid.add_row(Text(name.replace("_", " ")), Text(f"{bar:<{_BAR}}", style=colour), percent(value / total))
    return grid


def _ranked(parts: Mapping[str, float]) -> list[tuple[str, float]]:
    """The largest parts that are not zero, and the sum of the others."""
    ranked = sorted(((name, value) for name, value in parts.items() if value), key=lambda part: -part[1])
    if len(ranked) <= _BARS:
        return ranked
    return [*ranked[: _BARS - 1], ("other", sum(value for _, value in ranked[_BARS - 1 :]))]


def _commands(commands: Mapping[str, int], width: int) -> str:
    """Counts by name, broken between commands only."""
    counts = "  ".join(f"{name}\N{NO-BREAK SPACE}{_count(count)}" for name, count in commands.items())
    lines = wrap(counts, width, initial_indent="Commands  ", subsequent_indent=" " * 10, break_on_hyphens=False)
    return "\n".join(lines).replace("\N{NO-BREAK SPACE}", " ")


def _count(count: int) -> str:
    """1,234 in full, 5.03G from a million on."""
    for factor, letter in ((10**9, "G"), (10**6, "M")):
        if count >= factor:
            return f"{number(count / factor)}{letter}"
    return f"{count:,}"


_SPEED = {"roofline speedup": ("roofline", "speedup"), "eager speedup": ("", "speedup")}
_ENERGY = {"roofline energy ratio": ("roofline", "energy_ratio"), "eager energy ratio": ("", "energy_ratio")}


def _baselines(baselines: Mapping[str, Mapping[str, Any]], width: int) -> Iterator[RenderableType]:
    """Ratios of each baseline, the roofline's first: it is the bound that no software on that machine beats.

    A narrow console has a table of speedups, and beneath it one of energy ratios.
    """
    tables = (_SPEED | _ENERGY,) if width >= _NARROW else (_SPEED, _ENERGY)
    for columns in tables:
        yield _ratios(baselines, columns)


def _ratios(baselines: Mapping[str, Mapping[str, Any]], columns: Mapping[str, tuple[str, str]]) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("Compared with", max_width=24, overflow="fold")
    for heading in columns:
        table.add_column(heading, justify="right", overflow="fold", min_width=8)
    for name, baseline in baselines.items():
        table.add_row(
            Text(name), *(_ratio(baseline[model] if model else baseline, key) for model, key in columns.values())
        )
    return table


def _measured_notes(baselines: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Which eager times are measured, and which are not although their files have measurements."""
    compared = {name: b["model"] for name, b in baselines.items() if b["speedup"] is not None}
    noted = {name: model.get("kind") for name, model in compared.items() if model.get("note")}
    for kind, what in (("measured", "Measured, not by formula"), ("eager", "By formula, not as measured")):
        names = [name for name in noted if noted[name] == kind]
        if names:
            yield f"{what}: {', '.join(names)}"


def _ratio(part: Mapping[str, Any], key: str) -> str:
    """A ratio, or why there is none."""
    if part[key] is None:
        return "does not fit" if key == "speedup" else "-"
    return f"{number(part[key])}x"


def inputs_line(provenance: Mapping[str, Origin]) -> str:
    """How many values of a configuration are known how well; defaults and settings without a label apart."""
    labels = Counter(origin.label for origin in provenance.values())
    known = ", ".join(f"{labels[label]} {label}" for label in LABELS if labels[label])
    rest = sum(count for label, count in labels.items() if label not in LABELS)
    return f"Inputs: {known}" + (f"; {rest} default or set by you" if rest else "")


def _table_note(result: Result) -> str:
    return f"Energy table {result.config.energy.table}: which terms the paper priced is not published."


def _simulation(summary: Mapping[str, Any]) -> str:
    simulation = summary["simulation"]
    folded = ", folded" if simulation["folded"] else ""
    rate = _count(round(simulation["commands_per_s"]))
    return f"Simulated in {number(simulation['wall_s'])} s, {rate} commands/s ({simulation['engine']}{folded})"
