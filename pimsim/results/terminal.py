"""A result on one screen: at most 80 columns and 40 lines, of several devices 50."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from pimsim.labels import LABELS
from pimsim.results import scheduled
from pimsim.results.beside import line as placement_line
from pimsim.results.brief import WIDTH, headline_lines, ranked, title
from pimsim.results.devices import AVERAGE, HEADINGS, alike, share_cells, shared
from pimsim.results.headline import count_text, number, percent
from pimsim.results.layout import Line, Screen, Span, ascii_only, beside, columns, cropped, print_lines, table, wrapped
from pimsim.results.placement import chosen_line
from pimsim.results.store import LAST
from pimsim.results.written import readable

if TYPE_CHECKING:
    from pimsim.config.loader import Origin
    from pimsim.results.result import Result

_BAR = 12  # columns of the longest bar
_NARROW = 60  # columns below which the ratios over machines are two tables
_SHARES = 4  # rows of devices that differ
_BARS = 8  # bars per breakdown; the rest are one, "other"
_CAVEAT = (
    "Latency is simulated command by command. Energy is these commands, priced with JEDEC currents. Both depend on "
    "inputs that the paper does not give (see above). A baseline is a model of its machine."
)


def print_summary(result: Result, screen: Screen) -> None:
    """Print the figures of `result`, in `WIDTH` columns or fewer; in ASCII where the screen has no UTF-8."""
    width = min(WIDTH, screen.width)
    lines = _lines(result, result.summary, width, ascii_only(screen.encoding))
    print_lines(screen, (cropped(line, width) for line in lines))


def _lines(result: Result, summary: Mapping[str, Any], width: int, plain: bool) -> Iterator[Line]:
    ran = title(result.config.name, summary)
    yield from wrapped(ran.encode("ascii", "replace").decode() if plain else ran, width, "bold")
    if line := chosen_line(result.plan, result.config):
        yield from wrapped(line, width)
    if "placement" in summary:
        yield from wrapped(placement_line(summary["placement"]), width)
    devices = summary.get("devices")
    if devices:
        yield from wrapped(shared(devices), width)
    yield from headline_lines(summary, width, plain)
    for what, figure in (("Decode time", "latency_ns"), ("Decode energy", "energy_pJ")):
        if parts := scheduled.shares(summary, figure):
            said = ", ".join(f"{name} {percent(share)}" for name, share in parts.items())
            yield from wrapped(f"{what}: {said}", width)
    if devices:
        yield from _devices(devices, width)
    yield []
    yield from _breakdowns(summary["system"], "#" if plain else "█", width)
    yield []
    yield from ([(line, "")] for line in _commands(summary["system"]["commands"], width))
    if summary["baselines"]:
        yield []
        yield from _baselines(summary["baselines"], width)
        for note in (*_measured_notes(summary["baselines"]), *_kernel_notes(summary["baselines"])):
            yield from wrapped(note, width)
    if result.values:
        yield []
        for line in result.values.lines():
            yield from wrapped(line, width)
    yield []
    if result.provenance:
        yield from wrapped(inputs_line(result.provenance), width)
    yield from wrapped(f"{_table_note(result)} {_CAVEAT}", width, "dim")
    yield from wrapped(_simulation(summary), width, "dim")


def _devices(devices: Mapping[str, Any], width: int) -> Iterator[Line]:
    """What each device does, where they differ as a table, and what times are of."""
    told = devices["shares"]
    if len(told) == 1:
        yield from wrapped(alike(told[0]), width)
    else:
        rows = [share_cells(share) for share in told[:_SHARES]]
        yield from table(HEADINGS, rows, gap=2, width=width, widest_first=8)
        if more := len(told) - len(rows):
            yield [(f"and {more} more, which the run page and {LAST} have", "")]
    yield from wrapped(AVERAGE, width, "dim")


def _breakdowns(system: Mapping[str, Any], block: str, width: int) -> list[Line]:
    latency = _bars("Latency by cause", system["latency_breakdown_ns"], block, "blue")
    energy = _bars("Energy by component", system["energy_breakdown_pJ"], block, "yellow")
    return beside(latency, energy, gap=3, width=width)


def _bars(title: str, parts: Mapping[str, float], block: str, colour: str) -> list[Line]:
    rows = ranked(parts, _BARS)
    largest = max((value for _, value in rows), default=0.0) or 1.0
    total = sum(parts.values()) or 1.0
    cells: list[list[Span]] = []
    for name, value in rows:
        bar = block * round(_BAR * value / largest)
        cells.append([(readable(name), ""), (f"{bar:<{_BAR}}", colour), (percent(value / total), "")])
    return [[(title, "bold")], *columns(cells, ["left", "left", "right"], gap=1)]


def _commands(commands: Mapping[str, int], width: int) -> list[str]:
    """Counts by name, broken between commands only."""
    counts = "  ".join(f"{name}\N{NO-BREAK SPACE}{count_text(count)}" for name, count in commands.items())
    lines = wrap(counts, width, initial_indent="Commands  ", subsequent_indent=" " * 10, break_on_hyphens=False)
    return [line.replace("\N{NO-BREAK SPACE}", " ") for line in lines]


_SPEED = {"roofline speedup": ("roofline", "speedup"), "eager speedup": ("", "speedup")}
_ENERGY = {"roofline energy ratio": ("roofline", "energy_ratio"), "eager energy ratio": ("", "energy_ratio")}


def _baselines(baselines: Mapping[str, Mapping[str, Any]], width: int) -> Iterator[Line]:
    """Ratios of each baseline, the roofline's first: it is the bound that no software on that machine beats.

    A narrow screen has a table of speedups, and beneath it one of energy ratios.
    """
    for shown in (_SPEED | _ENERGY,) if width >= _NARROW else (_SPEED, _ENERGY):
        rows = [
            [name, *(_ratio(baseline[model] if model else baseline, key) for model, key in shown.values())]
            for name, baseline in baselines.items()
        ]
        yield from table(["Compared with", *shown], rows, gap=2, width=width, widest_first=24)


def _measured_notes(baselines: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Which eager times are measured, and which are not although their files have measurements."""
    compared = {name: b["model"] for name, b in baselines.items() if b["speedup"] is not None}
    noted = {name: model.get("kind") for name, model in compared.items() if model.get("note")}
    for kind, what in (("measured", "Measured, not by formula"), ("eager", "By formula, not as measured")):
        names = [name for name in noted if noted[name] == kind]
        if names:
            yield f"{what}: {', '.join(names)}"


def _kernel_notes(baselines: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Machines by measured kernels, and how far the formula is from them."""
    for name, found in baselines.items():
        if kernels := found.get("measured_kernels"):
            off = kernels["formula_latency_ns"] / kernels["latency_ns"] - 1
            speedup = "does not fit" if kernels["speedup"] is None else f"speedup {number(kernels['speedup'])}x"
            yield f"{name} by measured kernels: {speedup}, formula {off:+.1%} off ({kernels['source']})"


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
    table = result.prices.table
    if table.digest:
        own = f"{len(table.own)} {'row' if len(table.own) == 1 else 'rows'} of its own"
        return f"Energy table {table.name}: {own}" + (f", the others of {table.extends}." if table.extends else ".")
    return f"Energy table {table.name} is one reading: what the paper priced is not published."


def _simulation(summary: Mapping[str, Any]) -> str:
    simulation = summary["simulation"]
    folded = ", folded" if simulation["folded"] else ""
    rate = count_text(round(simulation["commands_per_s"]))
    return f"Simulated in {number(simulation['wall_s'])} s, {rate} commands/s ({simulation['engine']}{folded})"
